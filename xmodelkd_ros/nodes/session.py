"""What exists while the node is active: inputs, queues and the worker."""

from __future__ import annotations

from collections.abc import Mapping
import functools

from rclpy.node import Node

from .calibrations import Calibrations
from .frames import FrameMaker
from .image_queue import ImageQueue
from .inputs import Inputs
from .intake import Intake
from .logbook import Logbook
from .models import Models
from .outputs import Outputs
from .perception_config import CameraConfig, PerceptionConfig
from .transforms import Transforms
from .worker import Worker
from ..messages.stamps import NANOSECONDS_PER_SECOND


class Session:
    """
    Listens and works from its creation until it is closed.

    Parameters
    ----------
    node
        Owns the subscriptions.
    config, cameras
        Settings of the node and of each camera.
    models, transforms, outputs
        What an inactive node keeps.
    logbook
        Where all is noted.

    """

    def __init__(
        self,
        node: Node,
        config: PerceptionConfig,
        cameras: Mapping[str, CameraConfig],
        models: Models,
        transforms: Transforms,
        outputs: Outputs,
        logbook: Logbook,
    ) -> None:
        transforms.clear()  # No jump in time is noticed between two sessions.
        self._intake = Intake(
            _queues(config, cameras, logbook), config.max_wait, logbook.ledger,
            functools.partial(_jump, transforms, logbook))
        calibrations = Calibrations({name: c.rectified for name, c in cameras.items()})
        make_frame = FrameMaker(config, cameras, self._intake, calibrations, transforms, logbook)
        self._pipeline = models.pipeline(logbook.measurements.stage)
        self._worker = Worker(self._intake, make_frame, self._pipeline, outputs, logbook)
        self._worker.start()
        self._inputs = Inputs(node, cameras, self._intake, calibrations, logbook.ledger)

    def close(self) -> None:
        """Stop listening and let the worker end."""
        self._inputs.close()
        self._intake.close()
        self._worker.join()
        self._pipeline.close()


def _jump(transforms: Transforms, logbook: Logbook, stamp: int) -> None:
    logbook.time_jumps += 1
    transforms.clear()
    logbook.logger.warning(
        f'time has jumped back to {stamp * 1e-9:.3f} s: '
        'transforms, queues and tracks are cleared')


def _queues(
    config: PerceptionConfig, cameras: Mapping[str, CameraConfig], logbook: Logbook
) -> dict[str, ImageQueue]:
    tolerance = round(config.tolerance * NANOSECONDS_PER_SECOND)
    return {
        name: ImageQueue(
            f'image.{name}', camera.offset, tolerance, config.queue, logbook.ledger)
        for name, camera in cameras.items()
    }
