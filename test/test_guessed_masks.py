"""Training drives from the masks of another video segmenter."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip('rosbags')

from small_world import (  # noqa: E402, I100
    CAMERA,
    CAMERA_FROM_LIDAR,
    cloud,
    frame,
    picture,
    write_models,
)
from tf2_msgs.msg import TFMessage  # noqa: E402
from xmodelkd_ros.bags.writer import BagWriter  # noqa: E402
from xmodelkd_ros.evaluation.run_file import read_run, RUN_FILE  # noqa: E402
from xmodelkd_ros.geometry.transforms import invert  # noqa: E402
from xmodelkd_ros.inference.tracker import TrackerConfig  # noqa: E402
from xmodelkd_ros.inference.video_segmenter import VideoSegmenter  # noqa: E402
from xmodelkd_ros.labels import ID_BY_NAME  # noqa: E402
from xmodelkd_ros.messages.cameras import camera_info_message  # noqa: E402
from xmodelkd_ros.messages.clouds import cloud_message  # noqa: E402
from xmodelkd_ros.messages.images import image_message  # noqa: E402
from xmodelkd_ros.messages.stamps import header_message  # noqa: E402
from xmodelkd_ros.messages.transforms import transform_message  # noqa: E402
from xmodelkd_ros.records import Detections  # noqa: E402
from xmodelkd_ros.training.cache import open_drive  # noqa: E402
from xmodelkd_ros.training.video.guessed_masks import guess_masks, GuessedMasksConfig  # noqa: E402

STEP = 100_000_000
CAR, PERSON = ID_BY_NAME['car'], ID_BY_NAME['person']
SMALL = {'width': 96, 'height': 64}


def found(*things, size=(64, 96)):
    """Return detections of (class id, score, x0, x1), each with a look of its own."""
    logits = np.full((len(things), 16, 24), -5, np.float32)
    for row, (_, _, first, last) in enumerate(things):
        logits[row, 4:12, first // 4:last // 4] = 5
    return Detections(
        np.array([t[0] for t in things], np.uint16), np.array([t[1] for t in things], np.float32),
        np.eye(8, dtype=np.float32)[:len(things)], logits, size)


def test_tracks_are_examples_and_doubted_masks_neither_that_nor_background():
    def segment(images):
        return [found((CAR, 0.9, 8, 40), (PERSON, 0.25, 60, 80)) for _ in images]

    frames = [frame(number * STEP) for number in range(3)]
    made = list(guess_masks(frames, segment, GuessedMasksConfig(**SMALL)))
    assert len(made) == 3
    for one in made:
        shown = one.views['front'].picture
        assert set(np.unique(shown.label)) == {0, CAR, PERSON}
        assert (shown.instance[shown.label == CAR] == 1).all()
        assert not shown.instance[shown.label != CAR].any()
        assert (shown.label == CAR).sum() == pytest.approx(32 * 32, rel=0.1)


def test_frames_without_pictures_are_left_out_and_pictures_get_their_size():
    config = GuessedMasksConfig(width=48, height=32, tracker=TrackerConfig())
    frames = [dataclasses.replace(frame(0), views={}), frame(STEP)]
    made, = guess_masks(frames, lambda images: [found((CAR, 0.9, 8, 40))] * len(images), config)
    view = made.views['front']
    assert view.picture.rgb.shape == (32, 48, 3) and view.camera.width == 48
    assert view.picture.instance.shape == (32, 48)


def test_the_command_makes_a_drive_of_a_bag(tmp_path, capsys):
    from xmodelkd_ros.cli.masks_from_video import main

    model = write_models(tmp_path)[1]
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write('/tf_static', TFMessage(transforms=[
            transform_message(invert(CAMERA_FROM_LIDAR), STEP, 'lidar', 'front')]), STEP)
        for stamp in range(STEP, 5 * STEP, STEP):
            bag.write('/points', cloud_message(cloud(stamp)), stamp)
            bag.write('/front/camera_info', camera_info_message(CAMERA, stamp, 'front'), stamp)
            bag.write('/front/image', image_message(
                picture(stamp).rgb, 'rgb8', header_message(stamp, 'front')), stamp)
    options = ['--width', '96', '--height', '64']
    for name in ('low-score', 'birth-score', 'sure-score', 'min-visible'):
        options += [f'--tracker.{name}', '0']
    assert main([
        str(tmp_path / 'bag'), '--out', str(tmp_path / 'drives'), '--model', str(model), *options,
        '--device', 'cpu']) == 0
    drive = open_drive(tmp_path / 'drives' / 'bag')
    assert len(drive) == 4 and '4 frames' in capsys.readouterr().out
    assert drive.picture(3, 'front').instance.any()
    run = read_run(drive.folder / RUN_FILE)
    assert (run['model'], run['bag']) == (str(model), str(tmp_path / 'bag'))
    assert run['model_sha256'] == VideoSegmenter(model).sha256
    assert run['width'] == 96 and run['tracker']['low_score'] == 0
