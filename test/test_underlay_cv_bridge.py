"""The stand-in for cv_bridge: what its documentation and its upstream tests promise."""

import array
import sys

import cv2
import cv_bridge
from cv_bridge import CvBridge, CvBridgeError, cvtColor2, getCvType
import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Header

BRIDGE = CvBridge()
DTYPES = [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32, np.float64]


def noise(shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 120, shape).astype(dtype)


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('channels', [(), (1,), (2,), (3,), (4,), (5,)])
def test_arrays_survive_a_message(dtype, channels):
    image = noise((7, 9, *channels), dtype)
    message = BRIDGE.cv2_to_imgmsg(image, header=Header(frame_id='eye'))
    depth = {'uint8': '8U', 'int8': '8S', 'uint16': '16U', 'int16': '16S', 'int32': '32S',
             'float32': '32F', 'float64': '64F'}[np.dtype(dtype).name]
    assert message.encoding == f'{depth}C{channels[0] if channels else 1}'
    assert (message.height, message.width, message.header.frame_id) == (7, 9, 'eye')
    assert message.step == 9 * image.itemsize * (channels[0] if channels else 1)
    found = BRIDGE.imgmsg_to_cv2(message)
    assert found.dtype == dtype
    expected = image[..., 0] if channels == (1,) else image
    np.testing.assert_array_equal(found, expected)


def test_passthrough_is_a_view():
    message = BRIDGE.cv2_to_imgmsg(noise((4, 5, 3)), 'bgr8')
    found = BRIDGE.imgmsg_to_cv2(message)
    assert np.shares_memory(found, np.frombuffer(message.data, np.uint8))
    copied = BRIDGE.imgmsg_to_cv2(message, 'bgr8')
    assert not np.shares_memory(copied, np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize('channels', [1, 3])
def test_row_padding_is_skipped(channels):
    image = noise((4, 5, channels), np.uint16)
    rows = np.hstack([image.reshape(4, -1).view(np.uint8), np.full((4, 6), 9, np.uint8)])
    message = Image(height=4, width=5, encoding=f'16UC{channels}', step=rows.shape[1],
                    data=array.array('B', rows.tobytes()))
    found = BRIDGE.imgmsg_to_cv2(message)
    np.testing.assert_array_equal(found, image[..., 0] if channels == 1 else image)


def test_byte_order_is_kept_and_read():
    image = noise((30, 40), np.int32)
    message = BRIDGE.cv2_to_imgmsg(image.astype('>i4'))
    assert message.is_bigendian
    found = BRIDGE.imgmsg_to_cv2(message)
    np.testing.assert_array_equal(found, image)
    assert found.dtype.isnative
    assert BRIDGE.cv2_to_imgmsg(image).is_bigendian == (sys.byteorder == 'big')


def test_three_channels_can_be_sent_as_rgb_or_bgr_but_not_rgba():
    data = array.array('B', b'1234' * (640 * 480))
    message = Image(width=640, height=480, encoding='rgba8', step=640 * 4, data=data)
    image = BRIDGE.imgmsg_to_cv2(message, 'rgb8')
    assert image.shape == (480, 640, 3)
    assert image[0, 0].tolist() == list(b'123')
    with pytest.raises(CvBridgeError, match='rgba8, but image has incompatible type 8UC3'):
        BRIDGE.cv2_to_imgmsg(image, 'rgba8')
    assert BRIDGE.cv2_to_imgmsg(image, 'rgb8').encoding == 'rgb8'
    assert BRIDGE.cv2_to_imgmsg(image, 'bgr8').encoding == 'bgr8'


def test_encodings_have_opencv_types():
    assert getCvType('32FC4') != cv2.CV_8UC4
    assert getCvType('8UC1') == getCvType('8U') == getCvType('mono8') == cv2.CV_8UC1
    assert getCvType('bgra16') == cv2.CV_16UC4
    assert getCvType('bayer_rggb16') == cv2.CV_16UC1
    assert getCvType('yuv422') == cv2.CV_8UC2
    assert BRIDGE.encoding_to_dtype_with_channels('rgb16') == ('uint16', 3)
    with pytest.raises(RuntimeError, match=r'Unrecognized image encoding \[nonsense\]'):
        getCvType('nonsense')
    with pytest.raises(CvBridgeError, match='Unrecognized'):
        BRIDGE.imgmsg_to_cv2(Image(encoding='nonsense'))


def test_what_is_no_array_is_refused():
    with pytest.raises(TypeError, match='not a numpy array'):
        BRIDGE.cv2_to_imgmsg(1, 'rgba8')
    with pytest.raises(TypeError, match='not a numpy array'):
        BRIDGE.cv2_to_compressed_imgmsg([1, 2])


def test_plain_numbers_are_no_colours():
    message = BRIDGE.cv2_to_imgmsg(noise((4, 5, 3)))
    with pytest.raises(CvBridgeError, match=r'\[8UC3\] is not a color format. but \[mono16\]'):
        BRIDGE.imgmsg_to_cv2(message, 'mono16')
    with pytest.raises(CvBridgeError, match='number of channels'):
        BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(noise((4, 5, 3)), 'rgb8'), '8UC1')


