"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import fcntl
import os
from pathlib import Path

_PARTIAL = '.partial.'


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """
    Let a file appear whole or not at all, even if the power fails.

    The block writes the file beside it whose path it is given, of the same suffix. When the block
    ends, that takes the place of `path`; if the block fails, nothing of it is left.

    Parameters
    ----------
    path
        Where the file is to appear; folders are made.

    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'{_PARTIAL}{os.getpid()}.{path.name}')
    try:
        yield partial
        with partial.open('rb') as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Have one process at a time make something in a folder, which is made; others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    place = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def remove_partial(folder: Path) -> None:
    """Remove what a process that was killed in the block of `whole_file` left in a folder."""
    for partial in folder.glob(f'{_PARTIAL}*'):
        process = partial.name.removeprefix(_PARTIAL).split('.')[0]
        if not process.isdigit() or not _is_other(int(process)):
            partial.unlink(missing_ok=True)


def _is_other(process: int) -> bool:
    """Return whether a number is that of another process that is alive."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is of another user
        return True
    return process != os.getpid()
