"""CameraInfo messages to camera models and back."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CameraInfo

from .stamps import header_message
from ..errors import CalibrationError
from ..geometry.cameras import Camera

_MODELS = {
    'plumb_bob': 'plumb_bob',
    'rational_polynomial': 'rational_polynomial',
    'equidistant': 'equidistant',
    'fisheye': 'equidistant',
}


def camera_from_message(message: CameraInfo, rectified: bool) -> Camera:
    """
    Return the camera model of the pictures that come with `message`.

    Binning and region of interest are applied, so that the model is of the picture's size. A
    message without distortion may leave its model empty, and one of a raw camera R and P zero.

    Parameters
    ----------
    message
        Calibration of a plumb_bob, rational_polynomial or equidistant (also called fisheye)
        camera.
    rectified
        Whether the pictures are rectified (seen through P) or raw (through K and D).

    Raises
    ------
    CalibrationError
        If the camera is not calibrated, or the model unknown or impossible.

    """
    intrinsics = np.array(message.k, float).reshape(3, 3)
    if intrinsics[0, 0] == 0:
        raise CalibrationError('the camera is not calibrated: K is zero')
    projection = np.array(message.p, float).reshape(3, 4)
    if not projection.any():
        if rectified:
            raise CalibrationError('the camera has no rectified picture: P is zero')
        projection[:, :3] = intrinsics
    rectification = np.array(message.r, float).reshape(3, 3)
    pixels = _picture_from_sensor(message)
    width, height = _size(message)
    return Camera(
        width=width,
        height=height,
        intrinsics=pixels @ intrinsics,
        distortion=np.array(message.d, float),
        model=_model(message),
        rectification=rectification if rectification.any() else np.eye(3),
        projection=pixels @ projection,
        rectified=rectified,
    )


def _model(message: CameraInfo) -> str:
    name = message.distortion_model
    if name in _MODELS:
        return _MODELS[name]
    if not name and not any(message.d):
        return 'plumb_bob'
    known = ', '.join(_MODELS)
    raise CalibrationError(f'distortion model {name!r} is not known, use one of {known}')


def _binning(message: CameraInfo) -> tuple[int, int]:
    """Return pixels of the sensor per pixel of the picture; 0 means 1."""
    return max(message.binning_x, 1), max(message.binning_y, 1)


def _size(message: CameraInfo) -> tuple[int, int]:
    binning_x, binning_y = _binning(message)
    width = message.roi.width or message.width
    height = message.roi.height or message.height
    return width // binning_x, height // binning_y


def _picture_from_sensor(message: CameraInfo) -> np.ndarray:
    """Return (3, 3): pixels of the full-resolution sensor to pixels of the picture."""
    binning_x, binning_y = _binning(message)
    return np.array([
        [1 / binning_x, 0, -message.roi.x_offset / binning_x],
        [0, 1 / binning_y, -message.roi.y_offset / binning_y],
        [0, 0, 1],
    ])


def camera_info_message(camera: Camera, stamp: int, frame: str) -> CameraInfo:
    """Return the calibration of `camera` for pictures taken at `stamp`, ns, in `frame`."""
    return CameraInfo(
        header=header_message(stamp, frame),
        width=camera.width,
        height=camera.height,
        distortion_model=camera.model,
        d=camera.distortion.tolist(),
        k=np.ascontiguousarray(camera.intrinsics, float).reshape(-1),
        r=np.ascontiguousarray(camera.rectification, float).reshape(-1),
        p=np.ascontiguousarray(camera.projection, float).reshape(-1),
    )
