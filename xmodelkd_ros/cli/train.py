"""Train the point or the video segmenter, or an image teacher, on labelled drives."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import importlib
from pathlib import Path
import sys
from typing import Any

from .arguments import add_options, config_from_options
from .command import command
from ..errors import ConfigurationError
from ..training.run_config import LAST, own_rank

KINDS = {
    'point': 'the labels of points',
    'video': 'instances in videos',
    'teacher': 'the labels of pixels',
    'clip': 'instances in whole clips, the offline teacher of videos',
    'ookd': 'instances in videos, taught by the offline teacher',
}
"""
Module `<kind>_training` has a class `<Kind>TrainingConfig` and `train_<kind>`.

It is in the folder `training`, or in `distillation` where it needs a teacher.
"""


@command
def main(args: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog='train', description=__doc__)
    kinds = parser.add_subparsers(dest='kind', required=True)
    for kind, what in KINDS.items():
        own = kinds.add_parser(kind, help=what, description=f'Train a network for {what}.')
        own.add_argument('--drives', nargs='+', required=True, type=Path, metavar='BAG',
                         help='labelled bags, or folders of them, to learn from')
        own.add_argument('--validation', nargs='+', required=True, type=Path, metavar='BAG',
                         help='those that choose the checkpoint')
        own.add_argument('--out', required=True, type=Path, help='folder for the result')
        own.add_argument('--cache', type=Path, help='folder for arrays (default: <out>/cache)')
        own.add_argument('--resume', action='store_true', help='go on with the run in <out>')
        add_options(own, _config_class(kind))
    options = parser.parse_args(args)
    config: Any = config_from_options(options, _config_class(options.kind))
    last = options.out / LAST
    if own_rank() == 0 and last.is_file() and not options.resume:
        raise ConfigurationError(
            'out', str(options.out), 'it holds a run; --resume goes on with it')
    train = getattr(_module(options.kind), f'train_{options.kind}')
    path = train(
        options.drives, options.validation, options.out, config,
        options.cache or options.out / 'cache', options.resume,
    )
    if own_rank() == 0:
        print(f'best checkpoint: {path}')
    return 0


def _module(kind: str) -> object:
    folder = 'distillation' if kind == 'ookd' else 'training'
    return importlib.import_module(f'..{folder}.{kind}.training', __package__)


def _config_class(kind: str) -> type:
    return getattr(_module(kind), f'{kind.capitalize()}TrainingConfig')


if __name__ == '__main__':
    sys.exit(main())
