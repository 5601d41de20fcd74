"""Plain text tables, as every command ends with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import math

Value = str | int | float | None


def format_table(headers: Sequence[str], rows: Iterable[Sequence[Value]]) -> str:
    """
    Return a table as lines of text without a final newline.

    Parameters
    ----------
    headers
        Column titles, with their units: 'latency [ms]'.
    rows
        Text is set to the left, numbers to the right; floats show three to four significant
        digits, NaN and None a dash.

    """
    rows = [list(row) for row in rows]
    for row in rows:
        if len(row) != len(headers):
            raise ValueError(f'{len(row)} values for {len(headers)} columns: {row}')
    texts = [list(headers), *[[_text(value) for value in row] for row in rows]]
    widths = [max(len(text[column]) for text in texts) for column in range(len(headers))]
    right = [
        any(row[column] is not None and not isinstance(row[column], str) for row in rows)
        for column in range(len(headers))
    ]
    lines = [
        '  '.join(
            text.rjust(width) if flush else text.ljust(width)
            for text, width, flush in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in texts
    ]
    lines.insert(1, '  '.join('-' * width for width in widths))
    return '\n'.join(lines)


def _text(value: Value) -> str:
    if isinstance(value, str):
        return value
    if value is None or math.isnan(value):
        return '-'
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    magnitude = abs(value)
    decimals = 0 if magnitude >= 1000 else 1 if magnitude >= 10 else 2 if magnitude >= 1 else 3
    return f'{value:.{decimals}f}'
