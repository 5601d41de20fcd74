"""The node perception in this process: bad configuration, lifecycle, transforms, outputs."""

from __future__ import annotations

import dataclasses
import gc
import os
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')

from lifecycle_msgs.msg import Transition  # noqa: E402, I100
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from live_perception import base_parameters, DOMAIN, parameter_arguments  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.lifecycle import TransitionCallbackReturn  # noqa: E402
from sensor_msgs.msg import CameraInfo, PointCloud2  # noqa: E402
from small_world import CAMERA, cloud, write_models  # noqa: E402
from xmodelkd_ros.errors import CalibrationError, ConfigurationError  # noqa: E402
from xmodelkd_ros.geometry.transforms import from_translation_quaternion  # noqa: E402
from xmodelkd_ros.messages.cameras import camera_from_message, camera_info_message  # noqa: E402
from xmodelkd_ros.messages.clouds import cloud_message  # noqa: E402
from xmodelkd_ros.messages.stamps import nanoseconds  # noqa: E402
from xmodelkd_ros.messages.transforms import transform_message  # noqa: E402
from xmodelkd_ros.nodes import diagnostics  # noqa: E402
from xmodelkd_ros.nodes.calibration_file import read_calibration_file  # noqa: E402
from xmodelkd_ros.nodes.calibrations import Calibrations  # noqa: E402
from xmodelkd_ros.nodes.logbook import Logbook  # noqa: E402
from xmodelkd_ros.nodes.models import Models  # noqa: E402
from xmodelkd_ros.nodes.perception import main, PerceptionNode  # noqa: E402
from xmodelkd_ros.nodes.transforms import Transforms  # noqa: E402
from xmodelkd_ros.nodes.working_node import started  # noqa: E402
from xmodelkd_ros.records import Cloud  # noqa: E402

pytestmark = pytest.mark.ros

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
STAMP = 1_700_000_000_000_000_000


@pytest.fixture(scope='module', autouse=True)
def own_domain():
    os.environ['ROS_DOMAIN_ID'] = DOMAIN


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp('models'))


@pytest.fixture
def ros():
    """Initialise rclpy with given parameters; shut it down in the end."""
    def start(**parameters):
        rclpy.init(args=parameter_arguments(parameters))
    yield start
    rclpy.try_shutdown()


BAD = {
    'unknown key': ({'tolerence': 0.1}, 'tolerence = 0.1', 'unknown key'),
    'unknown camera key': ({'camera.rear.rectified': True}, 'camera.rear.rectified', 'unknown'),
    'out of range': ({'tolerance': 7.5}, 'tolerance = 7.5', '0 to 1 s'),
    'nested': ({'pipeline.painting.depth_gap': -1.0}, 'pipeline.painting.depth_gap', '0 to inf m'),
    'of a camera': ({'camera.front.transport': 'theora'}, "'theora'", 'raw, compressed'),
    'wrong type': ({'queue': 'long'}, "queue = 'long'", 'int'),
    'missing checkpoint': ({'point_model': '/nowhere.safetensors'}, '/nowhere', 'no such'),
    'no cuda': ({'device': 'cuda:77'}, 'cuda:77', 'not there'),
    'unknown device': ({'device': 'abacus'}, 'abacus', 'cpu'),
    'camera given twice': ({'cameras': '[front, front]'}, "['front', 'front']", 'different names'),
    'name of a camera': ({'cameras': '[front-left]'}, "['front-left']", 'no digit first'),
    'empty name of a camera': ({'cameras': "['']"}, "['']", 'letters'),
    'type of a parameter of ROS': ({'use_sim_time': 5}, "'5'", 'BOOL'),
    'calibration file': ({'calibration_file': '/nowhere.yaml'}, '/nowhere.yaml', 'a YAML file'),
}


