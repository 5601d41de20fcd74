"""Convert KITTI and SemanticKITTI recordings to rosbag2; a bag that is there is kept."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import functools
from pathlib import Path
import sys

from .arguments import add_options, config_from_options
from .command import command
from .progress import progress
from ..config import to_mapping


@command
def main(args: Sequence[str] | None = None) -> int:
    """Run the command."""
    from ..bags.kitti import KittiConfig, read_kitti
    from ..bags.overview import bag_overview
    from ..bags.recording import is_recorded, write_recording

    parser = argparse.ArgumentParser(prog='kitti_to_bag', description=__doc__)
    parser.add_argument(
        'source', type=Path,
        help='a drive of the raw data (..._sync), an object folder, or a SemanticKITTI sequence',
    )
    parser.add_argument(
        'bag', type=Path, help="the bag's folder; it is kept if the same settings made it")
    add_options(parser, KittiConfig)
    options = parser.parse_args(args)
    config = config_from_options(options, KittiConfig)

    description = {'command': 'kitti_to_bag', 'source': str(options.source), **to_mapping(config)}
    if is_recorded(options.bag, description):
        print(f'{options.bag} is complete: kept')
    else:
        recording = read_kitti(options.source, config)
        for note in recording.notes:
            print(f'note: {note}', file=sys.stderr)
        track = functools.partial(progress, label=options.bag.name, unit='entries')
        write_recording(recording, options.bag, config, description, track)
    print(bag_overview(options.bag))
    return 0


if __name__ == '__main__':
    sys.exit(main())
