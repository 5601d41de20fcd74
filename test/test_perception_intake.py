"""Queues of the perception node: pairing, fates, jumps in time; messages, but no middleware."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import threading
import time
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

pytest.importorskip('message_filters')

from rclpy.time import Time  # noqa: E402
from sensor_msgs.msg import Image, PointCloud2  # noqa: E402
from xmodelkd_ros.bags.synchronising import is_settled  # noqa: E402
from xmodelkd_ros.geometry.cameras import Camera  # noqa: E402
from xmodelkd_ros.messages.clouds import cloud_message  # noqa: E402
from xmodelkd_ros.messages.images import image_message  # noqa: E402
from xmodelkd_ros.messages.stamps import header_message, nanoseconds, stamp_message  # noqa: E402
from xmodelkd_ros.nodes.frames import FrameMaker  # noqa: E402
from xmodelkd_ros.nodes.image_queue import ImageQueue  # noqa: E402
from xmodelkd_ros.nodes.intake import Arrival, Intake, MOST_CLOUDS  # noqa: E402
from xmodelkd_ros.nodes.ledger import Complaints, Ledger, USED  # noqa: E402
from xmodelkd_ros.nodes.measurements import Measurements  # noqa: E402
from xmodelkd_ros.nodes.perception_config import CameraConfig, PerceptionConfig  # noqa: E402
from xmodelkd_ros.nodes.time_jump import JUMP, SETTLING, TimeJumps, Verdict  # noqa: E402
from xmodelkd_ros.nodes.worker import Worker  # noqa: E402
from xmodelkd_ros.records import Cloud, Frame  # noqa: E402

MS = 1_000_000
START = 1_000_000 * MS


def message(kind, stamp):
    made = kind()
    made.header.stamp = stamp_message(stamp)
    return made


class Bench:
    """An intake with cameras, and what it did."""

    def __init__(self, cameras=('front',), tolerance=50, max_wait=10.0, size=20, offset=0):
        self.said, self.jumps = [], []
        self.ledger = Ledger(Complaints(self.said.append))
        queues = {
            name: ImageQueue(f'image.{name}', offset * MS, tolerance * MS, size, self.ledger)
            for name in cameras
        }
        self.intake = Intake(queues, max_wait, self.ledger, self.jumps.append)

    def cloud(self, at):
        self.intake.add_cloud(message(PointCloud2, START + round(at * MS)))

    def image(self, at, camera='front'):
        self.intake.add_image(camera, message(Image, START + round(at * MS)))

    def take(self):
        """Do as the worker does; return the times of the cloud and of its images, ms."""
        arrival = self.intake.take_cloud()
        images = self.intake.take_images(arrival)
        self.ledger.settle('points', USED)
        for camera in images:
            self.ledger.settle(f'image.{camera}', USED)
        return (arrival.stamp - START) / MS, {
            name: (nanoseconds(image.header.stamp) - START) / MS for name, image in images.items()}

    def fates(self, source):
        return {k: v for k, v in self.ledger.counts(source).items() if v}


def test_cloud_takes_the_nearest_image_and_the_others_are_unmatched():
    bench = Bench()
    for at in (-40, -10, 20, 60):
        bench.image(at)
    bench.cloud(0)
    assert bench.take() == (0, {'front': -10})
    assert bench.fates('image.front') == {'received': 4, 'used': 1, 'unmatched': 1, 'waiting': 2}


def test_image_out_of_tolerance_leaves_the_cloud_without():
    bench = Bench(tolerance=5)
    bench.image(6)
    bench.cloud(0)
    assert bench.take() == (0, {})


def test_offset_is_taken_off_the_stamps_of_images():
    bench = Bench(offset=30)
    for at in (0, 30, 60):
        bench.image(at)
    bench.cloud(0)
    assert bench.take() == (0, {'front': 30})


def test_cloud_waits_for_the_slowest_camera():
    bench = Bench(cameras=('front', 'left'))
    bench.image(0, 'front')
    bench.cloud(0)
    taken = []
    worker = threading.Thread(target=lambda: taken.append(bench.take()))
    worker.start()
    time.sleep(0.05)
    assert not taken
    bench.image(1, 'left')
    worker.join(5)
    assert taken == [(0, {'front': 0, 'left': 1})]


def test_missing_camera_costs_max_wait_and_its_image_is_late():
    bench = Bench(max_wait=0.05)
    began = time.monotonic()
    bench.cloud(0)
    assert bench.take() == (0, {})
    assert 0.05 <= time.monotonic() - began < 2
    bench.image(2)
    bench.image(100)
    bench.cloud(100)
    assert bench.take() == (100, {'front': 100})
    assert bench.fates('image.front') == {'received': 2, 'used': 1, 'late': 1}


def test_newest_complete_cloud_wins():
    bench = Bench()
    for at in (0, 100, 200):
        bench.cloud(at)
        bench.image(at)
    bench.cloud(300)  # Its image has not come.
    assert bench.take() == (200, {'front': 200})
    assert bench.fates('points') == {'received': 4, 'used': 1, 'replaced': 2, 'waiting': 1}
    assert bench.fates('image.front') == {'received': 3, 'used': 1, 'replaced': 2}


def test_late_cloud_is_counted_and_left_out():
    bench = Bench(cameras=())
    bench.cloud(100)
    assert bench.take() == (100, {})
    bench.cloud(50)
    assert bench.fates('points') == {'received': 2, 'used': 1, 'late': 1}


def test_a_missing_camera_starves_nobody_however_long_clouds_may_wait():
    bench = Bench(max_wait=5.0)
    taken = []
    worker = threading.Thread(target=lambda: taken.extend(bench.take()[0] for _ in range(3)))
    worker.start()
    for number in range(MOST_CLOUDS + 2):
        bench.cloud(100 * number)
        time.sleep(0.02)
    worker.join(2)
    assert taken == [0, 100, 200]
    assert 'replaced' not in bench.fates('points')


def test_waiting_clouds_are_bounded():
    bench = Bench()
    for number in range(MOST_CLOUDS + 3):
        bench.cloud(100 * number)
    assert bench.fates('points') == {
        'received': MOST_CLOUDS + 3, 'replaced': 3, 'waiting': MOST_CLOUDS}


def test_images_without_a_cloud_leave_the_full_queue():
    bench = Bench(size=4)
    for number in range(10):
        bench.image(33 * number)
    assert bench.fates('image.front') == {'received': 10, 'unmatched': 6, 'waiting': 4}


def test_image_that_suits_two_clouds_serves_both():
    bench = Bench()
    bench.image(0)
    bench.cloud(-25)
    bench.image(100)
    assert bench.take() == (-25, {'front': 0})
    bench.cloud(25)
    arrival = bench.intake.take_cloud()
    assert nanoseconds(bench.intake.take_images(arrival)['front'].header.stamp) == START


def test_queueing_costs_no_more_than_a_few_looks_at_each_stamp(monkeypatch):
    looks = collections.Counter()
    for name in ('__le__', '__ge__', '__lt__', '__gt__'):
        compare = getattr(Time, name)
        monkeypatch.setattr(Time, name, lambda a, b, compare=compare: (
            looks.update(all=1), compare(a, b))[1])
    bench = Bench()
    for number in range(60):
        bench.image(33 * number)
        if number % 3 == 0:
            bench.cloud(33 * number)
            bench.take()
    # Scans of the queue of 20 at each image and each cloud make four times as many.
    assert looks['all'] < 60 * 20


@pytest.mark.parametrize('stamp', [0, -1, -5_000 * MS])
def test_stamp_of_no_time_is_refused_with_a_reason(stamp):
    bench = Bench()
    bench.intake.add_cloud(message(PointCloud2, stamp))
    bench.intake.add_image('front', message(Image, stamp))
    assert bench.fates('points') == bench.fates('image.front') == {'received': 1, 'refused': 1}
    assert [line.split(':')[0] for line in bench.said] == ['points', 'image.front']
    assert all(f'{stamp / 1e9:.3f} s refused: the stamp is zero' in line for line in bench.said)


def test_jump_clears_the_queues_once_for_all_inputs():
    bench = Bench()
    for at in (5000, 5100):
        bench.image(at)
        bench.cloud(at)
    bench.image(0)
    bench.image(5200)  # From before the jump, on its way.
    bench.cloud(0)
    assert bench.jumps == [START]
    assert bench.take() == (0, {'front': 0})
    assert bench.fates('points') == {'received': 3, 'used': 1, 'replaced': 2}
    assert bench.fates('image.front') == {'received': 4, 'used': 1, 'replaced': 2, 'late': 1}


def test_cloud_from_before_a_jump_takes_no_image_of_the_time_after_it():
    bench = Bench()
    bench.image(10000)
    bench.cloud(10000)
    held = bench.intake.take_cloud()
    for at in (0, 100):
        bench.image(at)
    assert bench.intake.take_images(held) == {}
    bench.cloud(0)
    assert bench.take() == (0, {'front': 0})
    bench.cloud(100)
    assert bench.take() == (100, {'front': 100})
    assert bench.fates('image.front')['used'] == 2


class Recorder:
    """Stands for models and outputs: notes what is perceived, and fails with pictures."""

    def __init__(self, during=lambda: None):
        self.done, self._during = [], during

    def reset(self):
        self.done.append('reset')

    def __call__(self, frame):
        self._during()
        if frame.views:
            raise IndexError('a fault with pictures')
        self.done.append(frame.cloud.stamp)

    def publish_points(self, message, result):
        self.done.append('published')

    def publish_instances(self, frame, result):
        pass


def work(bench, recorder, views=()):
    """Let a worker have what is in the queues; return what its logger was told."""
    told = []
    measurements = SimpleNamespace(
        stage=lambda name: contextlib.nullcontext(), note_output=lambda arrival, frame: None)
    logger = SimpleNamespace(error=lambda text, **_: told.append(text))
    cloud = Cloud(START, 'lidar', np.zeros((1, 3), np.float32))

    def make_frame(arrival):
        at = dataclasses.replace(cloud, stamp=(arrival.stamp - START) // MS)
        return Frame(at, dict.fromkeys(views))

    worker = Worker(bench.intake, make_frame, recorder, recorder, SimpleNamespace(
        ledger=bench.ledger, measurements=measurements, logger=logger))
    worker.start()
    deadline = time.monotonic() + 10
    while bench.fates('points').get('waiting') and time.monotonic() < deadline:
        time.sleep(0.01)
    bench.intake.close()
    worker.join()
    return told


def test_frames_know_when_a_picture_was_taken_by_the_clock_of_the_clouds():
    asked, image = [], image_message(
        np.zeros((2, 3, 3), np.uint8), 'rgb8', header_message(START + 30 * MS, 'front'))
    camera_model = Camera.pinhole(3, 2, 1.0, 1.0, 1.0, 1.0)
    transforms = SimpleNamespace(
        between=lambda camera, lidar, patience: asked.append((camera[1], lidar[1])),
        frame=lambda cloud, views, patience: Frame(cloud, views))
    logbook = SimpleNamespace(ledger=SimpleNamespace(settle=lambda *given: None))
    make_frame = FrameMaker(
        PerceptionConfig(), {'front': CameraConfig(time_offset=0.018)},
        SimpleNamespace(take_images=lambda arrival: {'front': image}),
        SimpleNamespace(camera=lambda *given: camera_model), transforms, logbook)
    cloud = cloud_message(Cloud(START, np.zeros((1, 3), np.float32)))
    arrival = Arrival(cloud, START, time.monotonic(), 0)
    frame = make_frame(arrival)
    assert asked == [(START + 12 * MS, START)]
    assert frame.views['front'].exposed == START + 12 * MS
    measurements = Measurements(lambda: START)
    measurements.note_output(arrival, frame)
    assert measurements.values()['image.front.pair_offset.p50_ms'] == pytest.approx(12)


def test_tracks_are_forgotten_between_the_clouds_before_and_after_a_jump():
    bench = Bench(cameras=())
    bench.cloud(9000)

    def jump():
        if len(recorder.done) == 0:
            bench.cloud(0)

    recorder = Recorder(jump)
    work(bench, recorder)
    assert recorder.done == [9000, 'published', 'reset', 0, 'published']


def test_a_fault_with_images_costs_no_labels():
    bench, recorder = Bench(cameras=()), Recorder()
    bench.cloud(5)
    told = work(bench, recorder, views=('front',))
    assert recorder.done == [5, 'published'] and 'a fault with pictures' in told[0]
    assert bench.fates('points') == {'received': 1, 'used': 1}


def test_a_loop_shorter_than_a_jump_is_seen_by_its_run():
    bench = Bench(cameras=())
    for _ in range(4):
        for at in range(0, 500, 100):
            bench.cloud(at)
            while bench.fates('points').get('waiting'):
                bench.take()
    assert bench.fates('points')['used'] >= 8 and bench.jumps


def test_small_step_back_is_no_jump():
    jumps = TimeJumps()
    assert jumps.judge('points', START) is Verdict.GOES_ON
    assert jumps.judge('points', START - JUMP) is Verdict.GOES_ON
    assert jumps.judge('points', START - JUMP - 1) is Verdict.JUMPS


def test_second_jump_is_seen_after_the_first_has_settled():
    clock = [0.0]
    jumps = TimeJumps(lambda: clock[0])
    verdicts = []
    for now, at in ((0, 9000), (1, 0), (1.5, 9000), (2.1 + SETTLING, 3000), (3.2, 0)):
        clock[0] = now
        verdicts.append(jumps.judge('points', START + at * MS))
    assert verdicts == [
        Verdict.GOES_ON, Verdict.JUMPS, Verdict.FROM_BEFORE, Verdict.GOES_ON, Verdict.JUMPS]


def test_settled_by_the_period_before_the_instant_is_reached():
    stamps = [0, 100, 200]
    assert is_settled(stamps, 250) and not is_settled(stamps, 251)
    assert not is_settled(stamps[:2], 150) and is_settled(stamps[:2], 100)


def test_complaints_are_throttled_by_their_words():
    clock, said = [0.0], []
    complaints = Complaints(said.append, lambda: clock[0])
    for number in range(4):
        complaints.warn(f'points: message of {number} s refused')
    complaints.warn('other')
    clock[0] = 6.0
    complaints.warn('points: message of 9 s refused')
    assert said == [
        'points: message of 0 s refused', 'other',
        'points: message of 9 s refused (3 more of these before)']


EVENTS = st.lists(st.tuples(
    st.sampled_from(['cloud', 'front', 'left', 'take', 'zero', 'back']),
    st.integers(-60, 160)), max_size=60)


@given(EVENTS)
@settings(max_examples=150, deadline=None)
def test_every_message_has_exactly_one_fate(events):
    """Whatever comes in whatever order: what was received is what has a fate or is waiting."""
    bench = Bench(cameras=('front', 'left'), max_wait=0.0, size=5)
    sent: collections.Counter[str] = collections.Counter()
    now = 0
    for kind, step in events:
        now += step if kind != 'back' else -2000
        if kind == 'cloud':
            bench.cloud(now)
            sent['points'] += 1
        elif kind == 'zero':
            bench.intake.add_cloud(message(PointCloud2, 0))
            sent['points'] += 1
        elif kind in ('front', 'left'):
            bench.image(now, kind)
            sent[f'image.{kind}'] += 1
        elif kind == 'take' and bench.intake._clouds:
            take_counting_reuse(bench)
    bench.intake.close()
    for source in ('points', 'image.front', 'image.left'):
        counts = bench.ledger.counts(source)
        assert counts['received'] == sent[source]
        assert counts['waiting'] == 0 and all(count >= 0 for count in counts.values())


def take_counting_reuse(bench):
    """Take a cloud and count each image as used once, as the frame maker does."""
    known = bench.__dict__.setdefault('known', {})
    arrival = bench.intake.take_cloud()
    bench.ledger.settle('points', USED)
    for camera, image in bench.intake.take_images(arrival).items():
        if known.get(camera) is not image:
            bench.ledger.settle(f'image.{camera}', USED)
        known[camera] = image
