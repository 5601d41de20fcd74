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


def judged(fates, recent=GOOD, state='active'):
    return judge(counts(**fates), counts(**recent), {'state': state, 'output.rate_hz': 9.96})


def test_all_is_well():
    assert judged({}) == ('ok', '10.0 clouds per second')
    assert judged({}, state='inactive') == ('stale', 'inactive')


def test_inputs_of_which_nothing_came_are_named():
    assert judged({'image.front': []}) == ('warn', 'nothing has come: image.front')
    level, summary = judged({'points': [], 'image.front': []})
    assert (level, summary) == ('warn', 'nothing has come: points, image.front')


def test_refusals_are_of_the_last_second():
    once = {'image.front': ['refused', 'used']}
    assert judged(once)[0] == 'ok'
    assert judged(once, once) == ('warn', 'refused: 1 image.front')


def test_a_camera_with_another_clock_is_named():
    assert judged({'image.front': ['unmatched'] * 3}) == (
        'warn', 'none is near a cloud in time: image.front')
    assert judged({'image.front': ['unmatched', 'used']})[0] == 'ok'
