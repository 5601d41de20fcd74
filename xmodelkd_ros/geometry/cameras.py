"""Camera models with the meaning that sensor_msgs/CameraInfo gives them."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from .distortion import BrownConrady, Equidistant, Lens
from .transforms import transform_points
from ..errors import CalibrationError

COEFFICIENT_COUNTS = {
    'plumb_bob': (0, 4, 5),
    'rational_polynomial': (0, 8, 12, 14),
    'equidistant': (0, 4),
}
"""
How many distortion coefficients each model takes; none means no distortion.

OpenCV's thin prism and tilt, the 9th to 14th, are taken if they are 0 or the picture is rectified.
"""

NEAREST = 0.01
"""Points nearer to the camera's plane than this are not in front of it, m."""


@dataclasses.dataclass(frozen=True, eq=False)
class Camera:
    """
    A camera that takes points of its raw optical frame (x right, y down, z forward) to pixels.

    A raw picture shows a point X at K distort(X), a rectified one at P [R X; 1]. The centre of
    the top left pixel is (0, 0), so the picture reaches from -0.5 to width - 0.5.

    Parameters
    ----------
    width, height
        Size of the picture, pixels.
    intrinsics
        (3, 3) K of the raw picture.
    distortion
        (D,) D of the raw picture: plumb_bob 4 or 5 numbers, rational_polynomial 8,
        (or 12 or 14 that end in zeros), equidistant 4; with none the raw picture is not distorted.
    model
        'plumb_bob', 'rational_polynomial' or 'equidistant'.
    rectification
        (3, 3) R: raw optical frame to rectified optical frame.
    projection
        (3, 4) P of the rectified picture.
    rectified
        Which of the two pictures this is.

    Raises
    ------
    CalibrationError
        For an unknown model, a wrong number of coefficients or impossible numbers.

    """

    width: int
    height: int
    intrinsics: np.ndarray
    distortion: np.ndarray
    model: str
    rectification: np.ndarray
    projection: np.ndarray
    rectified: bool

    def __post_init__(self) -> None:
        for name, shape in (('intrinsics', (3, 3)), ('rectification', (3, 3)),
                            ('projection', (3, 4)), ('distortion', (-1,))):
            array = np.asarray(getattr(self, name), float)
            if not np.isfinite(array).all():
                raise CalibrationError(f'camera {name} is not finite: {array.tolist()}')
            object.__setattr__(self, name, array.reshape(shape))
        self._check()

    def _check(self) -> None:
        if self.model not in COEFFICIENT_COUNTS:
            known = ', '.join(COEFFICIENT_COUNTS)
            raise CalibrationError(f'camera model {self.model!r} is not known: use {known}')
        counts = COEFFICIENT_COUNTS[self.model]
        if len(self.distortion) not in counts:
            raise CalibrationError(
                f'{self.model} takes {" or ".join(map(str, counts))} distortion coefficients, '
                f'not {len(self.distortion)}: {self.distortion.tolist()}'
            )
        if self.distortion[8:].any() and not self.rectified:
            raise CalibrationError(
                f'thin prism and tilt must be 0, not {self.distortion[8:].tolist()}'
            )
        if self.width < 1 or self.height < 1:
            raise CalibrationError(f'a picture of {self.width} x {self.height} pixels')
        name = 'projection' if self.rectified else 'intrinsics'
        matrix = self.matrix
        if not (matrix[0, 0] > 0 and matrix[1, 1] > 0 and matrix[2, 2] == 1):
            raise CalibrationError(f'camera {name} has no focal lengths: {matrix.tolist()}')
        if self.lens is not None and not self.lens.limit > 0:
            raise CalibrationError(
                f'the distortion folds back at the axis: {self.distortion.tolist()}')

    @classmethod
    def pinhole(
        cls, width: int, height: int, fx: float, fy: float, cx: float, cy: float
    ) -> Camera:
        """Return a camera without distortion, all arguments in pixels."""
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], float)
        projection = np.hstack([matrix, np.zeros((3, 1))])
        return cls(
            width, height, matrix, np.zeros(0), 'plumb_bob', np.eye(3), projection, False
        )

    def check_size(self, width: int, height: int) -> None:
        """Raise a CalibrationError if a picture is not of the size that the camera is for."""
        if (self.width, self.height) != (width, height):
            raise CalibrationError(
                f'the image is {width} x {height} pixels, '
                f'camera_info is for {self.width} x {self.height}')

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) matrix that takes the plane z = 1 to pixels: K, or that of P if rectified."""
        return self.projection[:, :3] if self.rectified else self.intrinsics

    @functools.cached_property
    def image_from_optical(self) -> np.ndarray:
        """(4, 4) raw optical frame to the frame whose z axis `matrix` and lens look along."""
        transform = np.eye(4)
        if self.rectified:
            transform[:3, :3] = self.rectification
            transform[:3, 3] = np.linalg.solve(self.matrix, self.projection[:, 3])
        return transform

    @functools.cached_property
    def lens(self) -> Lens | None:
        """Distortion of this picture, None where it has none."""
        if self.rectified or not len(self.distortion):
            return None
        if self.model == 'equidistant':  # Of zeros, too, it bends: a pixel is f times the angle.
            return Equidistant(tuple(self.distortion.tolist()))
        if not self.distortion.any():
            return None
        coefficients = np.zeros(8)
        coefficients[: min(8, len(self.distortion))] = self.distortion[:8]
        k1, k2, p1, p2, k3, *denominator = coefficients.tolist()
        return BrownConrady((k1, k2, k3), tuple(denominator), (p1, p2))

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        Return the pixels of points and which of them the camera can see at all.

        Parameters
        ----------
        points
            (N, 3) float32 or float64, raw optical frame, m; rows may be NaN or infinite.
            Computes in that dtype: float32 keeps a thousandth of a pixel.

        Returns
        -------
        pixels : np.ndarray
            (N, 2) float32 u, v; NaN where `in_front` is False. They may lie outside the picture.
        in_front : np.ndarray
            (N,) bool: finite, in front of the camera, and no further off its axis than the
            distortion is valid, beyond which it would fold points back into the picture.

        """
        image_points = transform_points(self.image_from_optical, points)
        with np.errstate(invalid='ignore', over='ignore'):
            in_front = (image_points[:, 2] > NEAREST) & np.isfinite(image_points).all(1)
        pixels = np.full((len(points), 2), np.nan, np.float32)
        seen, valid = self.project_in_front(image_points[in_front])
        in_front[in_front] = valid
        pixels[in_front] = seen[valid]
        return pixels, in_front

    def project_in_front(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        Return the pixels (M, 2) of points in the image frame, and where the lens is valid.

        Parameters
        ----------
        points
            (M, 3) finite, in the frame of `image_from_optical`, z > 0. Computes in its dtype.

        """
        x, y = points[:, 0] / points[:, 2], points[:, 1] / points[:, 2]
        valid = np.ones(len(x), bool)
        if self.lens is not None:
            x, y, valid = self.lens.distort(x, y)
        (fx, skew, cx), (_, fy, cy), _ = self.matrix.tolist()
        return np.stack([fx * x + skew * y + cx, fy * y + cy], 1), valid

    @functools.cached_property
    def extent(self) -> tuple[float, float, float, float]:
        """Smallest and largest x, then y, on the plane z = 1 that the picture can show."""
        u = np.linspace(-0.5, self.width - 0.5, 64)
        v = np.linspace(-0.5, self.height - 0.5, 64)
        border = np.concatenate([
            np.stack(np.broadcast_arrays(u, edge), 1) for edge in v[[0, -1]]
        ] + [
            np.stack(np.broadcast_arrays(edge, v), 1) for edge in u[[0, -1]]
        ])
        x, y = self._plane_from_pixels(border[:, 0], border[:, 1])
        if not np.isfinite(x).all():
            assert self.lens is not None
            return (-self.lens.limit, self.lens.limit) * 2
        margin = 1e-3
        return x.min() - margin, x.max() + margin, y.min() - margin, y.max() + margin

    def rays(self) -> np.ndarray:
        """
        Return where each pixel's centre looks: (H, W, 3) float64 unit directions, optical frame.

        The inverse of `project`: exact for every point of the ray, but for a rectified picture
        with a baseline in P, where it is exact for far points. NaN where the distortion
        leaves a pixel without a ray.
        """
        u, v = np.meshgrid(np.arange(self.width, dtype=float), np.arange(self.height))
        x, y = self._plane_from_pixels(u, v)
        directions = np.stack([x, y, np.ones_like(x)], -1)
        directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
        return directions @ self.image_from_optical[:3, :3]

    def _plane_from_pixels(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        (fx, skew, cx), (_, fy, cy), _ = self.matrix.tolist()
        y = (v - cy) / fy
        x = (u - cx - skew * y) / fx
        return (x, y) if self.lens is None else self.lens.undistort(x, y)

    def scaled(self, width: int, height: int) -> Camera:
        """Return the camera of the same picture resized to `width` x `height` pixels."""
        scale_x, scale_y = width / self.width, height / self.height
        scale = np.array([
            [scale_x, 0, 0.5 * scale_x - 0.5], [0, scale_y, 0.5 * scale_y - 0.5], [0, 0, 1.0]
        ])
        return dataclasses.replace(
            self, width=width, height=height,
            intrinsics=scale @ self.intrinsics, projection=scale @ self.projection,
        )
