"""Make training drives from unlabelled bags and another video segmenter, as Mask2Former."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import sys

from .arguments import add_options, config_from_options
from .command import command
from .masks_from_lidar import overview
from .progress import progress
from ..bags.folders import find_bags
from ..config import to_mapping
from ..evaluation.run_file import RUN_FILE, write_run
from ..inference.video_models import load_video_segmenter
from ..training.video.guessed_masks import guess_masks, GuessedMasksConfig


@command
def main(args: Sequence[str] | None = None) -> int:
    """Run the command."""
    from ..bags.frames import frames
    from ..training.cache import write_drive

    parser = argparse.ArgumentParser(prog='masks_from_video', description=__doc__)
    parser.add_argument(
        'bags', nargs='+', type=Path,
        help='with sweeps, pictures and calibration, or folders of such bags')
    parser.add_argument('--out', required=True, type=Path, help='folder for the drives')
    parser.add_argument(
        '--model', required=True, help='checkpoint, or transformers:<name> of a Mask2Former')
    parser.add_argument('--device', default='auto', help='cpu, cuda, cuda:<n> or auto')
    add_options(parser, GuessedMasksConfig)
    options = parser.parse_args(args)
    config = config_from_options(options, GuessedMasksConfig)
    segment = load_video_segmenter(options.model, options.device)
    for bag in find_bags(options.bags):
        read = frames(bag, config.cameras or None, rectified=config.rectified)
        guessed = guess_masks(progress(read, bag.stem, 'sweep'), segment, config)
        drive = write_drive(guessed, options.out / bag.stem, str(bag))
        write_run(drive.folder / RUN_FILE, {
            'command': 'masks_from_video', 'bag': str(bag), 'model': options.model,
            'model_sha256': segment.sha256, **to_mapping(config)})
        print(f'{drive.folder}: {len(drive)} frames\n{overview(drive)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
