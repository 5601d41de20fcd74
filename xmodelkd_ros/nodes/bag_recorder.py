"""Records live topics to a bag, which is complete when the node is interrupted or idle."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import dataclasses
import functools
import sys
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future

from .node_main import run_node
from .parameters import declare_config, refuse_unknown_parameters, require_topic_names
from ..bags.qos import offered_qos
from ..bags.reader import message_class
from ..bags.recording import StorageConfig
from ..bags.writer import BagWriter
from ..config import setting
from ..errors import BagError, ConfigurationError

_LOOK_PERIOD = 0.1
_DEPTH = 100


@dataclasses.dataclass(frozen=True)
class RecorderConfig(StorageConfig):
    """Parameters of the node."""

    bag: str = setting('', "the bag's folder, which must not exist")
    topics: list[str] = setting([], 'topics to record, each as soon as it is published')
    idle_timeout: float = setting(
        0.0, 'ends the recording when nothing has come for so long after the first message, '
        '0 for never', unit='s', low=0.0)


class BagRecorder(Node):
    """Writes messages as they arrive, serialised, with the node's time as their log time."""

    def __init__(self) -> None:
        super().__init__('bag_recorder')
        self._config = declare_config(self, RecorderConfig)
        refuse_unknown_parameters(self)
        if not self._config.bag:
            raise ConfigurationError('bag', '', 'the path of a new bag')
        if not self._config.topics:
            raise ConfigurationError('topics', [], 'at least one topic')
        require_topic_names(self, 'topics', self._config.topics)
        self._waiting = {self.resolve_topic_name(name) for name in self._config.topics}
        self._files = contextlib.ExitStack()
        self._writer = self._files.enter_context(BagWriter(
            self._config.bag, self._config.storage, self._config.compression))
        self._last: float | None = None
        self.finished = Future()
        self.create_timer(_LOOK_PERIOD, self._look)

    def _look(self) -> None:
        """Subscribe to topics that have appeared; end when idle."""
        types = dict(self.get_topic_names_and_types())
        for topic in sorted(self._waiting & set(types)):
            if publishers := self.get_publishers_info_by_topic(topic):
                self._subscribe(topic, types[topic][0], [p.qos_profile for p in publishers])
        idle = self._config.idle_timeout
        if idle and self._last is not None and time.monotonic() - self._last > idle:
            self.finished.set_result(None)

    def _subscribe(self, topic: str, type_name: str, offered: list[QoSProfile]) -> None:
        profile = QoSProfile(depth=_DEPTH)
        if any(qos.reliability == ReliabilityPolicy.BEST_EFFORT for qos in offered):
            profile.reliability = ReliabilityPolicy.BEST_EFFORT
        if all(qos.durability == DurabilityPolicy.TRANSIENT_LOCAL for qos in offered):
            profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
        self._waiting.remove(topic)
        self._writer.add_topic(topic, type_name, offered_qos(profile))
        record = functools.partial(self._record, topic, type_name)
        self.create_subscription(message_class(type_name), topic, record, profile, raw=True)

    def _record(self, topic: str, type_name: str, data: Any) -> None:
        self._last = time.monotonic()
        try:
            self._writer.write_raw(topic, type_name, data, self.get_clock().now().nanoseconds)
        except BagError as error:
            self._files.pop_all().__exit__(type(error), error, None)
            raise

    def destroy_node(self) -> None:
        """Complete the bag and say what is in it."""
        self._files.close()
        for topic, count in sorted(self._writer.counts.items()):
            print(f'{count:8d}  {topic}')
        for topic in sorted(self._waiting):
            print(f'   never  {topic}')
        print(f'recorded to {self._config.bag}', flush=True)
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> int:
    """Run the node."""
    return run_node(BagRecorder, args)


if __name__ == '__main__':
    sys.exit(main())
