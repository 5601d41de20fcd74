"""
Queueing and pairing of messages by their stamps: a stand-in for ROS's package of this name.

It holds no lock while it calls back, so a callback may raise or call the filter again.
"""

from bisect import bisect_right
from functools import reduce
import itertools
import threading

from rclpy.clock import ROSClock
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.time import Time

__all__ = [
    'ApproximateTimeSynchronizer',
    'Cache',
    'SimpleFilter',
    'Subscriber',
    'TimeSynchronizer',
]


def __getattr__(name):
    """Say by name what this stand-in does not provide."""
    if name in ('Chain', 'DeltaFilter', 'InputAligner', 'LatestTimeSynchronizer'):
        raise NotImplementedError(f'message_filters.{name}')
    raise AttributeError(name)


class SimpleFilter:
    """Calls registered functions with what it puts out."""

    def __init__(self):
        self.callbacks = {}

    def registerCallback(self, cb, *args):  # noqa: N802
        """Call `cb` with each output, followed by `args`; return the number of the connection."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg):  # noqa: N802
        """Pass an output on."""
        for callback, arguments in list(self.callbacks.values()):
            callback(*msg, *arguments)


class Subscriber(SimpleFilter):
    """A subscription whose messages are passed on; options as of `create_subscription`."""

    def __init__(self, node, msg_type, topic, qos_profile=10, **kwargs):
        super().__init__()
        self.node, self.topic = node, topic
        self.sub = node.create_subscription(
            msg_type, topic, self.callback, qos_profile=qos_profile, **kwargs
        )

    def callback(self, msg):
        """Pass a received message on."""
        self.signalMessage(msg)

    def getTopic(self):  # noqa: N802
        """Return the topic as it was given."""
        return self.topic

    def __getattr__(self, key):
        """Offer the subscription's own attributes."""
        if key == 'sub':
            raise AttributeError(key)
        return getattr(self.sub, key)


class Cache(SimpleFilter):
    """
    Keeps the `cache_size` newest messages, ordered by stamp, and passes each message on.

    Messages without a stamp are refused, or with `allow_headerless` take the time of arrival.
    """

    def __init__(self, f, cache_size=1, allow_headerless=False):
        super().__init__()
        self.cache_size = cache_size
        self.allow_headerless = allow_headerless
        self.cache_msgs = []
        self.cache_times = []
        self._lock = threading.Lock()
        self.connectInput(f)

    def connectInput(self, f):  # noqa: N802
        """Take messages from the filter `f`."""
        self.incoming_connection = f.registerCallback(self.add)

    def add(self, msg):
        """Keep a message and pass it on."""
        stamp = _stamp(msg, self.allow_headerless)
        if stamp is None:
            return
        with self._lock:
            place = bisect_right(self.cache_times, stamp)
            self.cache_times.insert(place, stamp)
            self.cache_msgs.insert(place, msg)
            del self.cache_times[: -self.cache_size], self.cache_msgs[: -self.cache_size]
        self.signalMessage(msg)

    def getInterval(self, from_stamp, to_stamp):  # noqa: N802
        """Return the messages from one stamp to another, both included."""
        assert from_stamp <= to_stamp
        return [msg for time, msg in self._content() if from_stamp <= time <= to_stamp]

    def getElemAfterTime(self, stamp):  # noqa: N802
        """Return the oldest message at or after a stamp, or None."""
        return next((msg for time, msg in self._content() if time >= stamp), None)

    def getElemBeforeTime(self, stamp):  # noqa: N802
        """Return the newest message at or before a stamp, or None."""
        return next((msg for time, msg in reversed(self._content()) if time <= stamp), None)

    def getLatestTime(self):  # noqa: N802
        """Return the newest stamp, or None."""
        content = self._content()
        return content[-1][0] if content else None

    getLastestTime = getLatestTime  # noqa: N815

    def getOldestTime(self):  # noqa: N802
        """Return the oldest stamp, or None."""
        content = self._content()
        return content[0][0] if content else None

    def getLast(self):  # noqa: N802
        """Return the newest message, or None."""
        content = self._content()
        return content[-1][1] if content else None

    def _content(self):
        with self._lock:
            return list(zip(self.cache_times, self.cache_msgs, strict=True))


class TimeSynchronizer(SimpleFilter):
    """
    Passes on sets of messages, one of each of the filters `fs`, that have the same stamp.

    Of each filter the `queue_size` messages with the newest stamps wait for their partners.
    """

    def __init__(self, fs, queue_size):
        super().__init__()
        self.queue_size = queue_size
        self.lock = threading.Lock()
        self.connectInput(fs)

    def connectInput(self, fs):  # noqa: N802
        """Take messages from the filters `fs`."""
        self.queues = [{} for _ in fs]
        self.input_connections = [
            f.registerCallback(self.add, queue, index)
            for index, (f, queue) in enumerate(zip(fs, self.queues, strict=True))
        ]

    def add(self, msg, my_queue, my_queue_index=None):
        """Take a message of one filter and pass on the sets that it completes."""
        with self.lock:
            self._enqueue(msg, my_queue, _stamp(msg).nanoseconds)
            common = reduce(set.intersection, map(set, self.queues))
            complete = [self._take([stamp] * len(self.queues)) for stamp in sorted(common)]
        for messages in complete:
            self.signalMessage(*messages)

    def _enqueue(self, msg, queue, stamp):
        queue[stamp] = msg
        while len(queue) > self.queue_size:
            del queue[min(queue)]

    def _take(self, stamps):
        return [queue.pop(stamp) for queue, stamp in zip(self.queues, stamps, strict=True)]


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """
    Passes on sets of messages whose stamps differ by less than `slop`, s.

    Partners nearest to the newly arrived message go first. With `allow_headerless`, messages
    without a stamp take the time of arrival.
    """

    def __init__(self, fs, queue_size, slop, allow_headerless=False):
        super().__init__(fs, queue_size)
        self.slop = Duration(seconds=slop)
        self.allow_headerless = allow_headerless

    def add(self, msg, my_queue, my_queue_index=None):
        """Take a message of one filter and pass on the set that it completes."""
        stamp = _stamp(msg, self.allow_headerless)
        if stamp is None:
            return
        with self.lock:
            self._enqueue(msg, my_queue, stamp.nanoseconds)
            stamps = self._match(stamp.nanoseconds, my_queue)
            messages = self._take(stamps) if stamps else None
        if messages:
            self.signalMessage(*messages)

    def _match(self, stamp, my_queue):
        """Return one stamp per queue, or None."""
        if stamp not in my_queue:
            return None
        slop = self.slop.nanoseconds
        candidates = [
            [stamp] if queue is my_queue else sorted(
                (other for other in queue if abs(other - stamp) <= slop),
                key=lambda other: abs(other - stamp),
            )
            for queue in self.queues
        ]
        sets = itertools.product(*candidates)
        return next((stamps for stamps in sets if max(stamps) - min(stamps) < slop), None)


def _stamp(message, allow_headerless=False):
    """Return the stamp of a message as `Time`, the time of arrival, or None if it is refused."""
    stamp = getattr(getattr(message, 'header', None), 'stamp', None)
    if stamp is not None:
        return stamp if hasattr(stamp, 'nanoseconds') else Time.from_msg(stamp)
    if allow_headerless:
        return ROSClock().now()
    get_logger('message_filters').warning(
        f'{type(message).__name__} has no stamp and is dropped: allow_headerless is not set'
    )
    return None
