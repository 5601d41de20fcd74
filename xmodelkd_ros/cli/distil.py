"""Distil a student from bags and an image teacher, without a ROS graph: all of it, or a stage."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import sys

from .arguments import add_options, config_from_options
from .command import command

WHAT = {
    'run': 'all stages, those that are done left out',
    'extract': 'ask the teacher about the pictures and keep what it says of the points',
    'train': 'teach the student',
    'finetune': 'go on with labels, where there are labelled bags',
    'evaluate': 'score the student and draw what it says',
    'export': 'write the checkpoint that perception loads, and the programs beside it',
}


@command
def main(args: Sequence[str] | None = None) -> int:
    """Run the command."""
    from ..distillation.pipeline import Pipeline, STAGES
    from ..distillation.pipeline_config import PipelineConfig
    from ..distillation.progress import TerminalBar
    from ..nodes.models import shipped_model

    parser = argparse.ArgumentParser(prog='distil', description=__doc__)
    stages = parser.add_subparsers(dest='stage', required=True)
    for name, what in WHAT.items():
        add_options(stages.add_parser(name, help=what, description=what), PipelineConfig)
    options = parser.parse_args(args)
    config = config_from_options(options, PipelineConfig)
    pipeline = Pipeline(config, shipped_model('point'))
    bar = TerminalBar()
    try:
        scores = pipeline.run(STAGES if options.stage == 'run' else (options.stage,), bar)
    finally:
        bar.close()
    if scores:
        print(scores)
    return 0


if __name__ == '__main__':
    sys.exit(main())
