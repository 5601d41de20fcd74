"""Image and CompressedImage against pictures written out in the test."""

import array
import copy

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from xmodelkd_ros.errors import MessageError
from xmodelkd_ros.messages import images
from xmodelkd_ros.messages.images import (
    BYTES_PER_PIXEL,
    image_message,
    mask_from_message,
    rgb_from_message,
)

HEADER = Header(frame_id='camera')


def picture(height=6, width=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def raw(encoding, pixels, padding=0, big_endian=False):
    """Return a message whose rows end with `padding` bytes of noise."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1).view(np.uint8)
    noise = np.full((height, padding), 171, np.uint8)
    return Image(
        height=height, width=width, encoding=encoding, step=rows.shape[1] + padding,
        is_bigendian=big_endian, data=array.array('B', np.hstack([rows, noise]).tobytes()),
    )


@given(st.sampled_from(['rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8']), st.integers(1, 7),
       st.integers(1, 9), st.sampled_from([0, 1, 5]))
@settings(max_examples=60, deadline=None)
def test_colours_come_out_as_rgb(encoding, height, width, padding):
    rgb = picture(height, width)
    opaque = np.full((height, width, 1), 255, np.uint8)
    pixels = {
        'rgb8': rgb,
        'bgr8': rgb[..., ::-1].copy(),
        'rgba8': np.concatenate([rgb, opaque], 2),
        'bgra8': np.concatenate([rgb[..., ::-1], opaque], 2),
        'mono8': rgb[..., 0].copy(),
    }[encoding]
    expected = np.repeat(rgb[..., :1], 3, 2) if encoding == 'mono8' else rgb
    message = raw(encoding, pixels, padding)
    before = copy.deepcopy(message)
    found = rgb_from_message(message)
    assert (found.dtype, found.shape) == (np.uint8, (height, width, 3))
    np.testing.assert_array_equal(found, expected)
    assert message == before


def test_the_bridge_gets_rows_of_whole_pixels(monkeypatch):
    """The original takes rows apart by the number of whole pixels in a step."""
    def taken_apart(message, desired):
        shape = message.height, message.step // 3, 3
        return np.ndarray(shape, np.uint8, message.data)[:, :message.width]

    monkeypatch.setattr(images._bridge, 'imgmsg_to_cv2', taken_apart)
    rgb = picture(4, 5)
    np.testing.assert_array_equal(rgb_from_message(raw('rgb8', rgb, padding=1)), rgb)


def test_rgb_without_padding_is_a_view():
    message = image_message(picture(), 'rgb8', HEADER)
    found = rgb_from_message(message)
    assert np.shares_memory(found, np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize(('encoding', 'red_row', 'red_column'), [
    ('bayer_rggb8', 0, 0), ('bayer_grbg8', 0, 1), ('bayer_gbrg8', 1, 0), ('bayer_bggr8', 1, 1),
])
def test_bayer_red_is_red(encoding, red_row, red_column):
    mosaic = np.zeros((12, 12), np.uint8)
    mosaic[red_row::2, red_column::2] = 200
    found = rgb_from_message(raw(encoding, mosaic))
    assert found[4:8, 4:8, 0].min() == 200
    assert found[..., 1:].max() == 0


@pytest.mark.parametrize(('encoding', 'pair'), [
    ('yuv422', (128, 126)), ('uyvy', (128, 126)),
    ('yuv422_yuy2', (126, 128)), ('yuyv', (126, 128)),
])
def test_yuv422_grey_is_grey(encoding, pair):
    found = rgb_from_message(raw(encoding, np.full((4, 6, 2), pair, np.uint8)))
    assert np.ptp(found.reshape(-1, 3), 1).max() <= 1
    assert found.mean() == pytest.approx((126 - 16) * 255 / 219, abs=2)


@pytest.mark.parametrize(('suffix', 'channels'), [
    ('png', 1), ('png', 3), ('png', 4), ('jpg', 1), ('jpg', 3),
])
def test_compressed_pictures_decode_to_rgb(suffix, channels):
    ramp = np.linspace(0, 255, 24).astype(np.uint8)
    rgb = np.stack([np.tile(ramp, (16, 1)), np.full((16, 24), 90), np.full((16, 24), 200)], 2)
    rgb = rgb.astype(np.uint8)
    stored = {
        1: rgb[..., 0], 3: rgb[..., ::-1],
        4: np.dstack([rgb[..., ::-1], np.full((16, 24), 255, np.uint8)]),
    }[channels]
    data = cv2.imencode('.' + suffix, np.ascontiguousarray(stored))[1].tobytes()
    found = rgb_from_message(CompressedImage(format=suffix, data=array.array('B', data)))
    expected = np.repeat(rgb[..., :1], 3, 2) if channels == 1 else rgb
    tolerance = 0 if suffix == 'png' else 6
    np.testing.assert_allclose(found.astype(int), expected, atol=tolerance)


def deep_png():
    data = cv2.imencode('.png', np.zeros((4, 4, 3), np.uint16))[1].tobytes()
    return CompressedImage(format='png', data=array.array('B', data))


@pytest.mark.parametrize(('message', 'reason'), [
    (raw('mono16', np.zeros((2, 2), np.uint16)), "'mono16' is not supported, use one of rgb8"),
    (raw('rgb16', np.zeros((2, 2, 3), np.uint16)), "'rgb16' is not supported"),
    (raw('32FC1', np.zeros((2, 2), np.float32)), "'32FC1' is not supported"),
    (raw('nonsense', np.zeros((2, 2), np.uint8)), "'nonsense' is not supported"),
    (Image(height=2, width=2, encoding='rgb8', step=6, data=bytes(11)), 'truncated data: 11'),
    (Image(height=2, width=2, encoding='rgb8', step=5, data=bytes(12)), 'step is 5 bytes, less'),
    (Image(height=0, width=2, encoding='rgb8', step=6), 'empty image: 2 x 0'),
    (CompressedImage(format='jpeg'), "format 'jpeg' and 0 bytes cannot be decoded"),
    (CompressedImage(format='png', data=bytes(50)), 'cannot be decoded'),
    (deep_png(), 'holds 3 x uint16, 1, 3 or 4 x uint8 is needed'),
])
def test_bad_pictures_are_refused_with_the_reason(message, reason):
    with pytest.raises(MessageError) as caught:
        rgb_from_message(message)
    assert reason in str(caught.value)


def test_truncated_jpeg_header_is_refused():
    data = cv2.imencode('.jpg', picture(32, 32))[1].tobytes()[:40]
    with pytest.raises(MessageError, match='40 bytes cannot be decoded'):
        rgb_from_message(CompressedImage(format='jpeg', data=array.array('B', data)))


@pytest.mark.parametrize(('encoding', 'pixels'), [
    ('rgb8', picture()), ('bgr8', picture()), ('mono8', picture()[..., 0]),
    ('mono16', np.arange(48, dtype=np.uint16).reshape(6, 8) * 999),
])
def test_written_pictures_hold_their_bytes(encoding, pixels):
    message = image_message(pixels, encoding, HEADER)
    assert (message.height, message.width, message.encoding) == (6, 8, encoding)
    assert message.step * message.height == len(message.data) == pixels.nbytes
    assert bytes(message.data) == np.ascontiguousarray(pixels).tobytes()
    assert message.header == HEADER


def test_pictures_of_the_wrong_type_are_not_written():
    with pytest.raises(ValueError, match='is not an image of mono16'):
        image_message(picture()[..., 0], 'mono16', HEADER)
    with pytest.raises(ValueError, match='is not an image of rgb8'):
        image_message(picture()[..., 0], 'rgb8', HEADER)


@pytest.mark.parametrize('padding', [0, 2])
@pytest.mark.parametrize('big_endian', [False, True])
def test_masks_read_back(padding, big_endian):
    ids = np.random.default_rng(0).integers(0, 65536, (5, 7)).astype(np.uint16)
    stored = ids.astype('>u2' if big_endian else '<u2')
    found = mask_from_message(raw('mono16', stored, padding, big_endian))
    assert found.dtype == np.uint16
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, ids)
    labels = ids.astype(np.uint8)
    np.testing.assert_array_equal(mask_from_message(raw('mono8', labels, padding)), labels)


def test_colours_are_no_mask():
    with pytest.raises(MessageError, match="'rgb8' is not one of mono8"):
        mask_from_message(image_message(picture(), 'rgb8', HEADER))
    with pytest.raises(MessageError, match='truncated data'):
        mask_from_message(Image(height=2, width=2, encoding='mono16', step=4, data=bytes(7)))


@given(st.sampled_from([*BYTES_PER_PIXEL, 'mono16', '8UC3', '']), st.integers(0, 5),
       st.integers(0, 5), st.integers(0, 20), st.integers(0, 100), st.booleans())
@settings(max_examples=200, deadline=None)
def test_any_other_picture_is_read_or_refused(encoding, height, width, step, size, big_endian):
    message = Image(height=height, width=width, encoding=encoding, step=step,
                    is_bigendian=big_endian, data=array.array('B', bytes(size)))
    try:
        assert rgb_from_message(message).shape == (height, width, 3)
    except MessageError as error:
        assert str(error)


@given(st.binary(max_size=60), st.sampled_from([b'', b'\xff\xd8\xff\xe0', b'\x89PNG\r\n\x1a\n']))
@settings(max_examples=60, deadline=None)
def test_noise_is_no_compressed_picture(noise, start):
    with pytest.raises(MessageError):
        rgb_from_message(CompressedImage(format='jpeg', data=array.array('B', start + noise)))


def test_every_supported_encoding_is_converted():
    for encoding, size in BYTES_PER_PIXEL.items():
        pixels = np.full((4, 4, size), 100, np.uint8)
        assert rgb_from_message(raw(encoding, pixels)).shape == (4, 4, 3)
