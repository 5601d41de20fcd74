"""
Node `perception`: LiDAR and cameras in, a labelled cloud and tracked instances out.

Configuring loads the weights, activating starts to work; deactivating ends the worker, cleaning
up frees the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
import gc
import sys

from rclpy.lifecycle import LifecycleNode, LifecycleState
from rclpy.lifecycle import TransitionCallbackReturn as Done
import torch

from .calibration_file import read_calibration_file
from .diagnostics import Diagnostics
from .logbook import Logbook
from .models import Models
from .node_main import require_success, run_node
from .outputs import Outputs
from .parameters import declare_config, refuse_unknown_parameters
from .perception_config import CameraConfig, PerceptionConfig
from .session import Session
from .transforms import Transforms
from ..errors import XModelKDError


class PerceptionNode(LifecycleNode):
    """
    Carries the parts of the node through the states of its lifecycle.

    Raises
    ------
    ConfigurationError
        If a parameter or the calibration file cannot be used.

    """

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
        self._logbook = Logbook(
            self.get_logger(), lambda: self.get_clock().now().nanoseconds,
            {name: camera.offset for name, camera in self._cameras.items()})
        self._models: Models | None = None
        self._session: Session | None = None
        self.failure: XModelKDError | None = None  # Why it could not be configured.
        self._diagnostics = Diagnostics(
            self, list(self._cameras), self._logbook, self._describe)

    def on_configure(self, state: LifecycleState) -> Done:
        """Load the weights."""
        try:
            self._models = Models(self.config)
        except XModelKDError as error:
            self.failure = error
            if not self.config.autostart:
                self.get_logger().error(f'cannot be configured: {error}')
            return Done.FAILURE
        self._transforms = Transforms(
            self, self.config.fixed_frame, self._from_file, self._logbook)
        self._outputs = Outputs(
            self, list(self._cameras), self.config.reliability, self._models)
        return Done.SUCCESS

    def on_activate(self, state: LifecycleState) -> Done:
        """Start to listen and to work."""
        assert self._models is not None
        super().on_activate(state)
        self._outputs.publish_label_infos(self.get_clock().now().nanoseconds)
        self._session = Session(
            self, self.config, self._cameras, self._models, self._transforms, self._outputs,
            self._logbook)
        cameras = ', '.join(self._cameras) or 'none'
        # Half a million objects of torch need not be looked at between frames and at the exit.
        gc.freeze()
        self.get_logger().info(f'active on {self._models.points.device}, cameras: {cameras}')
        return Done.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> Done:
        """Stop listening and let the worker end."""
        self._close_session()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> Done:
        """Free the memory of the models."""
        self._outputs.close()
        self._transforms.close()
        self._models = None
        gc.unfreeze()
        gc.collect()
        torch.cuda.empty_cache()
        return Done.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> Done:
        """Stop, from whatever state."""
        self._close_session()
        return Done.SUCCESS

    def destroy_node(self) -> None:
        """Let the worker end before the middleware goes."""
        self._close_session()
        super().destroy_node()

    def _close_session(self) -> None:
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
    return run_node(_started, args)


def _started() -> PerceptionNode:
    """Return the node, active if it is to start by itself."""
    node = PerceptionNode()
    if not node.config.autostart:
        return node
    for change in (node.trigger_configure, node.trigger_activate):
        require_success(change(), node.failure)
    return node


if __name__ == '__main__':
    sys.exit(main())
