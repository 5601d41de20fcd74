"""The offline teacher and what learns from it: targets, losses, windows, training runs."""

import dataclasses
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from small_world import TRACK_EVERYTHING
from stopped_run import check_resumed_equals_whole
from test_networks_video import SMALL
from test_training_video import CAR, PERSON, scene
import torch
from xmodelkd_ros.config import from_mapping
from xmodelkd_ros.inference.clip_segmenter import ClipSegmenter, ClipWindowConfig
from xmodelkd_ros.inference.tracker import Tracker, TrackerConfig
from xmodelkd_ros.inference.video_segmenter import VideoPreprocessing
from xmodelkd_ros.labels import THING_CLASSES
from xmodelkd_ros.networks.checkpoint import load_checkpoint
from xmodelkd_ros.networks.clip_network import ClipNetwork, ClipNetworkConfig, TemporalConfig
from xmodelkd_ros.networks.clip_output import clip_mask_logits
from xmodelkd_ros.records import Detections
from xmodelkd_ros.training.cache import cached_drives
from xmodelkd_ros.training.clip.long_clips import clip_targets
from xmodelkd_ros.training.video.targets import make_targets, stack_targets

SHAPE = ClipNetworkConfig(SMALL, TemporalConfig(queries=6, tokens=6, layers=1, heads=2))
FRAME = 100_000_000  # ns


def targets_of(*things):
    picture = scene(*things)
    return make_targets(picture.label, picture.instance, THING_CLASSES, 16)


def test_clip_targets_join_identities_over_frames():
    frames = [
        targets_of((7, CAR, 0, 0, 20, 20), (3, PERSON, 40, 8, 48, 40)),
        targets_of((3, PERSON, 44, 8, 52, 40)),
        targets_of((7, CAR, 8, 0, 28, 20), (9, CAR, 60, 40, 90, 60)),
    ]
    stacked = stack_targets(frames)
    found = clip_targets(stacked, 8)
    order = found.identity.tolist()
    assert sorted(order) == [3, 7, 9]
    assert found.channel.tolist() == [3 if i == 3 else 0 for i in order]
    for frame, target in enumerate(frames):
        for column, identity in enumerate(order):
            row = found.row[frame, column].item()
            assert (row == -1) == (identity not in target.identity.tolist())
            if row >= 0:
                assert target.identity[row] == identity
                torch.testing.assert_close(found.masks(stacked)[frame, column], target.mask[row])
            else:
                assert not found.masks(stacked)[frame, column].any()
    assert set(clip_targets(stacked, 2).identity.tolist()) == {3, 7}
    value = torch.tensor([10, 20, 30])
    spread = found.spread(value, 2)
    totals = found.total(torch.ones(3, 2))
    for column, identity in enumerate(order):
        seen = [(f, t.identity.tolist().index(identity)) for f, t in enumerate(frames)
                if identity in t.identity.tolist()]
        assert all(spread[place] == value[column] for place in seen)
        assert totals[column] == len(seen)
    empty = clip_targets(stack_targets([targets_of(), targets_of()]), 8)
    assert empty.row.shape == (2, 0)
    assert empty.spread(torch.zeros(0), 0).shape == (2, 0)
    assert empty.total(torch.zeros(2, 0)).shape == (0,)


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return ClipNetwork(SHAPE).eval()


PREPROCESSING = VideoPreprocessing(width=96, height=64, score_floor=0.0)
WINDOWS = ClipWindowConfig(
    length=5, overlap=2, tracker=from_mapping(TrackerConfig, TRACK_EVERYTHING))


def pictures(count, seed=0):
    random = np.random.default_rng(seed)
    return [(k * FRAME, random.integers(0, 256, (64, 96, 3), np.uint8)) for k in range(count)]


@pytest.mark.parametrize('count', [0, 1, 4, 5, 6, 12, 13])
def test_every_image_gets_its_tracks_once_and_memory_is_bounded(network, count):
    segment = ClipSegmenter(network, PREPROCESSING, THING_CLASSES, WINDOWS)
    sizes, found = [], []
    for tracks in segment(pictures(count)):
        found.append(tracks)
        sizes.append(segment.memory_size)
        assert tracks.id_map.shape == (64, 96)
        assert set(np.unique(tracks.id_map)) <= {0, *tracks.track_id.tolist()}
    assert len(found) == count
    assert max(sizes, default=0) <= 5
    assert segment.memory_size == 0


