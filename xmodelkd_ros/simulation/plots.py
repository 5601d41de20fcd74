"""Which land of the town is still free to build on."""

from __future__ import annotations

import numpy as np

from .ground import disc, SIZE, strip
from .streets import EXTENT, Network, Street

_CELL = 0.5


class Plots:
    """Which places are still free to build on."""

    def __init__(self, network: Network) -> None:
        fine = np.zeros((SIZE, SIZE), np.uint8)
        for street in network.streets:
            left, right = (corridor(street, side) for side in ('left', 'right'))
            strip(fine, street, -right, left, 1)
        for middle in network.junctions:
            disc(fine, middle, 11.5, 1)
        self._taken = fine[5::10, 5::10] > 0

    def claim(self, pose: np.ndarray, length: float, width: float) -> bool:
        """Take an area about a pose if all of it is free and in the town; say whether."""
        x = np.arange(-0.5 * length, 0.5 * length + 0.3, 0.4)
        y = np.arange(-0.5 * width, 0.5 * width + 0.3, 0.4)
        grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        places = grid @ pose[:2, :2].T + pose[:2, 3]
        if np.abs(places).max() >= EXTENT - 1:
            return False
        column, row = ((places + EXTENT) / _CELL).astype(int).T
        if self._taken[row, column].any():
            return False
        self._taken[row, column] = True
        return True


def corridor(street: Street, side: str) -> float:
    """Return the distance from the middle of a street to the far edge of its pavement, m."""
    border = getattr(street, side)
    return street.edge(side) + 0.15 + border.verge + border.sidewalk
