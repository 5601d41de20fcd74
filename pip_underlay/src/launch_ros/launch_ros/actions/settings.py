"""Actions that change what the nodes that follow in the same scope are given."""

from __future__ import annotations

from launch.action import Action
from launch.utilities import text_of

from ..parameter_descriptions import Parameter, ParameterFile

NAMESPACE = 'ros_namespace'
PARAMETERS = 'global_params'
REMAPPINGS = 'ros_remaps'


class PushRosNamespace(Action):
    """Put the nodes that follow into a namespace, below the current one."""

    def __init__(self, namespace, **kwargs) -> None:
        super().__init__(**kwargs)
        self.namespace = namespace

    def execute(self, context) -> None:
        """Extend the namespace."""
        current = context.launch_configurations.get(NAMESPACE, '')
        extended = prefix_namespace(current, text_of(context, self.namespace))
        context.launch_configurations[NAMESPACE] = make_absolute(extended)


PushROSNamespace = PushRosNamespace


class SetParameter(Action):
    """Set a parameter of all nodes that follow."""

    def __init__(self, name, value, **kwargs) -> None:
        super().__init__(**kwargs)
        self._parameter = Parameter(name, value)

    def execute(self, context) -> None:
        """Add it."""
        _append(context, PARAMETERS, self._parameter.evaluate(context))


class SetUseSimTime(SetParameter):
    """Let all nodes that follow take the time from /clock."""

    def __init__(self, value, **kwargs) -> None:
        super().__init__('use_sim_time', value, **kwargs)


class SetParametersFromFile(Action):
    """Give a parameter file to all nodes that follow."""

    def __init__(self, filename, node_name=None, **kwargs) -> None:
        super().__init__(**kwargs)
        if node_name is not None:
            raise NotImplementedError('launch_ros SetParametersFromFile(node_name=...)')
        self._file = ParameterFile(filename)

    def execute(self, context) -> None:
        """Add it."""
        _append(context, PARAMETERS, self._file.evaluate(context))


class SetRemap(Action):
    """Remap a name of all nodes that follow."""

    def __init__(self, src, dst, **kwargs) -> None:
        super().__init__(**kwargs)
        self.src, self.dst = src, dst

    def execute(self, context) -> None:
        """Add it."""
        _append(context, REMAPPINGS, (text_of(context, self.src), text_of(context, self.dst)))


def prefix_namespace(base: str, namespace: str) -> str:
    """Put a relative namespace below another; an absolute one stands for itself."""
    if namespace.startswith('/') or not base:
        return namespace
    return f'{base.rstrip("/")}/{namespace}' if namespace else base


def make_absolute(namespace: str) -> str:
    """Begin with a slash."""
    return namespace if namespace.startswith('/') else f'/{namespace}'


def _append(context, key: str, value) -> None:
    # A new list each time: scopes remember the configurations shallowly.
    context.launch_configurations[key] = [*context.launch_configurations.get(key, []), value]
