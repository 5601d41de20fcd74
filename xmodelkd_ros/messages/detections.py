"""Tracks, boxes and class names as vision_msgs."""

from __future__ import annotations

from collections.abc import Iterable
import math

from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
import numpy as np
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    BoundingBox3D,
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    LabelInfo,
    ObjectHypothesisWithPose,
    VisionClass,
)

from ..labels import SemanticClass
from ..records import Boxes, Tracks

Classes = Iterable[SemanticClass]


def detections_2d_message(tracks: Tracks, classes: Classes, header: Header) -> Detection2DArray:
    """
    Return the tracks of one image: the `id` is the track id, the `class_id` the class's name.

    Parameters
    ----------
    tracks
        T tracks.
    classes
        The classes that `tracks.class_id` refers to.
    header
        Of the image.

    """
    names = _names(classes)
    message = Detection2DArray(header=header)
    for row, (x0, y0, x1, y1) in enumerate(tracks.box.tolist()):
        box = BoundingBox2D(size_x=x1 - x0, size_y=y1 - y0)
        box.center.position.x, box.center.position.y = (x0 + x1) / 2, (y0 + y1) / 2
        message.detections.append(Detection2D(
            header=header,
            id=str(tracks.track_id[row]),
            results=[_hypothesis(names, tracks, row)],
            bbox=box,
        ))
    return message


def detections_3d_message(boxes: Boxes, classes: Classes, header: Header) -> Detection3DArray:
    """
    Return the boxes of the tracks of one cloud; fields as in `detections_2d_message`.

    Parameters
    ----------
    boxes
        B boxes, frame of the cloud, m.
    classes
        The classes that `boxes.class_id` refers to.
    header
        Of the cloud.

    """
    names = _names(classes)
    message = Detection3DArray(header=header)
    for row, yaw in enumerate(boxes.yaw.tolist()):
        hypothesis = _hypothesis(names, boxes, row)
        pose = _upright_pose(boxes.center[row], yaw)
        hypothesis.pose.pose = pose
        message.detections.append(Detection3D(
            header=header,
            id=str(boxes.track_id[row]),
            results=[hypothesis],
            bbox=BoundingBox3D(center=pose, size=_vector(Vector3, boxes.size[row])),
        ))
    return message


def label_info_message(classes: Classes, header: Header) -> LabelInfo:
    """
    Return the names of the class ids.

    Parameters
    ----------
    classes
        Every class that the messages beside this one may hold.
    header
        Stamp and frame of those messages.

    """
    class_map = [VisionClass(class_id=c.id, class_name=c.name) for c in classes]
    return LabelInfo(header=header, class_map=class_map)


def _names(classes: Classes) -> dict[int, str]:
    return {c.id: c.name for c in classes}


def _hypothesis(
    names: dict[int, str], found: Tracks | Boxes, row: int
) -> ObjectHypothesisWithPose:
    hypothesis = ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id = names[int(found.class_id[row])]
    hypothesis.hypothesis.score = float(found.score[row])
    return hypothesis


def _upright_pose(center: np.ndarray, yaw: float) -> Pose:
    turn = Quaternion(z=math.sin(yaw / 2), w=math.cos(yaw / 2))
    return Pose(position=_vector(Point, center), orientation=turn)


def _vector(kind: type, values: np.ndarray) -> Point | Vector3:
    x, y, z = values.tolist()
    return kind(x=x, y=y, z=z)
