"""Make training drives for the video segmenter from unlabelled bags: LiDAR teaches the camera."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import functools
from pathlib import Path
import sys
from typing import TYPE_CHECKING

import numpy as np

from .arguments import add_options, config_from_options
from .command import command
from .progress import progress
from ..bags.folders import find_bags
from ..config import to_mapping
from ..errors import ConfigurationError
from ..evaluation.run_file import RUN_FILE, write_run
from ..evaluation.tables import format_table
from ..inference.point_segmenter import PointSegmenter
from ..labels import ALL_CLASSES

if TYPE_CHECKING:
    from ..training.cache import CachedDrive


@command
def main(args: Sequence[str] | None = None) -> int:
    """Run the command."""
    from ..distillation.teachers.classes import load_class_map
    from ..distillation.teachers.teacher import make_teacher
    from ..distillation.things.drives import Bridge, BridgeConfig, write_instances

    parser = argparse.ArgumentParser(prog='masks_from_lidar', description=__doc__)
    parser.add_argument(
        'bags', nargs='+', type=Path,
        help='with sweeps, pictures and calibration, or folders of such bags')
    parser.add_argument('--out', required=True, type=Path, help='folder for the drives')
    parser.add_argument('--model', required=True, type=Path, help='point checkpoint')
    parser.add_argument('--teacher', help='image teacher with classes, as distil extract takes it')
    parser.add_argument('--class-map', type=Path, help="YAML: our class name by the teacher's")
    parser.add_argument('--device', default='auto', help='cpu, cuda, cuda:<n> or auto')
    add_options(parser, BridgeConfig)
    options = parser.parse_args(args)
    config = config_from_options(options, BridgeConfig)
    segment, teacher = PointSegmenter(options.model, options.device), None
    class_map = load_class_map(options.class_map) if options.class_map else None
    if options.teacher:
        teacher = make_teacher(options.teacher, options.device, class_map)
        if teacher.class_names is None:
            raise ConfigurationError('teacher', options.teacher, 'a teacher with classes')
    for bag in find_bags(options.bags):
        bridge = Bridge(bag, segment, config, teacher)
        watch = functools.partial(progress, label=bag.stem, unit='sweep', total=len(bridge))
        drive = write_instances(bridge, options.out / bag.stem, str(bag), watch)
        write_run(drive.folder / RUN_FILE, {
            'command': 'masks_from_lidar', 'bag': str(bag), 'model': str(options.model),
            'model_sha256': segment.sha256, 'teacher': options.teacher,
            'teacher_sha256': teacher.sha256 if teacher else None,
            'class_map': class_map, **to_mapping(config)})
        print(f'{drive.folder}: {len(drive)} frames\n{overview(drive)}')
    return 0


def overview(drive: CachedDrive) -> str:
    """Return a table of the instances of a drive by class."""
    sights: dict[tuple[str, int], int] = {}
    classes: dict[tuple[str, int], int] = {}
    for camera in drive.cameras:
        for index in range(len(drive)):
            picture = drive.picture(index, camera)
            if picture is None or picture.instance is None or picture.label is None:
                continue
            ids, first = np.unique(picture.instance, return_index=True)
            for identity, place in zip(ids[ids > 0], first[ids > 0], strict=True):
                key = camera, int(identity)
                sights[key] = sights.get(key, 0) + 1
                classes[key] = int(picture.label.reshape(-1)[place])
    rows = [
        (row.name, len(found), sum(found))
        for row in ALL_CLASSES
        if (found := [sights[key] for key, class_id in classes.items() if class_id == row.id])
    ]
    return format_table(('class', 'instances', 'masks'), rows)


if __name__ == '__main__':
    sys.exit(main())