def test_images_are_read_as_they_are_needed_and_a_jump_begins_anew(network):
    segment = ClipSegmenter(network, PREPROCESSING, THING_CLASSES, WINDOWS)
    read = []

    def source():
        for item in pictures(30):
            read.append(item[0])
            yield item

    tracks = segment(source())
    next(tracks)
    assert len(read) == 5
    both = pictures(6) + pictures(6)
    found = list(segment(both))
    assert len(found) == 12
    before = {i for t in found[:6] for i in t.track_id.tolist()}
    after = {i for t in found[6:] for i in t.track_id.tolist()}
    assert before and after and not before & after


def test_each_image_shows_what_its_window_says_of_it(network):
    given = pictures(8)
    windows = (given[:5], given[3:8], given[6:])
    kept = ((0, 1, 2), (0, 1, 2), (0, 1))
    segment = ClipSegmenter(network, PREPROCESSING, THING_CLASSES, WINDOWS)
    tracker, found = Tracker(WINDOWS.tracker), segment(given)
    absent = 0
    for window, frames in zip(windows, kept, strict=True):
        images = np.stack([rgb for _, rgb in window])
        normalised = (torch.from_numpy(images).permute(0, 3, 1, 2) - 110.0) / 60.0
        with torch.inference_mode():
            _, pixels, _, clip = network(normalised, len(window))
            logits = clip_mask_logits(clip, pixels).numpy()
        for frame in frames:
            seen = (clip.presence[frame] > 0).numpy()
            absent += (~seen).sum()
            score, channel = clip.queries.class_logits[frame].sigmoid().max(1)
            own = Detections(
                class_id=np.array([THING_CLASSES[c].id for c in channel], np.uint16)[seen],
                score=score.numpy()[seen], embedding=clip.queries.embedding[frame].numpy()[seen],
                mask_logits=logits[frame][seen], size=(64, 96))
            wanted, tracks = tracker.update(own, window[frame][0]), next(found)
            np.testing.assert_array_equal(tracks.track_id, wanted.track_id)
            np.testing.assert_array_equal(tracks.class_id, wanted.class_id)
            assert (tracks.id_map == wanted.id_map).mean() > 0.999
    assert absent


def said_of(frames, order, presence=6.0):
    """Return what a perfect teacher says of a clip: query order[i] is instance i + 1."""
    from xmodelkd_ros.networks.clip_output import ClipOutput
    from xmodelkd_ros.networks.video_masks import PixelOutput, QueryOutput

    stacked = stack_targets(frames)
    instances = clip_targets(stacked, 8)
    by_id = instances.identity.argsort()
    masks = instances.masks(stacked)[:, by_id]  # L x M x H x W
    length, count = masks.shape[:2]
    logits = torch.full((length, 6, 6), -9.0)
    kernel = torch.zeros(length, 6, count + 1)
    kernel[..., -1] = -20.0
    reading = torch.zeros(length, 6, 4)
    reading[..., -1] = -presence
    for m, query in enumerate(order):
        logits[:, query, instances.channel[by_id[m]]] = 3.0
        kernel[:, query, m] = 40.0
        reading[masks[:, m].sum((1, 2)) == 0, query, -1] = presence
    place = torch.zeros(length, 6, 2)
    pixels = PixelOutput(
        torch.zeros(length, 6, 16, 24), (masks > 0.5).float(), torch.zeros(length, 2, 32, 48))
    queries = QueryOutput(logits, torch.zeros(length, 6, 4), place, place, kernel, place)
    return ClipOutput(queries, reading), pixels, stacked


MOVING = [
    targets_of((1, CAR, 8, 8, 40, 28), (2, PERSON, 60, 16, 72, 56)),
    targets_of((1, CAR, 12, 8, 44, 28), (2, PERSON, 56, 16, 68, 56)),
    targets_of((1, CAR, 16, 8, 48, 28)),
]


