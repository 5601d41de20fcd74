"""Times of conversions, of the stages of the pipeline, and of the simulation, in one process."""

from __future__ import annotations

import array
from collections.abc import Callable
import itertools
from pathlib import Path
import time
from typing import Any, TYPE_CHECKING

import numpy as np
from sensor_msgs.msg import PointCloud2
import torch

from ..bags.frames import frames
from ..bags.reader import BagReader
from ..evaluation.timing import StageTimer
from ..messages.clouds import cloud_from_message
from ..messages.labelled_clouds import labelled_cloud_message
from ..nodes.models import Models
from ..nodes.perception_config import PerceptionConfig
from ..records import PointLabels
from ..simulation.drive import Drive, SimulationConfig

if TYPE_CHECKING:
    from .benchmark import BenchmarkConfig

Section = dict[str, dict[str, Any]]
REPEATS = 50
WARM_UP = 5


def devices() -> list[str]:
    """Return the devices of this machine."""
    return ['cpu', *(['cuda'] if torch.cuda.is_available() else [])]


def measure_conversions(bag: Path) -> Section:
    """Time messages to arrays and arrays to message on the first cloud, beside plain copies."""
    with BagReader(bag) as reader:
        message = next(reader.messages(['/points']))[2]
    cloud = cloud_from_message(message)
    count = len(cloud.points)
    labels = PointLabels(np.ones(count, np.uint16), np.ones(count, np.float32))
    instance = np.zeros(count, np.uint16)
    written = labelled_cloud_message(message, labels, instance)
    buffer = np.empty(len(written.data), np.uint8)
    return {
        'message to arrays': _timed(lambda: cloud_from_message(message)),
        'arrays to message': _timed(lambda: labelled_cloud_message(message, labels, instance)),
        'plain copy in': _timed(lambda: np.frombuffer(message.data, np.uint8).copy()),
        'plain copy out': _timed(lambda: _assign(buffer)),
    }


def _assign(content: np.ndarray) -> None:
    message = PointCloud2()
    data = array.array('B')
    data.frombytes(content.data)
    message.data = data


def _timed(work: Callable[[], object]) -> dict[str, float]:
    timer = StageTimer(REPEATS)
    for _ in range(WARM_UP):
        work()
    for _ in range(REPEATS):
        with timer.stage('work'):
            work()
    return _percentiles(timer)['work']


def measure_stages(bag: Path, config: BenchmarkConfig, device: str) -> tuple[str, Section]:
    """
    Time the stages of the pipeline with the shipped models over the frames of a bag.

    Returns
    -------
    tuple
        In what the convolutions were done, and the times.

    """
    timer = StageTimer(config.frames)
    models = Models(PerceptionConfig(
        device=device, precision=config.precision, cameras=[config.camera]))
    perception = models.pipeline(timer.stage)
    rectified = [config.camera] if config.rectified else []
    drive = list(itertools.islice(
        frames(bag, [config.camera], rectified=rectified), WARM_UP + config.frames))
    for frame in drive[:WARM_UP]:
        perception(frame)
    for frame in drive[WARM_UP:]:
        with timer.stage('all'):
            perception(frame)
    return models.points.arithmetic, _percentiles(timer)


def measure_simulation() -> Section:
    """Time frames of 64 x 1024 beams and 640 x 192 pixels."""
    frame_count = 20
    drive = Drive(SimulationConfig(seed=2000, frames=frame_count, columns=1024))
    drive.frame(0)
    started = time.perf_counter()
    for index in range(frame_count):
        drive.frame(index)
    rate = frame_count / (time.perf_counter() - started)
    return {'64 x 1024, 640 x 192': {'frames per second': rate}}


def _percentiles(timer: StageTimer) -> Section:
    return {
        name: {f'{p} [ms]': getattr(times, p) for p in ('p50', 'p95', 'p99')}
        for name, times in timer.summary().items()
    }
