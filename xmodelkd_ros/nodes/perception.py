"""
Node `perception`: LiDAR and cameras in, a labelled cloud and tracked instances out.

Configuring loads the weights, activating starts to work; deactivating ends the worker, cleaning
up frees the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
import gc
import sys

from rclpy.lifecycle import LifecycleState
from rclpy.lifecycle import TransitionCallbackReturn as Done
import torch

from .calibration_file import read_calibration_file
from .diagnostics import Diagnostics
from .logbook import Logbook
from .models import Models
from .node_main import run_node
from .outputs import Outputs
from .parameters import declare_config, refuse_unknown_parameters
from .perception_config import CameraConfig, PerceptionConfig
from .session import Session
from .transforms import Transforms
from .working_node import started, WorkingNode


class PerceptionNode(WorkingNode):
    """
    Carries the parts of the node through the states of its lifecycle.

    Raises
    ------
    ConfigurationError
        If a parameter or the calibration file cannot be used.

    """

    config: PerceptionConfig

    def __init__(self) -> None:
        super().__init__('perception')
        self.config = declare_config(self, PerceptionConfig)
        self._cameras = {
            name: declare_config(self, CameraConfig, f'camera.{name}.')
            for name in self.config.cameras
        }
        refuse_unknown_parameters(self)
        path = self.config.calibration_file
        self._from_file = read_calibration_file(path) if path else []
        self._logbook = Logbook(self.get_logger(), lambda: self.get_clock().now().nanoseconds)
        self._models: Models | None = None
        self._session: Session | None = None
        self._diagnostics = Diagnostics(
            self, list(self._cameras), self._logbook, self._describe)

    def prepare(self) -> None:
        """Load the weights."""
        self._models = Models(self.config)
        self._transforms = Transforms(
            self, self.config.fixed_frame, self._from_file, self._logbook)
        self._outputs = Outputs(
            self, list(self._cameras), self.config.reliability, self._models)

    def begin(self) -> None:
        """Start to listen and to work."""
        assert self._models is not None
        self._outputs.publish_label_infos(self.get_clock().now().nanoseconds)
        self._session = Session(
            self, self.config, self._cameras, self._models, self._transforms, self._outputs,
            self._logbook)
        cameras = ', '.join(self._cameras) or 'none'
        # Half a million objects of torch need not be looked at between frames and at the exit.
        gc.freeze()
        self.get_logger().info(f'active on {self._models.points.device}, cameras: {cameras}')

    def on_cleanup(self, state: LifecycleState) -> Done:
        """Free the memory of the models."""
        self._outputs.close()
        self._transforms.close()
        self._models = None
        gc.unfreeze()
        gc.collect()
        torch.cuda.empty_cache()
        return Done.SUCCESS

    def stop(self) -> None:
        """Stop listening and let the worker end."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _describe(self) -> dict[str, object]:
        """Return the state of the node and of its models, for diagnostics."""
        _, state = self._state_machine.current_state
        models = self._models.describe() if self._models else {'device': self.config.device}
        return {'state': state, **models}


def main(args: Sequence[str] | None = None) -> int:
    """Run the node."""
    return run_node(functools.partial(started, PerceptionNode), args)


if __name__ == '__main__':
    sys.exit(main())
