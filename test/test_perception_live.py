"""The node perception in its own process, with whatever comes in."""

from __future__ import annotations

import array
import dataclasses
import re
import signal
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402, I100
from live_perception import image_of, LATCHED, LivePerception, MS, wait_for  # noqa: E402
from sensor_msgs.msg import CameraInfo, PointCloud2, PointField  # noqa: E402
from small_world import CAMERA, cloud, write_models  # noqa: E402
from xmodelkd_ros.labels import PALETTE, POINT_CLASSES  # noqa: E402
from xmodelkd_ros.messages.cameras import camera_info_message  # noqa: E402
from xmodelkd_ros.messages.clouds import cloud_from_message, cloud_message  # noqa: E402
from xmodelkd_ros.messages.images import mask_from_message  # noqa: E402
from xmodelkd_ros.messages.point_fields import field_view, named_field  # noqa: E402
from xmodelkd_ros.networks.integers import can_multiply_integers  # noqa: E402

pytestmark = pytest.mark.ros

START = 1_700_000_000_000 * MS
STEP = 100 * MS
FATES = ('used', 'late', 'unmatched', 'replaced', 'refused')


@pytest.fixture(scope='module')
def live(tmp_path_factory):
    folder = tmp_path_factory.mktemp('live')
    live = LivePerception(folder, write_models(folder), ('front', 'left'))
    live.now = START
    yield live
    assert live.close() == 0, live.said()
    assert 'Traceback' not in live.said()


@pytest.fixture
def stamp(live):
    """Return a stamp that is later than all before."""
    live.now += 10 * STEP
    return live.now


def column(message, name):
    return field_view(message, named_field(message, (name,))).reshape(-1)


def received(live, source):
    return int(live.diagnostics.get(f'{source}.received', 0))


def test_a_frame_comes_out_on_every_topic(live, stamp):
    live.send_frame(stamp)
    labelled = live.output_at(stamp)
    source = cloud_message(cloud(stamp))
    assert [f.name for f in labelled.fields] == [
        *(f.name for f in source.fields), 'label', 'instance', 'confidence', 'rgb']
    assert labelled.header == source.header and labelled.width == source.width
    for field in source.fields:
        assert (column(labelled, field.name) == column(source, field.name)).all()
    label = column(labelled, 'label')
    assert set(label.tolist()) <= {c.id for c in POINT_CLASSES}
    red, green, blue = PALETTE[label].astype(np.uint32).T
    assert (column(labelled, 'rgb').view(np.uint32) == red << 16 | green << 8 | blue).all()
    masks = {name: live.output_at(stamp, f'{name}/instance_mask') for name in live.cameras}
    ids = {}
    for name, mask in masks.items():
        found = live.output_at(stamp, f'{name}/detections')
        ids[name] = {int(d.id) for d in found.detections}
        assert mask.encoding == 'mono16' and mask.header.frame_id == name == found.header.frame_id
        assert set(np.unique(mask_from_message(mask)).tolist()) - {0} == ids[name] != set()
        assert live.output_at(stamp, f'{name}/overlay').encoding == 'rgb8'
    assert not ids['front'] & ids['left']
    assert set(column(labelled, 'instance').tolist()) <= ids['front'] | ids['left'] | {0}
    boxes = live.output_at(stamp, 'instances')
    assert boxes.header == labelled.header
    assert {int(d.id) for d in boxes.detections} <= set(column(labelled, 'instance').tolist())


def test_label_info_is_latched(live):
    (info,) = wait_for(lambda: live.outputs['label_info'])
    assert {row.class_id: row.class_name for row in info.class_map} == {
        0: 'unlabelled', **{c.id: c.name for c in POINT_CLASSES}}


def test_missing_camera_costs_its_instances_only_and_late_images_are_counted(live, stamp):
    late = int(live.diagnostics.get('image.left.late', 0))
    live.send_frame(stamp, cameras=('front',))
    labelled = live.output_at(stamp)
    assert column(labelled, 'label').all()
    live.output_at(stamp, 'front/detections')
    live.send('left/image', image_of(stamp, 'left'))
    live.send_frame(stamp + STEP)
    live.output_at(stamp + STEP, 'left/detections')
    live.counts('image.left', late=late + 1)


