"""What a converter makes of a data set: messages to be, in time order, and what to say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
import dataclasses
from pathlib import Path
from typing import Any

from .writer import BagWriter, COMPRESSIONS, STORAGES
from ..config import setting
from ..evaluation.run_file import check_run, write_run

Messages = list[tuple[str, Any]]
"""Topics and messages."""

RUN_FILE = 'conversion.yaml'
"""Name, in a bag's folder, of the configuration and the versions that made it."""


@dataclasses.dataclass(frozen=True)
class StorageConfig:
    """How a bag is stored."""

    storage: str = setting('mcap', 'File format of the bag.', choices=STORAGES)
    compression: str = setting('none', 'Compression of the bag.', choices=COMPRESSIONS)


@dataclasses.dataclass(frozen=True)
class Entry:
    """
    Messages of one instant that are made when they are written.

    Parameters
    ----------
    stamp
        Log time, ns: when a vehicle would have received them.
    make
        Reads the files and returns the messages.

    """

    stamp: int
    make: Callable[[], Messages]


@dataclasses.dataclass(frozen=True)
class Recording:
    """
    A data set on its way into a bag.

    Parameters
    ----------
    entries
        In any order; of equal log times the first is written first.
    notes : list[str]
        What the user should know: what was missing, and what was assumed in its place.

    """

    entries: list[Entry]
    notes: list[str]


def is_recorded(path: Path, description: Mapping[str, Any]) -> bool:
    """
    Return whether `write_recording` has made a bag already.

    Parameters
    ----------
    path
        The bag's folder.
    description
        As `write_recording` takes it.

    Raises
    ------
    ConfigurationError
        If something else is there, or a bag of another description.

    """
    if not path.exists():
        return False
    check_run(path / RUN_FILE, description)
    return True


def write_recording(
    recording: Recording,
    path: Path,
    config: StorageConfig,
    description: Mapping[str, Any],
    track: Callable[[list[Entry]], Iterable[Entry]] = iter,
) -> None:
    """
    Write a recording as a bag, all or nothing, with `RUN_FILE` in its folder.

    Parameters
    ----------
    recording
        What to write.
    path
        The bag's folder, which must not exist.
    config
        How to store it.
    description
        Plain values that say where the bag comes from.
    track
        Passes the entries through and shows progress.

    """
    entries = sorted(recording.entries, key=lambda entry: entry.stamp)
    with BagWriter(path, config.storage, config.compression) as writer:
        for entry in track(entries):
            for topic, message in entry.make():
                writer.write(topic, message, entry.stamp)
        write_run(writer.folder / RUN_FILE, {**description, 'notes': recording.notes})
