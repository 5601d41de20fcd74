"""A teacher adapted to a vehicle's own pictures once, and kept so for all that follows."""

from __future__ import annotations

from collections.abc import Sequence
import functools
import logging
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from .network_teacher import NetworkTeacher
from .teacher import adapt
from ..cache_files import write_whole
from ..extraction.config import ExtractionConfig
from ..extraction.survey import used_cameras
from ...bags.reader import BagReader
from ...bags.topics import find_topics
from ...errors import CacheError
from ...messages.images import rgb_from_message
from ...networks.norm_adaptation import batch_norms

_STATISTICS = ('running_mean', 'running_var')


def adapt_once(
    teacher: NetworkTeacher, bags: Sequence[Path], share: float, count: int, path: Path,
    config: ExtractionConfig = ExtractionConfig(),  # noqa: B008
) -> NetworkTeacher:
    """
    Return a teacher adapted to the pictures of bags, by the statistics in `path` if it is there.

    The statistics are kept because the same sums on another number of threads differ in their
    last digits, which would make another teacher of it. A teacher without batch norms, as vision
    transformers are, stays as it is, which is said once.

    Parameters
    ----------
    teacher
        Whose networks are PyTorch modules.
    bags
        Where the pictures are from.
    share
        Of the new statistics, above 0 up to 1.
    count
        How many pictures to look at.
    path
        File for the statistics.
    config
        Says which topics and cameras count.

    Raises
    ------
    CacheError
        If the file is damaged, of another teacher, or cannot be written.

    """
    if not _norms(teacher):
        _say_unadapted(teacher.name)
        return teacher
    if path.is_file():
        _restore(teacher, path)
        return teacher
    adapted = adapt(teacher, sample_pictures(bags, count, config), share)
    state = {
        f'{name}.{key}': getattr(norm, key).clone()
        for name, norm in _norms(adapted).items() for key in _STATISTICS
    }
    write_whole(path, save(state))
    return adapted


def sample_pictures(
    bags: Sequence[Path], count: int, config: ExtractionConfig
) -> list[np.ndarray]:
    """
    Return about `count` pictures, (H, W, 3) uint8 RGB, spread evenly over bags and cameras.

    Raises
    ------
    BagError
        If a bag has none of a camera that is asked for, or none at all.

    """
    places: list[tuple[Path, str, int]] = []
    for path in bags:
        with BagReader(path) as bag:
            topics = find_topics(bag, config.points_topic, config.image_topics)
            images = [topics.cameras[name].image for name in used_cameras(bag, topics, config)]
            places += [
                (path, image, number) for image in images
                for number in range(bag.topics[image].count)
            ]
    wanted = set(places[::max(1, len(places) // count)])
    pictures = []
    for path, topic in dict.fromkeys((path, topic) for path, topic, _ in places):
        with BagReader(path) as bag:
            for number, (_, _, data) in enumerate(bag.raw([topic])):
                if (path, topic, number) in wanted:
                    pictures.append(rgb_from_message(bag.decode(topic, data)))
    return pictures


@functools.cache
def _say_unadapted(name: str) -> None:
    logging.getLogger(__name__).warning(
        '%s is not adapted to the pictures: it has no batch norms', name)


def _restore(teacher: NetworkTeacher, path: Path) -> None:
    try:
        state = load_file(path)
        for name, norm in _norms(teacher).items():
            for key in _STATISTICS:
                getattr(norm, key).copy_(state[f'{name}.{key}'])
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise CacheError(
            f'{path} is damaged or of another teacher: {error}; remove it') from error
    teacher.__dict__.pop('sha256', None)  # it is kept once it was asked for


def _norms(teacher: NetworkTeacher) -> dict[str, nn.Module]:
    found: dict[str, nn.Module] = {}
    for number, network in enumerate(teacher.networks):
        known = set(map(id, batch_norms(network.module)))
        found |= {
            f'{number}.{name}': module for name, module in network.module.named_modules()
            if id(module) in known
        }
    return found
