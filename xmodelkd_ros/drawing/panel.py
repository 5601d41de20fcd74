"""Everything that was found in one frame, in one picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .birds_eye import BirdsEye, BirdsEyeConfig
from .overlay import draw_overlay
from .text import legend, write
from .video import stack_pictures
from ..geometry.projection import project_points
from ..labels import POINT_CLASSES
from ..records import Boxes, Frame, Tracks


class Panel:
    """
    Draws frames as camera pictures over a view from above over a legend.

    Parameters
    ----------
    config
        What part of the surroundings is drawn; its width is that of the whole.

    """

    def __init__(self, config: BirdsEyeConfig = BirdsEyeConfig()) -> None:  # noqa: B008
        self._width = config.width
        self._birds_eye = BirdsEye(config)
        self._legend = legend(POINT_CLASSES, config.width)

    def draw(
        self,
        frame: Frame,
        label: np.ndarray,
        instance: np.ndarray,
        tracks: Mapping[str, Tracks],
        boxes: Boxes | None = None,
        title: str = '',
        colors: np.ndarray | None = None,
    ) -> np.ndarray:
        """
        Return the picture (h, width, 3) uint8; its height depends on the cameras of the frame.

        Parameters
        ----------
        frame
            Cloud and views.
        label, instance
            (N,) class and track ids of the points.
        tracks
            By camera name; a view without them is drawn plain.
        boxes
            3D boxes of the tracks.
        title
            Written over the view from above.
        colors
            (N, 3) uint8 of the points, instead of those of their classes; without the legend.

        """
        cameras = [
            self._overlay(frame, name, label, tracks.get(name), colors) for name in frame.views
        ]
        above = self._birds_eye.draw(frame.cloud.points, label, instance, boxes, colors)
        write(above, title, 10, 20, size=0.5)
        below = [self._legend] if colors is None else []
        return stack_pictures([*cameras, above, *below], self._width)

    def _overlay(
        self, frame: Frame, name: str, label: np.ndarray, tracks: Tracks | None,
        colors: np.ndarray | None,
    ) -> np.ndarray:
        view = frame.views[name]
        rgb = view.picture.rgb
        zoom = max(1, round(self._width / rgb.shape[1]))
        pairing = project_points(frame.cloud.points, view.camera_from_lidar, view.camera)
        return draw_overlay(rgb, tracks, pairing, label, zoom, colors)
