"""What sensor_msgs image encodings mean: data type, channels and colour family."""

import re

import cv2
import numpy as np

DTYPES = {
    '8U': np.dtype(np.uint8),
    '8S': np.dtype(np.int8),
    '16U': np.dtype(np.uint16),
    '16S': np.dtype(np.int16),
    '32S': np.dtype(np.int32),
    '32F': np.dtype(np.float32),
    '64F': np.dtype(np.float64),
}
"""NumPy type by OpenCV's name of a depth."""

DEPTHS = {dtype.name: depth for depth, dtype in DTYPES.items()}

_COLORS = {'mono': ('GRAY', 1), 'bgr': ('BGR', 3), 'rgb': ('RGB', 3), 'bgra': ('BGRA', 4),
           'rgba': ('RGBA', 4)}
# OpenCV names a Bayer pattern by the second row's second and third pixel.
_BAYER = {'bayer_rggb': 'BG', 'bayer_bggr': 'RG', 'bayer_gbrg': 'GR', 'bayer_grbg': 'GB'}
_YUV = {'yuv422': 'UYVY', 'uyvy': 'UYVY', 'yuv422_yuy2': 'YUY2', 'yuyv': 'YUY2'}

_PLAIN = re.compile(r'(8U|8S|16U|16S|32S|32F|64F)(?:C([0-9]+))?')
_DEEP = re.compile(r'(.+?)(8|16)')


def depth_and_channels(encoding):
    """Return OpenCV's name of the depth and the number of channels; ValueError if unknown."""
    plain = _PLAIN.fullmatch(encoding)
    if plain:
        return plain[1], int(plain[2] or 1)
    if encoding in _YUV:
        return '8U', 2
    family, bits = _family_and_bits(encoding)
    if family in _BAYER:
        return f'{bits}U', 1
    if family in _COLORS:
        return f'{bits}U', _COLORS[family][1]
    raise ValueError(f'Unrecognized image encoding [{encoding}]')


def is_color(encoding):
    """Return whether an encoding says what its channels show."""
    return encoding in _YUV or _family_and_bits(encoding)[0] in {*_BAYER, *_COLORS}


def conversion_code(source, target):
    """
    Return OpenCV's code that takes one colour encoding to another.

    None where both show the same colours, ValueError where OpenCV has no way.
    """
    name = _color_name(target)
    family = _family_and_bits(source)[0]
    if _same_colors(source, target):
        return None
    if source in _YUV:
        attribute = f'COLOR_YUV2{name}_{_YUV[source]}'
    elif family in _BAYER:
        attribute = f'COLOR_Bayer{_BAYER[family]}2{name}'
        if name in ('RGBA', 'BGRA'):
            name = None
    else:
        attribute = f'COLOR_{_color_name(source)}2{name}'
    if name is None or not hasattr(cv2, attribute):
        raise ValueError(f'Unsupported conversion from [{source}] to [{target}]')
    return getattr(cv2, attribute)


def _same_colors(source, target):
    if source in _YUV and target in _YUV:
        return _YUV[source] == _YUV[target]
    return _family_and_bits(source)[0] == _family_and_bits(target)[0] and is_color(target)


def _color_name(encoding):
    return _COLORS.get(_family_and_bits(encoding)[0], (None,))[0]


def _family_and_bits(encoding):
    """Return 'rgb', '8' of 'rgb8'; the encoding itself and '' where it does not end so."""
    match = _DEEP.fullmatch(encoding)
    return (match[1], match[2]) if match else (encoding, '')
