"""Track the videos of YouTube-VIS or OVIS: the file that their evaluation servers take."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import sys
from typing import Any

from .command import command
from .progress import progress
from ..config import read_mapping
from ..evaluation.tables import format_table
from ..inference.video_models import load_video_segmenter


@command
def main(args: Sequence[str] | None = None) -> int:
    """Run the command."""
    from ..training.video.results import follow_video, write_results
    from ..training.video.youtube_vis import open_collection

    parser = argparse.ArgumentParser(prog='video_results', description=__doc__)
    parser.add_argument('annotations', type=Path, help="the data set's JSON file")
    parser.add_argument('--images', type=Path,
                        help='folder of its pictures (default: JPEGImages beside it)')
    parser.add_argument('--model', required=True, help='checkpoint, or transformers:<name>')
    parser.add_argument('--out', type=Path, default=Path('results.json'),
                        help='JSON file for the tracks (default: %(default)s)')
    parser.add_argument('--class-map', type=Path, help="YAML: our class name by the data set's")
    parser.add_argument('--device', default='auto', help='cpu, cuda, cuda:<n> or auto')
    options = parser.parse_args(args)
    collection = open_collection(
        options.annotations, options.images, _read_map(options.class_map))
    segment = load_video_segmenter(options.model, options.device)
    rows: list[dict[str, Any]] = []
    for video in progress(collection.videos, 'track', 'video'):
        rows += follow_video(video, segment, collection.category_of_class)
    write_results(options.out, rows)
    counts = [
        (row.name, category, sum(found['category_id'] == category for found in rows))
        for row in collection.classes
        for category in [collection.category_of_class[row.id]]
    ]
    print(format_table(('class', 'category', 'tracks'), counts))
    print(f'{options.out}: {len(rows)} tracks in {len(collection.videos)} videos')
    return 0


def _read_map(path: Path | None) -> dict[str, str]:
    content = read_mapping(path, 'class-map') if path else {}
    return {str(theirs): str(ours) for theirs, ours in content.items()}


if __name__ == '__main__':
    sys.exit(main())