def test_the_filter_keeps_the_queries_of_the_instances_where_they_are_seen():
    from xmodelkd_ros.distillation.ookd.clip_teacher import filter_clip
    from xmodelkd_ros.distillation.ookd.queries import QueryFilterConfig

    clip, pixels, stacked = said_of(MOVING, [4, 2])
    found = filter_clip(clip, pixels, stacked, QueryFilterConfig())
    assert found.tolist() == [[4, 2], [4, 2], [4, -1]]
    clip.queries.class_logits[:, 2] = -9.0
    strict = filter_clip(clip, pixels, stacked, QueryFilterConfig(max_cost=1.0))
    assert strict.tolist() == [[4, -1]] * 3
    clip.reading[1, 4, -1] = 99.0  # the teacher does not see it there
    hidden = filter_clip(clip, pixels, stacked, QueryFilterConfig())
    assert hidden[:, 0].tolist() == [4, -1, 4]


def test_without_truth_tracks_are_believed_by_their_score_and_steadiness():
    from xmodelkd_ros.distillation.ookd.guessing import TrackEvidence
    from xmodelkd_ros.distillation.ookd.queries import QueryFilterConfig
    from xmodelkd_ros.records import Tracks

    evidence, size = TrackEvidence(), (64, 96)
    for t in range(4):
        rows = [  # id, score, x0, y0, x1, y1
            (3, 0.9, 4 * t, 10, 4 * t + 20, 30),  # drives by
            (4, 0.3, 60, 10, 80, 20),  # never sure
            (7, (0.2, 0.7)[t % 2], 60, 40, 90, 60),  # sure on average
            (8, 0.9, 0, 40, (2, 40)[t % 2], (42, 64)[t % 2]),  # flickers
        ] + [(9, 0.9, 84, 0, 96, 9)] * (t == 1)  # seen once
        id_map = np.zeros(size, np.uint16)
        for number, _, x0, y0, x1, y1 in rows:
            id_map[y0:y1, x0:x1] = number
        ids, score = np.array([r[0] for r in rows], np.uint16), np.array([r[1] for r in rows])
        evidence.add(Tracks(ids, np.full(len(ids), CAR), score, np.zeros((len(ids), 4)), id_map))
    config = QueryFilterConfig()
    assert np.flatnonzero(evidence.believed(config)).tolist() == [3, 7]
    everything = QueryFilterConfig(min_score=0.0, min_agreement=0.0)
    assert np.flatnonzero(evidence.believed(everything)).tolist() == [3, 4, 7, 8, 9]


def test_a_drive_without_labels_gets_those_of_the_teacher(drives, tmp_path, capsys):
    from xmodelkd_ros.distillation.ookd.guessing import guess_drive
    from xmodelkd_ros.distillation.ookd.queries import QueryFilterConfig
    from xmodelkd_ros.records import Tracks
    from xmodelkd_ros.training.cache import open_drive, write_moments

    bare, said = open_drive(drives['bare']), []

    def segment(images):
        """Find the darker pixels as a sure car, some others as an unsure person."""
        for stamp, image in images:
            id_map = np.zeros(image.shape[:2], np.uint16)
            id_map[:8, :8] = 6
            id_map[30:50, 20:60] = 2
            said.append(stamp)
            yield Tracks(
                np.array([2, 6], np.uint16), np.array([CAR, PERSON], np.uint16),
                np.array([0.9, 0.1], np.float32), np.zeros((2, 4), np.float32), id_map)

    for config, ids in ((QueryFilterConfig(), [0, 2]), (QueryFilterConfig(0, 0, 0), [0, 2, 6])):
        moments = guess_drive(bare, segment, config, (96, 64))
        guessed = write_moments(moments, tmp_path / 'guessed', 'of a teacher')
        assert f'front: {len(ids) - 1} of 2 tracks are believed' in capsys.readouterr().out
        assert (len(guessed), guessed.cameras) == (len(bare), bare.cameras)
        for index in range(len(bare)):
            picture, before = guessed.picture(index, 'front'), bare.picture(index, 'front')
            np.testing.assert_array_equal(picture.rgb, before.rgb)
            assert picture.stamp == before.stamp
            assert np.unique(picture.instance).tolist() == ids
            assert (picture.instance[30:50, 20:60] == 2).all()
            assert (picture.label[30:50, 20:60] == CAR).all()
            assert (picture.label[:8, :8] == PERSON).all()  # ignored where it is not believed
            assert np.count_nonzero(picture.label) == 20 * 40 + 8 * 8
    assert said == 2 * [bare.picture(index, 'front').stamp for index in range(len(bare))]
    for cloud, pictures in guess_drive(bare, segment, config, (192, 128)):
        picture = pictures['front']
        assert picture.rgb.shape == (128, 192, 3) and picture.label.shape == (128, 192)
        assert (picture.instance[30:50, 20:60] == 2).all()  # found at that size
        assert cloud.stamp == picture.stamp


