"""Sends moving transforms."""

from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage


class TransformBroadcaster:
    """Sends transforms on /tf."""

    def __init__(self, node, qos=None):
        self.pub_tf = node.create_publisher(TFMessage, '/tf', qos or QoSProfile(depth=100))

    def sendTransform(self, transform):  # noqa: N802
        """Send one TransformStamped or several."""
        several = hasattr(transform, '__iter__')
        self.pub_tf.publish(TFMessage(transforms=list(transform) if several else [transform]))