def test_newest_wins_when_all_comes_at_once_and_each_message_has_one_fate(live, stamp):
    before = received(live, 'points')
    live.now += 40 * STEP
    sweep = cloud(stamp, count=40_000)  # Takes the worker longer than the middleware.
    for number in range(40):
        at = stamp + number * STEP
        live.send_frame(at, of=cloud_message(dataclasses.replace(sweep, stamp=at)))
        time.sleep(0.004)  # The middleware keeps ten messages for a callback that is late.
    live.output_at(stamp + 39 * STEP)
    live.send_frame(live.now + STEP)
    live.output_at(live.now + STEP)
    live.next_report()
    counts = live.counts('points', waiting=0)
    assert int(counts['replaced']) > 0
    for source in ('points', 'image.front', 'image.left'):
        counts = {k: int(v) for k, v in live.counts(source).items() if k in (
            'received', 'waiting', *FATES)}
        assert counts['received'] == sum(counts[f] for f in FATES) + counts['waiting']
        assert counts['received'] > before + 10


def test_what_a_node_that_is_held_up_never_gets_is_counted_as_lost(live, stamp):
    def came_or_lost():
        return sum(int(live.diagnostics[f'points.{fate}']) for fate in ('received', 'lost'))

    live.now += 20 * STEP
    live.send_frame(stamp)
    live.output_at(stamp)
    live.next_report()
    live.next_report()
    before, lost = came_or_lost(), int(live.diagnostics['points.lost'])
    live.process.send_signal(signal.SIGSTOP)
    for number in range(1, 20):
        live.send('points', cloud_message(cloud(stamp + number * STEP, count=50)))
    live.process.send_signal(signal.SIGCONT)
    live.send_frame(live.now)
    live.output_at(live.now)
    live.next_report()
    wait_for(lambda: came_or_lost() == before + 20)
    assert int(live.diagnostics['points.lost']) > lost


def without_y(message):
    message.fields = [field for field in message.fields if field.name != 'y']


def truncated(message):
    message.data = array.array('B', bytes(message.data)[:-5])


def no_points(message):
    message.width, message.row_step, message.data = 0, 0, array.array('B')


def double_width(message):
    message.fields[0].datatype = PointField.INT32


def zero_stamp(message):
    message.header.stamp.sec = message.header.stamp.nanosec = 0


def unknown_encoding(message):
    message.encoding = '32FC7'


def wrong_size(message):
    message.width, message.step = message.width // 2, message.step // 2


def unknown_frame(message):
    message.header.frame_id = 'nowhere'


BAD_CLOUDS = {
    without_y: "'y' is missing", truncated: 'truncated', no_points: 'empty',
    double_width: 'float32', zero_stamp: 'stamp is zero',
}
BAD_IMAGES = {
    unknown_encoding: '32FC7', truncated: 'truncated', wrong_size: 'camera_info is for',
    unknown_frame: 'no transform nowhere', zero_stamp: 'stamp is zero',
}


def test_bad_clouds_are_refused_with_the_reason_and_the_node_goes_on(live, stamp):
    refused = int(live.diagnostics['points.refused'])
    for number, (spoil, reason) in enumerate(BAD_CLOUDS.items()):
        message = cloud_message(cloud(stamp + number * STEP))
        spoil(message)
        live.send('points', message)
        wait_for(lambda reason=reason: refuses(live, 'points', reason))
    live.counts('points', refused=refused + len(BAD_CLOUDS))
    live.now += 10 * STEP
    live.send_frame(live.now)
    live.output_at(live.now)


def refuses(live, topic, reason):
    return says(live, f'/perception/input/{topic}: message of .* refused: .*{reason}')


def says(live, pattern):
    return re.search(pattern, live.said())


def test_bad_images_are_refused_with_the_reason_and_cost_only_themselves(live, stamp):
    live.send_frame(stamp)
    live.output_at(stamp)
    refused = int(live.diagnostics['image.front.refused'])
    for number, (spoil, reason) in enumerate(BAD_IMAGES.items(), 1):
        at = stamp + number * STEP
        message = image_of(at)
        spoil(message)
        live.send('front/image', message)
        live.send_frame(at, cameras=('left',))
        live.output_at(at, 'left/detections')
        wait_for(lambda reason=reason: refuses(live, 'front/image', reason))
    live.counts('image.front', refused=refused + len(BAD_IMAGES))
    assert int(live.diagnostics['tf.failures']) >= 1