def test_drives_are_labelled_once(drives, teacher, tmp_path):
    from xmodelkd_ros.distillation.ookd.guessing import guess_drives
    from xmodelkd_ros.distillation.ookd.queries import QueryFilterConfig
    from xmodelkd_ros.training.cache import open_drive

    def guess(**config):
        one, = guess_drives(
            [open_drive(drives['bare'])], str(teacher), QueryFilterConfig(**config), (96, 64),
            tmp_path)
        return one.folder, [p.stat().st_mtime_ns for p in sorted(one.folder.iterdir())]

    first = guess()
    assert guess() == first
    assert guess(min_score=1.0)[0] != first[0]


def test_pairs_of_masks_are_those_of_their_queries():
    from xmodelkd_ros.distillation.ookd.module import pair_masks
    from xmodelkd_ros.networks.video_masks import mask_logits

    clip, pixels, _ = said_of(MOVING, [4, 2])
    every = mask_logits(clip.queries, pixels).flatten(2)
    frame, query = torch.tensor([0, 0, 2, 2, 2]), torch.tensor([4, 2, 0, 4, 4])
    torch.testing.assert_close(
        pair_masks(clip.queries, pixels, frame, query), every[frame, query])
    none = pair_masks(clip.queries, pixels, frame[:0], query[:0])
    assert none.shape == (0, every.shape[2])


def test_clips_are_matched_over_all_frames_and_their_losses_vanish_for_the_truth():
    from xmodelkd_ros.networks.clip_output import FrameTokens
    from xmodelkd_ros.networks.video_masks import QueryOutput
    from xmodelkd_ros.training.clip.losses import (
        _reading_loss,
        clip_losses,
        ClipLossConfig,
        match_clip,
    )

    clip, pixels, stacked = said_of(MOVING, [4, 2])
    instances = clip_targets(stacked, 6)
    by_id = dict(zip(instances.identity.tolist(), match_clip(
        clip, pixels, stacked, instances).tolist(), strict=True))
    assert by_id == {1: 4, 2: 2}
    reading = torch.full((2, 1, 4), -9.0)
    reading[0, 0, 2], reading[1, 0, 3] = 9.0, 9.0  # token 2, then none
    origin, of_frame = torch.tensor([[5, 6, 7], [5, 6, 7]]), torch.tensor([[7], [0]])
    assert _reading_loss(reading, origin, of_frame, torch.tensor([[0], [-1]])) < 1e-3
    assert _reading_loss(reading, origin, of_frame, torch.tensor([[0], [0]])) < 1e-3  # not a token
    assert _reading_loss(reading, origin, torch.tensor([[5], [6]]), torch.tensor([[0], [0]])) > 9
    peaks = QueryOutput(*clip.queries[:5], torch.zeros(3, 6, 2, dtype=torch.int64))
    tokens = FrameTokens(torch.zeros(3, 3, 8), peaks, torch.tensor([[4, 2, 0]] * 3))
    losses = clip_losses(clip, pixels, tokens, peaks, stacked, 3, ClipLossConfig())
    assert losses['clip_dice'] < 0.2
    wrong = clip._replace(queries=clip.queries._replace(kernel=-clip.queries.kernel))
    worse = clip_losses(wrong, pixels, tokens, peaks, stacked, 3, ClipLossConfig())
    assert worse['clip_dice'] > 1
    assert worse['clip_cover'] > 10 * losses['clip_cover']
    assert worse['clip_score'] > losses['clip_score']


