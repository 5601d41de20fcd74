"""A labelled cloud from above."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from .colors import CLASS_COLORS, TRACK_COLORS, track_number
from .points import draw_points
from .text import as_color, write, write_tag
from ..config import setting
from ..geometry.boxes import box_corners
from ..labels import ALL_CLASSES
from ..records import Boxes

BACKGROUND, GRID, INK = (18, 20, 24), (58, 63, 73), (150, 156, 168)
VEHICLE = np.array([[2.2, 0.7], [1.4, 0.95], [-2.2, 0.95], [-2.2, -0.95], [1.4, -0.95],
                    [2.2, -0.7]])
"""Outline of the vehicle's marker around the lidar, m."""


@dataclasses.dataclass(frozen=True)
class BirdsEyeConfig:
    """What part of the surroundings is drawn, and how large."""

    forward: float = setting(55.0, 'how far ahead is drawn', unit='m', low=1.0, high=500.0)
    backward: float = setting(15.0, 'how far behind is drawn', unit='m', low=0.0, high=500.0)
    side: float = setting(18.0, 'how far to each side is drawn', unit='m', low=1.0, high=500.0)
    width: int = setting(1242, 'width of the picture', unit='pixels', low=64, high=8192)


class BirdsEye:
    """
    Draws clouds from above: ahead is to the right, the left side of the vehicle is up.

    Parameters
    ----------
    config
        What part is drawn.

    """

    def __init__(self, config: BirdsEyeConfig = BirdsEyeConfig()) -> None:
        self._config = config
        self._scale = config.width / (config.forward + config.backward)
        self._width, self._height = config.width, round(2 * config.side * self._scale)
        self._empty = self._background()

    def draw(
        self,
        points: np.ndarray,
        label: np.ndarray,
        instance: np.ndarray | None = None,
        boxes: Boxes | None = None,
        colors: np.ndarray | None = None,
    ) -> np.ndarray:
        """
        Return the picture (h, w, 3) uint8.

        Parameters
        ----------
        points
            (N, 3) lidar frame, m; rows may be NaN.
        label
            (N,) class ids: the points' colours.
        instance
            (N,) track ids: points of a track have its colour.
        boxes
            Drawn with their ids and classes, with a line towards the front.
        colors
            (N, 3) uint8 of the points, instead of those of their classes.

        """
        rgb = self._empty.copy()
        index, pixels = self._inside(points)
        own = CLASS_COLORS[label[index]] if colors is None else colors[index]
        if instance is not None:
            painted = np.flatnonzero(instance[index])
            own[painted] = TRACK_COLORS[track_number(instance[index[painted]])]
        draw_points(rgb, pixels, own, size=3)
        self._draw_vehicle(rgb)
        if boxes is not None:
            self._draw_boxes(rgb, boxes)
        return rgb

    def _pixels(self, points: np.ndarray) -> np.ndarray:
        """Return pixels (..., 2) float of points (..., 2 or 3) in the lidar frame."""
        ahead, left = points[..., 0], points[..., 1]
        config = self._config
        return np.stack([ahead + config.backward, config.side - left], -1) * self._scale

    def _polygon(self, points: np.ndarray) -> list[np.ndarray]:
        return [np.round(self._pixels(points)).astype(np.int32)]

    def _background(self) -> np.ndarray:
        """Return circles every 10 m around the lidar, with their distances."""
        rgb = np.full((self._height, self._width, 3), BACKGROUND, np.uint8)
        column, row = np.round(self._pixels(np.zeros(2))).astype(int).tolist()
        reach = np.hypot(max(self._config.forward, self._config.backward), self._config.side)
        for distance in range(10, int(reach) + 1, 10):
            radius = round(distance * self._scale)
            cv2.circle(rgb, (column, row), radius, GRID, 1, cv2.LINE_AA)
        cv2.line(rgb, (0, row), (self._width, row), GRID, 1)
        cv2.line(rgb, (column, 0), (column, self._height), GRID, 1)
        for distance in range(10, int(self._config.forward) + 1, 10):
            left, baseline = self._pixels(np.array([distance, 0.0])).tolist()
            write(rgb, f'{distance} m', left + 3, baseline - 4, INK, 0.4)
        return rgb

    def _inside(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices (M,) of the points in the picture, low ones first, and pixels."""
        config = self._config
        ahead, left, height = points.T
        inside = (ahead > -config.backward) & (ahead < config.forward)
        inside &= (left > -config.side) & (left < config.side) & np.isfinite(height)
        index = np.flatnonzero(inside)
        index = index[np.argsort(height[index])]
        return index, self._pixels(points[index])

    def _draw_vehicle(self, rgb: np.ndarray) -> None:
        cv2.fillPoly(rgb, self._polygon(VEHICLE), (235, 235, 235), cv2.LINE_AA)
        arrow = np.array([[1.6, 0.0], [0.4, 0.55], [0.4, -0.55]])
        cv2.fillPoly(rgb, self._polygon(arrow), BACKGROUND, cv2.LINE_AA)

    def _draw_boxes(self, rgb: np.ndarray, boxes: Boxes) -> None:
        corners = box_corners(boxes.center, boxes.size, boxes.yaw)[:, :4, :2]
        numbers = track_number(boxes.track_id)
        for box, number in enumerate(numbers):
            color = as_color(TRACK_COLORS[number])
            cv2.polylines(rgb, self._polygon(corners[box]), True, color, 2, cv2.LINE_AA)
            front = (corners[box, 0] + corners[box, 3]) / 2
            heading = np.stack([boxes.center[box, :2], front])
            cv2.polylines(rgb, self._polygon(heading), False, color, 2, cv2.LINE_AA)
            name = ALL_CLASSES[boxes.class_id[box]].name
            pixels = self._pixels(corners[box])
            left, top = pixels.min(0).tolist()
            if 0 <= left < self._width and 0 <= top < self._height:
                write_tag(rgb, f'{boxes.track_id[box]} {name}', left, top - 3, color)
