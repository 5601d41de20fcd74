"""The stand-in for tf2_ros: what its documentation and its upstream tests promise."""

import os
import threading
import time

from geometry_msgs.msg import TransformStamped
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from pytransform3d import transformations
from rclpy.duration import Duration
from rclpy.time import Time
import tf2_ros
from tf2_ros import (
    Buffer,
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
)

SECOND = 1_000_000_000
IDENTITY = (0.0, 0.0, 0.0, 1.0)


def message(parent, child, stamp, translation=(42.0, -3.14, 0.0), rotation=IDENTITY):
    """Return what takes points of `child` to `parent`, `stamp` in s."""
    result = TransformStamped(child_frame_id=child)
    result.header.frame_id = parent
    result.header.stamp = Time(nanoseconds=round(stamp * SECOND)).to_msg()
    move, turn = result.transform.translation, result.transform.rotation
    move.x, move.y, move.z = map(float, translation)
    turn.x, turn.y, turn.z, turn.w = map(float, rotation)
    return result


def at(stamp):
    return Time(nanoseconds=round(stamp * SECOND))


def matrix(result):
    move, turn = result.transform.translation, result.transform.rotation
    return transformations.transform_from_pq(
        [move.x, move.y, move.z, turn.w, turn.x, turn.y, turn.z]
    )


def about_z(angle):
    return (0.0, 0.0, np.sin(angle / 2), np.cos(angle / 2))


@pytest.fixture
def buffer():
    return Buffer()


def test_what_was_set_comes_back(buffer):
    sent = message('foo', 'bar', 1.0)
    assert buffer.set_transform(sent, 'test') is None
    assert buffer.can_transform('foo', 'bar', at(1.0)) is True
    assert buffer.lookup_transform('foo', 'bar', at(1.0)) == sent
    assert buffer.lookup_transform('foo', 'bar', at(1.0).to_msg()) == sent
    assert buffer.lookup_transform_full('foo', at(1.0), 'bar', at(1.0), 'foo') == sent


def test_header_names_target_source_and_stamp(buffer):
    buffer.set_transform(message('foo', 'bar', 1.0), 'test')
    found = buffer.lookup_transform('bar', 'foo', at(1.0))
    assert (found.header.frame_id, found.child_frame_id) == ('bar', 'foo')
    assert Time.from_msg(found.header.stamp).nanoseconds == SECOND
    assert found.transform.translation.x == -42.0


def test_static_transform_holds_at_any_time(buffer):
    buffer.set_transform_static(message('foo', 'bar', 1.1), 'test')
    found = buffer.lookup_transform('foo', 'bar', at(1.5))
    assert Time.from_msg(found.header.stamp).nanoseconds == 1.5 * SECOND
    assert found.transform.translation.x == 42.0
    latest = buffer.lookup_transform('foo', 'bar', Time())
    assert Time.from_msg(latest.header.stamp).nanoseconds == 0


@pytest.mark.parametrize(('stamps', 'asked', 'text'), [
    ((0.2, 0.3), 0.1, 'extrapolation into the past.  Requested time 0.100000 but the earliest '
     'data is at time 0.200000'),
    ((0.3, 0.2), 0.4, 'extrapolation into the future.  Requested time 0.400000 but the latest '
     'data is at time 0.300000'),
    ((0.2,), 0.4, 'extrapolation at time 0.400000, but only time 0.200000 is in the buffer'),
])
def test_nothing_is_extrapolated(buffer, stamps, asked, text):
    for stamp in stamps:
        buffer.set_transform(message('foo', 'bar', stamp), 'test')
    with pytest.raises(ExtrapolationException, match='Lookup would require') as caught:
        buffer.lookup_transform('foo', 'bar', at(asked))
    assert text in str(caught.value)
    assert 'when looking up transform from frame [bar] to frame [foo]' in str(caught.value)
    possible, reason = buffer.can_transform('foo', 'bar', at(asked), return_debug_tuple=True)
    assert not possible
    assert text in reason


