"""The one thread that owns the compute device: clouds in, results out."""

from __future__ import annotations

import dataclasses
import threading
import traceback

from .frames import FrameMaker
from .intake import Arrival, Intake
from .ledger import USED
from .logbook import Logbook
from .outputs import Outputs
from ..errors import MessageError
from ..inference.pipeline import Perception, PerceptionResult
from ..records import Frame


class Worker(threading.Thread):
    """
    Takes the newest complete cloud, perceives, publishes, until the intake is closed.

    Parameters
    ----------
    intake, make_frame, perceive, outputs
        What is done with a cloud, in this order.
    logbook
        Where fates and times are noted.

    """

    def __init__(
        self,
        intake: Intake,
        make_frame: FrameMaker,
        perceive: Perception,
        outputs: Outputs,
        logbook: Logbook,
    ) -> None:
        super().__init__(name='worker', daemon=True)
        self._intake, self._make_frame, self._perceive = intake, make_frame, perceive
        self._outputs, self._logbook = outputs, logbook
        self._epoch = 0

    def run(self) -> None:
        """Work until the intake is closed."""
        while (arrival := self._intake.take_cloud()) is not None:
            if self._epoch != arrival.epoch:
                self._epoch = arrival.epoch
                self._perceive.reset()
            self._work(arrival)

    def _work(self, arrival: Arrival) -> None:
        """Publish what there is in a cloud; whatever is raised, the node stays up."""
        try:
            frame, result = self._publish_points(arrival)
        except MessageError as error:
            self._logbook.ledger.refuse('points', arrival.stamp, error)
            return
        except Exception as error:
            self._logbook.ledger.refuse('points', arrival.stamp, f'internal error: {error!r}')
            self._logbook.logger.error(traceback.format_exc(), throttle_duration_sec=10.0)
            return
        self._logbook.ledger.settle('points', USED)
        try:
            with self._logbook.measurements.stage('other_outputs'):
                self._outputs.publish_instances(frame, result)
        except Exception:
            self._logbook.logger.error(traceback.format_exc(), throttle_duration_sec=10.0)

    def _publish_points(self, arrival: Arrival) -> tuple[Frame, PerceptionResult]:
        measurements = self._logbook.measurements
        with measurements.stage('messages_to_arrays'):
            frame = self._make_frame(arrival)
        result = self._perceived(frame)
        with measurements.stage('arrays_to_message'):
            self._outputs.publish_points(arrival.message, result)
        measurements.note_output(arrival, frame)
        return frame, result

    def _perceived(self, frame: Frame) -> PerceptionResult:
        """Perceive; a fault with images costs the instances, never the labels."""
        try:
            return self._perceive(frame)
        except Exception:
            if not frame.views:
                raise
            self._logbook.logger.error(
                f'images with the cloud of {frame.cloud.stamp / 1e9:.3f} s are left out: '
                + traceback.format_exc(), throttle_duration_sec=10.0)
        return self._perceive(dataclasses.replace(frame, views={}))
