"""The stand-in for message_filters: what its documentation and its upstream tests promise."""

import os
import random
import threading
import time
import types

import message_filters
from message_filters import (
    ApproximateTimeSynchronizer,
    Cache,
    SimpleFilter,
    Subscriber,
    TimeSynchronizer,
)
import pytest
from rclpy.clock import ROSClock
from rclpy.duration import Duration
from rclpy.time import Time
from std_msgs.msg import Header


def message(seconds, data=None):
    """Return something with a header, `seconds` a number or a Time."""
    stamp = seconds if isinstance(seconds, Time) else Time(seconds=seconds).to_msg()
    return types.SimpleNamespace(header=types.SimpleNamespace(stamp=stamp), data=data)


def ros(seconds):
    return Time.from_msg(Time(seconds=seconds).to_msg())


@pytest.fixture
def collected():
    return []


@pytest.fixture
def collect(collected):
    return lambda *messages: collected.append(messages)


def test_filters_pass_messages_and_their_own_arguments(collected, collect):
    source = SimpleFilter()
    assert source.registerCallback(collect) == 0
    assert source.registerCallback(collect, 'a', 1) == 1
    source.signalMessage('message', 'more')
    assert collected == [('message', 'more'), ('message', 'more', 'a', 1)]


@pytest.fixture
def cache():
    source = SimpleFilter()
    cache = Cache(source, 5)
    for seconds in (1, 3, 2, 4, 5, 6):
        source.signalMessage(message(seconds, seconds))
    return cache


def test_cache_keeps_the_newest_in_order(cache):
    assert [m.data for m in cache.getInterval(ros(0), ros(9))] == [2, 3, 4, 5, 6]
    assert cache.getOldestTime() == ros(2)
    assert cache.getLatestTime() == cache.getLastestTime() == ros(6)
    assert cache.getLast().data == 6


def test_cache_intervals_include_both_ends(cache):
    assert [m.data for m in cache.getInterval(ros(3), ros(5))] == [3, 4, 5]
    assert cache.getInterval(ros(3.1), ros(3.9)) == []
    with pytest.raises(AssertionError):
        cache.getInterval(ros(5), ros(3))


def test_cache_finds_neighbours_in_time(cache):
    assert cache.getElemBeforeTime(ros(3.5)).data == 3
    assert cache.getElemBeforeTime(ros(3)).data == 3
    assert cache.getElemAfterTime(ros(3.5)).data == 4
    assert cache.getElemAfterTime(ros(3)).data == 3
    assert cache.getElemBeforeTime(ros(1.9)) is None
    assert cache.getElemAfterTime(ros(6.1)) is None


def test_empty_cache_has_nothing():
    cache = Cache(SimpleFilter())
    assert cache.getOldestTime() is cache.getLatestTime() is cache.getLast() is None
    assert cache.cache_size == 1


def test_cache_passes_messages_on(collected, collect):
    source = SimpleFilter()
    Cache(source, 2).registerCallback(collect)
    sent = message(1)
    source.signalMessage(sent)
    assert collected == [(sent,)]


def test_cache_takes_messages_without_a_stamp_only_if_told_to(collected, collect):
    source = SimpleFilter()
    strict, lenient = Cache(source, 2), Cache(source, 2, allow_headerless=True)
    strict.registerCallback(collect)
    before = ROSClock().now()
    source.signalMessage('no header')
    assert strict.getLast() is None
    assert collected == []
    assert lenient.getLast() == 'no header'
    assert before <= lenient.getLatestTime() <= ROSClock().now()


@pytest.mark.parametrize('make', [
    TimeSynchronizer, lambda fs, size: ApproximateTimeSynchronizer(fs, size, 0.1),
])
def test_messages_of_one_stamp_meet_in_any_order(make, collected, collect):
    generator = random.Random(0)
    for count in range(1, 10):
        filters = SimpleFilter(), SimpleFilter()
        make(filters, count).registerCallback(collect)
        first, second = ([message(t, (k, t)) for t in range(count)] for k in (0, 1))
        for sent in generator.sample(first, count):
            filters[0].signalMessage(sent)
        assert collected == []
        for sent in generator.sample(second, count):
            filters[1].signalMessage(sent)
        pairs = sorted((a.data, b.data) for a, b in collected)
        assert pairs == [((0, t), (1, t)) for t in range(count)]
        collected.clear()


