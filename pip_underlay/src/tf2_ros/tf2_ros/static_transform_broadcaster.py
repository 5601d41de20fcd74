"""Sends transforms that hold at any time."""

from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage


class StaticTransformBroadcaster:
    """Sends transforms on /tf_static, also to those who come later."""

    def __init__(self, node, qos=None):
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.pub_tf = node.create_publisher(TFMessage, '/tf_static', qos or latched)
        self._by_child = {}

    def sendTransform(self, transform):  # noqa: N802
        """Send one TransformStamped or several, with all that were sent before."""
        several = hasattr(transform, '__iter__')
        for message in transform if several else [transform]:
            self._by_child[message.child_frame_id] = message
        self.pub_tf.publish(TFMessage(transforms=list(self._by_child.values())))