def test_the_teacher_overfits_a_clip():
    from test_training_video import moving_clip
    from xmodelkd_ros.evaluation.video import TrackEvaluation
    from xmodelkd_ros.training.clip.module import ClipTrainingConfig, ClipTrainingModule
    from xmodelkd_ros.training.video.clips import collate

    torch.manual_seed(0)
    config = from_mapping(ClipTrainingConfig, {
        'network': {**dataclasses.asdict(SMALL), 'queries': 8}, 'clips': {'frames': 6},
        'temporal': {'queries': 6, 'tokens': 8, 'layers': 1, 'heads': 2}})
    module = ClipTrainingModule(config)
    module.log = module.log_dict = lambda *_, **__: None
    clip = moving_clip()
    batch = collate([([p.rgb for p in clip], [
        make_targets(p.label, p.instance, THING_CLASSES, 16) for p in clip])])
    optimizer = torch.optim.AdamW(module.network.parameters(), 3e-3)
    for _ in range(80):
        optimizer.zero_grad()
        module.training_step(batch, 0).backward()
        optimizer.step()
    evaluation = TrackEvaluation()
    segment = ClipSegmenter(
        module.network.eval(), PREPROCESSING, THING_CLASSES, ClipWindowConfig(length=4, overlap=2))
    for picture, tracks in zip(clip, segment((p.stamp, p.rgb) for p in clip), strict=True):
        evaluation.add('clip', picture.instance, picture.label, tracks)
    assert evaluation.scores().mean.ap > 0.5
    assert evaluation.scores().id_switches == 0


def drive_of(folder, seed=0, frames=8, labelled=True):
    """Write a drive in which a car and a person pass."""
    from xmodelkd_ros.geometry.cameras import Camera
    from xmodelkd_ros.records import Cloud, Frame, View
    from xmodelkd_ros.training.cache import write_drive

    camera = Camera.pinhole(96, 64, 60.0, 60.0, 47.5, 31.5)

    def made():
        for t in range(frames):
            x = 4 + 6 * t + seed
            picture = dataclasses.replace(
                scene((1, CAR, x, 20, x + 24, 40), (2, PERSON, 80 - 8 * t, 16, 90 - 8 * t, 56)),
                stamp=t * FRAME, frame='front')
            if not labelled:
                picture = dataclasses.replace(picture, label=None, instance=None)
            cloud = Cloud(t * FRAME, np.zeros((1, 3), np.float32))
            yield Frame(cloud, {'front': View('front', picture, camera, np.eye(4))})

    write_drive(made(), folder, 'made up')
    return folder


TRAINING = {
    'network': dataclasses.asdict(SMALL), 'preprocessing': {'width': 96, 'height': 64},
    'clips': {'width': 96, 'height': 64, 'frames': 3, 'min_area': 16, 'max_gap': 1},
    'run': {'epochs': 1, 'workers': 0, 'precision': '32-true'}, 'batch': 2, 'steps': 3,
    'averaging': 0.5, 'warm_up': 1,
}


@pytest.fixture(scope='module')
def drives(tmp_path_factory):
    folder = tmp_path_factory.mktemp('drives')
    return {name: drive_of(folder / name, seed, labelled=name != 'bare')
            for seed, name in enumerate(('learned', 'checked', 'bare'))}


@pytest.fixture(scope='module')
def teacher(drives, tmp_path_factory):
    from xmodelkd_ros.training.clip.module import ClipTrainingConfig
    from xmodelkd_ros.training.clip.training import train_clip

    out = tmp_path_factory.mktemp('teacher')
    config = from_mapping(ClipTrainingConfig, TRAINING)
    return train_clip([drives['learned']], [drives['checked']], out, config, out / 'cache')


def train_student(drives, out, resume=False, **changes):
    from xmodelkd_ros.distillation.ookd.config import OokdTrainingConfig
    from xmodelkd_ros.distillation.ookd.training import train_ookd

    config = from_mapping(OokdTrainingConfig, TRAINING | changes)
    return train_ookd(
        [drives['learned']], [drives['checked']], out, config, out / 'cache', resume)