def test_colours_change_their_depth():
    image = noise((4, 5, 3))
    wide = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(image, 'rgb8'), 'rgb16')
    np.testing.assert_array_equal(wide, image.astype(np.uint16) * 257)
    np.testing.assert_array_equal(cvtColor2(wide, 'rgb16', 'bgr8'), image[..., ::-1])
    grey = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(image, 'rgb8'), 'mono16')
    assert (grey.dtype, grey.shape) == (np.uint16, (4, 5))


def test_plain_numbers_change_their_type_with_saturation():
    image = np.array([[-3.4, 2.6, 300.0]], np.float32)
    assert cvtColor2(image, '32FC1', '8UC1').tolist() == [[0, 3, 255]]
    assert cvtColor2(image, '32FC1', '64FC1').dtype == np.float64


@pytest.mark.parametrize('source', ['rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8'])
@pytest.mark.parametrize('target', ['rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8'])
def test_all_colour_conversions_agree_with_rgb(source, target):
    rgb = noise((4, 5, 3))
    rgb[...] = rgb[..., :1]  # Greys go through every conversion unchanged.
    opaque = np.full((4, 5, 1), 255, np.uint8)
    images = {'rgb8': rgb, 'bgr8': rgb, 'mono8': rgb[..., 0],
              'rgba8': np.dstack([rgb, opaque]), 'bgra8': np.dstack([rgb, opaque])}
    np.testing.assert_array_equal(cvtColor2(images[source], source, target), images[target])


def test_red_stays_red():
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    assert cvtColor2(red, 'rgb8', 'bgr8')[0, 0].tolist() == [0, 0, 200]
    assert cvtColor2(red, 'rgb8', 'bgra8')[0, 0].tolist() == [0, 0, 200, 255]
    assert cvtColor2(red, 'rgb8', 'mono8')[0, 0] == round(200 * 0.299)


def test_conversions_that_opencv_does_not_have():
    with pytest.raises(CvBridgeError, match=r'from \[rgb8\] to \[bayer_rggb8\]'):
        BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(noise((4, 4, 3)), 'rgb8'), 'bayer_rggb8')
    with pytest.raises(CvBridgeError, match=r'from \[bayer_rggb8\] to \[rgba8\]'):
        BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(noise((4, 4)), 'bayer_rggb8'), 'rgba8')


@pytest.mark.parametrize('suffix', ['jpg', 'jpeg', 'png', 'bmp', 'tiff'])
@pytest.mark.parametrize('channels', [(), (3,)])
def test_compressed_images_keep_shape_and_type(suffix, channels):
    image = noise((40, 60, *channels))
    message = BRIDGE.cv2_to_compressed_imgmsg(image, suffix)
    assert message.format == suffix
    found = BRIDGE.compressed_imgmsg_to_cv2(message)
    assert (found.dtype, found.shape) == (image.dtype, image.shape)
    if not suffix.startswith('jp'):
        np.testing.assert_array_equal(found, image)


def test_compressed_images_are_stored_in_bgr():
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 2] = 255
    message = BRIDGE.cv2_to_compressed_imgmsg(red, 'png')
    assert BRIDGE.compressed_imgmsg_to_cv2(message, 'rgb8')[0, 0].tolist() == [255, 0, 0]
    with pytest.raises(CvBridgeError):
        BRIDGE.cv2_to_compressed_imgmsg(red, 'nonsense')


def test_what_is_not_provided_says_so():
    with pytest.raises(NotImplementedError, match='cvtColorForDisplay'):
        cv_bridge.cvtColorForDisplay(None, '32SC1', 'bgr8')
    with pytest.raises(NotImplementedError, match='cvtype2_to_dtype_with_channels'):
        BRIDGE.cvtype2_to_dtype_with_channels(0)