def test_extrapolation_beyond_the_common_ancestor_does_not_matter(buffer):
    buffer.set_transform(message('odom', 'base', 1.0), 'test')
    buffer.set_transform_static(message('base', 'lidar', 0.0, (1, 0, 0)), 'test')
    buffer.set_transform_static(message('base', 'camera', 0.0, (3, 0, 0)), 'test')
    found = buffer.lookup_transform('camera', 'lidar', at(99.0))
    assert found.transform.translation.x == -2.0
    assert buffer.lookup_transform('base', 'lidar', at(99.0)).transform.translation.x == 1.0
    with pytest.raises(ExtrapolationException):
        buffer.lookup_transform('odom', 'lidar', at(99.0))
    with pytest.raises(ExtrapolationException):
        buffer.lookup_transform('lidar', 'odom', at(99.0))


def test_unknown_and_impossible_frames(buffer):
    buffer.set_transform(message('foo', 'bar', 1.0), 'test')
    with pytest.raises(LookupException, match='"baz" passed to lookupTransform argument '
                       'target_frame does not exist'):
        buffer.lookup_transform('baz', 'bar', at(1.0))
    with pytest.raises(InvalidArgumentException, match='frame_ids cannot be empty'):
        buffer.lookup_transform('foo', '', at(1.0))
    with pytest.raises(InvalidArgumentException, match="cannot start with a '/'"):
        buffer.lookup_transform('/foo', 'bar', at(1.0))
    assert buffer.can_transform('baz', 'bar', at(1.0)) is False
    assert issubclass(LookupException, TransformException)


def test_two_trees_are_not_connected(buffer):
    buffer.set_transform(message('a', 'b', 1.0), 'test')
    buffer.set_transform(message('c', 'd', 1.0), 'test')
    for stamp in (at(1.0), Time()):
        with pytest.raises(ConnectivityException, match="connection between 'b' and 'd'"):
            buffer.lookup_transform('b', 'd', stamp)


def test_loop_is_an_error_not_a_hang(buffer):
    buffer.set_transform_static(message('a', 'b', 1.0), 'test')
    buffer.set_transform_static(message('b', 'a', 1.0), 'test')
    buffer.set_transform_static(message('c', 'd', 1.0), 'test')
    with pytest.raises(LookupException, match='contains a loop'):
        buffer.lookup_transform('d', 'a', at(1.0))


def test_frame_to_itself_needs_no_data(buffer):
    assert np.array_equal(matrix(buffer.lookup_transform('x', 'x', at(5.0))), np.eye(4))
    assert buffer.can_transform('x', 'x', at(5.0))


def test_time_zero_is_the_latest_common_time(buffer):
    for stamp in (1.0, 2.0, 3.0):
        buffer.set_transform(message('odom', 'base', stamp, (stamp, 0, 0)), 'test')
    for stamp in (1.0, 2.5):
        buffer.set_transform(message('base', 'arm', stamp, (0, stamp, 0)), 'test')
    buffer.set_transform_static(message('arm', 'hand', 9.0, (0, 0, 1)), 'test')
    found = buffer.lookup_transform('odom', 'hand', Time())
    assert Time.from_msg(found.header.stamp).nanoseconds == 2.5 * SECOND
    assert matrix(found)[:3, 3] == pytest.approx([2.5, 2.5, 1.0])
    near = buffer.lookup_transform('base', 'hand', Time())
    assert Time.from_msg(near.header.stamp).nanoseconds == 2.5 * SECOND


