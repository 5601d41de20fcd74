"""Message definitions and type hashes, which a bag carries so that any tool can read it."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
import re

from .rosbag2 import get_types_from_msg, get_typestore, Stores
from ..errors import BagError

_SEPARATOR = '=' * 80 + '\nMSG: '
_FIELD_TYPE = re.compile(r'^\s*([A-Za-z][\w/]*)', re.MULTILINE)


@functools.cache
def message_definition(type_name: str) -> tuple[str, str]:
    """
    Return the full definition of a message type and its REP 2011 hash.

    Parameters
    ----------
    type_name
        As 'sensor_msgs/msg/PointCloud2'.

    Returns
    -------
    definition
        The .msg text, followed by those of all types it contains, as rosbag2 stores it.
    type_hash
        'RIHS01_' and 64 hexadecimal digits.

    Raises
    ------
    BagError
        If the package is not installed, or installs no such .msg file.

    """
    texts = {type_name: _message_text(type_name)}
    waiting = _parts(type_name, texts[type_name])
    while waiting:
        part = waiting.pop(0)
        if part not in texts:
            texts[part] = _message_text(part)
            waiting += _parts(part, texts[part])
    definition = texts.pop(type_name)
    for part, text in texts.items():
        definition += f'\n{_SEPARATOR}{part.replace("/msg/", "/")}\n{text}'
    types = get_typestore(Stores.EMPTY)
    types.register(get_types_from_msg(definition, type_name))
    return definition, types.hash_rihs01(type_name)


def _message_text(type_name: str) -> str:
    """Read the .msg file that is installed under the same prefix as the Python package."""
    package, kind, name = type_name.split('/')
    spec = importlib.util.find_spec(package)
    for folder in spec.submodule_search_locations or () if spec else ():
        for prefix in Path(folder).absolute().parents:
            path = prefix / 'share' / package / kind / f'{name}.msg'
            if path.is_file():
                return path.read_text(encoding='utf-8')
    raise BagError(f'message type {type_name}: its package is not installed with a {name}.msg')


def _parts(type_name: str, text: str) -> list[str]:
    """Full names of the message types that a definition uses."""
    package = type_name.split('/')[0]
    found = []
    for used in _FIELD_TYPE.findall(re.sub('#.*', '', text)):
        *owner, name = used.replace('/msg/', '/').split('/')
        if name[0].isupper():
            found.append(f'{owner[0] if owner else package}/msg/{name}')
    return found
