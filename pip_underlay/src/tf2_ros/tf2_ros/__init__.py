"""Transforms between frames over time: a stand-in for ROS's package of this name."""

from .buffer import Buffer
from .exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TimeoutException,
    TransformException,
)
from .static_transform_broadcaster import StaticTransformBroadcaster
from .transform_broadcaster import TransformBroadcaster
from .transform_listener import TransformListener

__all__ = [
    'Buffer',
    'ConnectivityException',
    'ExtrapolationException',
    'InvalidArgumentException',
    'LookupException',
    'StaticTransformBroadcaster',
    'TimeoutException',
    'TransformBroadcaster',
    'TransformException',
    'TransformListener',
]


def __getattr__(name):
    """Say by name what this stand-in does not provide."""
    if name in ('BufferClient', 'BufferInterface', 'StaticTransformListener'):
        raise NotImplementedError(f'tf2_ros.{name}')
    raise AttributeError(name)