def test_full_lookup_goes_through_the_fixed_frame_at_two_times(buffer):
    for stamp, angle in ((1.0, 0.0), (2.0, np.pi / 2)):
        buffer.set_transform(message('odom', 'base', stamp, (stamp, 0, 0), about_z(angle)), 'test')
    buffer.set_transform_static(message('base', 'lidar', 0.0, (0, 1, 0)), 'test')
    found = buffer.lookup_transform_full('base', at(2.0), 'lidar', at(1.0), 'odom')
    # The lidar was at (1, 1) in odom; seen from the base, at (2, 0) and turned left.
    assert matrix(found)[:3, 3] == pytest.approx([1.0, 1.0, 0.0])
    assert Time.from_msg(found.header.stamp).nanoseconds == 2 * SECOND
    assert buffer.can_transform_full('base', at(2.0), 'lidar', at(1.0), 'odom')
    possible, reason = buffer.can_transform_full(
        'base', at(2.0), 'lidar', at(0.5), 'odom', return_debug_tuple=True
    )
    assert not possible
    assert 'into the past' in reason


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.0))
@settings(max_examples=60, deadline=None)
def test_chains_and_interpolation_equal_matrices(seed, share):
    random = np.random.default_rng(seed)
    buffer = Buffer()
    parents = {'a': 'root', 'b': 'a', 'c': 'root', 'd': 'c'}
    poses = {}
    for child, parent in parents.items():
        ends = random.normal(size=(2, 7))
        ends[:, 3:] /= np.linalg.norm(ends[:, 3:], axis=1, keepdims=True)
        for stamp, (x, y, z, qw, qx, qy, qz) in zip((1.0, 2.0), ends, strict=True):
            buffer.set_transform(message(parent, child, stamp, (x, y, z), (qx, qy, qz, qw)), 't')
        poses[child] = transformations.transform_from_pq(transformations.pq_slerp(
            ends[0], ends[1] * np.sign(np.r_[1, 1, 1, [ends[0, 3:] @ ends[1, 3:]] * 4]), share
        ))
    root_from_b = poses['a'] @ poses['b']
    root_from_d = poses['c'] @ poses['d']
    stamp = Time(nanoseconds=SECOND + round(share * SECOND))
    found = buffer.lookup_transform('d', 'b', stamp)
    assert matrix(found) == pytest.approx(np.linalg.inv(root_from_d) @ root_from_b, abs=1e-6)
    assert matrix(buffer.lookup_transform('root', 'b', stamp)) == pytest.approx(
        root_from_b, abs=1e-6
    )
    turn = found.transform.rotation
    assert np.hypot(np.hypot(turn.x, turn.y), np.hypot(turn.z, turn.w)) == pytest.approx(1)


def test_old_transforms_are_forgotten_and_refused(buffer):
    buffer = Buffer(cache_time=Duration(seconds=2))
    for stamp in (1.0, 2.0, 3.0, 4.0, 5.0):
        buffer.set_transform(message('foo', 'bar', stamp, (stamp, 0, 0)), 'test')
    assert buffer.can_transform('foo', 'bar', at(3.0))
    assert not buffer.can_transform('foo', 'bar', at(2.9))
    buffer.set_transform(message('foo', 'bar', 1.0), 'test')
    assert not buffer.can_transform('foo', 'bar', at(2.9))
    assert buffer.lookup_transform('foo', 'bar', at(3.5)).transform.translation.x == 3.5


def test_same_stamp_again_replaces(buffer):
    buffer.set_transform(message('foo', 'bar', 1.0, (1, 0, 0)), 'test')
    buffer.set_transform(message('foo', 'bar', 1.0, (2, 0, 0)), 'test')
    assert buffer.lookup_transform('foo', 'bar', at(1.0)).transform.translation.x == 2.0


def test_clear_keeps_static_transforms(buffer):
    buffer.set_transform(message('odom', 'base', 5.0), 'test')
    buffer.set_transform_static(message('base', 'lidar', 0.0), 'test')
    buffer.clear()
    assert buffer.can_transform('base', 'lidar', at(1.0))
    assert not buffer.can_transform('odom', 'base', at(5.0))
    buffer.set_transform(message('odom', 'base', 1.0), 'test')
    assert buffer.can_transform('odom', 'lidar', at(1.0))


@pytest.mark.parametrize('broken', [
    message('foo', 'bar', 1.0, (np.nan, 0, 0)),
    message('foo', 'bar', 1.0, rotation=(0, 0, 0, 0)),
    message('foo', 'bar', 1.0, rotation=(0, 0, 0, 1.1)),
    message('foo', 'foo', 1.0),
    message('', 'bar', 1.0),
    message('foo', '', 1.0),
])
def test_impossible_transforms_are_ignored(buffer, broken):
    buffer.set_transform(broken, 'test')
    assert not buffer.can_transform('foo', 'bar', at(1.0))


