"""KITTI's text files of numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import BagError


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file; BagError if it is no text."""
    try:
        return path.read_text(encoding='utf-8').splitlines()
    except UnicodeDecodeError as error:
        raise BagError(f'{path} is no text: {error}') from error


def read_table(path: Path, columns: int, more: bool = False) -> np.ndarray:
    """
    Read a file with as many numbers in each line; empty lines are left out.

    Parameters
    ----------
    path
        The file.
    columns
        How many numbers of a line are read.
    more
        Whether lines may go on after them.

    Returns
    -------
    np.ndarray
        (M, columns) float64, finite.

    Raises
    ------
    BagError
        With the line that is of another length or holds something else.

    """
    rows = [
        _numbers(line.split(), columns, more, f'{path} line {number}')
        for number, line in enumerate(read_lines(path), 1) if line.strip()
    ]
    return np.array(rows, float).reshape(-1, columns)


def _numbers(words: list[str], columns: int, more: bool, where: str) -> list[float]:
    if len(words) < columns or (len(words) > columns and not more):
        raise BagError(f'{where} has {len(words)} numbers, not {columns}')
    try:
        numbers = [float(word) for word in words[:columns]]
    except ValueError as error:
        raise BagError(f'{where} holds no numbers: {error}') from error
    if not np.isfinite(numbers).all():
        raise BagError(f'{where} is not finite: {numbers}')
    return numbers
