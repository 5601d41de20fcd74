"""Parameters of the node `perception`."""

from __future__ import annotations

import dataclasses
import re

from ..config import setting
from ..errors import ConfigurationError
from ..inference.devices import PRECISIONS
from ..inference.pipeline import PipelineConfig
from ..messages.stamps import NANOSECONDS_PER_SECOND

_NAME = re.compile(r'[A-Za-z_]\w*(/[A-Za-z_]\w*)*', re.ASCII)


@dataclasses.dataclass(frozen=True)
class CameraConfig:
    """Parameters `camera.<name>.*` of one camera."""

    transport: str = setting(
        'raw', 'raw subscribes to image, compressed to image/compressed',
        choices=('raw', 'compressed'))
    rectified: bool = setting(False, 'whether the images are rectified: seen through P, not K, D')
    time_offset: float = setting(
        0.0, 'how much later than the cloud the camera is stamped for the same instant',
        unit='s', low=-1.0, high=1.0)

    @property
    def offset(self) -> int:
        """Return `time_offset` in ns."""
        return round(self.time_offset * NANOSECONDS_PER_SECOND)


@dataclasses.dataclass(frozen=True)
class PerceptionConfig:
    """Parameters of the node; each name in `cameras` adds those of `CameraConfig`."""

    cameras: list[str] = setting([], 'names of the cameras, the first paints a point first')
    autostart: bool = setting(True, 'configure and activate at the start')
    device: str = setting('auto', 'cpu, cuda, cuda:<n>, or auto: CUDA where it is there')
    precision: str = setting(
        'auto', 'of convolutions on a CPU, auto for 8-bit integers where it has instructions for '
        'them', choices=PRECISIONS)
    threads: int = setting(
        0, 'threads of each model on a CPU, 0 for its share of the cores', low=0, high=256)
    point_model: str = setting('', 'checkpoint of the point segmenter, empty for the shipped one')
    video_model: str = setting('', 'checkpoint of the video segmenter, empty for the shipped one')
    fixed_frame: str = setting(
        '', 'frame that does not move, to carry points from the time of the cloud to that of an '
        'image; empty takes the two as simultaneous')
    calibration_file: str = setting('', 'transforms for where TF gives none, YAML')
    tolerance: float = setting(
        0.05, 'largest distance in time between a cloud and an image of it',
        unit='s', low=0.0, high=1.0)
    max_wait: float = setting(
        0.05, 'longest wait of a cloud for its images and transforms; no more than 5 clouds wait',
        unit='s', low=0.0, high=5.0)
    queue: int = setting(20, 'images kept per camera until a cloud has chosen', low=2, high=1000)
    reliability: str = setting(
        'reliable', 'quality of service of the outputs', choices=('reliable', 'best_effort'))
    pipeline: PipelineConfig = setting(PipelineConfig(), 'the pipeline')

    def __post_init__(self) -> None:
        names = self.cameras
        if len(set(names)) < len(names) or not all(map(_NAME.fullmatch, names)):
            raise ConfigurationError(
                'cameras', names, 'different names of letters, digits and _, no digit first, with '
                'single slashes between')
