"""A student that looks at sweeps: its network on a device, and sweeps as it takes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ...inference.devices import select_device
from ...networks.checkpoint import Checkpoint, load_checkpoint, load_config
from ...networks.point_network import open_point_network, PointNetwork
from ...networks.point_projection import RangeProjection, RangeView, RangeViewConfig
from ...records import Cloud


def open_student(path: Path, device: str) -> tuple[Checkpoint, PointNetwork, RangeProjection]:
    """
    Return a checkpoint of kind 'point', its network on a device, and its projection.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be used.

    """
    checkpoint = load_checkpoint(path, 'point')
    network = open_point_network(checkpoint, path)
    network.eval().to(  # type: ignore[call-overload]
        select_device(device), memory_format=torch.channels_last)
    view = load_config(RangeViewConfig, checkpoint.preprocessing, path)
    return checkpoint, network, RangeProjection(view)


def project_cloud(projection: RangeProjection, cloud: Cloud) -> tuple[RangeView, np.ndarray]:
    """Return the range view of a sweep's finite points, and the rows (M,) of these."""
    kept = np.flatnonzero(np.isfinite(cloud.points).all(1))
    strength = None if cloud.intensity is None else torch.from_numpy(cloud.intensity[kept])
    return projection(torch.from_numpy(cloud.points[kept]), strength), kept
