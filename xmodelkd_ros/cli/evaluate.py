"""Score a model on labelled bags or drives of the array cache."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import importlib
from pathlib import Path
import sys

from .arguments import add_options, config_from_options
from .command import command
from ..evaluation.video import TrackScoreConfig

KINDS = {
    'point': ('training.point', 'IoU of each class'),
    'video': ('training.video', 'average precision of tracked instances'),
    'clip': ('training.clip', 'average precision of tracked instances of the offline teacher'),
    'teacher': ('distillation.teachers', 'IoU of each class over the pixels of pictures'),
}
"""`evaluate_<kind>` of `<folder>.evaluation` returns a table."""

PRECISE = ('point', 'video')
"""Kinds whose convolutions may be done in integers."""

TRACKED = ('video', 'clip')
"""Kinds whose scores are of tracks; what counts can be said."""


@command
def main(args: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog='evaluate', description=__doc__)
    kinds = parser.add_subparsers(dest='kind', required=True)
    for kind, (_, what) in KINDS.items():
        own = kinds.add_parser(kind, help=what, description=f'Report the {what}.')
        own.add_argument('bags', nargs='+', type=Path, help='labelled bags')
        model = '<kind>:<weights>' if kind == 'teacher' else 'checkpoint'
        own.add_argument('--model', required=True, type=Path, help=model)
        own.add_argument('--device', default='auto', help='cpu, cuda, cuda:<n> or auto')
        if kind in PRECISE:
            own.add_argument('--precision', default='auto', help='auto (the default) for 8-bit '
                             'integers where the CPU has instructions for them, or float')
        own.add_argument('--cache', type=Path, default=Path('.cache/drives'),
                         help='folder for arrays (default: %(default)s)')
        if kind in TRACKED:
            add_options(own, TrackScoreConfig)
    options = parser.parse_args(args)
    folder, _ = KINDS[options.kind]
    module = importlib.import_module(f'..{folder}.evaluation', __package__)
    evaluate = getattr(module, f'evaluate_{options.kind}')
    counted = [config_from_options(options, TrackScoreConfig)] if options.kind in TRACKED else []
    said = {'precision': options.precision} if options.kind in PRECISE else {}
    print(evaluate(options.bags, options.model, options.device, options.cache, *counted, **said))
    return 0


if __name__ == '__main__':
    sys.exit(main())
