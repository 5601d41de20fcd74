"""Actions that launch files use."""

from .arguments import DeclareLaunchArgument, IncludeLaunchDescription
from .configuration import (
    AppendEnvironmentVariable,
    GroupAction,
    LogInfo,
    OpaqueFunction,
    PopEnvironment,
    PopLaunchConfigurations,
    PushEnvironment,
    PushLaunchConfigurations,
    SetEnvironmentVariable,
    SetLaunchConfiguration,
    UnsetEnvironmentVariable,
    UnsetLaunchConfiguration,
)
from .events import EmitEvent, RegisterEventHandler, Shutdown, TimerAction, UnregisterEventHandler
from .execute_process import ExecuteLocal, ExecuteProcess
from ..missing import refuse

__all__ = [
    'AppendEnvironmentVariable',
    'DeclareLaunchArgument',
    'EmitEvent',
    'ExecuteLocal',
    'ExecuteProcess',
    'GroupAction',
    'IncludeLaunchDescription',
    'LogInfo',
    'OpaqueFunction',
    'PopEnvironment',
    'PopLaunchConfigurations',
    'PushEnvironment',
    'PushLaunchConfigurations',
    'RegisterEventHandler',
    'SetEnvironmentVariable',
    'SetLaunchConfiguration',
    'Shutdown',
    'TimerAction',
    'UnregisterEventHandler',
    'UnsetEnvironmentVariable',
    'UnsetLaunchConfiguration',
]

__getattr__ = refuse(
    __name__,
    *('ForEach', 'ForLoop', 'OpaqueCoroutine', 'ReplaceEnvironmentVariables', 'ResetEnvironment'),
    *('ResetLaunchConfigurations', 'LogDebug', 'LogError', 'LogWarning'),
)
