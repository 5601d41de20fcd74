"""The tables that the demo ends with, of a bag with the node's reports."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')

from xmodelkd_ros.bags.writer import BagWriter  # noqa: E402
from xmodelkd_ros.cli.demo import Show  # noqa: E402
from xmodelkd_ros.cli.demo_tables import report  # noqa: E402
from xmodelkd_ros.messages.diagnostics import diagnostics_message, status_message  # noqa: E402

SECOND = 10**9


def health(rate: float, received: int) -> dict[str, object]:
    """Return a report in which a cloud was dropped for each reason."""
    counts = {'received': received, 'used': received - 10, 'late': 1, 'unmatched': 2,
              'replaced': 3, 'refused': 4, 'waiting': 0, 'lost': 5}
    image = dict.fromkeys(counts, 0) | {'received': received, 'used': received}
    return {
        'device': 'cpu', 'points.rate_hz': rate, 'image.front.rate_hz': 2 * rate,
        'output.rate_hz': rate / 2,
        **{f'points.{fate}': count for fate, count in counts.items()},
        **{f'image.front.{fate}': count for fate, count in image.items()},
        **{f'latency.{p}_ms': 40.0 for p in ('p50', 'p95', 'p99')},
    }


def diagnostics(number: int, values: dict[str, object]):
    status = status_message('perception', 'ok', 'summary', values, 'cpu')
    return diagnostics_message([status], number * SECOND)


def test_the_report_has_rates_and_what_became_of_all_messages(tmp_path):
    rates = (0.0, 4.0, 10.0, 10.2, 0.0)  # before the drive, in its first second, after it
    with BagWriter(tmp_path / 'result', 'mcap', 'none') as writer:
        for number, rate in enumerate(rates, 1):
            message = diagnostics(number, health(rate, 10 + 5 * number))
            writer.write('/diagnostics', message, number * SECOND)
    show = Show('drive', tmp_path / 'bag', 'front', True, '', is_simulated=False)
    lines = [' '.join(line.split()) for line in report({show: tmp_path / 'result'}).splitlines()]
    assert lines[1] == (
        'drive messages rate [Hz] received used late unmatched replaced refused waiting lost')
    assert lines[3:6] == [
        'drive points 10.0 35 25 1 2 3 4 0 5',
        'drive image.front 20.0 35 35 0 0 0 0 0 0',
        'drive labelled clouds 5.00 - - - - - - - -',
    ]
    assert 'drive latency 40.0 40.0 40.0' in lines
