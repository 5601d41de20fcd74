"""What the node says of its health."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')

from xmodelkd_ros.nodes.diagnostics import judge  # noqa: E402
from xmodelkd_ros.nodes.ledger import Complaints, Ledger  # noqa: E402

GOOD = {'points': ['used'], 'image.front': ['used']}


def counts(**fates):
    """Return the counts of a ledger to which messages with these fates came."""
    ledger = Ledger(Complaints(lambda text: None))
    for source, settled in (GOOD | fates).items():
        for fate in settled:
            ledger.receive(source)
            ledger.settle(source, fate)
    return {source: ledger.counts(source) for source in GOOD}


def judged(state='active', **fates):
    return judge(counts(**fates), {'state': state, 'output.rate_hz': 9.96})


def test_all_is_well():
    assert judged() == ('ok', '10.0 clouds per second')
    assert judged('inactive') == ('stale', 'inactive')


def test_inputs_of_which_nothing_came_are_named():
    assert judged(**{'image.front': []}) == (
        'warn', '10.0 clouds per second; nothing came: image.front')
    level, summary = judged(**{'points': [], 'image.front': []})
    assert level == 'warn' and summary.endswith('nothing came: points, image.front')


def test_refused_messages_are_counted():
    level, summary = judged(**{'image.front': ['refused', 'used', 'refused']})
    assert level == 'warn' and summary.endswith('; refused: 2 image.front')


def test_a_camera_with_another_clock_is_named():
    level, summary = judged(**{'image.front': ['unmatched'] * 3})
    assert level == 'warn' and summary.endswith('none is near a cloud in time: image.front')
    assert judged(**{'image.front': ['unmatched', 'used']})[0] == 'ok'
    assert judged(**{'image.front': ['unmatched', 'replaced']})[0] == 'ok'
