"""CvBridge: OpenCV does the conversions, NumPy looks at the message's memory."""

import array
import sys

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from .image_encodings import conversion_code, depth_and_channels, DEPTHS, DTYPES, is_color


class CvBridgeError(TypeError):
    """A conversion is not possible."""


def getCvType(encoding):  # noqa: N802
    """Return OpenCV's type number of an encoding, as cv2.CV_8UC3 of 'bgr8'."""
    try:
        depth, channels = depth_and_channels(encoding)
    except ValueError as error:
        raise RuntimeError(str(error)) from error
    return cv2.CV_MAKETYPE(getattr(cv2, f'CV_{depth}'), channels)


def cvtColor2(image, encoding_in, encoding_out):  # noqa: N802
    """
    Return an image in another encoding, always a copy.

    Colours are converted and 8-bit and 16-bit colours scaled; encodings without colour meaning
    ('32FC1') only change their type, and only to encodings with as many channels.
    """
    try:
        return _convert(image, encoding_in, encoding_out)
    except (ValueError, cv2.error) as error:
        raise RuntimeError(str(error)) from error


def _convert(image, source, target):
    source_depth, source_channels = depth_and_channels(source)
    target_depth, target_channels = depth_and_channels(target)
    dtype = DTYPES[target_depth]
    if source == target:
        return image.copy()
    if not (is_color(source) and is_color(target)):
        if is_color(target):
            raise ValueError(
                f'[{source}] is not a color format. but [{target}] is. '
                'The conversion does not make sense'
            )
        if source_channels != target_channels:
            raise ValueError(
                f'[{source}] and [{target}] do not have the same number of channels'
            )
        return _typed(image, dtype, 1.0)
    code = conversion_code(source, target)
    converted = image.copy() if code is None else cv2.cvtColor(image, code)
    if source_depth == target_depth:
        return converted
    return _typed(converted, dtype, 257.0 if target_depth == '16U' else 1 / 257.0)


def _typed(image, dtype, scale):
    """Return the scaled values rounded and saturated to `dtype`, as cv::Mat::convertTo does."""
    values = image.astype(np.float64) * scale
    if dtype.kind == 'f':
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


class CvBridge:
    """Converts between OpenCV images and ROS image messages."""

    def encoding_to_cvtype2(self, encoding):
        """Return OpenCV's type number of an encoding."""
        try:
            return getCvType(encoding)
        except RuntimeError as error:
            raise CvBridgeError(error) from error

    def encoding_to_dtype_with_channels(self, encoding):
        """Return name of the NumPy type and number of channels of an encoding."""
        try:
            depth, channels = depth_and_channels(encoding)
        except ValueError as error:
            raise CvBridgeError(error) from error
        return DTYPES[depth].name, channels

    def dtype_with_channels_to_cvtype2(self, dtype, n_channels):
        """Return the plain encoding of a NumPy type, as '8UC3'."""
        return f'{DEPTHS[dtype.name]}C{n_channels}'

    def cvtype2_to_dtype_with_channels(self, cvtype):
        """Not provided by this stand-in."""
        raise NotImplementedError('cv_bridge.CvBridge.cvtype2_to_dtype_with_channels')

    def imgmsg_to_cv2(self, img_msg, desired_encoding='passthrough'):
        """
        Return the image of a message, (H, W) or (H, W, C).

        With 'passthrough' and neither row padding nor foreign byte order it is a view of the
        message's data; else a copy.
        """
        name, channels = self.encoding_to_dtype_with_channels(img_msg.encoding)
        image = _view(img_msg, np.dtype(name), channels)
        if desired_encoding == 'passthrough':
            return image
        try:
            return cvtColor2(image, img_msg.encoding, desired_encoding)
        except RuntimeError as error:
            raise CvBridgeError(error) from error

    def cv2_to_imgmsg(self, cvim, encoding='passthrough', header=None):
        """Return an image as a message; the encoding must be of the image's type and channels."""
        if not isinstance(cvim, (np.ndarray, np.generic)):
            raise TypeError('Your input type is not a numpy array')
        plain = self.dtype_with_channels_to_cvtype2(
            cvim.dtype, 1 if cvim.ndim < 3 else cvim.shape[2]
        )
        if encoding != 'passthrough':
            name, channels = self.encoding_to_dtype_with_channels(encoding)
            if self.dtype_with_channels_to_cvtype2(np.dtype(name), channels) != plain:
                raise CvBridgeError(
                    f'encoding specified as {encoding}, but image has incompatible type {plain}'
                )
        message = Image(encoding=plain if encoding == 'passthrough' else encoding)
        if header is not None:
            message.header = header
        message.height, message.width = cvim.shape[:2]
        message.is_bigendian = cvim.dtype.byteorder == '>' or (
            cvim.dtype.byteorder == '=' and sys.byteorder == 'big'
        )
        message.data = _bytes(cvim)
        message.step = len(message.data) // message.height
        return message

    def compressed_imgmsg_to_cv2(self, cmprs_img_msg, desired_encoding='passthrough'):
        """Return the decoded image as stored (BGR order); None if OpenCV cannot decode it."""
        data = np.frombuffer(cmprs_img_msg.data, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if desired_encoding == 'passthrough':
            return image
        try:
            return cvtColor2(image, 'bgr8', desired_encoding)
        except RuntimeError as error:
            raise CvBridgeError(error) from error

    def cv2_to_compressed_imgmsg(self, cvim, dst_format='jpg'):
        """Return an image (BGR order) encoded as `dst_format`, an extension that OpenCV knows."""
        if not isinstance(cvim, (np.ndarray, np.generic)):
            raise TypeError('Your input type is not a numpy array')
        message = CompressedImage(format=dst_format)
        try:
            message.data = _bytes(cv2.imencode('.' + dst_format, cvim)[1])
        except cv2.error as error:
            raise CvBridgeError(error) from error
        return message


def _view(message, dtype, channels):
    """Return the pixels of a message in native byte order."""
    dtype = dtype.newbyteorder('>' if message.is_bigendian else '<')
    image = np.ndarray(
        shape=(message.height, message.width, channels),
        dtype=dtype,
        buffer=message.data,
        strides=(message.step, channels * dtype.itemsize, dtype.itemsize),
    )
    image = np.ascontiguousarray(image, dtype.newbyteorder('='))
    return image[..., 0] if channels == 1 else image


def _bytes(image):
    """Return the bytes of an array; a message takes an array.array without looking at it."""
    data = array.array('B')
    data.frombytes(memoryview(np.ascontiguousarray(image).reshape(-1).view(np.uint8)))
    return data
