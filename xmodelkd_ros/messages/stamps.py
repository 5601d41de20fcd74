"""Stamps of messages as integer nanoseconds."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from rclpy.clock import ClockType
from rclpy.time import Time as RosTime
from std_msgs.msg import Header

from ..errors import MessageError

NANOSECONDS_PER_SECOND = 1_000_000_000

LATEST = RosTime(clock_type=ClockType.ROS_TIME)
"""What TF is asked for where the newest transform is wanted."""


def nanoseconds(stamp: Time) -> int:
    """Return a stamp in ns."""
    return stamp.sec * NANOSECONDS_PER_SECOND + stamp.nanosec


def stamp_message(stamp: int) -> Time:
    """Return `stamp`, in ns, as a message."""
    seconds, rest = divmod(int(stamp), NANOSECONDS_PER_SECOND)
    return Time(sec=seconds, nanosec=rest)


def ros_time(stamp: int) -> RosTime:
    """Return `stamp`, in ns, as TF asks for it; what is not after zero as the first of times."""
    return RosTime(nanoseconds=max(stamp, 1), clock_type=ClockType.ROS_TIME)


def header_message(stamp: int, frame: str) -> Header:
    """Return the header of data taken at `stamp`, in ns, in the TF frame `frame`."""
    return Header(stamp=stamp_message(stamp), frame_id=frame)


def measured_at(header: Header) -> int:
    """
    Return the stamp of sensor data in ns.

    Raises
    ------
    MessageError
        If the stamp is zero, which is what a driver sends that does not set it, or negative,
        which ROS's `Time` cannot hold.

    """
    stamp = nanoseconds(header.stamp)
    if stamp <= 0:
        raise MessageError('the stamp is zero or negative')
    return stamp
