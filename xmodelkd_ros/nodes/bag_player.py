"""Plays a bag to live topics: paced by its log times, or by the consumer, with /clock."""

from __future__ import annotations

from collections.abc import Sequence
import os
from pathlib import Path
import sys
import threading

from rclpy.exceptions import NameValidationException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2

from .node_main import run_node
from .parameters import declare_config, refuse_unknown_parameters, require_topic_names
from .playback import Playback
from .player_config import PlayerConfig
from ..bags.reader import BagReader, message_class, Topic
from ..errors import BagError, ConfigurationError
from ..messages.stamps import stamp_message

_LATCHED_LIMIT = 1000
_DISCOVERY = 0.3


class BagPlayer(Node):
    """
    Plays a bag and ends.

    Messages are published as they are stored, their stamps unchanged, reliably, and latched
    where they were when they were recorded.
    """

    def __init__(self) -> None:
        super().__init__('bag_player')
        self._config = declare_config(self, PlayerConfig)
        refuse_unknown_parameters(self)
        if not self._config.bag:
            raise ConfigurationError('bag', '', 'the path of a bag')
        require_topic_names(self, 'wait_for_subscribers', self._config.wait_for_subscribers)
        require_topic_names(self, 'wait_for', [self._config.wait_for or '/none'])
        self._bag = BagReader(self._config.bag)
        self._outputs = self._make_outputs()
        self._check()
        self._clock_publisher = self.create_publisher(Clock, '/clock', 10)
        self._playback = Playback(
            self._bag, {name: output.publish for name, output in self._outputs.items()},
            self._publish_clock, self._config)
        if self._config.wait_for:
            self.create_subscription(
                PointCloud2, self._config.wait_for, self._playback.answer, 10, raw=True)
        self.finished = Future()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _make_outputs(self) -> dict[str, Publisher]:
        """Return a publisher for each topic, without those of an unknown type or odd name."""
        wanted = self._config.topics or [t for t in self._bag.topics if t != '/clock']
        outputs = {}
        for name in wanted:
            try:
                outputs[name] = self._publisher(name, self._bag.require(name))
            except (BagError, NameValidationException) as error:
                if self._config.topics:
                    raise
                reason = ' '.join(str(error).split())
                self.get_logger().warning(f'{name} is not played: {reason}')
        return outputs

    def _publisher(self, name: str, topic: Topic) -> Publisher:
        profile = QoSProfile(depth=10)
        if topic.latched:
            profile.depth = min(max(topic.count, 1), _LATCHED_LIMIT)
            profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
        return self.create_publisher(message_class(topic.type_name), name, profile)

    def _check(self) -> None:
        duration = (self._bag.end - self._bag.start) / 1e9
        if self._config.start_offset > duration:
            offset = self._config.start_offset
            raise ConfigurationError('start_offset', offset, f'0 to {duration:.3f} s')
        if self._config.report and not _can_be_written(Path(self._config.report)):
            raise ConfigurationError('report', self._config.report, 'a file that can be written')
        if self._config.wait_for and self._config.reference not in self._outputs:
            raise ConfigurationError(
                'reference', self._config.reference, 'one of ' + ', '.join(self._outputs))

    def _run(self) -> None:
        try:
            self._wait_for_subscribers()
            self._playback.run()
        except Exception as error:
            if self.context.ok():  # else publishing failed because the end has come
                self.finished.set_exception(error)
        else:
            self.finished.set_result(None)

    def _wait_for_subscribers(self) -> None:
        awaited, stopped = self._config.wait_for_subscribers, self._playback.stopped
        while not stopped.is_set() and not all(map(self.count_subscribers, awaited)):
            stopped.wait(0.05)
        if awaited:
            stopped.wait(_DISCOVERY)  # until they know of the publishers, too

    def _publish_clock(self, stamp: int) -> None:
        self._clock_publisher.publish(Clock(clock=stamp_message(stamp)))

    def destroy_node(self) -> None:
        """Stop playing, say what was played, and close the bag."""
        self._playback.stop()
        self._thread.join()
        print(self._playback.summary(), flush=True)
        self._playback.write_report()
        self._bag.__exit__(None, None, None)
        super().destroy_node()


def _can_be_written(path: Path) -> bool:
    return not path.is_dir() and os.access(path if path.exists() else path.parent, os.W_OK)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node."""
    return run_node(BagPlayer, args)


if __name__ == '__main__':
    sys.exit(main())
