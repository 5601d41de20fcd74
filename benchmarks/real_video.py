"""
Figure B: identities on a recorded drive, against the hand-made tracklets of KITTI drive 0001.

    python benchmarks/real_video.py simulated=models/video_simulated.safetensors \
        bridge=runs/bridge/video.safetensors lidar=drives/drive_0001

Each argument is a name and a video model, or a drive made by `masks_from_lidar`, whose own masks
are scored. In each picture a tracklet is what its box holds of the points that the picture shows;
a track is found as it if the two share more than half of their points (intersection over union,
points near the faces of a box left out). Writes `benchmarks/results/real_video.{md,json}`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
import dataclasses
import itertools
from pathlib import Path
import sys
from typing import Any

import numpy as np
from real_drives import RealDrives, source
from result_files import write_results
from tracklets import read_tracklets
from xmodelkd_ros.bags.frames import frames
from xmodelkd_ros.cli.command import command
from xmodelkd_ros.errors import ConfigurationError
from xmodelkd_ros.evaluation.tables import format_table
from xmodelkd_ros.geometry.boxes import points_in_boxes
from xmodelkd_ros.geometry.pairing import sample_nearest
from xmodelkd_ros.geometry.projection import project_points
from xmodelkd_ros.inference.tracker import Tracker
from xmodelkd_ros.inference.video_models import load_video_segmenter
from xmodelkd_ros.records import Boxes, View
from xmodelkd_ros.training.cache import open_drive
from xmodelkd_ros.training.resizing import resize_picture

ROOT = Path(__file__).parents[1]
DRIVE, CAMERA = 'drive_0001', 'camera_02'
RIM = 0.2
"""Points this near to a face of a box count for nothing, m: boxes are not more exact."""
FEWEST = 10
"""A tracklet is there in a picture that shows so many of its points."""
OVERLAP = 0.5

Ids = Callable[[int, View], np.ndarray]
"""Track id (H, W) of each pixel of a picture, by number of the frame and view."""


def ids_of_model(path: str) -> Ids:
    """Return the ids that a video model and its tracker give."""
    segment, tracker = load_video_segmenter(path), Tracker()

    def follow(number: int, view: View) -> np.ndarray:
        found, = segment([view.picture.rgb])
        return tracker.update(found, view.picture.stamp).id_map

    return follow


def ids_of_drive(path: str) -> Ids:
    """Return the ids that a drive made by `masks_from_lidar` holds."""
    drive = open_drive(Path(path))

    def look_up(number: int, view: View) -> np.ndarray:
        picture = drive.picture(number, CAMERA)
        height, width = view.picture.rgb.shape[:2]
        instance = None if picture is None else resize_picture(picture, width, height).instance
        return np.zeros((height, width), np.uint16) if instance is None else instance

    return look_up


def boxes_and_views() -> Iterator[tuple[int, np.ndarray, View, Boxes]]:
    """Yield number, points, view and tracklets of each frame."""
    tracklets = read_tracklets(source(DRIVE) / 'tracklet_labels.xml')
    bag = RealDrives(ROOT / '.cache' / 'real_drives', []).bag(DRIVE)
    for number, frame in enumerate(frames(bag, rectified=[CAMERA], fixed_frame='odom')):
        if number in tracklets:
            yield number, frame.cloud.points, frame.views[CAMERA], tracklets[number]


def find_tracklets(
    points: np.ndarray, view: View, boxes: Boxes, id_map: np.ndarray
) -> dict[int, int]:
    """Return the track that each tracklet of a picture is found as, 0 for none."""
    pairing = project_points(points, view.camera_from_lidar, view.camera)
    under, shown = sample_nearest(id_map, pairing), points[pairing.index]
    inner, outer = (points_in_boxes(shown, boxes.center, boxes.size + way * RIM, boxes.yaw)
                    for way in (-1, 1))
    found = {}
    for tracklet, inside, near in zip(boxes.track_id.tolist(), inner, outer, strict=True):
        if inside.sum() >= FEWEST:
            counts = ~near | inside
            track, shared = Counter(under[inside].tolist()).most_common(1)[0]
            union = (inside | ((under == track) & counts)).sum()
            found[tracklet] = track if track and shared > OVERLAP * union else 0
    return found


@dataclasses.dataclass(frozen=True)
class IdentityScores:
    """
    How well identities were kept.

    Parameters
    ----------
    tracklets
        Number of tracklets.
    sights
        Pictures in which they are there, summed up.
    found
        Share of the sights at which they are found under any id.
    kept
        Share of a tracklet's sights under the id that it has most often, mean over tracklets.
    switches
        How often a tracklet is found again under another id.

    """

    tracklets: int
    sights: int
    found: float
    kept: float
    switches: int


def score(found: Sequence[dict[int, int]]) -> IdentityScores:
    """Return the scores of what each picture's tracklets were found as."""
    lives: dict[int, list[int]] = {}
    for picture in found:
        for tracklet, track in picture.items():
            lives.setdefault(tracklet, []).append(track)
    kept, switches = [], 0
    for life in lives.values():
        tracks = [track for track in life if track]
        kept.append(max(Counter(tracks).values(), default=0) / len(life))
        switches += sum(a != b for a, b in itertools.pairwise(tracks))
    sights = [track for life in lives.values() for track in life]
    return IdentityScores(
        len(lives), len(sights), float(np.mean(np.array(sights) > 0)), float(np.mean(kept)),
        switches)


def table(scores: dict[str, IdentityScores]) -> str:
    """Return the scores as text."""
    headers = ('ids by', 'tracklets', 'sights', 'found [%]', 'life under one id [%]',
               'id switches')
    return format_table(headers, [
        (name, s.tracklets, s.sights, 100 * s.found, 100 * s.kept, s.switches)
        for name, s in scores.items()
    ])


@command
def main(args: Sequence[str] | None = None) -> int:
    """Make the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sources', nargs='+', metavar='NAME=MODEL_OR_DRIVE')
    sources = dict(text.partition('=')[::2] for text in parser.parse_args(args).sources)
    for name, path in sources.items():
        if not path:
            raise ConfigurationError('sources', name, 'NAME=MODEL_OR_DRIVE')
    ids = {
        name: ids_of_drive(path) if (Path(path) / 'drive.json').is_file() else ids_of_model(path)
        for name, path in sources.items()
    }
    found: dict[str, list[dict[int, int]]] = {name: [] for name in ids}
    for number, points, view, boxes in boxes_and_views():
        for name, give in ids.items():
            found[name].append(find_tracklets(points, view, boxes, give(number, view)))
    scores = {name: score(pictures) for name, pictures in found.items()}
    print(table(scores))
    write(scores, sources)
    return 0


def write(scores: dict[str, IdentityScores], sources: dict[str, str]) -> None:
    """Write the scores, with how they came about."""
    facts: dict[str, Any] = {
        'scores': {name: dataclasses.asdict(s) for name, s in scores.items()},
        'sources': {name: '/'.join(Path(path).parts[-2:]) for name, path in sources.items()},
    }
    write_results(
        'real_video',
        '# Identities on KITTI drive 0001, against its tracklets\n\n'
        f'`python benchmarks/real_video.py {" ".join(f"{n}=..." for n in sources)}`\n\n'
        f'```\n{table(scores)}\n```\n',
        facts)


if __name__ == '__main__':
    sys.exit(main())