def test_waiting_ends_when_the_transform_comes(buffer):
    threading.Timer(0.1, buffer.set_transform, (message('foo', 'bar', 1.0), 'test')).start()
    start = time.monotonic()
    assert buffer.can_transform('foo', 'bar', at(1.0), timeout=Duration(seconds=10))
    assert 0.05 < time.monotonic() - start < 5
    with pytest.raises(LookupException):
        buffer.lookup_transform('foo', 'baz', at(1.0), timeout=Duration(seconds=0.05))


def test_what_is_not_provided_says_so(buffer):
    for name in ('all_frames_as_yaml', 'lookup_transform_async', 'transform'):
        with pytest.raises(NotImplementedError, match=f'tf2_ros.Buffer.{name}'):
            getattr(buffer, name)
    with pytest.raises(NotImplementedError, match=r'tf2_ros.BufferClient'):
        tf2_ros.BufferClient  # noqa: B018
    assert not hasattr(tf2_ros, 'nonsense')
    assert not hasattr(buffer, 'nonsense')


@pytest.fixture
def nodes():
    """Return a node that listens and one that sends, and a function that spins both."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    context = rclpy.Context()
    context.init(domain_id=20 + os.getpid() % 80)
    executor = SingleThreadedExecutor(context=context)
    pair = [rclpy.create_node(name, context=context) for name in ('listener', 'sender')]
    for node in pair:
        executor.add_node(node)

    def spin_until(condition):
        end = time.monotonic() + 10
        while not condition() and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
        assert condition()

    yield *pair, spin_until
    executor.shutdown()
    context.try_shutdown()


@pytest.mark.ros
def test_broadcast_transforms_reach_the_buffer(nodes):
    listening, sending, spin_until = nodes
    buffer = Buffer(node=listening)
    static = tf2_ros.StaticTransformBroadcaster(sending)
    static.sendTransform(message('base', 'lidar', 0.0, (1, 0, 0)))
    static.sendTransform([message('base', 'camera', 0.0, (2, 0, 0))])
    static.sendTransform(message('base', 'lidar', 0.0, (5, 0, 0)))
    # Comes later: the static transforms are sent again, all of them, with their newest values.
    listener = tf2_ros.TransformListener(buffer, listening)
    spin_until(lambda: buffer.can_transform('camera', 'lidar', Time()))
    assert buffer.lookup_transform('camera', 'lidar', Time()).transform.translation.x == 3.0
    moving = tf2_ros.TransformBroadcaster(sending)
    spin_until(lambda: moving.pub_tf.get_subscription_count() == 1)
    sent = message('odom', 'base', 1.0)
    moving.sendTransform(sent)
    spin_until(lambda: buffer.can_transform('odom', 'base', at(1.0)))
    assert buffer.lookup_transform('odom', 'base', at(1.0)) == sent
    listener.unregister()


@pytest.mark.ros
def test_clock_that_jumps_back_clears_the_buffer(nodes):
    from rclpy.parameter import Parameter
    from rosgraph_msgs.msg import Clock

    listening, sending, spin_until = nodes
    listening.set_parameters([Parameter('use_sim_time', value=True)])
    buffer = Buffer(node=listening)
    clock = sending.create_publisher(Clock, '/clock', 10)
    spin_until(lambda: clock.get_subscription_count() == 1)
    clock.publish(Clock(clock=at(50.0).to_msg()))
    spin_until(lambda: listening.get_clock().now().nanoseconds == 50 * SECOND)
    buffer.set_transform(message('foo', 'bar', 49.0), 'test')
    clock.publish(Clock(clock=at(10.0).to_msg()))
    spin_until(lambda: listening.get_clock().now().nanoseconds == 10 * SECOND)
    assert not buffer.can_transform('foo', 'bar', at(49.0))