def test_compressed_image_that_cannot_be_decoded_is_refused(live, stamp):
    message = image_of(stamp, 'left')
    message.data = message.data[:30]
    live.send('left/image', message)
    live.send_frame(stamp, cameras=('front',))
    live.output_at(stamp, 'front/detections')
    wait_for(lambda: refuses(live, 'left/image/compressed', 'cannot be decoded'))


def test_points_that_are_not_finite_get_label_0_and_are_said(live, stamp):
    bad = cloud(stamp)
    bad.points[:7] = np.nan
    bad.points[7:9, 2] = np.inf
    message = cloud_message(bad)
    message.is_dense = True
    live.send('points', message)
    labels = column(live.output_at(stamp), 'label')
    assert not labels[:9].any() and labels[9:].all()
    wait_for(lambda: says(live, r'/input/points: .* has 9 points that are NaN or infinite'))
    live.counts('points', not_finite=9)


def test_organised_cloud_stays_organised(live, stamp):
    message = cloud_message(cloud(stamp, count=1200), height=8)
    live.send('points', message)
    labelled = live.output_at(stamp)
    assert (labelled.height, labelled.width) == (8, 150)
    assert len(cloud_from_message(labelled).points) == 1200


def test_calibration_that_is_impossible_refuses_images_until_a_good_one_comes(live, stamp):
    live.send('front/camera_info', CameraInfo())
    live.send('front/image', image_of(stamp))
    live.send_frame(stamp, cameras=('left',))
    live.output_at(stamp, 'left/detections')
    wait_for(lambda: refuses(live, 'front/image', 'the camera is not calibrated'))
    live.send('front/camera_info', camera_info_message(CAMERA, stamp, 'front'))
    live.send_frame(stamp + STEP)
    live.output_at(stamp + STEP, 'front/detections')


def test_time_that_jumps_back_clears_all_and_is_said_once(live, stamp):
    live.send_frame(stamp)
    live.output_at(stamp)
    for outputs in live.outputs.values():
        outputs.clear()
    live.now = START - 500_000 * MS
    for number in range(3):
        at = live.now + number * STEP
        live.send_frame(at, seed=number)
        live.output_at(at)
        live.output_at(at, 'front/detections')  # The static transforms are still there.
    assert live.said().count('time has jumped back') == 1
    wait_for(lambda: live.diagnostics['time_jumps'] == '1')


def test_subscriber_of_unsuitable_quality_is_said_in_one_line(live):
    live.node.create_subscription(
        PointCloud2, '/perception/output/points', lambda message: None, LATCHED)
    wait_for(lambda: says(live, r'output/points.* incompatible QoS.*DURABILITY'))
    assert live.said().count('incompatible QoS') == 1


def test_diagnostics_warn_while_a_camera_is_silent_and_no_longer(live, stamp):
    def level_is(level, *words, cameras=('front', 'left')):
        live.now += STEP
        live.send_frame(live.now, cameras=cameras)
        time.sleep(0.05)
        return live.level == level and all(word in live.summary for word in words)

    wait_for(lambda: level_is(DiagnosticStatus.OK, 'clouds per second'))
    wait_for(lambda: level_is(
        DiagnosticStatus.WARN, 'nothing came: image.left', cameras=('front',)))
    wait_for(lambda: level_is(DiagnosticStatus.OK))
    wait_for(lambda: live.level == DiagnosticStatus.WARN
             and 'nothing came: points' in live.summary)


def test_diagnostics_name_models_stages_and_latencies(live):
    names = live.diagnostics
    for model in ('point', 'video'):
        assert len(names[f'model.{model}.sha256']) == 64
    floats = {'bfloat16', 'float32'}
    assert names['arithmetic'] in ({'int8'} if can_multiply_integers() else floats)
    for stage in ('messages_to_arrays', 'point_segmenter', 'video_segmenter', 'tracker',
                  'projection', 'painting', 'arrays_to_message', 'other_outputs'):
        assert 0 < float(names[f'stage.{stage}.p50_ms']) <= float(names[f'stage.{stage}.p95_ms'])
    assert float(names['latency.p50_ms']) <= float(names['latency.p99_ms'])
    assert float(names['image.front.pair_offset.p95_ms']) == 0
    assert float(names['process.memory_mib']) > 50