@pytest.mark.parametrize('wrong, value, allowed', BAD.values(), ids=BAD)
def test_bad_configuration_is_one_fatal_line_and_exit_code_2(models, capfd, wrong, value, allowed):
    parameters = {**base_parameters(models, ('front',)), **wrong}
    assert main(['perception', *parameter_arguments(parameters)]) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line]
    assert len(lines) == 1 and '[FATAL]' in lines[0], lines
    assert value in lines[0] and allowed in lines[0]


def test_topics_on_which_nothing_comes_are_said_once(models, ros, capfd, monkeypatch):
    monkeypatch.setattr(diagnostics, 'PERIOD', 0.02)
    ros(**base_parameters(models, ('front',)))
    node = started(PerceptionNode)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.1)
    node.destroy_node()
    said = capfd.readouterr().err
    assert said.count('nothing has come on') == 1
    assert 'on /perception/input/points, /perception/input/front/image' in said


def test_arguments_that_are_not_of_ros_are_refused(capfd):
    assert main(['perception', 'cameras:=[front]', '--ros-args', '-p', 'queue:=5']) == 2
    assert capfd.readouterr().err.startswith('error: cameras:=[front]: parameters are given as')


def test_checkpoint_of_another_kind_is_refused(models, capfd):
    parameters = {**base_parameters(models, ('front',)), 'video_model': models[0]}
    assert main(['perception', *parameter_arguments(parameters)]) == 2
    assert "kind is 'point', 'video' is needed" in capfd.readouterr().err


def test_a_node_that_cannot_be_activated_ends(models, capfd, monkeypatch):
    monkeypatch.setattr(PerceptionNode, 'on_activate', lambda *_: FAILURE)
    assert main(['perception', *parameter_arguments(base_parameters(models, ()))]) == 2
    assert '[FATAL] ' in capfd.readouterr().err


def breaks(*_):
    raise RuntimeError('out of memory')


@pytest.mark.parametrize('step, what', [('__init__', 'configured'), ('pipeline', 'activated')])
def test_what_goes_wrong_at_the_start_is_said(models, ros, capfd, monkeypatch, step, what):
    monkeypatch.setattr(Models, step, breaks)
    parameters = base_parameters(models, ())
    assert main(['perception', *parameter_arguments(parameters)]) == 2
    reason = f"cannot be {what}: RuntimeError('out of memory')"
    (line,) = capfd.readouterr().err.splitlines()
    assert '[FATAL]' in line and reason in line
    ros(**{**parameters, 'autostart': False})
    node = PerceptionNode()
    assert node.trigger_configure() == FAILURE or node.trigger_activate() == FAILURE
    assert reason in capfd.readouterr().err
    node.destroy_node()


def test_a_transition_that_is_not_possible_is_refused_and_the_node_goes_on(models, ros, capfd):
    ros(**{**base_parameters(models, ()), 'point_model': '/nowhere', 'autostart': False})
    node, client = PerceptionNode(), rclpy.create_node('client')
    asked = client.create_client(ChangeState, '/perception/change_state')
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.add_node(client)
    assert asked.wait_for_service(20)
    for transition in (Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_CONFIGURE):
        answer = asked.call_async(ChangeState.Request(transition=Transition(id=transition)))
        executor.spin_until_future_complete(answer, 20)
        assert not answer.result().success
    said = capfd.readouterr().err
    assert 'Transition is not registered' in said and 'cannot be configured: /nowhere' in said
    executor.shutdown()
    node.destroy_node()


def test_activating_again_and_again_leaves_nothing(models, ros):
    ros(**{**base_parameters(models, ()), 'autostart': False})
    node = PerceptionNode()
    node.trigger_configure()
    before = threading.active_count()
    for _ in range(2):
        assert node.trigger_activate() == SUCCESS
        session = weakref.ref(node._session)
        assert node.trigger_deactivate() == SUCCESS
        assert session() is None
    assert threading.active_count() == before
    node.destroy_node()


