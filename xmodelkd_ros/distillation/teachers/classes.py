"""Class names of image teachers and the classes of this package they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...config import read_mapping
from ...errors import ConfigurationError
from ...labels import ALL_CLASSES, CITYSCAPES_NAMES, ID_BY_NAME, ID_FROM_CITYSCAPES

ANY = '*'
"""Key of a class map for all names that it does not list."""

# Names of COCO-Stuff, ADE20K and Mapillary Vistas that mean one of our classes.
_SYNONYMS = {
    'unlabelled': ('unlabeled', 'background', 'void', 'other', 'ego vehicle'),
    'road': ('street', 'road, route', 'parking', 'crosswalk - plain', 'lane marking - general'),
    'sidewalk': ('pavement', 'sidewalk, pavement', 'pavement-merged', 'curb'),
    'terrain': ('grass', 'earth', 'earth, ground', 'dirt', 'dirt-merged', 'grass-merged',
                'field', 'sand'),
    'building': ('house', 'skyscraper', 'building, edifice', 'building-other-merged', 'bridge'),
    'fence': ('fence-merged', 'fence, fencing', 'railing', 'railing, rail', 'guard rail',
              'wall-other-merged', 'wall-brick', 'wall-stone'),
    'vegetation': ('tree', 'plant', 'palm', 'palm, palm tree', 'bush', 'tree-merged',
                   'plant, flora, plant life'),
    'pole': ('column', 'column, pillar', 'streetlight', 'streetlight, street lamp',
             'street light', 'utility pole'),
    'sign': ('signboard', 'signboard, sign', 'stop sign', 'traffic sign (front)',
             'traffic light, traffic signal, stoplight'),
    'car': ('car, auto, automobile, machine, motorcar', 'van'),
    'truck': ('truck, motortruck', 'trailer'),
    'bus': ('bus, autobus, coach, charabanc, double-decker, jitney, motorbus, motorcoach, '
            'omnibus, passenger vehicle', 'caravan', 'tram'),
    'person': ('person, individual, someone, somebody, mortal, soul', 'pedestrian'),
    'rider': ('bicyclist', 'motorcyclist', 'cyclist'),
    'bicycle': ('bicycle, bike, wheel, cycle', 'minibike, motorbike', 'minibike', 'motorbike'),
}


def _vocabulary() -> dict[str, int]:
    """Return our id of each known name."""
    known = {
        synonym: ID_BY_NAME[name] for name, synonyms in _SYNONYMS.items() for synonym in synonyms
    }
    cityscapes = (int(i) for i in ID_FROM_CITYSCAPES)
    return {**known, **dict(zip(CITYSCAPES_NAMES, cityscapes, strict=True)), **ID_BY_NAME}


_ID_OF_NAME = _vocabulary()


def id_of_teacher_class(
    class_names: Sequence[str], class_map: Mapping[str, str] | None = None
) -> np.ndarray:
    """
    Return our id of each class of a teacher.

    Parameters
    ----------
    class_names
        Row c is the name of the teacher's output c; case and surrounding space do not count.
    class_map
        Our class name by the teacher's; it goes before the names known here (ours, Cityscapes,
        and the road users' names of COCO, ADE20K and Mapillary). The key '*' stands for the rest.

    Returns
    -------
    np.ndarray
        (C,) uint16.

    Raises
    ------
    ConfigurationError
        Naming the classes that are not known and not in the map, or not one of ours.

    """
    given = {_plain(name): ours for name, ours in (class_map or {}).items()}
    wrong = sorted({ours for ours in given.values() if ours not in ID_BY_NAME})
    ours = ', '.join(row.name for row in ALL_CLASSES)
    if wrong:
        raise ConfigurationError('class_map', wrong, f'classes of this package: {ours}')
    known = {**_ID_OF_NAME, **{name: ID_BY_NAME[own] for name, own in given.items()}}
    rest = known.get(ANY)
    ids = [known.get(_plain(name), rest) for name in class_names]
    unknown = [name for name, own in zip(class_names, ids, strict=True) if own is None]
    if unknown:
        allowed = f"a class map that names them or '{ANY}', in a YAML file with lines name: ours"
        raise ConfigurationError('teacher classes', unknown, allowed)
    return np.array(ids, np.uint16)


def load_class_map(path: str | Path) -> dict[str, str]:
    """
    Read a class map: a YAML file with a line `teacher's name: our name` for each class.

    Raises
    ------
    ConfigurationError
        If it cannot be read, or holds anything else than names.

    """
    content = read_mapping(path, 'class_map')
    if not all(isinstance(part, str) for pair in content.items() for part in pair):
        raise ConfigurationError('class_map', str(path), "a YAML file of lines 'name: our name'")
    return content


def _plain(name: str) -> str:
    return name.strip().lower()
