"""Assignment against SciPy's, and its refusals."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from xmodelkd_ros.inference.assignment import assign, associate

WHOLE = st.integers(-20, 20).map(float)


@st.composite
def costs(draw, elements=WHOLE):
    rows = draw(st.integers(0, 9))
    columns = draw(st.integers(rows, 12))
    return draw(arrays(np.float64, (rows, columns), elements=elements))


@settings(max_examples=200, deadline=None)
@given(costs())
def test_total_cost_equals_scipy(cost):
    column = assign(cost)
    assert len(set(column.tolist())) == len(cost)
    rows, columns = linear_sum_assignment(cost)
    assert cost[np.arange(len(cost)), column].sum() == cost[rows, columns].sum()


@settings(max_examples=200, deadline=None)
@given(costs(st.one_of(st.integers(-5, 9).map(float), st.just(np.inf))), st.integers(-3, 8))
def test_associate_minimises_the_cost_with_the_limit(cost, limit):
    for matrix in (cost, cost.T):
        column = associate(matrix, limit)
        rows = np.flatnonzero(column >= 0)
        assert len(set(column[rows].tolist())) == len(rows)
        total = matrix[rows, column[rows]].sum() + limit * (len(matrix) - len(rows))
        gain = np.where(matrix < limit, matrix - limit, 0.0)
        best = gain[linear_sum_assignment(gain)].sum() + limit * len(matrix)
        assert total == pytest.approx(best)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_large_and_forbidden_pairs_equal_scipy(seed):
    random = np.random.default_rng(seed)
    cost = random.normal(size=(40, 50))
    cost[random.random(cost.shape) < 0.5] = np.inf
    cost[np.arange(40), random.permutation(50)[:40]] = 3.0  # so that a solution exists
    column = assign(cost)
    assert cost[np.arange(40), column].sum() == pytest.approx(
        cost[linear_sum_assignment(cost)].sum()
    )


@pytest.mark.parametrize(
    'cost',
    [
        np.zeros((3, 2)),
        np.full((1, 2), np.nan),
        np.full((1, 2), -np.inf),
        np.full((2, 2), np.inf),
        np.array([[1.0, np.inf], [1.0, np.inf]]),
    ],
)
def test_impossible_costs_are_refused(cost):
    with pytest.raises(ValueError, match='no assignment'):
        assign(cost)