def test_exit_code_of_the_process(models):
    arguments = parameter_arguments({**base_parameters(models, ()), 'max_wait': -3.0})
    done = subprocess.run(
        [sys.executable, '-m', 'xmodelkd_ros.nodes.perception', *arguments],
        capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert done.stderr.count('\n') == 1 and 'max_wait = -3.0' in done.stderr


def test_lifecycle_loads_works_stops_and_frees(models, ros):
    ros(**{**base_parameters(models, ()), 'autostart': False})
    node, client = PerceptionNode(), rclpy.create_node('client')
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.add_node(client)
    sender = client.create_publisher(PointCloud2, '/perception/input/points', 10)
    heard = []
    client.create_subscription(PointCloud2, '/perception/output/points', heard.append, 10)

    def hears(patience):
        first, end = STAMP + time.monotonic_ns(), time.monotonic() + patience
        while time.monotonic() < end:
            sender.publish(cloud_message(cloud(STAMP + time.monotonic_ns(), count=50)))
            executor.spin_once(timeout_sec=0.1)
            if any(nanoseconds(message.header.stamp) >= first for message in heard):
                return True
        return False

    assert not hears(0.5)
    assert node.trigger_configure() == SUCCESS
    assert not hears(0.5)
    assert node.trigger_activate() == SUCCESS
    assert hears(30)
    assert node.trigger_deactivate() == SUCCESS
    assert not hears(0.5)
    freed = weakref.ref(node._models.points)
    assert node.trigger_cleanup() == SUCCESS
    gc.collect()
    assert freed() is None
    assert node.trigger_configure() == node.trigger_activate() == SUCCESS
    assert hears(30)
    assert node.trigger_shutdown() == SUCCESS
    executor.shutdown()
    node.destroy_node()


def test_moving_transforms_of_before_are_forgotten_on_activation(models, ros):
    ros(**{**base_parameters(models, ()), 'autostart': False, 'fixed_frame': 'odom'})
    node = PerceptionNode()
    assert node.trigger_configure() == SUCCESS
    transforms, earlier = node._transforms, STAMP - 3600 * 10**9
    transforms._buffer.set_transform(moved(1, STAMP, 'odom', 'lidar'), 'test')
    assert node.trigger_activate() == SUCCESS
    transforms._buffer.set_transform(moved(2, earlier, 'odom', 'lidar'), 'test')
    assert transforms.fixed_from('lidar', earlier, 0)[0, 3] == 2
    node.destroy_node()


def test_node_without_autostart_survives_a_missing_checkpoint(models, ros, capfd):
    ros(**{**base_parameters(models, ()), 'autostart': False, 'point_model': '/nowhere'})
    node = PerceptionNode()
    assert node.trigger_configure() == FAILURE
    assert 'cannot be configured: /nowhere' in capfd.readouterr().err
    node.destroy_node()


def make_transforms(fixed_frame='', fallback=()):
    node = rclpy.create_node('transforms')
    logbook = Logbook(node.get_logger(), lambda: 0)
    return Transforms(node, fixed_frame, fallback, logbook), logbook


def moved(x, stamp, parent, child):
    pose = from_translation_quaternion(np.array([x, 0, 0]), np.array([0, 0, 0, 1.0]))
    return transform_message(pose, stamp, parent, child)


def test_points_are_carried_over_time_through_the_fixed_frame(ros):
    ros()
    transforms, logbook = make_transforms('odom')
    for tenth in range(4):
        transforms._buffer.set_transform(
            moved(2.0 * tenth, STAMP + tenth * 10**8, 'odom', 'base_link'), 'test')
    transforms._buffer.set_transform_static(moved(0.5, 0, 'base_link', 'lidar'), 'test')
    transforms._buffer.set_transform_static(moved(1.5, 0, 'base_link', 'front'), 'test')
    found = transforms.between(('front', STAMP + 2 * 10**8), ('lidar', STAMP + 10**8), 0)
    # At the image's time the vehicle is 2 m further on than at the cloud's.
    np.testing.assert_allclose(found[:3, 3], [0.5 - 1.5 - 2.0, 0, 0], atol=1e-9)
    assert transforms.fixed_from('lidar', STAMP + 10**8, 0)[0, 3] == 2.5
    sweep = Cloud(STAMP + 10**8, np.zeros((1, 3), np.float32), time_offset=np.zeros(1, np.int64))
    found = transforms.frame(sweep, {})
    assert found.fixed_from_lidar[0, 3] == 2.5 and found.motion[0, 3] == 2.0
    assert transforms.frame(dataclasses.replace(sweep, stamp=STAMP), {}).motion is None
    assert not logbook.tf_failures


def test_a_sweep_measured_at_once_asks_nobody_for_its_motion(ros):
    ros()
    transforms, _ = make_transforms('odom')
    asked = []
    transforms._buffer.lookup_transform_full = lambda *given: asked.append(given)
    assert transforms.frame(Cloud(STAMP, np.zeros((1, 3), np.float32)), {}).motion is None
    assert not asked


def test_without_a_pose_in_time_frames_are_taken_as_simultaneous_and_it_is_counted(ros, capfd):
    ros()
    transforms, logbook = make_transforms('odom')
    transforms._buffer.set_transform_static(moved(0.5, 0, 'base_link', 'lidar'), 'test')
    transforms._buffer.set_transform_static(moved(1.5, 0, 'base_link', 'front'), 'test')
    found = transforms.between(('front', STAMP + 1), ('lidar', STAMP), 0)
    np.testing.assert_allclose(found[:3, 3], [-1, 0, 0], atol=1e-9)
    assert dict(logbook.tf_failures) == {'front <- lidar through odom': 1}
    assert 'TF has no front <- lidar through odom' in capfd.readouterr().err


def test_a_pose_that_is_not_finite_costs_the_fixed_frame_and_no_cloud(ros):
    ros()
    transforms, logbook = make_transforms('odom')
    for tenth in range(3):
        astray = moved(0, STAMP + tenth * 10**8, 'odom', 'lidar')
        astray.transform.translation.x = np.inf
        transforms._buffer.set_transform(astray, 'test')
    transforms._buffer.set_transform_static(moved(1.5, 0, 'lidar', 'front'), 'test')
    assert transforms.fixed_from('lidar', STAMP + 10**8, 0) is None
    sweep = Cloud(
        STAMP + 10**8, np.zeros((1, 3), np.float32), time_offset=np.zeros(1, np.int64),
        frame='lidar')
    assert transforms.frame(sweep, {}).motion is None
    found = transforms.between(('front', STAMP + 1), ('lidar', STAMP), 0)
    np.testing.assert_allclose(found[:3, 3], [-1.5, 0, 0], atol=1e-9)
    assert logbook.tf_failures['odom <- lidar'] == 2


def test_times_before_zero_as_at_the_start_of_a_simulation_have_no_transform(ros):
    ros()
    transforms, logbook = make_transforms('odom')
    transforms._buffer.set_transform(moved(2.0, 10**7, 'odom', 'lidar'), 'test')
    transforms._buffer.set_transform_static(moved(1.5, 0, 'lidar', 'front'), 'test')
    sweep = Cloud(
        10**7, np.zeros((1, 3), np.float32), time_offset=np.zeros(1, np.int64), frame='lidar')
    frame = transforms.frame(sweep, {})
    assert frame.motion is None and frame.fixed_from_lidar[0, 3] == 2.0
    found = transforms.between(('front', -10**7), ('lidar', 10**7), 0)
    np.testing.assert_allclose(found[:3, 3], [-1.5, 0, 0], atol=1e-9)
    assert dict(logbook.tf_failures) == {'front <- lidar through odom': 1}


def test_transform_that_comes_while_it_is_waited_for_is_used(ros):
    ros()
    transforms, logbook = make_transforms()
    threading.Timer(0.1, lambda: transforms._buffer.set_transform_static(
        moved(3, 0, 'lidar', 'front'), 'test')).start()
    found = transforms.between(('front', STAMP), ('lidar', STAMP), time.monotonic() + 20)
    assert found[0, 3] == -3 and not logbook.tf_failures


def test_calibration_file_is_the_fallback_of_tf(ros, tmp_path):
    ros()
    file = tmp_path / 'calibration.yaml'
    file.write_text(
        'lidar: {parent: base_link, translation: [0.5, 0, 0], rotation: [0, 0, 0, 1]}\n'
        'front: {parent: base_link, translation: [1.5, 0, 0]}\n')
    transforms, logbook = make_transforms('', read_calibration_file(str(file)))
    assert transforms.between(('front', STAMP), ('lidar', STAMP), 0)[0, 3] == -1
    transforms._buffer.set_transform_static(moved(7, 0, 'lidar', 'front'), 'test')
    assert transforms.between(('front', STAMP), ('lidar', STAMP), 0)[0, 3] == -7
    assert not logbook.tf_failures


def test_transform_that_nobody_has_is_named(ros):
    ros()
    transforms, logbook = make_transforms()
    with pytest.raises(CalibrationError, match='front <- lidar'):
        transforms.between(('front', STAMP), ('lidar', STAMP), 0)
    assert logbook.tf_failures['front <- lidar'] == 1


def test_static_transforms_survive_a_jump_in_time(ros):
    ros()
    transforms, _ = make_transforms()
    transforms._buffer.set_transform_static(moved(7, 0, 'lidar', 'front'), 'test')
    transforms._buffer.set_transform(moved(7, STAMP, 'odom', 'base_link'), 'test')
    transforms.clear()
    assert transforms.between(('front', STAMP), ('lidar', STAMP), 0)[0, 3] == -7
    with pytest.raises(CalibrationError):
        transforms.between(('odom', STAMP), ('base_link', STAMP), 0)


@pytest.mark.parametrize('content, reason', [
    ('', 'a mapping'), ('{}', 'map frames'), ('front: 3', 'parent'), ('{', 'a YAML file'),
    ('front: {parent: a, translation: [1, 2]}', '3 numbers'),
    ('front: {parent: a, rotation: [0, 0, 0, 2]}', 'not a rigid transform'),
    ('front: {parent: a, rotate: [0, 0, 0, 1]}', 'unknown key'),
])
def test_bad_calibration_file_is_refused(tmp_path, content, reason):
    file = tmp_path / 'calibration.yaml'
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        read_calibration_file(str(file))
    assert str(file) in str(caught.value)


def test_example_of_a_calibration_file_is_valid():
    from pathlib import Path
    example = Path(__file__).resolve().parents[1] / 'config' / 'calibration_example.yaml'
    assert {t.child_frame_id for t in read_calibration_file(str(example))} == {'lidar', 'front'}


def test_camera_model_is_kept_until_its_content_changes():
    calibrations = Calibrations({'front': False})
    with pytest.raises(CalibrationError, match='no camera_info'):
        calibrations.camera('front', 96, 64)
    calibrations.put('front', camera_info_message(CAMERA, STAMP, 'front'))
    first = calibrations.camera('front', 96, 64)
    calibrations.put('front', camera_info_message(CAMERA, STAMP + 1, 'front'))
    assert calibrations.camera('front', 96, 64) is first
    with pytest.raises(CalibrationError, match='is 48 x 64 pixels, camera_info is for 96 x 64'):
        calibrations.camera('front', 48, 64)
    calibrations.put('front', CameraInfo())
    with pytest.raises(CalibrationError, match='not calibrated'):
        calibrations.camera('front', 96, 64)


def test_a_calibration_that_comes_while_one_is_read_is_the_one_that_stays(monkeypatch):
    calibrations = Calibrations({'front': False})
    calibrations.put('front', camera_info_message(CAMERA.scaled(48, 32), STAMP, 'front'))
    reads = []

    def read(message, rectified):
        if not reads:
            calibrations.put('front', camera_info_message(CAMERA, STAMP, 'front'))
        reads.append(message)
        return camera_from_message(message, rectified)

    monkeypatch.setattr('xmodelkd_ros.nodes.calibrations.camera_from_message', read)
    calibrations.camera('front', 48, 32)
    assert calibrations.camera('front', 96, 64).width == 96
