"""What a node notes over its life, for its log and its diagnostics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from rclpy.impl.rcutils_logger import RcutilsLogger

from .ledger import Complaints, Ledger
from .measurements import Measurements


class Logbook:
    """
    Fates of messages, complaints, measurements and failures in one place.

    Parameters
    ----------
    logger
        Of the node.
    clock
        ROS time, ns.

    Attributes
    ----------
    tf_failures
        How often TF did not have a transform, by 'target <- source'.
    not_finite
        How many points were NaN or infinite in clouds that claim to have none.
    time_jumps
        How often time jumped backwards.

    """

    def __init__(self, logger: RcutilsLogger, clock: Callable[[], int]) -> None:
        self.logger = logger
        self.complaints = Complaints(logger.warning)
        self.ledger = Ledger(self.complaints)
        self.measurements = Measurements(clock)
        self.tf_failures: Counter[str] = Counter()
        self.not_finite = 0
        self.time_jumps = 0
