"""
Node `distillation`: bags and an image teacher in, a student for `perception` out.

Configuring checks what is given, activating starts the work in a thread; deactivating stops it at
the next step, and activating again goes on from there, as does a new start with the same folder.

How far it is comes as a DiagnosticStatus, latched on `~/progress` and once a second in
/diagnostics: its message says it in words, its values are `stage`, `done`, `total`, `share` (0 to
1 of the stage), `seconds_left` (of the stage) and `out`. The service `~/cancel` stops at the next
step; what was done is kept and complete.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
import sys
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from std_srvs.srv import Trigger

from .distillation_config import DistillationConfig
from .distillation_work import DistillationWork
from .models import shipped_model
from .node_main import run_node
from .parameters import declare_config, refuse_unknown_parameters
from .working_node import started, WorkingNode
from ..distillation.pipeline_config import PipelineConfig
from ..errors import needed
from ..messages.diagnostics import diagnostics_message, status_message

if TYPE_CHECKING:
    from ..distillation.pipeline import Pipeline

PERIOD = 1.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class DistillationNode(WorkingNode):
    """
    Carries a distillation through the states of the node's lifecycle.

    Raises
    ------
    ConfigurationError
        If a parameter cannot be used.

    """

    config: DistillationConfig

    def __init__(self) -> None:
        super().__init__('distillation')
        self.config = declare_config(self, DistillationConfig)
        refuse_unknown_parameters(self)
        self.finished = Future()
        self._pipeline: Pipeline | None = None
        self._work: DistillationWork | None = None
        self._progress = self.create_publisher(DiagnosticStatus, '~/progress', LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.create_service(Trigger, '~/cancel', self._cancel)
        self.create_timer(PERIOD, self._tell)

    def prepare(self) -> None:
        """Check what is given."""
        fields = (field.name for field in dataclasses.fields(PipelineConfig))
        self._pipeline = make_pipeline(
            PipelineConfig(**{name: getattr(self.config, name) for name in fields}))

    def begin(self) -> None:
        """Start to work."""
        assert self._pipeline is not None
        self._work = DistillationWork(self._pipeline)
        self._work.start()

    def _cancel(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._work is not None and self._work.is_alive()
        response.message = 'nothing is under way'
        if self._work is not None and response.success:
            self._work.cancel()
            response.message = f'stops at the next step; {self.config.out} can be gone on with'
        return response

    def stop(self) -> None:
        """Stop at the next step."""
        if self._work is not None:
            self._work.cancel()
            self._work.join()

    def _tell(self) -> None:
        """Publish how far it is; when the work has ended, say how, and end with it."""
        work = self._work
        if work is None:
            return
        level, summary, values = work.describe()
        status = status_message(
            self.get_name(), level, summary, {**values, 'out': self.config.out})
        self._progress.publish(status)
        stamp = self.get_clock().now().nanoseconds
        self._diagnostics.publish(diagnostics_message([status], stamp))
        if not work.is_alive() and not self.finished.done():
            self.get_logger().info(summary)
            if self.config.autostart:
                work.settle(self.finished)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node."""
    return run_node(functools.partial(started, DistillationNode), args)


def make_pipeline(config: PipelineConfig) -> Pipeline:
    """
    Return what the node goes through.

    Raises
    ------
    MissingDependencyError
        If a package that only training needs is not installed.

    """
    with needed('distil'):
        from ..distillation.pipeline import Pipeline
    return Pipeline(config, shipped_model('point'))


if __name__ == '__main__':
    sys.exit(main())
