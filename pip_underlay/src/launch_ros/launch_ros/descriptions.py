"""Descriptions of parameters under the name that upstream gives them too."""

from launch.missing import refuse

from .parameter_descriptions import Parameter, ParameterFile, ParameterValue

__all__ = ['Parameter', 'ParameterFile', 'ParameterValue']

__getattr__ = refuse(__name__, 'ComposableLifecycleNode', 'ComposableNode')