def test_exact_synchroniser_ignores_near_stamps(collected, collect):
    filters = [SimpleFilter() for _ in range(3)]
    TimeSynchronizer(filters, 3).registerCallback(collect)
    for index, seconds in enumerate((1.0, 1.0, 1.001)):
        filters[index].signalMessage(message(seconds, index))
    assert collected == []
    filters[2].signalMessage(message(1.0, 'late'))
    assert [m.data for m in collected[0]] == [0, 1, 'late']


def test_queue_drops_the_oldest_stamps(collected, collect):
    filters = SimpleFilter(), SimpleFilter()
    TimeSynchronizer(filters, 2).registerCallback(collect)
    for seconds in (1, 2, 3):
        filters[0].signalMessage(message(seconds))
    filters[1].signalMessage(message(1))
    assert collected == []
    filters[1].signalMessage(message(2))
    assert len(collected) == 1


def test_approximate_synchroniser_takes_the_nearest_within_the_slop(collected, collect):
    filters = SimpleFilter(), SimpleFilter()
    ApproximateTimeSynchronizer(filters, 10, 0.05).registerCallback(collect)
    for seconds in (1.0, 1.03, 1.2):
        filters[0].signalMessage(message(seconds, seconds))
    filters[1].signalMessage(message(1.02, 1.02))
    filters[1].signalMessage(message(1.26, 1.26))
    filters[1].signalMessage(message(1.21, 1.21))
    assert [tuple(m.data for m in pair) for pair in collected] == [(1.03, 1.02), (1.2, 1.21)]


def test_approximate_synchroniser_keeps_the_whole_set_within_the_slop(collected, collect):
    filters = [SimpleFilter() for _ in range(3)]
    ApproximateTimeSynchronizer(filters, 10, 0.1).registerCallback(collect)
    filters[0].signalMessage(message(1.0))
    filters[1].signalMessage(message(1.12))
    filters[2].signalMessage(message(1.06))  # Near to both, which are not near to each other.
    assert collected == []
    filters[1].signalMessage(message(1.05))
    assert len(collected) == 1


def test_approximate_synchroniser_takes_headerless_messages(collected, collect):
    filters = SimpleFilter(), SimpleFilter()
    ApproximateTimeSynchronizer(filters, 3, 10, allow_headerless=True).registerCallback(collect)
    stamps = [ROSClock().now() + Duration(seconds=t) for t in range(3)]
    for stamp in stamps:
        filters[0].signalMessage(message(stamp))
    for index in range(3):
        filters[1].signalMessage(index)
    assert [b for _, b in collected] == [0, 1, 2]
    assert [a.header.stamp for a, _ in collected] == stamps


@pytest.mark.parametrize('make', [
    TimeSynchronizer, lambda fs, size: ApproximateTimeSynchronizer(fs, size, 0.1),
])
def test_callback_that_raises_or_calls_again_blocks_nothing(make):
    filters = SimpleFilter(), SimpleFilter()
    synchroniser = make(filters, 5)
    calls = []

    def callback(first, second):
        calls.append(first.data)
        if first.data == 1:
            raise ValueError('from the callback')
        if first.data == 2:
            send(3)

    def send(seconds):
        filters[0].signalMessage(message(seconds, seconds))
        filters[1].signalMessage(message(seconds, seconds))

    synchroniser.registerCallback(callback)
    with pytest.raises(ValueError, match='from the callback'):
        send(1)
    worker = threading.Thread(target=send, args=(2,), daemon=True)
    worker.start()
    worker.join(5)
    assert not worker.is_alive()
    assert calls == [1, 2, 3]
    assert all(not queue for queue in synchroniser.queues)


def test_what_is_not_provided_says_so():
    with pytest.raises(NotImplementedError, match=r'message_filters.Chain'):
        message_filters.Chain  # noqa: B018
    assert not hasattr(message_filters, 'nonsense')


@pytest.mark.ros
def test_subscriber_passes_what_is_published():
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import qos_profile_sensor_data

    context = rclpy.Context()
    context.init(domain_id=20 + os.getpid() % 80)
    node = rclpy.create_node('filters', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    subscriber = Subscriber(node, Header, 'topic', qos_profile=qos_profile_sensor_data)
    received = []
    subscriber.registerCallback(received.append)
    publisher = node.create_publisher(Header, 'topic', 10)
    end = time.monotonic() + 10
    while not received and time.monotonic() < end:
        publisher.publish(Header(frame_id='hello'))
        executor.spin_once(timeout_sec=0.1)
    assert received[0].frame_id == 'hello'
    assert subscriber.getTopic() == 'topic'
    assert subscriber.topic_name == '/topic'
    assert not hasattr(subscriber, 'nonsense')
    executor.shutdown()
    context.try_shutdown()
