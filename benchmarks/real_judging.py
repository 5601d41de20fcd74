"""Who is right about recorded drives: hand-made boxes, and a better pass of the teacher."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from box_truth import box_truth, BoxScores
import numpy as np
from real_drives import CAMERA, RealDrives, TrueFrame
from xmodelkd_ros.distillation.extraction.sightings import Answer
from xmodelkd_ros.distillation.teachers.teacher import Teacher
from xmodelkd_ros.evaluation.street_classes import StreetScores
from xmodelkd_ros.geometry.occlusion import OcclusionConfig
from xmodelkd_ros.geometry.projection import project_points

EVERY = {'frames': 1, 'drive_0001': 12}
"""Every how many-th frame is scored."""

LOOKS = '1+flip'
"""Of the reference."""

Labeller = Callable[[TrueFrame], np.ndarray]


class Judge:
    """The scored frames with their truth and the reference labels of the points that it sees."""

    def __init__(self, drives: RealDrives) -> None:
        self._drives = drives
        self.frames = {name: list(drives.true_frames(name, n)) for name, n in EVERY.items()}
        self._reference: dict[str, np.ndarray] = {}
        for name, found in self.frames.items():
            teacher = drives.teacher(name, looks=LOOKS)
            for true in found:
                path = drives.out / 'reference' / name / f'{true.name}.npy'
                if not path.is_file():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    np.save(path, paint(teacher, true, True))
                self._reference[name + true.name] = np.load(path)

    def scores(self, labellers: Sequence[tuple[Labeller, set[str]]]) -> dict[str, float]:
        """Return the scores of labellers, each on the frames whose names it is given."""
        found: dict[str, float] = {}
        for name, frames in self.frames.items():
            boxes, street = BoxScores(), StreetScores()
            for labeller, names in labellers:
                for true in frames:
                    if true.name in names:
                        self._add(name, true, labeller(true), boxes, street)
            found |= {
                f'{name}.boxes.vehicle': boxes.vehicle_iou,
                f'{name}.boxes.person': boxes.person_iou,
                f'{name}.street.mean': street.mean_iou,
                **{f'{name}.street.{row.name}': float(iou)
                   for row, iou in zip(street.classes, street.iou, strict=True)},
            }
        return found

    def _add(
        self, name: str, true: TrueFrame, label: np.ndarray, boxes: BoxScores, street: StreetScores
    ) -> None:
        view, points = true.frame.views[CAMERA], true.frame.cloud.points
        shown = project_points(
            points, view.camera_from_lidar, view.camera, OcclusionConfig(enabled=False))
        truth = box_truth(points, shown, true.truth.boxes, true.truth.unlabelled)
        boxes.add(truth, label[shown.index])
        street.add(self._reference[name + true.name], label)


def paint(teacher: Teacher, true: TrueFrame, occlusion: bool) -> np.ndarray:
    """Return the teacher's class of each point, (N,) uint16, 0 for those that it does not see."""
    view, points = true.frame.views[CAMERA], true.frame.cloud.points
    shown = project_points(
        points, view.camera_from_lidar, view.camera, OcclusionConfig(enabled=occlusion))
    answer = Answer(
        teacher([view.picture.rgb])[0], view.picture.rgb.shape[:2], teacher.class_ids, None)
    said = answer.probabilities(shown)
    assert said is not None
    label = np.zeros(len(points), np.uint16)
    label[shown.index] = said.argmax(1) + 1
    return label