def logged(out):
    """Return the names of the losses in the log of a run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(next(out.glob('log*'))))
    log.Reload()
    return set(log.Tags()['scalars'])


def test_the_teacher_trains_and_runs_on_a_sequence(teacher):
    from xmodelkd_ros.inference.clip_segmenter import load_clip_segmenter

    segment = load_clip_segmenter(teacher, 'cpu', WINDOWS)
    assert segment.classes == THING_CLASSES
    assert len(list(segment(pictures(7)))) == 7


@pytest.mark.parametrize('frozen', [True, False])
def test_the_frames_below_a_teacher_are_trained_only_if_wanted(drives, tmp_path, frozen):
    from xmodelkd_ros.training.clip.module import ClipTrainingConfig
    from xmodelkd_ros.training.clip.training import train_clip

    start = train_student(drives, tmp_path / 'start', mode='alone')
    config = from_mapping(
        ClipTrainingConfig, TRAINING | {'start': str(start), 'frozen': frozen})
    path = train_clip(
        [drives['learned']], [drives['checked']], tmp_path, config, tmp_path / 'cache')
    before, after = load_checkpoint(start, 'video').state, load_checkpoint(path, 'clip').state
    same = [torch.equal(after[f'frame.{name}'].double(), old.double())
            for name, old in before.items()]
    assert all(same) == frozen
    assert after['class_head.weight'].any()  # it starts at 0


@pytest.mark.parametrize('mode', ['alone', 'plain', 'qfa'])
def test_a_student_of_any_mode_is_a_video_segmenter(drives, teacher, tmp_path, mode, monkeypatch):
    from xmodelkd_ros.inference.video_segmenter import VideoSegmenter
    from xmodelkd_ros.training import trainer

    monkeypatch.setattr(trainer, 'log_every_n_steps', 1, raising=False)
    path = train_student(drives, tmp_path, mode=mode, teacher=str(teacher), run={
        **TRAINING['run'], 'epochs': 4}, queries={'max_cost': 9.0})
    found, = VideoSegmenter(path)([pictures(1)[0][1]])
    assert found.mask_logits.shape[1:] == (32, 48)
    names = logged(tmp_path)
    assert ('train/distil_embedding' in names) == (mode != 'alone')


@pytest.mark.parametrize('mode', ['plain', 'qfa'])
def test_plain_distillation_takes_what_the_teacher_says_unfiltered(
    drives, teacher, tmp_path, mode, monkeypatch
):
    from xmodelkd_ros.distillation.ookd import training
    from xmodelkd_ros.distillation.ookd.queries import QueryFilterConfig

    asked = []
    monkeypatch.setattr(
        training, 'guess_drives', lambda found, *rest: asked.append(rest[:2]) or found[:0])
    train_student(
        drives, tmp_path, mode=mode, teacher=str(teacher), unlabelled=[str(drives['bare'])],
        queries={'min_score': 0.7})
    filtered = QueryFilterConfig(min_score=0.7)
    anything = QueryFilterConfig(min_score=0.0, min_agreement=0.0)
    assert asked == [(str(teacher), filtered if mode == 'qfa' else anything)]


def test_a_student_learns_from_unlabelled_bags(drives, teacher, tmp_path):
    path = train_student(
        drives, tmp_path, mode='qfa', teacher=str(teacher), unlabelled=[str(drives['bare'])],
        queries={'min_score': 0.0, 'min_agreement': 0.0})
    assert path.is_file()


def test_runs_resume(drives, teacher, tmp_path):
    train_student(drives, tmp_path, teacher=str(teacher))
    longer = {'run': {**TRAINING['run'], 'epochs': 2}}
    train_student(drives, tmp_path, resume=True, teacher=str(teacher), **longer)
    state = torch.load(tmp_path / 'checkpoints' / 'last.ckpt', weights_only=False)
    assert state['global_step'] == 2 * TRAINING['steps']


@pytest.mark.parametrize(
    ('kind', 'workers'), [('video', 0), ('video', 2), ('clip', 0), ('ookd', 0)])
def test_a_stopped_run_ends_as_if_nothing_had_been(
    drives, teacher, tmp_path, kind, workers, monkeypatch
):
    from xmodelkd_ros.cli.train import _config_class, _module
    from xmodelkd_ros.training.video.module import VideoTrainingModule

    def train(out, resume):
        values = TRAINING | {'run': {**TRAINING['run'], 'epochs': 2, 'workers': workers}}
        if kind == 'video':
            values['clips'] = {k: v for k, v in values['clips'].items() if k != 'frames'}
        if kind == 'ookd':
            values |= {'teacher': str(teacher), 'unlabelled': [str(drives['bare'])]}
        getattr(_module(kind), f'train_{kind}')(
            [drives['learned']], [drives['checked']], out,
            from_mapping(_config_class(kind), values), tmp_path / 'cache', resume)

    check_resumed_equals_whole(train, VideoTrainingModule, tmp_path, monkeypatch)


TOGETHER = """
import json, os, sys
from pathlib import Path
from xmodelkd_ros.cli.train import _config_class, _module
from xmodelkd_ros.config import from_mapping
from xmodelkd_ros.evaluation.video import TrackEvaluation
from xmodelkd_ros.inference.tracker import Tracker, TrackerConfig
from xmodelkd_ros.training.cache import cached_drives
from xmodelkd_ros.training.clip.training import drive_loader
from xmodelkd_ros.training.run_config import RunConfig
from xmodelkd_ros.training.video import module
from xmodelkd_ros.training.video.module import VideoTrainingModule
from xmodelkd_ros.training.video.training import picture_loader

