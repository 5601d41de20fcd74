"""Configuration dataclasses as ROS parameters: declared with descriptors, read back validated."""

from __future__ import annotations

import array
from collections.abc import Iterable
import dataclasses
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidTopicNameException
from rclpy.expand_topic_name import expand_topic_name
from rclpy.node import Node
from rclpy.validate_full_topic_name import validate_full_topic_name

from ..config import default_of, describe_range, from_mapping, leaves, put, unknown_key
from ..errors import ConfigurationError

T = TypeVar('T')

_RCLPY_PARAMETERS = ('use_sim_time', 'start_type_description_service', 'qos_overrides.')
_LARGEST = {int: 2**63 - 1, float: 1.7976931348623157e308}


def declare_config(node: Node, cls: type[T], prefix: str = '') -> T:
    """
    Declare every field of a configuration class as a read-only parameter and read them back.

    Parameters
    ----------
    node
        The node that gets the parameters.
    cls
        A dataclass whose fields were made with `config.setting`; nested dataclasses become
        dotted names, and so do the keys of a mapping.
    prefix
        Dotted prefix of the parameters, with its final dot.

    Raises
    ------
    ConfigurationError
        For a value of a wrong type or out of its range.

    """
    values: dict[str, Any] = {}
    fields = dict(leaves(cls, prefix))
    for name, field in list(fields.items()):
        default = default_of(field)
        if isinstance(default, dict):
            put(values, name.removeprefix(prefix), _declare_mapping(node, name))
            del fields[name]
            continue
        descriptor = ParameterDescriptor(dynamic_typing=True)
        value = _plain(node.declare_parameter(name, default, descriptor).value)
        if value is None and isinstance(default, list):
            value = []  # rcl hands over '[]' as a parameter that is not set
        put(values, name.removeprefix(prefix), value)
    config = from_mapping(cls, values, prefix)
    for name, field in fields.items():
        node.set_descriptor(name, _descriptor(field))
    return config


def _declare_mapping(node: Node, name: str) -> dict[str, Any]:
    """Declare what is given as `<name>.<key>` and return it by key."""
    descriptor = ParameterDescriptor(dynamic_typing=True, read_only=True)
    given = [key for key in node._parameter_overrides if key.startswith(f'{name}.')]
    return {
        key.removeprefix(f'{name}.'): _plain(node.declare_parameter(key, None, descriptor).value)
        for key in given
    }


def refuse_unknown_parameters(node: Node) -> None:
    """
    Raise ConfigurationError for an override that no `declare_config` has asked for.

    Call it once, after the last `declare_config`.
    """
    # rclpy's public way to see overrides declares them all, and fails on an empty list.
    overrides = node._parameter_overrides
    known = [name for name in node.get_parameters_by_prefix('')
             if not name.startswith(_RCLPY_PARAMETERS)]
    for name in sorted(overrides):
        if name not in known and not name.startswith(_RCLPY_PARAMETERS):
            raise ConfigurationError(
                name, _plain(overrides[name].value), unknown_key(name, known))


def require_topic_names(node: Node, name: str, topics: Iterable[str]) -> None:
    """Raise ConfigurationError, by the name of a parameter, for what cannot name a topic."""
    for topic in topics:
        try:
            # The first finds characters that are not allowed, the second repeated slashes.
            full = expand_topic_name(topic, node.get_name(), node.get_namespace())
            validate_full_topic_name(full)
        except (ValueError, InvalidTopicNameException) as error:
            raise ConfigurationError(name, topic, 'a topic name, as /points') from error


def _plain(value: Any) -> Any:
    """Return a parameter value as from_mapping wants it: number arrays as lists."""
    return list(value) if isinstance(value, (array.array, tuple)) else value


def _descriptor(field: dataclasses.Field[Any]) -> ParameterDescriptor:
    """Return a read-only descriptor: help text, unit, and the range where it is a number's."""
    unit = field.metadata['unit']
    descriptor = ParameterDescriptor(
        description=field.metadata['help'] + (f' [{unit}]' if unit else ''),
        additional_constraints=describe_range(field),
        read_only=True,
        dynamic_typing=True,
    )
    kind = type(default_of(field))
    low, high = field.metadata['low'], field.metadata['high']
    if kind in _LARGEST and (low is not None or high is not None):
        low = kind(-_LARGEST[kind] if low is None else low)
        high = kind(_LARGEST[kind] if high is None else high)
        if kind is int:
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
        else:
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return descriptor
