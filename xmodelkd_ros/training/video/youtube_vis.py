"""
YouTube-VIS 2019, 2021 and 2022 and OVIS by their official JSON.

Their format (Yang et al., ICCV 2019; Qi et al., IJCV 2022) is COCO's with time: `videos` have
`file_names`, `annotations` one segmentation per frame or null: run lengths, as text or as numbers,
or polygons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import json
from pathlib import Path
from typing import Any

from .annotated_video import AnnotatedVideo, Annotation
from ...errors import BagError, ConfigurationError
from ...labels import ALL_CLASSES, ID_BY_NAME, SemanticClass, thing_id_of_name

CAMERA = 'video'


@dataclasses.dataclass(frozen=True)
class VideoCollection:
    """
    A data set.

    Parameters
    ----------
    videos
        Its videos.
    classes
        The classes that its labels use.
    category_of_class
        Its category of each class id, for results.

    """

    videos: tuple[AnnotatedVideo, ...]
    classes: tuple[SemanticClass, ...]
    category_of_class: Mapping[int, int]


def open_collection(
    path: Path,
    images: Path | None = None,
    class_map: Mapping[str, str] | None = None,
    longest: int = 0,
) -> VideoCollection:
    """
    Open a data set.

    Parameters
    ----------
    path
        The JSON file.
    images
        Folder that its file names start from; None looks in the usual places beside the file.
    class_map
        Our class name by the data set's; goes before the names that are known.
    longest
        Longer side that pictures are reduced to, pixels; 0 leaves them as they are.

    Raises
    ------
    BagError
        If the file is no such data set, or its pictures are not there.
    ConfigurationError
        If the map names a class that is none of our things.

    """
    if not path.is_file():
        raise BagError(f'there is no {path}')
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        class_of = _class_ids(content['categories'], class_map or {})
        told = _by_video(content.get('annotations'), class_of)
        folder = images or _find_images(path, content['videos'])
        videos = tuple(_video(v, told, folder, longest) for v in content['videos'])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BagError(f'{path} is no YouTube-VIS data set: {error!r}') from error
    category_of = {own: category for category, own in reversed(class_of.items()) if own}
    classes = tuple(row for row in ALL_CLASSES if row.id in category_of)
    return VideoCollection(videos, classes, category_of)


def _class_ids(
    categories: Sequence[Mapping[str, Any]], class_map: Mapping[str, str]
) -> dict[int, int]:
    """Return the class id of each category, 0 for none."""
    for ours in class_map.values():
        if ours not in ID_BY_NAME or not ALL_CLASSES[ID_BY_NAME[ours]].is_thing:
            things = ', '.join(row.name for row in ALL_CLASSES if row.is_thing)
            raise ConfigurationError('class_map', ours, f'one of {things}')
    named = {int(c['id']): str(c['name']) for c in categories}
    return {number: thing_id_of_name(class_map.get(name, name)) for number, name in named.items()}


def _by_video(
    annotations: Sequence[Mapping[str, Any]] | None, class_of: Mapping[int, int]
) -> dict[int, list[Annotation]] | None:
    if annotations is None:
        return None
    found: dict[int, list[Annotation]] = {}
    for one in annotations:
        found.setdefault(int(one['video_id']), []).append(Annotation(
            class_of[int(one['category_id'])], bool(one.get('iscrowd', 0)),
            tuple(one['segmentations'])))
    return found


def _video(
    video: Mapping[str, Any], told: dict[int, list[Annotation]] | None, folder: Path, longest: int
) -> AnnotatedVideo:
    files = tuple(folder / name for name in video['file_names'])
    number = int(video['id'])
    annotations = None if told is None else tuple(told.get(number, ()))
    for one in annotations or ():
        if len(one.segmentations) != len(files):
            raise ValueError(f'{len(one.segmentations)} segmentations in {len(files)} frames')
    return AnnotatedVideo(
        files[0].parent, (CAMERA,), len(files), number, files,
        (int(video['height']), int(video['width'])), annotations, longest)


def _find_images(path: Path, videos: Sequence[Mapping[str, Any]]) -> Path:
    """Return the folder of the pictures; those of 2022's gt_short and gt_long are in valid/."""
    split = path.stem.removeprefix('annotations_').removeprefix('instances_')
    places = 'JPEGImages', f'{split}/JPEGImages', split, 'valid/JPEGImages', '.'
    folders = [path.parent / place for place in places]
    for folder in folders:
        if all((folder / video['file_names'][0]).is_file() for video in videos):
            return folder
    raise BagError(f'the pictures of {path} are in none of ' + ', '.join(map(str, folders)))