kind, learned, checked, out, values, tracker = sys.argv[1:]
rank, seen, add = int(os.environ['RANK']), [], TrackEvaluation.add

def see(evaluation, video, *given):
    seen.append(video.split('/')[-2])
    add(evaluation, video, *given)

def judged(module):
    evaluation = module._evaluation
    return repr(evaluation.scores()), {
        name: sorted(video.predicted_area.items()) for name, video in evaluation._videos.items()}

def tell(module):
    told = [list(seen), *judged(module), module.trainer.callback_metrics['validation/ap'].item()]
    module.on_validation_epoch_start()
    ranks = {name: os.environ.pop(name) for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE')}
    drives = cached_drives([learned, checked], Path(out, 'cache'))
    alone = RunConfig(devices=1)
    for batch in (drive_loader(drives, alone) if kind == 'clip'
                  else picture_loader(drives, 1, alone)):
        module.validation_step(batch, 0)
    os.environ.update(ranks)
    Path(out, f'{rank}.json').write_text(json.dumps([told, judged(module)]))

module.Tracker = lambda: Tracker(from_mapping(TrackerConfig, json.loads(tracker)))
TrackEvaluation.add, VideoTrainingModule.on_validation_end = see, tell
getattr(_module(kind), f'train_{kind}')(
    [learned], [learned, checked], Path(out),
    from_mapping(_config_class(kind), json.loads(values)), Path(out, 'cache'))
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize('kind', ['video', 'clip'])
def test_two_processes_share_the_videos_and_score_them_as_one(drives, tmp_path, kind):
    preprocessing = {**TRAINING['preprocessing'], 'score_floor': 0.0}
    values = TRAINING | {'preprocessing': preprocessing}
    if kind == 'video':
        values['clips'] = {k: v for k, v in values['clips'].items() if k != 'frames'}
    else:
        values['windows'] = {'tracker': TRACK_EVERYTHING}
    command = [
        sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2',
        '--no-python', sys.executable, '-c', TOGETHER, kind, str(drives['learned']),
        str(drives['checked']), str(tmp_path), json.dumps(values), json.dumps(TRACK_EVERYTHING)]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    run = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        assert run.wait(timeout=280) == 0
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    first, second = (json.loads((tmp_path / f'{rank}.json').read_text()) for rank in range(2))
    for rank, (seen, scores, areas, ap) in enumerate((first[0], second[0])):
        drive, = cached_drives([drives[('learned', 'checked')[rank]]], tmp_path)
        assert seen == [drive.folder.name] * len(drive)
        assert [scores, areas] == first[1] == second[1]
        assert len(areas) == 2 and any(areas.values()) and ap == first[0][3] >= 0
    state = torch.load(tmp_path / 'checkpoints' / 'last.ckpt', weights_only=False)
    assert state['global_step'] == TRAINING['steps']


def test_impossible_settings_are_refused(drives, teacher, tmp_path):
    from xmodelkd_ros.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match='teacher'):
        train_student(drives, tmp_path, mode='qfa')
    with pytest.raises(ConfigurationError, match=r'network\.embedding'):
        train_student(drives, tmp_path, teacher=str(teacher),
                      network={**TRAINING['network'], 'embedding': 8})
    with pytest.raises(ConfigurationError, match='unlabelled'):
        train_student(drives, tmp_path, mode='alone', unlabelled=[str(drives['bare'])])


