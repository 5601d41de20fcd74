"""Confusion matrix, timings and tables."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from xmodelkd_ros.evaluation.segmentation import ConfusionMatrix
from xmodelkd_ros.evaluation.tables import format_table
from xmodelkd_ros.evaluation.timing import StageTimer
from xmodelkd_ros.labels import POINT_CLASSES

FOUR = POINT_CLASSES[:4]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=60))
def test_iou_agrees_with_sets(pairs):
    """Classes 1 to 4 count; 0, 5 and 6 are nothing as truth and wrong as prediction."""
    true, predicted = (np.array([p[i] for p in pairs], np.uint16) for i in (0, 1))
    matrix = ConfusionMatrix(FOUR)
    matrix.add(true, predicted)
    expected = []
    for c in FOUR:
        counted = [i for i, p in enumerate(pairs) if 1 <= p[0] <= 4]
        truths = {i for i in counted if pairs[i][0] == c.id}
        found = {i for i in counted if pairs[i][1] == c.id}
        expected.append(len(truths & found) / len(truths | found) if truths else np.nan)
    np.testing.assert_allclose(matrix.iou, expected)
    present = [value for value in expected if not np.isnan(value)]
    np.testing.assert_allclose(matrix.mean_iou, np.mean(present) if present else np.nan)


def test_batches_add_up_and_shapes_must_agree():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 6, (2, 8, 50)).astype(np.uint8)
    whole, parts = ConfusionMatrix(FOUR), ConfusionMatrix(FOUR)
    whole.add(true, predicted)
    for row in range(8):
        parts.add(true[row], predicted[row])
    np.testing.assert_array_equal(whole.counts, parts.counts)
    with pytest.raises(ValueError, match=r'true ids of shape \(8, 50\), predicted \(50,\)'):
        whole.add(true, predicted[0])


def test_an_absent_class_is_a_dash_and_not_a_one():
    matrix = ConfusionMatrix(FOUR)
    matrix.add(np.array([1, 1, 2, 2], np.uint16), np.array([1, 1, 2, 1], np.uint16))
    lines = matrix.table().splitlines()
    assert lines[2].split() == ['road', '2', '66.7', '66.7', '100.0']
    assert lines[4].split() == ['terrain', '0', '-', '-', '-']
    assert lines[-1].split()[-3] == '58.3'


def test_stage_times_are_percentiles_over_a_bounded_window():
    timer = StageTimer(window=100)
    for milliseconds in [10_000, *range(1, 101)]:
        timer.record('segment', milliseconds * 1_000_000)
    with timer.stage('track'):
        pass
    times = timer.summary()['segment']
    assert times.p50 == 50.5
    np.testing.assert_allclose((times.p95, times.p99), np.percentile(np.arange(1, 101), (95, 99)))
    assert list(timer.summary()) == ['segment', 'track']


def test_a_stage_that_fails_is_not_counted():
    timer = StageTimer()
    with pytest.raises(KeyError), timer.stage('broken'):
        raise KeyError('x')
    assert timer.summary() == {}


def test_tables_are_aligned():
    text = format_table(('name', 'rate [Hz]', 'count'), [
        ('points', 10.0, 78), ('left camera', 9.5, 1234567), ('none', float('nan'), None)])
    assert text.splitlines() == [
        'name         rate [Hz]    count',
        '-----------  ---------  -------',
        'points            10.0       78',
        'left camera       9.50  1234567',
        'none                 -        -',
    ]


def test_a_row_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match='1 values for 2 columns'):
        format_table(('a', 'b'), [('x',)])


@pytest.mark.parametrize(('value', 'text'), [
    (0.12345, '0.123'), (1.2345, '1.23'), (12.345, '12.3'), (12345.6, '12346'),
    (float('inf'), 'inf'), (-0.5, '-0.500'), (0, '0'),
])
def test_numbers_keep_three_digits(value, text):
    assert format_table(('v',), [(value,)]).splitlines()[-1].strip() == text
