"""
The node's state of health on /diagnostics, once a second.

It warns if in the last second nothing came of an input, a message was refused, or none of a
camera's images was near a cloud in time.

Status 'perception' has these keys (those of a camera and of a stage once for each):

- `state`: of the lifecycle; `device`, `device.memory_mib`, `process.memory_mib`;
- `arithmetic` of the convolutions: int8, bfloat16, float16 or float32;
- `model.point.sha256`, `model.video.sha256`;
- `points.received`, `.used`, `.late`, `.unmatched`, `.replaced`, `.refused`, `.waiting`: counts
  of clouds, received being the sum of the others; `points.lost` beside these: dropped by the
  middleware before they came, or pushed out by newer ones before the node took them;
  `points.rate_hz` of arrival;
  `points.not_finite`: points that were NaN or infinite in clouds marked as dense;
- `image.<camera>.received` and so on: the same of images;
- `image.<camera>.pair_offset.p50_ms`, `.p95_ms`, `.p99_ms`: distance in time from image to cloud;
- `output.rate_hz`: of labelled clouds;
- `stage.<stage>.p50_ms`, `.p95_ms`, `.p99_ms`: stages messages_to_arrays, point_segmenter,
  video_segmenter, tracker, projection, painting, arrays_to_message, other_outputs;
- `latency.p50_ms`, `.p95_ms`, `.p99_ms`: from the arrival of a cloud to the publication of its
  labels; `latency_from_stamp.*`: from its stamp, where that is of the node's clock;
- `tf.failures`: how often TF did not have a transform; `tf.failures.<target> <- <source>`;
- `time_jumps`: how often time jumped backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
import resource
import time

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from .logbook import Logbook
from ..messages.diagnostics import diagnostics_message, status_message

PERIOD = 1.0

SILENCE = 5
"""How many periods an active node waits before it says of which input nothing has come."""

Counts = dict[str, dict[str, int]]
"""Number of messages by input and fate, see `Ledger.counts`."""


class Diagnostics:
    """
    Publishes what the node counts and measures.

    Parameters
    ----------
    node
        Owns publisher and timer.
    cameras
        Names of the cameras.
    logbook
        What was counted and measured.
    describe
        Returns what else there is to say, by key.

    """

    def __init__(
        self,
        node: Node,
        cameras: Sequence[str],
        logbook: Logbook,
        describe: Callable[[], dict[str, object]],
    ) -> None:
        self._node, self._logbook, self._describe = node, logbook, describe
        self._sources = ['points', *(f'image.{name}' for name in cameras)]
        self._before: tuple[float, Counts] = (time.monotonic(), {})
        self._active = 0
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # ROS time stands still while a bag is paused.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(PERIOD, self._publish, clock=steady)

    def _publish(self) -> None:
        counts = {source: self._logbook.ledger.counts(source) for source in self._sources}
        recent, seconds = self._since_last(counts)
        values = {**self._describe(), **self._noted(), **rates(recent, seconds)}
        for source, fates in counts.items():
            values.update({f'{source}.{fate}': count for fate, count in fates.items()})
        self._say_silence(values['state'], counts)
        level, summary = judge(recent, values)
        status = status_message(
            self._node.get_name(), level, summary, values, str(values['device']))
        stamp = self._node.get_clock().now().nanoseconds
        self._publisher.publish(diagnostics_message([status], stamp))

    def _say_silence(self, state: object, counts: Counts) -> None:
        """Say in the log, once, of which topics nothing has come since the node is active."""
        self._active = self._active + 1 if state == 'active' else 0
        if self._active == SILENCE:
            topics = [self._logbook.ledger.topic(source)
                      for source, fates in counts.items() if not fates['received']]
            if topics:
                self._logbook.logger.warning('nothing has come on ' + ', '.join(topics))

    def _noted(self) -> dict[str, object]:
        failures = dict(self._logbook.tf_failures)
        return {
            **self._logbook.measurements.values(),
            'points.not_finite': self._logbook.not_finite,
            'time_jumps': self._logbook.time_jumps,
            'tf.failures': sum(failures.values()),
            **{f'tf.failures.{name}': count for name, count in failures.items()},
            'process.memory_mib': _resident_memory() / 2**20,
        }

    def _since_last(self, counts: Counts) -> tuple[Counts, float]:
        """Return what was counted since the last time, and how long ago that is, s."""
        now = time.monotonic()
        (then, before), self._before = self._before, (now, counts)
        recent = {source: {fate: count - before.get(source, {}).get(fate, 0)
                           for fate, count in fates.items()} for source, fates in counts.items()}
        return recent, now - then


def rates(recent: Counts, seconds: float) -> dict[str, float]:
    """Return how much came in and went out in some seconds, Hz."""
    came = {f'{source}.rate_hz': fates['received'] for source, fates in recent.items()}
    came['output.rate_hz'] = recent['points']['used']
    return {key: count / seconds for key, count in came.items()}


def judge(recent: Counts, values: Mapping[str, object]) -> tuple[str, str]:
    """
    Return level and summary.

    Parameters
    ----------
    recent
        Number of messages of the last second by input and fate.
    values
        `state` of the node and `output.rate_hz`.

    """
    if values['state'] != 'active':
        return 'stale', str(values['state'])
    troubles = {
        'nothing came': [source for source, fates in recent.items() if not fates['received']],
        'refused': [f'{fates["refused"]} {source}' for source, fates in recent.items()
                    if fates['refused']],
        'none is near a cloud in time': [
            source for source, fates in recent.items()
            if fates['unmatched'] and not fates['used'] + fates['replaced']],
    }
    found = [f'{what}: {", ".join(where)}' for what, where in troubles.items() if where]
    rate = f'{values["output.rate_hz"]:.1f} clouds per second'
    return 'warn' if found else 'ok', '; '.join([rate, *found])


def _resident_memory() -> int:
    """Return the memory of this process, bytes."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * resource.getpagesize()
