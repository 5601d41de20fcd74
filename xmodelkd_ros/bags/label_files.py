"""SemanticKITTI label files: uint32 per point, class id below, instance id in the upper half."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from ..config import read_mapping
from ..errors import BagError, ConfigurationError
from ..files import whole_file
from ..labels import ID_BY_NAME, RAW_FROM_ID, SemanticClass, UNLABELLED

IDS = ('own', 'semantickitti')
"""Whose class ids a label file holds: those of `labels`, or SemanticKITTI's raw ones."""

TABLE = 'labels.yaml'


class LabelFolder:
    """
    A folder of label files that all come from one model and hold one kind of ids.

    Beside the files lies `TABLE`, with the keys of SemanticKITTI's configuration files: `labels`
    (name by id) and `color_map` (blue, green, red by id).

    Parameters
    ----------
    folder
        Is made where it is not there.
    classes
        Of the model; the ids of its labels.
    ids
        One of `IDS`.
    model
        SHA-256 of the model.

    Raises
    ------
    BagError
        If the folder cannot be written.
    ConfigurationError
        If it holds labels of another model or with other ids, or a class of the model is none
        that SemanticKITTI's ids are known for.

    """

    def __init__(
        self, folder: Path, classes: Sequence[SemanticClass], ids: str, model: str
    ) -> None:
        self._folder = folder
        self.written_id = np.arange(65536, dtype=np.uint32)
        rows = (UNLABELLED, *classes)
        if ids == 'semantickitti':
            for row in rows:
                self.written_id[row.id] = _raw_id(row)
        written = [(int(self.written_id[row.id]), row) for row in rows]
        table: dict[str, object] = {
            'ids': ids, 'model': model,
            'labels': {number: row.name for number, row in written},
            'color_map': {number: list(row.color[::-1]) for number, row in written},
        }
        self._check(table)
        _write(folder / TABLE, yaml.safe_dump(table, sort_keys=False).encode())

    def holds(self, name: str, count: int) -> bool:
        """Return whether the labels of a sweep of `count` points are there and complete."""
        path = self._path(name)
        return path.is_file() and path.stat().st_size == 4 * count

    def write(self, name: str, label: np.ndarray, instance: np.ndarray | None = None) -> None:
        """
        Write the labels of a sweep; the file appears whole or not at all.

        Parameters
        ----------
        name
            Stem of the sweep's file.
        label
            (N,) uint16 class ids of the model.
        instance
            (N,) uint16, 0 none.

        """
        values = self.written_id[label]
        if instance is not None:
            values |= instance.astype(np.uint32) << 16
        _write(self._path(name), values.astype('<u4').tobytes())

    def _path(self, name: str) -> Path:
        return self._folder / f'{name}.label'

    def _check(self, table: dict[str, object]) -> None:
        path = self._folder / TABLE
        if not path.is_file():
            return
        there = read_mapping(path, 'out')
        for key in ('ids', 'model'):
            if there.get(key) != table[key]:
                raise ConfigurationError(
                    'out', str(self._folder),
                    f'it holds labels with {key} {there.get(key)}, not {table[key]}')


def _raw_id(row: SemanticClass) -> int:
    if row.name not in ID_BY_NAME:
        raise ConfigurationError(
            'ids', 'semantickitti', f"the model's class {row.name!r} has no id there")
    return int(RAW_FROM_ID[ID_BY_NAME[row.name]])


def _write(path: Path, data: bytes) -> None:
    try:
        with whole_file(path) as partial:
            partial.write_bytes(data)
    except OSError as error:
        raise BagError(f'{path} cannot be written: {error.strerror}') from error
