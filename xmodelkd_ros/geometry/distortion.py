"""
Lens distortion on the plane z = 1: Brown-Conrady (plumb_bob, rational) and equidistant.

Every model is cut off at the radius up to which it grows. Beyond it a polynomial folds back, and
points far off the axis would appear in the middle of the picture.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

_WIDEST = np.radians(89.5)
"""Widest angle off the axis that a point in front of the camera is followed to, rad."""


class Lens:
    """
    A distortion: `distort` for points, `undistort` for pixels, `limit` where it ends.

    A model says by what factor its radial part moves a point (`_factor`) and what it adds to
    that (`_tangential`); the rest follows from these two.
    """

    @functools.cached_property
    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        """Return radii (T,) and their distorted radii (T,), both growing strictly."""
        radius = np.tan(np.linspace(0.0, _WIDEST, 8192))
        distorted = radius * self._factor(radius * radius)
        growing = np.diff(distorted - 0.5 * self._bend * radius**2) > 0
        end = len(radius) if growing.all() else int(growing.argmin()) + 1
        return radius[:end], distorted[:end]

    @property
    def _bend(self) -> float:
        """Return the most by which `_tangential` changes a slope, per unit of radius."""
        return 0.0

    @functools.cached_property
    def limit(self) -> float:
        """Largest radius on the plane z = 1 up to which the distorted radius grows."""
        return float(self._table[0][-1])

    def distort(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return distorted x, y and whether each point is within `limit`."""
        radius_squared = x * x + y * y
        factor = self._factor(radius_squared)
        dx, dy = self._tangential(x, y, radius_squared)
        return x * factor + dx, y * factor + dy, radius_squared < self.limit**2

    def undistort(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the points that `distort` takes to x, y; NaN where there are none."""
        undistorted_x, undistorted_y = x, y
        dx = dy = np.zeros_like(x)
        for _ in range(20):
            radius = np.hypot(x - dx, y - dy)
            scale = self._undistort_radius(radius) / np.maximum(radius, 1e-12)
            undistorted_x, undistorted_y = (x - dx) * scale, (y - dy) * scale
            last_dx, last_dy = dx, dy
            dx, dy = self._tangential(
                undistorted_x, undistorted_y, undistorted_x**2 + undistorted_y**2
            )
            if not ((abs(dx - last_dx) > 1e-13) | (abs(dy - last_dy) > 1e-13)).any():
                break
        return undistorted_x, undistorted_y

    def _undistort_radius(self, distorted: np.ndarray) -> np.ndarray:
        """Return the radius of a distorted radius, refined by secant steps from the table."""
        radii, distorted_radii = self._table
        radius = np.interp(distorted, distorted_radii, radii, right=np.nan)
        slope = np.interp(radius, radii, np.gradient(distorted_radii, radii))
        for _ in range(2):
            error = radius * self._factor(radius * radius) - distorted
            radius = radius - error / slope
        return radius

    def _factor(self, radius_squared: np.ndarray) -> np.ndarray:
        """Return distorted radius / radius."""
        raise NotImplementedError

    def _tangential(
        self, x: np.ndarray, y: np.ndarray, radius_squared: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class BrownConrady(Lens):
    """
    The model of plumb_bob and rational_polynomial (Brown 1971; Claus and Fitzgibbon 2005).

    Parameters
    ----------
    numerator, denominator
        Coefficients of r^2, r^4 and r^6: k1 k2 k3 and k4 k5 k6.
    tangential
        p1 and p2.

    """

    numerator: tuple[float, ...]
    denominator: tuple[float, ...]
    tangential: tuple[float, float]

    @property
    def _bend(self) -> float:
        return 6.0 * float(np.hypot(*self.tangential))

    def _factor(self, radius_squared: np.ndarray) -> np.ndarray:
        numerator = _polynomial(self.numerator, radius_squared)
        if not any(self.denominator):
            return numerator
        return numerator / _polynomial(self.denominator, radius_squared)

    def _tangential(
        self, x: np.ndarray, y: np.ndarray, radius_squared: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        p1, p2 = self.tangential
        xy = x * y
        return (
            2 * p1 * xy + p2 * (radius_squared + 2 * x * x),
            2 * p2 * xy + p1 * (radius_squared + 2 * y * y),
        )


@dataclasses.dataclass(frozen=True)
class Equidistant(Lens):
    """
    The fisheye model of OpenCV and Kannala and Brandt (2006).

    Parameters
    ----------
    coefficients
        k1 to k4: of the angle's third, fifth, seventh and ninth power.

    """

    coefficients: tuple[float, ...]

    def _factor(self, radius_squared: np.ndarray) -> np.ndarray:
        radius = np.sqrt(np.maximum(radius_squared, 1e-16))
        angle = np.arctan(radius)
        return angle * _polynomial(self.coefficients, angle * angle) / radius

    def _tangential(
        self, x: np.ndarray, y: np.ndarray, radius_squared: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros_like(x), np.zeros_like(y)


def _polynomial(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    """Return 1 + c1 x + c2 x^2 + ... by Horner's scheme, in the dtype of `x`."""
    value = coefficients[-1] * x
    for coefficient in coefficients[-2::-1]:
        value = (value + coefficient) * x
    return value + 1
