"""Configuration classes as ROS parameters: defaults, overrides, ranges, refusals."""

from __future__ import annotations

import dataclasses

import pytest
import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter
from xmodelkd_ros.config import setting
from xmodelkd_ros.errors import ConfigurationError
from xmodelkd_ros.nodes.parameters import declare_config, refuse_unknown_parameters

pytestmark = pytest.mark.ros


@dataclasses.dataclass(frozen=True)
class Inner:
    gain: float = setting(1.0, 'Gain.', unit='m', low=0, high=2)


@dataclasses.dataclass(frozen=True)
class Config:
    rate: float = setting(1.0, 'Rate.', unit='Hz', low=0.5)
    count: int = setting(3, 'Count.', low=1, high=4)
    names: tuple[str, ...] = setting(('a',), 'Names.')
    mode: str = setting('slow', 'Mode.', choices=('slow', 'fast'))
    flag: bool = setting(False, 'Flag.')
    weights: list[float] = setting([1.0, 2.0], 'Weights.', low=0)
    inner: Inner = setting(Inner(), 'Inner.')
    delays: dict[str, float] = setting({}, 'Delays.')


@pytest.fixture
def make_node():
    """Return a function that makes a node with overrides as a command line gives them."""
    contexts = []

    def make(*overrides):
        context = Context()
        arguments = [x for text in overrides for x in ('-p', text)]
        rclpy.init(args=['--ros-args', *arguments], context=context, domain_id=9)
        node = rclpy.create_node('node', context=context)
        contexts.append((context, node))
        return node

    yield make
    for context, node in contexts:
        node.destroy_node()
        context.try_shutdown()


def test_defaults_are_those_of_the_class(make_node):
    node = make_node()
    assert declare_config(node, Config) == Config()
    assert node.get_parameter('inner.gain').value == 1.0


def test_a_mapping_is_given_key_by_key(make_node):
    node = make_node('delays.front:=0.5', 'delays.rear:=0.25')
    assert declare_config(node, Config).delays == {'front': 0.5, 'rear': 0.25}
    refuse_unknown_parameters(node)
    assert declare_config(make_node(), Config).delays == {}


def test_overrides_reach_every_kind_of_field(make_node):
    node = make_node('rate:=2', 'count:=4', 'names:=[left, right]', 'mode:=fast', 'flag:=true',
                     'weights:=[0.5]', 'inner.gain:=0.25')
    config = declare_config(node, Config)
    refuse_unknown_parameters(node)
    assert config == Config(
        rate=2.0, count=4, names=('left', 'right'), mode='fast', flag=True, weights=[0.5],
        inner=Inner(gain=0.25))


def test_an_empty_list_is_a_value(make_node):
    assert declare_config(make_node('names:=[]'), Config).names == ()


def test_a_prefix_gives_several_of_a_kind(make_node):
    node = make_node('camera.left.gain:=0.5')
    declare_config(node, Config)
    assert declare_config(node, Inner, 'camera.left.') == Inner(0.5)
    assert declare_config(node, Inner, 'camera.right.') == Inner(1.0)
    refuse_unknown_parameters(node)


@pytest.mark.parametrize(('override', 'message'), [
    ('rate:=0.1', 'rate = 0.1 is not allowed: 0.5 to inf Hz'),
    ('rate:=fast', "rate = 'fast' is not allowed: a float, 0.5 to inf Hz"),
    ('count:=2.5', 'count = 2.5 is not allowed: an int'),
    ('mode:=odd', "mode = 'odd' is not allowed: one of slow, fast"),
    ('weights:=[1.0, -1.0]', r'weights = -1.0 is not allowed: 0 to inf'),
    ('inner.gain:=3.0', 'inner.gain = 3.0 is not allowed: 0 to 2 m'),
])
def test_a_wrong_value_is_named_with_its_range(make_node, override, message):
    with pytest.raises(ConfigurationError, match=message):
        declare_config(make_node(override), Config)


def test_an_unknown_parameter_is_refused_with_the_one_it_looks_like(make_node):
    node = make_node('rat:=2.0', 'use_sim_time:=true')
    declare_config(node, Config)
    with pytest.raises(ConfigurationError, match=r'rat = 2.0 .* unknown key, did you mean rate'):
        refuse_unknown_parameters(node)


def test_parameters_describe_themselves_and_cannot_be_changed(make_node):
    node = make_node()
    declare_config(node, Config)
    gain = node.describe_parameter('inner.gain')
    limits = gain.floating_point_range[0]
    assert gain.description == 'Gain. [m]'
    assert gain.additional_constraints == '0 to 2 m'
    assert (limits.from_value, limits.to_value) == (0, 2)
    count = node.describe_parameter('count').integer_range[0]
    assert (count.from_value, count.to_value) == (1, 4)
    result = node.set_parameters([Parameter('count', value=2)])[0]
    assert not result.successful
    assert node.get_parameter('count').value == 3
