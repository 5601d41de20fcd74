"""ROS actions that launch files use."""

from launch.missing import refuse

from .node import LifecycleNode, Node
from .settings import (
    PushROSNamespace,
    PushRosNamespace,
    SetParameter,
    SetParametersFromFile,
    SetRemap,
    SetUseSimTime,
)

__all__ = [
    'LifecycleNode',
    'Node',
    'PushROSNamespace',
    'PushRosNamespace',
    'SetParameter',
    'SetParametersFromFile',
    'SetRemap',
    'SetUseSimTime',
]

__getattr__ = refuse(
    __name__,
    *('ComposableNodeContainer', 'LifecycleTransition', 'LoadComposableNodes', 'RosTimer'),
    *('ROSTimer', 'SetROSLogDir'),
)
