"""Launch files run through `ros2 launch`: a bag through the live node is the bag offline."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
import runpy
import shutil
import subprocess

import cv2
import numpy as np
import pytest
import yaml

pytest.importorskip('launch')

from live_perception import base_parameters, DOMAIN  # noqa: E402, I100
from sensor_msgs.msg import CompressedImage  # noqa: E402
from small_world import (  # noqa: E402
    CAMERA,
    CAMERA_FROM_LIDAR,
    cloud,
    picture,
    TRACK_EVERYTHING,
    write_models,
)
from tf2_msgs.msg import TFMessage  # noqa: E402
from xmodelkd_ros.bags.frames import frames  # noqa: E402
from xmodelkd_ros.bags.results import RecordedResults  # noqa: E402
from xmodelkd_ros.bags.writer import BagWriter  # noqa: E402
from xmodelkd_ros.geometry.transforms import from_translation_quaternion, invert  # noqa: E402
from xmodelkd_ros.inference.pipeline import Perception, PipelineConfig  # noqa: E402
from xmodelkd_ros.inference.point_segmenter import PointSegmenter  # noqa: E402
from xmodelkd_ros.inference.tracker import TrackerConfig  # noqa: E402
from xmodelkd_ros.inference.video_segmenter import VideoSegmenter  # noqa: E402
from xmodelkd_ros.messages.cameras import camera_info_message  # noqa: E402
from xmodelkd_ros.messages.clouds import cloud_message  # noqa: E402
from xmodelkd_ros.messages.images import image_message  # noqa: E402
from xmodelkd_ros.messages.stamps import header_message  # noqa: E402
from xmodelkd_ros.messages.transforms import transform_message  # noqa: E402

pytestmark = [
    pytest.mark.ros,
    pytest.mark.skipif(shutil.which('ros2') is None, reason='needs the command ros2'),
]

START = 1_700_000_000_000_000_000
STEP = 100_000_000
COUNT = 12
CAMERAS = ('front', 'left')
IMAGES = {'front': '/front/image', 'left': '/left/image'}
MISSING = 5
"""The cloud without an image of the camera on the left."""

FILES = sorted((Path(__file__).resolve().parents[1] / 'launch').glob('*.launch.py'))


def write_bag(path, points='/points', images=IMAGES):
    """Write a short drive, with points of many times; images are stamped after their clouds."""
    random = np.random.default_rng(0)
    with BagWriter(path) as bag:
        for stamp in range(START - 2 * STEP, START + (COUNT + 1) * STEP, STEP // 10):
            seconds = (stamp - START) * 1e-9
            turn = np.array([0, 0, np.sin(0.2 * seconds), np.cos(0.2 * seconds)])
            pose = from_translation_quaternion(np.array([8 * seconds, seconds**2, 0]), turn)
            bag.write('/tf', TFMessage(transforms=[
                transform_message(pose, stamp, 'odom', 'lidar')]), stamp - 2 * STEP)
        bag.write('/tf_static', TFMessage(transforms=[
            transform_message(invert(CAMERA_FROM_LIDAR), START, 'lidar', name)
            for name in CAMERAS]), START)
        for number in range(COUNT):
            stamp = START + number * STEP
            sweep = cloud(stamp, seed=number)
            sweep = dataclasses.replace(
                sweep, time_offset=random.integers(0, STEP, len(sweep.points)))
            bag.write(points, cloud_message(sweep), stamp)
            for lag, name in enumerate(CAMERAS, 1):
                taken = stamp + lag * 7_000_000
                if name == 'left' and number == MISSING:
                    continue
                bag.write(f'/{name}/camera_info', camera_info_message(CAMERA, taken, name), taken)
                rgb = picture(taken, seed=number + 100 * lag).rgb
                message = image_message(rgb, 'rgb8', header_message(taken, name))
                if images[name].endswith('/compressed'):
                    _, data = cv2.imencode('.png', rgb[..., ::-1])
                    message = CompressedImage(
                        header=message.header, format='png', data=data.tobytes())
                bag.write(images[name], message, taken)


def ros2_launch(file, **arguments):
    """Run a launch file to its end; return what it said."""
    command = ['ros2', 'launch', 'xmodelkd_ros', file]
    done = subprocess.run(
        [*command, *(f'{key}:={value}' for key, value in arguments.items())],
        capture_output=True, text=True, timeout=110,
        env={**os.environ, 'ROS_DOMAIN_ID': DOMAIN})
    return done.stdout + done.stderr


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('replay')


@pytest.fixture(scope='module')
def models(folder):
    return write_models(folder)


@pytest.fixture(scope='module')
def replayed(folder, models):
    """Play a bag through the live node; return the bag, the recorded bag and what was said."""
    write_bag(folder / 'drive')
    parameters = base_parameters(models, ())
    del parameters['cameras']
    values = {k: str(v) if k.endswith('_model') else v for k, v in parameters.items()}
    (folder / 'parameters.yaml').write_text(yaml.safe_dump({'/**': {'ros__parameters': values}}))
    said = ros2_launch(
        'replay.launch.py', bag=folder / 'drive', record=folder / 'results', lossless='true',
        fixed_frame='odom',
        params_file=folder / 'parameters.yaml')
    return folder / 'drive', folder / 'results', said


def test_the_live_node_says_exactly_what_the_pipeline_says_offline(replayed, models):
    drive, results, said = replayed
    perceive = Perception(
        PointSegmenter(models[0]), VideoSegmenter(models[1]),
        PipelineConfig(tracker=TrackerConfig(**TRACK_EVERYTHING)))
    expected = [(frame, perceive(frame)) for frame in frames(drive, fixed_frame='odom')]
    assert all(np.abs(f.points_at_stamp - f.cloud.points).max() > 0.3 for f, _ in expected)
    recorded = RecordedResults(results)
    clouds = {cloud.stamp: cloud for cloud in recorded.clouds()}
    assert sorted(clouds) == [frame.cloud.stamp for frame, _ in expected], said
    assert len(clouds) == COUNT
    for frame, result in expected:
        live = clouds[frame.cloud.stamp]
        assert np.array_equal(live.label, result.labels.label)
        assert np.array_equal(live.instance, result.instance)
    assert any(result.instance.any() for _, result in expected)
    for camera in CAMERAS:
        live_tracks = dict(recorded.tracks(camera))
        offline = {f.views[camera].picture.stamp: r.tracks[camera]
                   for f, r in expected if camera in f.views}
        assert live_tracks.keys() == offline.keys()
        assert len(offline) == COUNT - (camera == 'left')
        for stamp, tracks in offline.items():
            assert np.array_equal(live_tracks[stamp].id_map, tracks.id_map)
            assert np.array_equal(live_tracks[stamp].track_id, tracks.track_id)


def test_every_message_of_the_bag_is_accounted_for(replayed):
    said = RecordedResults(replayed[1]).diagnostics()
    assert said['points.received'] == said['points.used'] == str(COUNT)
    assert said['image.front.used'] == str(COUNT) and said['image.left.used'] == str(COUNT - 1)
    assert 'model.point.sha256' in said


def test_replay_ends_in_order_with_the_bag(replayed):
    assert replayed[2].count('process has finished cleanly') == 3, replayed[2]


def test_a_bag_with_topics_of_other_names_is_labelled_whole(replayed, folder):
    write_bag(folder / 'others', '/top/cloud', {
        'front': '/front/image_raw', 'left': '/left/image_rect/compressed'})
    said = ros2_launch(
        'replay.launch.py', bag=folder / 'others', record=folder / 'results_of_others',
        lossless='true', params_file=folder / 'parameters.yaml')
    found = RecordedResults(folder / 'results_of_others').diagnostics()
    assert found['points.used'] == found['image.front.used'] == str(COUNT), said
    assert found['image.left.used'] == str(COUNT - 1), said
    assert f'answers: asked {COUNT}, answered {COUNT}' in said


def test_cameras_of_the_file_of_parameters_are_connected(tmp_path):
    (tmp_path / 'mine.yaml').write_text(yaml.safe_dump({
        '/**': {'ros__parameters': {'cameras': []}},
        'perception': {'ros__parameters': {'cameras': ['left']}},
    }))
    said = ros2_launch(
        'perception.launch.py', params_file=tmp_path / 'mine.yaml', transport='odd')
    assert "camera.left.transport = 'odd' is not allowed" in said


@pytest.mark.parametrize('value, each', [
    ('', ['', '']), ('true', ['true', 'true']), ('left', ['', 'true']),
    ('[front, left]', ['true', 'true']), ('front=true,left=false', ['true', 'false'])])
def test_cameras_that_are_rectified_are_named_or_each_said(value, each):
    launch = runpy.run_path(str(FILES[0].with_name('perception.launch.py')))
    values = {'rectified': launch['true_for'](value, CAMERAS)}
    assert [launch['of_camera'](values, 'rectified', name) for name in CAMERAS] == each


def test_an_argument_for_a_camera_that_is_not_there_is_refused():
    said = ros2_launch('perception.launch.py', cameras='[front]', image='fornt=/a,front=/b')
    assert 'image:=fornt=/a,front=/b: no camera fornt, cameras: front' in said
    assert 'process started' not in said


@pytest.mark.parametrize('argument, reason', [
    ('cameras', 'the bag has the cameras front, left, not all of rear'),
    ('record', 'exists already'),
])
def test_replay_refuses_before_anything_starts(folder, argument, reason):
    bag = folder / f'of_{argument}'
    write_bag(bag)
    value = 'rear' if argument == 'cameras' else bag
    said = ros2_launch('replay.launch.py', bag=bag, **{argument: value})
    assert reason in said and 'process started' not in said


def test_replay_ends_when_perception_cannot_start(folder, models):
    write_bag(folder / 'other')
    said = ros2_launch('replay.launch.py', bag=folder / 'other', point_model='/nowhere')
    assert said.count('[FATAL]') == 1 and '/nowhere: there is no such checkpoint' in said
    assert 'exit code 2' in said


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_all_launch_files_read_lists_alike(path):
    items = runpy.run_path(str(path))['items']
    for written in ('a,b c', 'a, b c', '[a,b c]', '[a, b c,]', ' [ a , b c ] '):
        assert items(written) == ['a', 'b c']
    assert items('') == items('[]') == []
