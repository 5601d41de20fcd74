"""Files of the feature cache: written whole or not at all, and told apart by their SHA-256."""

from __future__ import annotations

from collections.abc import Mapping
import hashlib
import json
from pathlib import Path
from typing import Any

from ..errors import CacheError
from ..files import whole_file


def write_whole(path: Path, data: bytes) -> None:
    """
    Write a file that appears whole or not at all, even if the power fails.

    Raises
    ------
    CacheError
        If it cannot be written.

    """
    try:
        with whole_file(path) as partial:
            partial.write_bytes(data)
    except OSError as error:
        raise CacheError(
            f'{path} cannot be written: {error.strerror}; what is complete stays, the same '
            'command goes on from there') from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON as `write_whole` does; the same content gives the same bytes."""
    write_whole(path, (json.dumps(content, indent=1, sort_keys=True) + '\n').encode())


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    try:
        with path.open('rb') as stream:
            while part := stream.read(1 << 20):
                digest.update(part)
    except OSError as error:
        raise CacheError(f'{path} cannot be read: {error.strerror}') from error
    return digest.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file of a cache."""
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise CacheError(f'{path} is damaged: {error}') from error
