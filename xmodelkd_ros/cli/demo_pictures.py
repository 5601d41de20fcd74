"""Videos and pictures of recorded results: each camera's overlay over a view from above."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..bags.frames import frames
from ..bags.results import RecordedResults
from ..drawing.panel import Panel
from ..drawing.video import save_picture, VideoFile
from ..inference.boxes import fit_boxes

if TYPE_CHECKING:
    from .demo import Show

RATE = 10.0
PICTURES = 3


def draw_results(show: Show, result: Path, out: Path) -> list[Path]:
    """Write a video and some pictures of what was published for a drive; return their paths."""
    panel = Panel()
    count = sum(1 for _ in RecordedResults(result).clouds())
    chosen = {round(count * (k + 1) / (PICTURES + 1)) for k in range(PICTURES)}
    paths = []
    with VideoFile(out / f'{show.name}.mp4', RATE) as video:
        for number, picture in enumerate(_panels(show, result, panel)):
            video.write(picture)
            if number in chosen:
                paths.append(out / f'{show.name}_{number:03}.png')
                save_picture(paths[-1], picture)
    return [video.path, *paths]


def _panels(show: Show, result: Path, panel: Panel) -> Iterator[np.ndarray]:
    """Yield the picture of each frame whose cloud was labelled."""
    results = RecordedResults(result)
    tracks = dict(results.tracks(show.camera))
    rectified = [show.camera] if show.rectified else []
    drive = frames(show.bag, [show.camera], rectified=rectified, fixed_frame=show.fixed_frame)
    clouds = results.clouds()
    labelled = next(clouds, None)
    for frame in drive:
        if labelled is None or labelled.stamp != frame.cloud.stamp:
            continue
        assert labelled.label is not None and labelled.instance is not None
        seen = {
            name: tracks[view.picture.stamp]
            for name, view in frame.views.items() if view.picture.stamp in tracks
        }
        boxes = fit_boxes(
            labelled.points, labelled.instance,
            [*tracks.values(), *seen.values()],  # tracks without a mask stay on their points
        )
        yield panel.draw(frame, labelled.label, labelled.instance, seen, boxes, show.name)
        labelled = next(clouds, None)