def write_useless_drive(folder, what):
    """Write a drive whose pictures are missing, without labels, or without instances."""
    from xmodelkd_ros.records import Cloud, Frame, View
    from xmodelkd_ros.training.cache import write_drive

    picture = dataclasses.replace(scene(), frame='front')
    if what == 'labels':
        picture = dataclasses.replace(picture, label=None, instance=None)
    views = {} if what == 'pictures' else {'front': View('front', picture, None, np.eye(4))}
    write_drive([Frame(Cloud(0, np.zeros((1, 3), np.float32)), views)], folder, 'made up')
    return folder


@pytest.mark.parametrize(('kind', 'learned', 'checked', 'reason'), [
    *[(kind, 'pictures', 'good', 'useless: no picture') for kind in ('video', 'clip', 'teacher')],
    ('ookd', 'pictures', 'good', 'useless: no picture has a true instance'),
    ('video', 'labels', 'good', 'useless: no picture has a true instance'),
    ('clip', 'instances', 'good', 'useless: no picture has a true instance'),
    ('video', 'good', 'pictures', 'useless: no pictures'),
    ('clip', 'good', 'pictures', 'useless: no pictures'),
    ('ookd', 'good', 'labels', 'useless: pictures of front have no true instances'),
    ('teacher', 'good', 'pictures', 'useless: no pictures'),
    ('teacher', 'good', 'labels', 'useless has no true labels'),
])
def test_drives_to_learn_nothing_from_are_one_line_before_the_run(
    drives, tmp_path, capsys, kind, learned, checked, reason
):
    from xmodelkd_ros.cli import train

    what = learned if checked == 'good' else checked
    useless, good = write_useless_drive(tmp_path / 'useless', what), drives['learned']
    chosen = {name: good if name == 'good' else useless for name in (learned, checked)}
    options = ['--mode', 'alone'] if kind == 'ookd' else []
    capsys.readouterr()
    assert train.main([
        kind, '--drives', str(chosen[learned]), '--validation', str(chosen[checked]),
        '--out', str(tmp_path / 'out'), *options]) == 2
    shown = capsys.readouterr().err
    assert reason in shown
    assert shown.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def test_the_commands_train_and_evaluate(drives, teacher, tmp_path, capsys):
    from xmodelkd_ros.cli import evaluate, train

    options = [
        '--drives', str(drives['learned']), '--validation', str(drives['checked']),
        '--network.widths', '32', '32', '32', '32', '--network.blocks', '1', '1', '1', '1',
        '--network.embedding', '16', '--clips.width', '96', '--clips.height', '64',
        '--clips.frames', '2',
        '--preprocessing.width', '96', '--preprocessing.height', '64', '--steps', '1',
        '--run.epochs', '1', '--run.workers', '0', '--run.precision', '32-true',
    ]
    out = tmp_path / 'student'
    assert train.main(['ookd', *options, '--out', str(out), '--mode', 'plain',
                       '--teacher', str(teacher)]) == 0
    assert (out / 'video.safetensors').is_file()
    for kind, model in (('video', out / 'video.safetensors'), ('clip', teacher)):
        assert evaluate.main([kind, str(drives['checked']), '--model', str(model),
                              '--cache', str(tmp_path)]) == 0
        said = capsys.readouterr().out
        assert 'occluded' in said
        assert f'model {model}, SHA-256 {load_checkpoint(model, kind).sha256}; ' in said
