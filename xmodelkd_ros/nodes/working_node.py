"""What the nodes with a lifecycle share: they configure, work and stop alike."""

from __future__ import annotations

from collections.abc import Callable

from lifecycle_msgs.srv import ChangeState
from rclpy._rclpy_pybind11 import RCLError
from rclpy.lifecycle import LifecycleNode, LifecycleState
from rclpy.lifecycle import TransitionCallbackReturn as Done

from .distillation_config import DistillationConfig
from .perception_config import PerceptionConfig
from ..errors import XModelKDError


class WorkingNode(LifecycleNode):
    """A node that gets ready, works and stops, and may start by itself."""

    config: PerceptionConfig | DistillationConfig
    failure: XModelKDError | None = None  # Why the last step failed.
    starts_itself = False

    def __init__(self, name: str) -> None:
        super().__init__(name)
        service, = (one for one in self.services if one.srv_type is ChangeState)
        change = service.callback

        def change_if_possible(
            request: ChangeState.Request, response: ChangeState.Response
        ) -> ChangeState.Response:
            try:
                return change(request, response)
            except RCLError as error:  # As of what is active already; rclpy lets it end the node.
                self.get_logger().warning(' '.join(str(error).split()))
                response.success = False
                return response

        service.callback = change_if_possible

    def prepare(self) -> None:
        """Get ready to work; an XModelKDError says why that cannot be."""
        raise NotImplementedError

    def begin(self) -> None:
        """Start to work; errors as of `prepare`."""
        raise NotImplementedError

    def stop(self) -> None:
        """End the work, if there is any."""
        raise NotImplementedError

    def on_configure(self, state: LifecycleState) -> Done:
        """Get ready to work."""
        return self._try('configured', self.prepare)

    def on_activate(self, state: LifecycleState) -> Done:
        """Start to work."""
        super().on_activate(state)
        done = self._try('activated', self.begin)
        if done != Done.SUCCESS:
            super().on_deactivate(state)
        return done

    def _try(self, what: str, step: Callable[[], None]) -> Done:
        """Take a step, and keep or say why it fails, of which rclpy would not say a word."""
        try:
            step()
        except Exception as error:
            is_known = isinstance(error, XModelKDError)
            reason = ' '.join((str if is_known else repr)(error).split())
            self.failure = XModelKDError(reason if is_known else f'cannot be {what}: {reason}')
            if not self.starts_itself:
                self.get_logger().error(f'cannot be {what}: {reason}')
            return Done.FAILURE
        return Done.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> Done:
        """Stop."""
        self.stop()
        return super().on_deactivate(state)

    def on_shutdown(self, state: LifecycleState) -> Done:
        """Stop, from whatever state."""
        self.stop()
        return Done.SUCCESS

    def destroy_node(self) -> None:
        """Let the work end before the middleware goes."""
        self.stop()
        super().destroy_node()


def started(make_node: Callable[[], WorkingNode]) -> WorkingNode:
    """Return a new node, active if it is to start by itself."""
    node = make_node()
    if not node.config.autostart:
        return node
    node.starts_itself = True
    for change in (node.trigger_configure, node.trigger_activate):
        if change() != Done.SUCCESS:
            raise node.failure or XModelKDError('the node could not be configured and activated')
    node.starts_itself = False
    return node
