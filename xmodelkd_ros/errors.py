"""
Exceptions that a user may meet; every command prints them as one line and exits with code 2.

Each message holds the offending value and what would have been right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib


class XModelKDError(Exception):
    """
    Base of every error that is the user's to mend: no traceback, exit code 2.

    Parameters
    ----------
    message
        One line. Where torch hands over an error of a DataLoader's worker as a traceback in
        words, its last line is taken.

    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(_without_traceback(message))


def _without_traceback(message: str) -> str:
    if '\nOriginal Traceback ' not in message:
        return message
    last = message.rstrip().splitlines()[-1]
    return last.partition(': ')[2] or last


class ConfigurationError(XModelKDError):
    """
    A configuration key is unknown, of the wrong type, or out of its range.

    Parameters
    ----------
    key
        Dotted name of the key, as the user wrote it.
    value
        The offending value.
    allowed
        What would be accepted, in words or as a range; None if `key` is the whole message, as of
        an error that comes from another process.

    """

    def __init__(self, key: str, value: object = None, allowed: str | None = None) -> None:
        shown = '{...}' if isinstance(value, Mapping) and value else repr(value)
        super().__init__(
            key if allowed is None else f'{key} = {shown} is not allowed: {allowed}')
        self.key, self.value, self.allowed = key, value, allowed


class MessageError(XModelKDError):
    """A message cannot be used (encoding, layout, truncated data); the message says why."""


class CalibrationError(XModelKDError):
    """A camera model or a transform is missing or impossible."""


class BagError(XModelKDError):
    """A bag or a recording cannot be read or written."""


class CheckpointError(XModelKDError):
    """A checkpoint is missing, of another format, or fails its hash."""


class CacheError(XModelKDError):
    """A feature cache is damaged, unfinished, cannot be written, or is of something else."""


class DeviceError(XModelKDError):
    """The compute device that was asked for is not there."""


class MissingDependencyError(XModelKDError):
    """
    An optional package is not installed.

    Parameters
    ----------
    package
        Name of the package on PyPI.
    purpose
        What needs it, to end the sentence '... is needed to'; None if `package` is the whole
        message, as of an error that comes from another process.

    """

    def __init__(self, package: str, purpose: str | None = None) -> None:
        super().__init__(
            package if purpose is None
            else f'{package} is needed to {purpose}: pip install {package}')
        self.package = package


@contextlib.contextmanager
def needed(purpose: str) -> Iterator[None]:
    """Name the package that an import in the block misses by a MissingDependencyError."""
    try:
        yield
    except ImportError as error:
        package = error.name.split('.')[0] if error.name else str(error).strip().split('\n')[0]
        raise MissingDependencyError(package, purpose) from error


def describe_missing(error: ModuleNotFoundError) -> str:
    """Return what to say of a package that nobody expected to be missing."""
    return f'{error}; the files in requirements/ list what is needed beside ROS 2'
