"""Quality of service as a bag stores it: latched topics stay latched when it is played."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from .rosbag2 import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

_FOREVER = QosTime(9223372036, 854775807)
_LATCHED_ENDS = ('/tf_static', '/label_info', '/robot_description')


def default_qos(topic: str) -> Qos:
    """Return the profile of a topic whose publisher is not known: latched by its name."""
    return _stored(topic.endswith(_LATCHED_ENDS), reliable=True)


def offered_qos(profile: QoSProfile) -> Qos:
    """Return a publisher's profile, as discovery reports it, in a bag's terms."""
    latched = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    return _stored(latched, profile.reliability == ReliabilityPolicy.RELIABLE)


def is_latched(topic: str, profiles: list[Qos]) -> bool:
    """Return whether a topic of a bag was latched when it was recorded."""
    profiles = profiles or [default_qos(topic)]
    return any(profile.durability == QosDurability.TRANSIENT_LOCAL for profile in profiles)


def _stored(latched: bool, reliable: bool) -> Qos:
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else 10,
        reliability=QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )
