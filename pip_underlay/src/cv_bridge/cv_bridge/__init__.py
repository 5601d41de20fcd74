"""Images between ROS messages and OpenCV arrays: a stand-in for ROS's package of this name."""

from .core import CvBridge, CvBridgeError, cvtColor2, getCvType

__all__ = ['CvBridge', 'CvBridgeError', 'cvtColor2', 'cvtColorForDisplay', 'getCvType']


def cvtColorForDisplay(*arguments, **options):  # noqa: N802
    """Not provided by this stand-in."""
    raise NotImplementedError('cv_bridge.cvtColorForDisplay')
