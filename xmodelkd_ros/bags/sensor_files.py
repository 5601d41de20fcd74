"""Files of recorded sensors as messages: sweeps, pictures, transforms."""

from __future__ import annotations

import array
from collections.abc import Iterable
import functools
from pathlib import Path

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage
from tf2_msgs.msg import TFMessage

from .recording import Entry, Messages
from ..errors import BagError, CalibrationError
from ..geometry.cameras import Camera
from ..labels import ID_FROM_RAW
from ..messages.cameras import camera_info_message
from ..messages.clouds import cloud_message
from ..messages.images import image_message
from ..messages.stamps import header_message
from ..messages.transforms import transform_message
from ..records import Cloud

IMAGE_FORMS = ('raw', 'jpeg', 'png')
"""Image, or CompressedImage of a format."""

_FORMATS = {'.jpg': 'jpeg', '.jpeg': 'jpeg', '.png': 'png'}
_JPEG_QUALITY = 95
_POINT_BYTES = 16


def read_sweep(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """
    Read a KITTI sweep.

    Returns
    -------
    points : np.ndarray
        (N, 3) float32, lidar frame, m.
    intensity : np.ndarray
        (N,) float32, 0..1.

    Raises
    ------
    BagError
        If the file is cut off.

    """
    data = path.read_bytes()
    if len(data) % _POINT_BYTES:
        raise BagError(
            f'{path} is cut off: {len(data)} bytes are no points of {_POINT_BYTES}')
    rows = np.frombuffer(bytearray(data), '<f4').reshape(-1, 4)
    return rows[:, :3], rows[:, 3]


def sweep_messages(path: Path, stamp: int) -> Messages:
    """Return the cloud of a KITTI sweep, stamped `stamp` ns."""
    points, intensity = read_sweep(path)
    if not len(points):
        raise BagError(f'{path} holds no points')
    return [('/points', cloud_message(Cloud(stamp, points, intensity)))]


def labelled_sweep_messages(path: Path, labels: Path, stamp: int) -> Messages:
    """
    Return the cloud of a SemanticKITTI sweep and, where `labels` is there, its ground truth.

    The labels' lower 16 bits are classes, which become ours; the upper 16 are instances.
    """
    messages = sweep_messages(path, stamp)
    if labels.is_file():
        points, intensity = read_sweep(path)
        raw = np.fromfile(labels, '<u4')
        if len(raw) != len(points):
            raise BagError(f'{labels} has {len(raw)} labels for {len(points)} points')
        label, instance = ID_FROM_RAW[raw & 0xFFFF], (raw >> 16).astype(np.uint16)
        truth = Cloud(stamp, points, intensity, label=label, instance=instance)
        messages.append(('/ground_truth/points', cloud_message(truth)))
    return messages


def picture_messages(
    path: Path, stamp: int, name: str, camera: Camera, form: str
) -> Messages:
    """
    Return a camera's calibration and its picture, whose file is passed on as it is if it can be.

    Parameters
    ----------
    path
        A .png or .jpg file.
    stamp
        ns.
    name
        Of the camera: topic namespace and TF frame.
    camera
        Its model.
    form
        One of `IMAGE_FORMS`.

    """
    info = camera_info_message(camera, stamp, name)
    header = header_message(stamp, name)
    if form == 'raw':
        rgb = cv2.cvtColor(read_picture(path, camera), cv2.COLOR_BGR2RGB)
        picture = (f'/{name}/image', image_message(rgb, 'rgb8', header))
        return [(f'/{name}/camera_info', info), picture]
    compressed = CompressedImage(header=header, format=form)
    compressed.data = array.array('B', _encoded(path, camera, form))
    return [(f'/{name}/camera_info', info), (f'/{name}/image/compressed', compressed)]


def picture_entries(
    files: list[Path], stamps: Iterable[int], name: str, camera: Camera, form: str
) -> list[Entry]:
    """Return the entries of pictures that were received as they were taken, at `stamps` ns."""
    return [
        Entry(int(stamp), functools.partial(
            picture_messages, path, int(stamp), name, camera, form))
        for path, stamp in zip(files, stamps, strict=True)
    ]


def _encoded(path: Path, camera: Camera, form: str) -> bytes:
    if _FORMATS[path.suffix] == form:
        return path.read_bytes()
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if form == 'jpeg' else []
    return cv2.imencode(f'.{form}', read_picture(path, camera), quality)[1].tobytes()


def read_picture(path: Path, camera: Camera | None = None) -> np.ndarray:
    """
    Read a picture as (H, W, 3) uint8 BGR.

    Raises
    ------
    BagError
        If the file cannot be decoded.
    CalibrationError
        If it is not of the size that `camera` is calibrated for.

    """
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise BagError(f'{path} cannot be decoded as a picture')
    height, width = picture.shape[:2]
    if camera is not None and (width, height) != (camera.width, camera.height):
        raise CalibrationError(
            f'{path} has {width} x {height} pixels, but the calibration is for '
            f'{camera.width} x {camera.height}'
        )
    return picture


def transform_messages(
    topic: str, stamp: int, transforms: list[tuple[str, str, np.ndarray]]
) -> Messages:
    """Return (parent, child, parent_from_child) transforms as one message for `topic`."""
    sent = [
        transform_message(matrix, stamp, parent, child) for parent, child, matrix in transforms
    ]
    return [(topic, TFMessage(transforms=sent))]


def transform_entry(
    topic: str, stamp: int, transforms: list[tuple[str, str, np.ndarray]]
) -> Entry:
    """Return the entry of transforms that were received at their stamp, ns."""
    return Entry(stamp, functools.partial(transform_messages, topic, stamp, transforms))


def sweep_files(folder: Path) -> list[Path]:
    """
    Return the sweeps in a folder, by name.

    Raises
    ------
    BagError
        If there are none.

    """
    files = sorted(folder.glob('*.bin'))
    if not files:
        raise BagError(f'{folder} has no sweeps (.bin)')
    return files


def picture_files(folder: Path) -> list[Path]:
    """Return the pictures in a folder, by name."""
    return sorted(path for path in folder.glob('*') if path.suffix in _FORMATS)
