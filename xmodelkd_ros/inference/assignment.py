"""Linear assignment by shortest augmenting paths (Jonker and Volgenant, Computing, 1987)."""

from __future__ import annotations

import numpy as np


def assign(cost: np.ndarray) -> np.ndarray:
    """
    Assign every row to a column of its own at the least total cost.

    Parameters
    ----------
    cost
        (R, C) with R <= C; infinite where a pair is forbidden.

    Returns
    -------
    np.ndarray
        (R,) int64 column of each row.

    Raises
    ------
    ValueError
        If there are more rows than columns, a cost is NaN or -inf, or no assignment exists.

    """
    cost = np.asarray(cost, np.float64)
    rows, columns = cost.shape
    if rows > columns or np.isnan(cost).any() or (cost == -np.inf).any():
        raise ValueError(f'no assignment: {rows} rows, {columns} columns, or invalid costs')
    column_of_row = np.full(rows, -1)
    row_of_column = np.full(columns, -1)
    if rows == 0:
        return column_of_row
    duals = cost.min(1), np.zeros(columns)
    if not np.isfinite(duals[0]).all():
        raise ValueError('no assignment: a row has no allowed column')
    for row, column in enumerate(cost.argmin(1)):  # most rows keep their cheapest column
        if row_of_column[column] < 0:
            column_of_row[row], row_of_column[column] = column, row
    for row in np.flatnonzero(column_of_row < 0).tolist():
        _augment(cost, row, duals, column_of_row, row_of_column)
    return column_of_row


def associate(cost: np.ndarray, limit: float) -> np.ndarray:
    """
    Pair rows with columns where that costs less than leaving a row alone.

    Parameters
    ----------
    cost
        (R, C), infinite where a pair is forbidden.
    limit
        What it costs to leave a row alone.

    Returns
    -------
    np.ndarray
        (R,) int64 column of each row, -1 for none; minimises the total cost.

    """
    rows, columns = cost.shape
    alone = np.full((rows, rows), np.inf)
    np.fill_diagonal(alone, limit)
    column = assign(np.hstack((cost, alone)))
    return np.where(column < columns, column, -1)


def _augment(
    cost: np.ndarray,
    start: int,
    duals: tuple[np.ndarray, np.ndarray],
    column_of_row: np.ndarray,
    row_of_column: np.ndarray,
) -> None:
    """Give row `start` a column along the shortest augmenting path; changes the arrays."""
    u, v = duals
    length = np.full(len(v), np.inf)
    previous = np.full(len(v), -1)
    open_length = length.copy()  # infinite for columns that are done
    done = np.zeros(len(v), bool)
    row, shortest = start, 0.0
    while True:
        candidate = cost[row] + (shortest - u[row]) - v
        better = ~done & (candidate < length)
        length[better] = open_length[better] = candidate[better]
        previous[better] = row
        sink = int(open_length.argmin())
        shortest = float(open_length[sink])
        if shortest == np.inf:
            raise ValueError('no assignment: the allowed pairs do not suffice')
        done[sink], open_length[sink] = True, np.inf
        row = int(row_of_column[sink])
        if row < 0:
            break
    u[start] += shortest
    passed = done & (row_of_column >= 0)
    u[row_of_column[passed]] += shortest - length[passed]
    v[done] -= shortest - length[done]
    while True:
        row = int(previous[sink])
        row_of_column[sink] = row
        column_of_row[row], sink = sink, int(column_of_row[row])
        if row == start:
            return
