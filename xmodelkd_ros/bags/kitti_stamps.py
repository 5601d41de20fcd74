"""KITTI's time stamps: one line per frame number, with gaps, or 10 Hz where there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .kitti_numbers import read_lines
from ..errors import BagError

START = 10**18
"""First stamp where a data set names no time, ns; a stamp of zero would be refused."""

PERIOD = 100_000_000
"""Between frames where a data set names no time, ns."""


def frame_stamps(timestamps: Path, files: list[Path], notes: list[str]) -> np.ndarray:
    """
    Return the stamp of each frame of a sensor.

    Parameters
    ----------
    timestamps
        A raw drive's timestamps.txt: UTC, a line per frame number. Frames without data have an
        empty line or none.
    files
        The frames, named by number.
    notes : list[str]
        Gets a sentence if there is no such file, in which case 10 Hz are assumed.

    Returns
    -------
    np.ndarray
        int64, ns since 1970.

    Raises
    ------
    BagError
        If the lines do not fit the frames.

    """
    numbers = frame_numbers(files)
    if not timestamps.is_file():
        notes.append(f'{timestamps} is missing: 10 Hz assumed')
        return START + numbers * PERIOD
    lines = read_lines(timestamps)
    if len(lines) > numbers[-1] and all(lines[number].strip() for number in numbers):
        lines = [lines[number] for number in numbers]
    else:
        lines = [line for line in lines if line.strip()]
    if len(lines) != len(files):
        raise BagError(f'{timestamps} has {len(lines)} stamps for {len(files)} frames')
    try:
        stamps = np.array(lines, 'datetime64[ns]').astype(np.int64)
    except ValueError as error:
        raise BagError(f'{timestamps} holds no time stamps: {error}') from error
    if (stamps <= 0).any():  # as NaT is
        raise BagError(f'{timestamps} holds no time after 1970: {lines[int(stamps.argmin())]}')
    return stamps


def frame_numbers(files: list[Path]) -> np.ndarray:
    """Return the numbers that files are named by, (M,) int64."""
    try:
        return np.array([int(path.stem) for path in files], np.int64)
    except ValueError as error:
        raise BagError(f'{files[0].parent} has files not named by number: {error}') from error


def gaps(files: list[Path]) -> int:
    """Return how many numbers are missing between the first and the last file."""
    numbers = frame_numbers(files)
    return int(numbers[-1] - numbers[0] + 1 - len(numbers))
