"""
ROS actions for launch: a stand-in for the part of launch_ros that is used here.

Import names, signatures and behaviour are those of launch_ros 0.26 (Jazzy). What is known upstream
and missing here raises NotImplementedError with its name.
"""

from launch.missing import refuse

from . import actions, descriptions, parameter_descriptions, substitutions

__all__ = ['actions', 'descriptions', 'parameter_descriptions', 'substitutions']

__getattr__ = refuse(__name__, 'event_handlers', 'events', 'ros_adapters', 'utilities')
