"""Plain mappings as diagnostic messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from .stamps import header_message

LEVELS = {
    'ok': DiagnosticStatus.OK,
    'warn': DiagnosticStatus.WARN,
    'error': DiagnosticStatus.ERROR,
    'stale': DiagnosticStatus.STALE,
}


def status_message(
    name: str, level: str, summary: str, values: Mapping[str, object], hardware: str = ''
) -> DiagnosticStatus:
    """
    Return one diagnostic status.

    Parameters
    ----------
    name
        What is reported on, as 'perception: stages'.
    level
        'ok', 'warn', 'error' or 'stale'.
    summary
        One line.
    values
        Key to value, in order.
    hardware
        Serial number or device name, where there is one.

    """
    pairs = [KeyValue(key=key, value=_text(value)) for key, value in values.items()]
    return DiagnosticStatus(
        level=LEVELS[level], name=name, message=summary, hardware_id=hardware, values=pairs
    )


def diagnostics_message(statuses: Sequence[DiagnosticStatus], stamp: int) -> DiagnosticArray:
    """Return the statuses of one moment, in ns."""
    return DiagnosticArray(header=header_message(stamp, ''), status=list(statuses))


def _text(value: object) -> str:
    return f'{value:.6g}' if isinstance(value, float) else str(value)
