"""What is extracted from a drive, and how."""

from __future__ import annotations

import dataclasses

from .moving import MovingConfig
from ...config import setting
from ...geometry.occlusion import OcclusionConfig


@dataclasses.dataclass(frozen=True)
class ExtractionConfig:
    """What a teacher is asked about a drive, and how the answers are kept."""

    points_topic: str = setting('', 'Topic of the sweeps, empty for what is found.')
    image_topics: dict[str, str] = setting(
        {}, 'Image topic by name of the camera, none for what is found.')
    cameras: tuple[str, ...] = setting((), 'Names of the cameras, none for all.')
    rectified: tuple[str, ...] = setting((), 'Names of the cameras whose images are rectified.')
    offsets: dict[str, float] = setting(
        {}, 'By camera, how much later it is stamped for the same instant.', unit='s')
    tolerance: float = setting(
        0.05, 'Largest distance in time between a cloud and its image.', unit='s', low=0, high=10)
    fixed_frame: str = setting('odom', 'TF frame that does not move.')
    odometry: str = setting(
        'auto', 'Where poses are from; auto is TF, or kiss-icp where TF has none.',
        choices=('auto', 'tf', 'kiss-icp', 'none'))
    longest_gap: float = setting(
        0.5, 'Longest time between sweeps that odometry is carried over.', unit='s', low=0)
    distance: float = setting(
        0.5, 'Way from one keyframe to the next, unless it turns before.', unit='m', low=0)
    angle: float = setting(
        10.0, 'Turn from one keyframe to the next, unless it moves before.', unit='deg', low=0,
        high=180)
    instants: tuple[int, ...] = setting(
        (-6, -3, 3, 6), 'Keyframes, counted from a sweep, whose pictures are looked up too.',
        low=-100, high=100)
    occlusion: OcclusionConfig = setting(OcclusionConfig(), 'Which points a picture shows.')
    moving: MovingConfig = setting(MovingConfig(), 'Which points have moved.')
    features: int = setting(
        64, "Features that are kept, random mixtures of the teacher's; 0 keeps them as they are.",
        low=0)
    shard: int = setting(16, 'Keyframes in a shard of the cache.', low=1)
