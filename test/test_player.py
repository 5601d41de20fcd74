"""The bag player and recorder as real processes, heard over DDS from this one."""

from __future__ import annotations

import array
import itertools
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage
from xmodelkd_ros.bags.reader import BagReader, header_stamp
from xmodelkd_ros.bags.writer import BagWriter
from xmodelkd_ros.messages.stamps import header_message
from xmodelkd_ros.messages.transforms import transform_message

pytestmark = pytest.mark.ros

DOMAIN = 100 + os.getpid() % 60
START = 1_700_000_000_000_000_000
PERIOD = 50_000_000
PROFILE = Path(__file__).resolve().parents[1] / 'config' / 'fastdds.xml'
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BEST_EFFORT = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture(scope='module', autouse=True)
def _transport():
    """Use the package's DDS profile in this process, as launch files do for the nodes."""
    names = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(PROFILE)))
    yield
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture
def ears():
    """Return a node that spins in a thread."""
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    node = rclpy.create_node('ears', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield node
    executor.shutdown()
    thread.join()
    node.destroy_node()
    context.try_shutdown()


def hear(node, topic, kind, qos):
    """Return a list that fills with serialised messages."""
    heard = []
    node.create_subscription(kind, topic, heard.append, qos, raw=True)
    return heard


def start(name, **parameters):
    """Start a node with parameters."""
    arguments = [x for key, value in parameters.items() for x in ('-p', f'{key}:={value}')]
    return subprocess.Popen(
        [sys.executable, '-m', f'xmodelkd_ros.nodes.{name}', '--ros-args', *arguments],
        env={**os.environ, 'ROS_DOMAIN_ID': str(DOMAIN)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process, timeout=100):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def until(condition, timeout=80):
    limit = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < limit, 'timed out'
        time.sleep(0.01)


def cloud(stamp, size=160):
    message = PointCloud2(header=header_message(stamp, 'lidar'), height=1, width=size // 16)
    message.data = array.array('B', np.random.default_rng(stamp % 997).bytes(size))
    return message


def write(path, count, size=160):
    """Write clouds a period apart, each with a text 10 ms later; return the serialised clouds."""
    static = transform_message(np.eye(4), START, 'base_link', 'lidar')
    with BagWriter(path) as bag:
        bag.write('/tf_static', TFMessage(transforms=[static]), START)
        for index in range(count):
            stamp = START + index * PERIOD
            bag.write('/points', cloud(stamp, size), stamp)
            bag.write('/text', String(data=str(index)), stamp + 10_000_000)
    with BagReader(path) as bag:
        return [data for _, _, data in bag.raw(['/points'])]


def are_equal(heard, sent):
    """Whether serialised messages are the same; DDS pads them to whole words."""
    return len(heard) == len(sent) and all(
        one.startswith(other) and len(one) - len(other) < 4
        for one, other in zip(heard, sent, strict=True))


def times(heard):
    """Return the times of serialised Clock messages, ns."""
    return [header_stamp(data) for data in heard]


def test_a_bag_is_played_whole_paced_and_with_its_clock(tmp_path, ears):
    sent = write(tmp_path / 'bag', 30)
    clouds = hear(ears, '/points', PointCloud2, BEST_EFFORT)
    clock = hear(ears, '/clock', Clock, 1000)
    arrivals = []
    ears.create_subscription(
        PointCloud2, '/points', lambda _: arrivals.append(time.monotonic()), 100, raw=True)
    player = start('bag_player', bag=tmp_path / 'bag', rate=2.0, linger=0.5,
                   wait_for_subscribers='[/points]')
    code, out, err = finish(player)
    assert (code, err) == (0, '')
    assert are_equal(clouds, sent)
    lasted = arrivals[-1] - arrivals[0]
    assert 0.9 < lasted / (29 * PERIOD / 1e9 / 2) < 10, 'not early; late only on a busy machine'
    moments = times(clock)
    assert moments == sorted(moments)
    assert moments[0] >= START
    assert moments[-1] == pytest.approx(START + 29 * PERIOD, abs=60_000_000)
    assert 14 < len(moments) < 33, '40 Hz for three quarters of a second'
    row = next(line.split() for line in out.splitlines() if line.startswith('/points'))
    assert row[1] == '30'
    assert float(row[2]) == pytest.approx(29 / lasted, rel=0.5)


def test_large_clouds_are_not_lost_between_processes(tmp_path, ears):
    sent = write(tmp_path / 'bag', 20, size=1_900_000)
    clouds = hear(ears, '/points', PointCloud2, BEST_EFFORT)
    code, _, _ = finish(start(
        'bag_player', bag=tmp_path / 'bag', rate=0.5, wait_for_subscribers='[/points]'))
    assert code == 0
    assert are_equal(clouds, sent)


def test_latched_messages_reach_those_who_come_late_and_start_in_the_middle(tmp_path, ears):
    sent = write(tmp_path / 'bag', 30)
    clouds = hear(ears, '/points', PointCloud2, 100)
    player = start('bag_player', bag=tmp_path / 'bag', start_offset=1.0, linger=3.0,
                   topics='[/points, /tf_static]', wait_for_subscribers='[/points]')
    until(lambda: len(clouds) == 10)
    static = hear(ears, '/tf_static', TFMessage, LATCHED)
    until(lambda: static)
    assert finish(player)[0] == 0
    assert are_equal(clouds, sent[20:])
    with BagReader(tmp_path / 'bag') as bag:
        assert are_equal(static, [data for _, _, data in bag.raw(['/tf_static'])])


def test_lossless_play_waits_for_a_slow_consumer(tmp_path, ears):
    sent = write(tmp_path / 'bag', 10)
    answers = ears.create_publisher(PointCloud2, '/labelled', 10)
    clouds, open_at_arrival, lock = [], [], threading.Lock()
    working = []

    def consume(data):
        with lock:
            clouds.append(data)
            working.append(data)
            open_at_arrival.append(len(working))
        threading.Timer(0.15, answer, [data]).start()

    def answer(data):
        with lock:
            working.remove(data)
        reply = PointCloud2(header=header_message(header_stamp(data), 'lidar'))
        answers.publish(reply)

    ears.create_subscription(PointCloud2, '/points', consume, 10, raw=True)
    began = time.monotonic()
    code, out, _ = finish(start(
        'bag_player', bag=tmp_path / 'bag', rate=10.0, wait_for='/labelled',
        wait_for_subscribers='[/points]'))
    assert code == 0
    assert are_equal(clouds, sent)
    assert max(open_at_arrival) == 1, 'the next came before the answer'
    assert time.monotonic() - began > 10 * 0.15
    assert 'answers: asked 10, answered 10' in out


def test_a_consumer_that_never_answers_is_given_up_and_counted(tmp_path, ears):
    sent = write(tmp_path / 'bag', 4)
    clouds = hear(ears, '/points', PointCloud2, 10)
    code, out, _ = finish(start(
        'bag_player', bag=tmp_path / 'bag', wait_for='/nobody', answer_timeout=0.2,
        wait_for_subscribers='[/points]'))
    assert code == 0
    assert are_equal(clouds, sent)
    assert 'answers: asked 4, answered 0' in out


def test_answers_are_timed_without_waiting(tmp_path, ears):
    write(tmp_path / 'bag', 10)
    replies = ears.create_publisher(PointCloud2, '/labelled', 10)

    def consume(data):
        time.sleep(0.05)
        replies.publish(PointCloud2(header=header_message(header_stamp(data), 'lidar')))

    ears.create_subscription(PointCloud2, '/points', consume, 10, raw=True)
    code, _, _ = finish(start(
        'bag_player', bag=tmp_path / 'bag', wait_for='/labelled', in_flight=0,
        report=tmp_path / 'report.json', wait_for_subscribers='[/points]'))
    answers = json.loads((tmp_path / 'report.json').read_text())['answers']
    assert code == 0
    assert answers['asked'] == answers['answered'] == 10
    assert answers['p50 [ms]'] > 50


def test_a_loop_jumps_back_and_ends_when_interrupted(tmp_path, ears):
    sent = write(tmp_path / 'bag', 6)
    clouds = hear(ears, '/points', PointCloud2, 100)
    clock = hear(ears, '/clock', Clock, 1000)
    player = start('bag_player', bag=tmp_path / 'bag', loop='true',
                   wait_for_subscribers='[/points]')
    until(lambda: len(clouds) > 13)
    player.send_signal(signal.SIGINT)
    code, out, err = finish(player)
    assert code == 0
    assert 'Traceback' not in err
    assert '/points' in out
    assert are_equal(clouds[:12], sent * 2)
    back = [after - before for before, after in itertools.pairwise(times(clock))]
    jumps = [step for step in back if step < 0]
    assert len(jumps) >= 2
    assert min(jumps) == pytest.approx(-(5 * PERIOD + 10_000_000), abs=30_000_000)


def test_waiting_for_subscribers_ends_when_interrupted(tmp_path, ears):
    write(tmp_path / 'bag', 3)
    player = start('bag_player', bag=tmp_path / 'bag', wait_for_subscribers='[/nobody]')
    until(lambda: ears.count_publishers('/points'))
    time.sleep(0.3)
    player.send_signal(signal.SIGINT)
    try:
        code, _, err = finish(player, timeout=20)
    finally:
        player.kill()
    assert (code, err) == (0, '')


@pytest.mark.parametrize(('name', 'parameters', 'reason'), [
    ('bag_player', {'bag': '/nowhere'}, 'there is no bag at /nowhere'),
    ('bag_recorder', {'bag': '/', 'topics': '[/a]'}, 'exists already'),
    ('bag_recorder', {'bag': '/nowhere', 'topics': "['bad topic']"},
     "topics = 'bad topic' is not allowed: a topic name"),
    ('bag_player', {'bag': '/nowhere', 'wait_for_subscribers': '[/a//b]'},
     "wait_for_subscribers = '/a//b' is not allowed: a topic name"),
    ('bag_player', {'bag': '/nowhere', 'wait_for': 'bad topic'},
     "wait_for = 'bad topic' is not allowed: a topic name"),
    ('bag_player', {'bag': '/nowhere', 'use_sim_time': 5}, "expecting type 'BOOL'"),
])
def test_bad_configuration_is_one_fatal_line(name, parameters, reason):
    code, out, err = finish(start(name, **parameters))
    assert code == 2
    assert [line for line in (out + err).splitlines() if line] == [err.strip()]
    assert '[FATAL]' in err
    assert reason in err


def test_a_reference_that_is_not_played_is_refused(tmp_path):
    write(tmp_path / 'bag', 3)
    code, _, err = finish(start('bag_player', bag=tmp_path / 'bag', wait_for='/labelled',
                                reference='/top/points'))
    assert (code, err.count('\n')) == (2, 1)
    assert "reference = '/top/points' is not allowed: one of /points, /text" in err


def test_a_topic_of_another_kind_of_name_does_not_keep_the_others_from_being_played(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        for topic in ('/text', '/my text', '/2d'):
            bag.write(topic, String(data='hello'), START)
    code, out, err = finish(start('bag_player', bag=tmp_path / 'bag'))
    assert code == 0
    assert next(line.split()[1] for line in out.splitlines() if line.startswith('/text')) == '1'
    warnings = [line for line in err.splitlines() if line]
    assert len(warnings) == 2 and all('is not played: ' in line for line in warnings)
    code, _, err = finish(start('bag_player', bag=tmp_path / 'bag', topics="['/my text']"))
    assert (code, err.count('\n')) == (2, 1)


def test_a_truncated_bag_ends_playing_with_one_fatal_line(tmp_path):
    write(tmp_path / 'bag', 30)
    file = tmp_path / 'bag' / 'bag.mcap'
    file.write_bytes(file.read_bytes()[:-100])
    code, _, err = finish(start('bag_player', bag=file))
    assert code == 2
    assert err.count('\n') == 1
    assert 'truncated' in err


def test_what_is_played_can_be_recorded_until_terminated(tmp_path):
    sent = write(tmp_path / 'bag', 20)
    recorder = start('bag_recorder', bag=tmp_path / 'out', topics='[/points, /tf_static, /none]')
    code, _, _ = finish(start('bag_player', bag=tmp_path / 'bag', linger=0.5,
                              wait_for_subscribers='[/points, /tf_static]'))
    assert code == 0
    recorder.terminate()
    code, out, err = finish(recorder)
    assert (code, err) == (0, '')
    assert 'never  /none' in out
    with BagReader(tmp_path / 'out') as bag:
        assert are_equal([data for _, _, data in bag.raw(['/points'])], sent)
        assert bag.topics['/tf_static'].latched
        assert not bag.topics['/points'].latched
        assert bag.end > 1.7e18, 'log times are those of the clock'
    assert sorted(p.name for p in tmp_path.iterdir()) == ['bag', 'out']


def test_a_recording_is_kept_when_its_name_is_taken_meanwhile(tmp_path, ears):
    recorder = start('bag_recorder', bag=tmp_path / 'out', topics='[/text]')
    texts = ears.create_publisher(String, '/text', 10)
    until(lambda: texts.get_subscription_count())
    texts.publish(String(data='one'))
    (tmp_path / 'out' / 'other').mkdir(parents=True)
    recorder.send_signal(signal.SIGINT)
    code, _, err = finish(recorder)
    assert (code, err.count('\n')) == (2, 1)
    assert '[FATAL]' in err
    kept = next(tmp_path.glob('out.*'))
    assert f'the bag is {kept}' in err
    with BagReader(kept) as bag:
        assert '/text' in bag.topics


@pytest.mark.parametrize('name', ['nowhere/report.json', 'bag'])
def test_a_report_that_cannot_be_written_is_refused_at_the_start(tmp_path, name):
    write(tmp_path / 'bag', 3)
    code, out, err = finish(start(
        'bag_player', bag=tmp_path / 'bag', report=tmp_path / name))
    assert (code, out, err.count('\n')) == (2, '', 1)
    assert f"{name}' is not allowed: a file that can be written" in err


def test_a_recording_ends_when_idle(tmp_path, ears):
    recorder = start('bag_recorder', bag=tmp_path / 'out', topics='[/text]', idle_timeout=0.5,
                     storage='sqlite3')
    texts = ears.create_publisher(String, '/text', 10)
    until(lambda: texts.get_subscription_count())
    time.sleep(0.3)
    texts.publish(String(data='one'))
    assert finish(recorder)[0] == 0
    with BagReader(tmp_path / 'out') as bag:
        assert [message.data for _, _, message in bag.messages()] == ['one']
