"""Label sweeps without a ROS graph: a SemanticKITTI label file for each; what is there is kept."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from .command import command
from .progress import progress
from ..errors import BagError, XModelKDError
from ..evaluation.tables import format_table
from ..inference.point_segmenter import PointSegmenter

if TYPE_CHECKING:
    from ..bags.label_files import LabelFolder
    from ..bags.sweeps import Sweep


@command
def main(args: Sequence[str] | None = None) -> int:
    """Run the command."""
    from ..bags.label_files import IDS, LabelFolder
    from ..bags.sweeps import Sweeps

    parser = argparse.ArgumentParser(prog='label', description=__doc__)
    parser.add_argument('sources', nargs='+', type=Path, metavar='SWEEPS',
                        help='.bin or .pcd files, folders of them, or bags')
    parser.add_argument('--model', required=True, type=Path, help='checkpoint')
    parser.add_argument('--out', required=True, type=Path, help='folder for the .label files')
    parser.add_argument('--ids', choices=IDS, default=IDS[0],
                        help="class ids: this package's, or SemanticKITTI's (10 car, 40 road)")
    parser.add_argument('--topic', default='', help="of a bag's clouds, where it has several")
    parser.add_argument('--device', default='auto', help='cpu, cuda, cuda:<n> or auto')
    options = parser.parse_args(args)
    sweeps = Sweeps(options.sources, options.topic)
    segmenter = PointSegmenter(options.model, options.device)
    folder = LabelFolder(options.out, segmenter.classes, options.ids, segmenter.sha256)
    run = _Run(segmenter, folder)
    for sweep in progress(sweeps, 'label', 'sweep'):
        run.add(sweep)
    print(run.table())
    for problem in run.problems:
        print(f'error: {problem}', file=sys.stderr)
    return XModelKDError.exit_code if run.problems else 0


class _Run:
    """Labels sweeps one by one; a bad one is noted and does not stop the others."""

    def __init__(self, segmenter: PointSegmenter, folder: LabelFolder) -> None:
        self._segmenter, self._folder = segmenter, folder
        self._origins: dict[str, str] = {}
        self._points = np.zeros(65536, np.int64)
        self._labelled = self._kept = 0
        self._started = time.monotonic()
        self.problems: list[str] = []

    def add(self, sweep: Sweep) -> None:
        """Label a sweep unless that has been done."""
        other = self._origins.setdefault(sweep.name, sweep.origin)
        try:
            if other != sweep.origin:
                raise BagError(f'{sweep.origin} has the name of {other}: use another --out')
            cloud = sweep.read()
        except BagError as problem:
            self.problems.append(str(problem))
            return
        if self._folder.holds(sweep.name, len(cloud.points)):
            self._kept += 1
            return
        label = self._segmenter(cloud.points, cloud.intensity).label
        self._folder.write(sweep.name, label)
        self._labelled += 1
        self._points += np.bincount(label, minlength=len(self._points))

    def table(self) -> str:
        """Return how many points of each class were found, and what became of the sweeps."""
        total = max(1, int(self._points.sum()))
        rows = [
            (row.name, int(self._folder.written_id[row.id]), int(self._points[row.id]),
             100 * float(self._points[row.id]) / total)
            for row in self._segmenter.classes
        ]
        rate = self._labelled / (time.monotonic() - self._started)
        return (
            f'{format_table(("class", "id", "points", "share [%]"), rows)}\n'
            f'{self._labelled} sweeps labelled ({rate:.1f} per second), {self._kept} kept, '
            f'{len(self.problems)} bad')


if __name__ == '__main__':
    sys.exit(main())
