"""Made-up drives with views, for tests of the distillation: no bag, no image, no teacher."""

from __future__ import annotations

import numpy as np
from xmodelkd_ros.distillation.records import CLASS_COUNT, DistillationFrame, PointViews
from xmodelkd_ros.labels import POINT_CLASSES
from xmodelkd_ros.records import Cloud
from xmodelkd_ros.training.point.training import range_view

FEATURES = 6
SMALL = {
    'columns': 256, 'network': {'channels': (8, 8, 8), 'blocks': (1, 1, 1), 'head': 8},
    'fusion': {'width': 8, 'heads': 2}, 'steps': 3, 'points': 400, 'warm_up': 1,
    'losses': {'pairs': 64, 'lovasz_points': 200}, 'validate_every': 1, 'rate': 0.01,
    'run': {'epochs': 2, 'workers': 0, 'precision': '32-true'},
}


class MadeDrive:
    """Ground is road, what stands on it building; the teacher is right most of the time."""

    feature_size = FEATURES

    def __init__(self, seed: int, length: int = 4, seen: bool = True, points: int = 3000) -> None:
        self.seed, self.length, self.seen, self.points = seed, length, seen, points

    def __len__(self) -> int:
        return self.length

    def frame(self, index: int) -> DistillationFrame:
        rng = np.random.default_rng((self.seed, index))
        cloud = made_cloud(rng, self.points)
        return DistillationFrame(cloud, made_views(cloud, rng, self.seen), np.eye(4), None)


def made_cloud(rng: np.random.Generator, count: int) -> Cloud:
    elevation = np.radians(np.array(range_view('hdl64e').elevations_deg))
    beam, azimuth = rng.integers(0, 64, count), rng.uniform(-np.pi, np.pi, count)
    rho = np.minimum(15.0, 1.9 / np.maximum(np.tan(-elevation[beam]), 1e-3))
    z = rho * np.tan(elevation[beam]) + np.where(beam < 32, 0.2, 0.12)
    points = np.stack([rho * np.cos(azimuth), rho * np.sin(azimuth), z], 1).astype(np.float32)
    label = np.where(rho < 15, 1, 4).astype(np.uint16)
    return Cloud(10**18, points, rng.random(count, 'f4'), label=label)


def made_views(cloud: Cloud, rng: np.random.Generator, seen: bool = True) -> PointViews:
    """Points ahead have a view, or two."""
    ahead = np.flatnonzero(cloud.points[:, 0] > 0) if seen else np.zeros(0, np.int64)
    point = np.sort(np.concatenate([ahead, rng.permutation(ahead)[:len(ahead) // 2]]))
    rows = len(point)
    said = np.where(rng.random(rows) < 0.9, cloud.label[point] - 1, 2)
    probability = np.full((rows, CLASS_COUNT), 0.2 / CLASS_COUNT, np.float16)
    probability[np.arange(rows), said] += 0.8
    hint = np.eye(len(POINT_CLASSES), FEATURES)[said % FEATURES]
    return PointViews(
        point.astype(np.int32), (np.diff(point, prepend=-1) == 0).astype(np.uint8),
        np.linalg.norm(cloud.points[point], axis=1).astype(np.float32),
        np.zeros(rows, np.float32),
        (hint + rng.normal(0, 0.1, hint.shape)).astype(np.float16), probability,
        ('front', 'front-0.5s'))
