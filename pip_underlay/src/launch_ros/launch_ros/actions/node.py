"""Start a ROS node as a process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from launch import logging
from launch.actions import ExecuteProcess
from launch.utilities import text_of

from .settings import make_absolute, NAMESPACE, PARAMETERS, prefix_namespace, REMAPPINGS
from ..parameter_descriptions import (
    evaluate_parameter_dict,
    Parameter,
    ParameterFile,
    write_parameter_file,
)
from ..substitutions import ExecutableInPackage


class Node(ExecuteProcess):
    """
    Run an executable of a package with ROS arguments.

    `parameters` holds dictionaries, YAML files and descriptions, the last one wins; `remappings`
    holds pairs; a relative `namespace` is put below that of PushRosNamespace.
    """

    def __init__(
        self,
        *,
        executable,
        package=None,
        name=None,
        namespace=None,
        exec_name=None,
        parameters=None,
        remappings=None,
        ros_arguments=None,
        arguments=None,
        **kwargs,
    ) -> None:
        program = executable if package is None else ExecutableInPackage(executable, package)
        super().__init__(cmd=[program, *(arguments or ())], name=exec_name, **kwargs)
        if parameters is not None and (
            isinstance(parameters, (str, Mapping)) or not isinstance(parameters, Sequence)
        ):
            raise TypeError(f'Expecting list of parameters, got {parameters}')
        self._node_name, self._namespace = name, namespace
        self._parameters, self._remappings = parameters or (), remappings or ()
        self._ros_arguments = ros_arguments or ()
        self._final_name: str | None = None

    @property
    def node_name(self) -> str:
        """Name with namespace."""
        if self._final_name is None:
            raise RuntimeError("cannot access 'node_name' before executing action")
        return self._final_name

    def is_node_name_fully_specified(self) -> bool:
        """Tell whether name and namespace are both known."""
        return '<node_' not in self.node_name

    def execute(self, context) -> None:
        """Start the node."""
        namespace = self._expanded_namespace(context)
        name = None if self._node_name is None else text_of(context, self._node_name)
        shown = name or '<node_name_unspecified>'
        base = namespace or '<node_namespace_unspecified>'
        self._final_name = f'{"" if base == "/" else base}/{shown}'
        arguments = ['--ros-args', *(text_of(context, part) for part in self._ros_arguments)]
        arguments += ['-r', f'__node:={name}'] if name else []
        arguments += ['-r', f'__ns:={namespace}'] if namespace else []
        arguments += self._parameter_arguments(context) + self._remapping_arguments(context)
        if len(arguments) > 1:
            self.cmd += [[_literal(part)] for part in arguments]
        super().execute(context)

    def _expanded_namespace(self, context) -> str | None:
        base = context.launch_configurations.get(NAMESPACE, '')
        own = '' if self._namespace is None else text_of(context, self._namespace)
        namespace = prefix_namespace(base, own)
        return make_absolute(namespace) if namespace else None

    def _parameter_arguments(self, context) -> list[str]:
        """Return the settings of the scope, then the node's own, as files and -p."""
        arguments: list[str] = []
        for setting in context.launch_configurations.get(PARAMETERS, []):
            arguments += _as_file(setting) if isinstance(setting, Path) else _as_rule(*setting)
        for parameter in self._parameters:
            if isinstance(parameter, Mapping):
                values = evaluate_parameter_dict(context, parameter)
                arguments += _as_file(write_parameter_file(values, self._key()))
            elif isinstance(parameter, Parameter):
                arguments += _as_rule(*parameter.evaluate(context))
            else:
                known = isinstance(parameter, ParameterFile)
                file = parameter if known else ParameterFile(parameter)
                arguments += _as_file(self._existing(file.evaluate(context)))
        return arguments

    def _key(self) -> str:
        """Node that a parameter file speaks of."""
        return self.node_name if self.is_node_name_fully_specified() else '/**'

    def _existing(self, path: Path) -> Path:
        if not path.is_file():
            logging.get_logger('launch_ros.actions.node').warning(
                f'Parameter file path is not a file: {path}'
            )
        return path

    def _remapping_arguments(self, context) -> list[str]:
        scoped = context.launch_configurations.get(REMAPPINGS, [])
        own = [(text_of(context, a), text_of(context, b)) for a, b in self._remappings]
        return [part for a, b in (*scoped, *own) for part in ('-r', f'{a}:={b}')]


class LifecycleNode(Node):
    """A node with managed states; its transitions are its own, for events need ROS 2."""

    def __init__(self, *, name, namespace, autostart: bool = False, **kwargs) -> None:
        if autostart:
            raise NotImplementedError('launch_ros.actions.LifecycleNode(autostart=True)')
        super().__init__(name=name, namespace=namespace, **kwargs)


def _as_file(path: Path) -> list[str]:
    return ['--params-file', str(path)]


def _as_rule(name: str, value) -> list[str]:
    return ['--params-file', str(write_parameter_file({name: value}))]


def _literal(text: str):
    from launch.substitutions import TextSubstitution

    return TextSubstitution(text=text)
