"""Image and CompressedImage messages to arrays and back."""

from __future__ import annotations

import array
import sys

import cv2
from cv_bridge import CvBridge, CvBridgeError
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ..errors import MessageError

BYTES_PER_PIXEL = {
    'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1,
    'bayer_rggb8': 1, 'bayer_bggr8': 1, 'bayer_gbrg8': 1, 'bayer_grbg8': 1,
    'yuv422': 2, 'yuv422_yuy2': 2, 'uyvy': 2, 'yuyv': 2,
}
"""Colour encodings that `rgb_from_message` takes."""

_MASK_TYPES: dict[str, np.dtype] = {
    'mono8': np.dtype(np.uint8), '8UC1': np.dtype(np.uint8),
    'mono16': np.dtype(np.uint16), '16UC1': np.dtype(np.uint16),
}
_ARRAY_TYPES = {
    'rgb8': (np.uint8, 3), 'bgr8': (np.uint8, 3), 'mono8': (np.uint8, 1), 'mono16': (np.uint16, 1),
}
_RGB_FROM_DECODED = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}

_bridge = CvBridge()


def rgb_from_message(message: Image | CompressedImage) -> np.ndarray:
    """
    Return the picture of an 8-bit Image, or of a CompressedImage (JPEG, PNG).

    Returns
    -------
    np.ndarray
        (H, W, 3) uint8 RGB, read-only for the caller: rgb8 without row padding is a view.

    Raises
    ------
    MessageError
        If the encoding cannot be shown as 8-bit colour or the data is truncated.

    """
    if isinstance(message, CompressedImage):
        return _decoded(message)
    if message.encoding not in BYTES_PER_PIXEL:
        known = ', '.join(BYTES_PER_PIXEL)
        raise MessageError(f'encoding {message.encoding!r} is not supported, use one of {known}')
    pixel = BYTES_PER_PIXEL[message.encoding]
    _check_size(message, pixel)
    desired = 'passthrough' if message.encoding == 'rgb8' else 'rgb8'
    try:
        return _bridge.imgmsg_to_cv2(_packed(message, pixel), desired)
    except CvBridgeError as error:
        raise MessageError(f'{message.encoding} cannot be converted: {error}') from error


def _check_size(message: Image, pixel: int) -> None:
    height, width, step = message.height, message.width, message.step
    if height * width == 0:
        raise MessageError(f'empty image: {width} x {height} pixels')
    if step < width * pixel:
        raise MessageError(
            f'step is {step} bytes, less than {width} pixels of {pixel} bytes ({message.encoding})'
        )
    if len(message.data) < height * step:
        raise MessageError(
            f'truncated data: {len(message.data)} bytes, {height * step} needed for {height} '
            f'rows of {step} bytes'
        )


def _packed(message: Image, pixel: int) -> Image:
    """Return an image without row padding, of which cv_bridge skips whole pixels alone."""
    height, step = message.height, message.width * pixel
    if message.step == step:
        return message
    rows: np.ndarray = np.ndarray(
        (height, step), np.uint8, message.data, strides=(message.step, 1))
    return Image(height=height, width=message.width, encoding=message.encoding, step=step,
                 data=array.array('B', rows.tobytes()))


def _decoded(message: CompressedImage) -> np.ndarray:
    try:
        picture = _bridge.compressed_imgmsg_to_cv2(message)
    except (CvBridgeError, cv2.error) as error:
        raise MessageError(f'{_named(message)} cannot be decoded: {error}') from error
    if picture is None:
        raise MessageError(f'{_named(message)} cannot be decoded')
    channels = 1 if picture.ndim == 2 else picture.shape[2]
    if picture.dtype != np.uint8 or channels not in _RGB_FROM_DECODED:
        raise MessageError(
            f'{_named(message)} holds {channels} x {picture.dtype}, 1, 3 or 4 x uint8 is needed'
        )
    return cv2.cvtColor(picture, _RGB_FROM_DECODED[channels])


def _named(message: CompressedImage) -> str:
    return f'compressed image of format {message.format!r} and {len(message.data)} bytes'


def mask_from_message(message: Image) -> np.ndarray:
    """
    Return ids by pixel: (H, W) uint8 of mono8, uint16 of mono16; a view where that is possible.

    Raises
    ------
    MessageError
        If the encoding is another or the data is truncated.

    """
    if message.encoding not in _MASK_TYPES:
        raise MessageError(f'encoding {message.encoding!r} is not one of {", ".join(_MASK_TYPES)}')
    dtype = _MASK_TYPES[message.encoding]
    _check_size(message, dtype.itemsize)
    picture = _bridge.imgmsg_to_cv2(message)
    return picture.astype(dtype, copy=False)


def image_message(picture: np.ndarray, encoding: str, header: Header) -> Image:
    """
    Return an image message.

    Parameters
    ----------
    picture
        (H, W, 3) uint8 for rgb8 and bgr8, (H, W) uint8 for mono8, (H, W) uint16 for mono16.
    encoding
        One of these four.
    header
        Stamp and frame.

    """
    dtype, channels = _ARRAY_TYPES[encoding]
    shape = picture.shape[:2] if channels == 1 else (*picture.shape[:2], channels)
    if picture.dtype != dtype or picture.shape != shape:
        raise ValueError(f'{picture.shape} {picture.dtype} is not an image of {encoding}')
    message = Image(header=header, encoding=encoding, is_bigendian=sys.byteorder == 'big')
    message.height, message.width = picture.shape[:2]
    message.step = picture.shape[1] * channels * picture.itemsize
    # An array.array is assigned as it is; any other type is checked byte by byte.
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(picture).data.cast('B'))
    message.data = data
    return message
