"""The pipeline of a configuration: its checkpoints, its device, its memory."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
import torch

from .perception_config import PerceptionConfig
from ..inference.fused_segmenter import load_point_segmenter
from ..inference.mask2former_segmenter import Mask2FormerSegmenter
from ..inference.pipeline import Perception, Stage
from ..inference.video_models import load_video_segmenter
from ..inference.video_segmenter import VideoSegmenter


def shipped_model(kind: str) -> Path:
    """
    Return a checkpoint that comes with the package.

    Parameters
    ----------
    kind
        'point' or 'video'; 'real_point' and 'real_video' are those for the KITTI car, whose
        weights are CC BY-NC-SA.

    """
    names = {
        'point': 'point_hdl64e_simulated.safetensors', 'video': 'video_simulated.safetensors',
        'real_point': 'point_hdl64e_kitti.safetensors', 'real_video': 'video_kitti.safetensors',
    }
    return Path(get_package_share_directory('xmodelkd_ros')) / 'models' / names[kind]


class Models:
    """
    The two models of a node.

    Parameters
    ----------
    config
        Names the checkpoints and the device; without cameras there is no video model.

    Raises
    ------
    CheckpointError
        If a checkpoint cannot be used.
    DeviceError
        If the device is not there.

    """

    def __init__(self, config: PerceptionConfig) -> None:
        self._config = config
        self.points = load_point_segmenter(
            config.point_model or shipped_model('point'), config.device, config.precision)
        self.video: VideoSegmenter | Mask2FormerSegmenter | None = None
        if config.cameras:
            self.video = load_video_segmenter(
                config.video_model or shipped_model('video'), config.device, config.precision)

    def pipeline(self, stage: Stage) -> Perception:
        """Return a pipeline of the two, warmed up, that brackets its stages with `stage`."""
        pipeline = Perception(
            self.points, self.video, self._config.pipeline, stage, self._config.threads)
        pipeline.warm_up()
        return pipeline

    def describe(self) -> dict[str, object]:
        """Return device, memory, arithmetic and hashes of the checkpoints, for diagnostics."""
        device = self.points.device
        allocated = torch.cuda.memory_allocated(device) if device.type == 'cuda' else 0
        return {
            'device': str(device),
            'device.memory_mib': allocated / 2**20,
            'arithmetic': self.points.arithmetic,
            'model.point.sha256': self.points.sha256,
            'model.video.sha256': self.video.sha256 if self.video else 'none',
        }
