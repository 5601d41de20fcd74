"""Whose class ids are which of ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...config import read_mapping
from ...errors import ConfigurationError, MessageError
from ...labels import ID_BY_NAME


def read_class_map(path: Path) -> np.ndarray:
    """
    Read whose classes are which of ours.

    Parameters
    ----------
    path
        YAML file, `<id in the label files>: <name of our class, or unlabelled>`, for each id.

    Returns
    -------
    np.ndarray
        (65536,) our id; -1 for ids that the file does not name, but 0 for 0.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, an id is no number of 16 bits, or a name is not known.

    """
    ids = map_ids([0], [0])
    for key, name in read_mapping(path, 'label_map').items():
        if not isinstance(key, int) or not 0 <= key < len(ids):
            raise ConfigurationError('label_map', key, '0 to 65535')
        if name not in ID_BY_NAME:
            known = ', '.join(ID_BY_NAME)
            raise ConfigurationError(f'label_map.{key}', name, f'one of {known}')
        ids[key] = ID_BY_NAME[name]
    return ids


def map_ids(theirs: Sequence[int] | np.ndarray, ours: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return (65536,) int32: our id of each of theirs, -1 for all others."""
    ids = np.full(65536, -1, np.int32)
    ids[np.asarray(theirs)] = ours
    return ids


def our_ids(labels: np.ndarray, ids: np.ndarray, where: str) -> np.ndarray:
    """Return our ids, uint16, of labels; MessageError names those that have none."""
    found = ids[labels]
    if len(strange := np.unique(labels[found < 0])):
        listed = ', '.join(map(str, strange[:8])) + (', ...' if len(strange) > 8 else '')
        raise MessageError(f'{where}: class ids {listed} are not known, map them by `label_map`')
    return found.astype(np.uint16)
