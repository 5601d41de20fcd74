"""Fills a buffer from /tf and /tf_static."""

from threading import Thread

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage


class TransformListener:
    """
    Subscribes to /tf and /tf_static on a node and passes what comes to a buffer.

    With `spin_thread` a thread of its own spins the node, which then must not be spun elsewhere.
    """

    def __init__(self, buffer, node, *, spin_thread=False, qos=None, static_qos=None):
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.buffer, self.node = buffer, node
        # A mutually exclusive group would keep transforms out while a callback waits for one.
        self.group = ReentrantCallbackGroup()
        self.tf_sub = node.create_subscription(
            TFMessage, '/tf', self.callback, qos or QoSProfile(depth=100),
            callback_group=self.group,
        )
        self.tf_static_sub = node.create_subscription(
            TFMessage, '/tf_static', self.static_callback, static_qos or latched,
            callback_group=self.group,
        )
        if spin_thread:
            self.executor = SingleThreadedExecutor()
            self.dedicated_listener_thread = Thread(target=self._spin, daemon=True)
            self.dedicated_listener_thread.start()

    def _spin(self):
        self.executor.add_node(self.node)
        try:
            self.executor.spin()
        except ExternalShutdownException:
            return
        self.executor.remove_node(self.node)

    def unregister(self):
        """Stop listening."""
        if hasattr(self, 'executor'):
            self.executor.shutdown()
            self.dedicated_listener_thread.join()
        self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)

    def callback(self, data):
        """Take moving transforms."""
        for transform in data.transforms:
            self.buffer.set_transform(transform, 'default_authority')

    def static_callback(self, data):
        """Take static transforms."""
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, 'default_authority')
