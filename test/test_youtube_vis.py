"""YouTube-VIS and OVIS: their official formats in, training clips and their results format out."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

masks = pytest.importorskip('pycocotools.mask')
pytest.importorskip('rosbags')

from xmodelkd_ros.errors import BagError, ConfigurationError  # noqa: E402
from xmodelkd_ros.labels import ID_BY_NAME  # noqa: E402
from xmodelkd_ros.records import Detections, Tracks  # noqa: E402
from xmodelkd_ros.training.cache import cached_drives  # noqa: E402
from xmodelkd_ros.training.video.annotated_video import decode  # noqa: E402
from xmodelkd_ros.training.video.clips import ClipDataset, collate, VideoClipConfig  # noqa: E402
from xmodelkd_ros.training.video.results import (  # noqa: E402
    encode,
    follow_video,
    VideoResults,
    write_results,
)
from xmodelkd_ros.training.video.youtube_vis import open_collection  # noqa: E402

HEIGHT, WIDTH, FRAMES = 90, 160, 4
CATEGORIES = {1: 'person', 2: 'giant_panda', 7: 'Vehical'}


def true_masks():
    """Return (3 instances, frames, H, W) bool: a person, a panda, and a car behind the person."""
    found = np.zeros((3, FRAMES, HEIGHT, WIDTH), bool)
    for frame in range(FRAMES):
        found[0, frame, 20:70, 40 + 5 * frame:60 + 5 * frame] = True
        found[1, frame, 5:15, 5:25] = frame != 2
        found[2, frame, 30:60, 30:120] = True
    return found


def as_numbers(mask):
    """Return uncompressed run lengths, as the files of 2019 to 2022 have them."""
    flat = mask.ravel(order='F').astype(int)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flat, [1 - flat[-1]]))))
    counts = np.diff(np.concatenate(([0], edges))).tolist()
    return {'size': list(mask.shape), 'counts': counts}


def as_polygons(mask):
    """Return the corners of boxes, as converted files have them."""
    rows, columns = np.nonzero(mask)
    left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return [[float(v) for v in (left, top, right, top, right, bottom, left, bottom)]]


FORMATS = {  # JSON file, folder of its pictures, how it writes masks
    'ytvis_2019': ('train.json', 'train/JPEGImages', as_numbers),
    'ytvis_2021': ('train/instances.json', 'train/JPEGImages', as_numbers),
    'ytvis_2022': ('gt_long.json', 'valid/JPEGImages', as_numbers),
    'ovis': ('annotations_train.json', 'train', encode),
    'polygons': ('instances.json', 'JPEGImages', as_polygons),
}


def write_fixture(root, kind, told=True, crowd=0):
    """Write a data set of one video in an official layout; return its JSON file."""
    name, pictures, write = FORMATS[kind]
    files = [f'0a1b2c/{5 * frame:05d}.jpg' for frame in range(FRAMES)]
    random = np.random.default_rng(0)
    (root / pictures / '0a1b2c').mkdir(parents=True)
    for file in files:
        cv2.imwrite(str(root / pictures / file), random.integers(0, 256, (HEIGHT, WIDTH, 3)))
    content = {
        'info': {}, 'licenses': [],
        'categories': [{'id': n, 'name': v, 'supercategory': 'object'}
                       for n, v in CATEGORIES.items()],
        'videos': [{'id': 3, 'height': HEIGHT, 'width': WIDTH, 'length': FRAMES,
                    'file_names': files, 'license': 1, 'coco_url': ''}],
    }
    if told:
        content['annotations'] = [
            {'id': 10 + row, 'video_id': 3, 'category_id': category, 'iscrowd': crowd,
             'height': HEIGHT, 'width': WIDTH, 'bboxes': [], 'areas': [],
             'segmentations': [write(mask) if mask.any() else None for mask in frames]}
            for row, (category, frames) in enumerate(zip(CATEGORIES, true_masks(), strict=True))
        ]
    path = root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize('kind', FORMATS)
def test_each_official_format_gives_the_true_masks(kind, tmp_path):
    video, = open_collection(write_fixture(tmp_path, kind)).videos
    person, _, car = true_masks()
    assert (len(video), video.video_id, video.cameras) == (FRAMES, 3, ('video',))
    for frame in range(FRAMES):
        picture = video.picture(frame, 'video')
        assert picture.rgb.shape == (HEIGHT, WIDTH, 3) and picture.rgb.dtype == np.uint8
        assert picture.stamp == round(frame * 1e9 / 6)
        np.testing.assert_array_equal(picture.instance == 1, person[frame])
        np.testing.assert_array_equal(picture.instance == 3, car[frame] & ~person[frame])
        np.testing.assert_array_equal(picture.label == ID_BY_NAME['person'], person[frame])
        assert set(np.unique(picture.label)) == {0, ID_BY_NAME['person'], ID_BY_NAME['car']}


def test_colours_are_rgb(tmp_path):
    path = write_fixture(tmp_path, 'ovis')
    red = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    red[..., 2] = 255
    cv2.imwrite(str(tmp_path / 'train/0a1b2c/00000.jpg'), red)
    pixel = open_collection(path).videos[0].picture(0, 'video').rgb[45, 80]
    assert pixel[0] > 240 and pixel[2] < 15


def test_their_classes_become_ours(tmp_path):
    path = write_fixture(tmp_path, 'ovis')
    ours = open_collection(path)
    assert [row.name for row in ours.classes] == ['car', 'person']
    assert ours.category_of_class == {ID_BY_NAME['person']: 1, ID_BY_NAME['car']: 7}
    mapped = open_collection(path, class_map={'giant_panda': 'rider'})
    label = mapped.videos[0].picture(0, 'video').label
    assert label[10, 10] == ID_BY_NAME['rider']
    with pytest.raises(ConfigurationError, match='class_map'):
        open_collection(path, class_map={'giant_panda': 'road'})


def test_a_crowd_is_no_example(tmp_path):
    video, = open_collection(write_fixture(tmp_path, 'ovis', crowd=1)).videos
    picture = video.picture(0, 'video')
    assert not picture.instance.any() and (picture.label == ID_BY_NAME['car']).any()


def test_a_set_without_annotations_has_pictures_alone(tmp_path):
    video, = open_collection(write_fixture(tmp_path, 'ytvis_2021', told=False)).videos
    picture = video.picture(FRAMES - 1, 'video')
    assert picture.label is None and picture.instance is None


def test_short_and_long_videos_stand_side_by_side(tmp_path):
    """As in the validation set of 2022, whose results go into one file."""
    path = write_fixture(tmp_path, 'ytvis_2022')
    content = json.loads(path.read_text())
    video, told = content['videos'][0], content['annotations']
    content['videos'].append({**video, 'id': 4, 'file_names': 25 * video['file_names']})
    content['annotations'] += [
        {**one, 'video_id': 4, 'segmentations': 25 * one['segmentations']} for one in told]
    path.write_text(json.dumps(content))
    short, long = open_collection(path).videos
    assert (len(short), len(long)) == (FRAMES, 25 * FRAMES)
    for index in 1, FRAMES, 25 * FRAMES - 1:
        picture = long.picture(index, 'video')
        assert picture.stamp == round(index * 1e9 / 6)
        np.testing.assert_array_equal(picture.instance == 1, true_masks()[0, index % FRAMES])


def test_clips_for_training_come_from_the_json(tmp_path):
    drives = cached_drives([write_fixture(tmp_path, 'ytvis_2019')], tmp_path / 'cache')
    config = VideoClipConfig(width=96, height=64, min_area=4)
    batch = collate([ClipDataset(drives, 0, config)[k] for k in range(4)])
    assert batch.images.shape[1:] == (3, 64, 96)
    assert (batch.targets.channel >= 0).any()


def detections(frame):
    """Return the person and the car as a segmenter would."""
    person, _, car = true_masks()[:, frame]
    logits = np.where(np.stack([person, car & ~person]), 8.0, -8.0).astype(np.float32)
    ids = np.array([ID_BY_NAME['person'], ID_BY_NAME['car']], np.uint16)
    return Detections(ids, np.array([0.9, 0.8], np.float32), np.eye(2, dtype=np.float32), logits,
                      (HEIGHT, WIDTH))


def test_results_are_what_the_servers_take_and_hold_the_masks(tmp_path):
    collection = open_collection(write_fixture(tmp_path, 'ovis'))
    frames = iter(range(FRAMES))
    rows = follow_video(
        collection.videos[0], lambda images: [detections(next(frames))],
        collection.category_of_class)
    path = tmp_path / 'results.json'
    write_results(path, rows)
    found = json.loads(path.read_text())
    assert {row['category_id'] for row in found} == {1, 7}
    person, _, car = true_masks()
    for row in found:
        assert set(row) == {'video_id', 'category_id', 'segmentations', 'score'}
        assert row['video_id'] == 3 and len(row['segmentations']) == FRAMES
        assert row['score'] == pytest.approx(0.9 if row['category_id'] == 1 else 0.8, abs=1e-6)
        truth = person if row['category_id'] == 1 else car & ~person
        for segmentation, mask in zip(row['segmentations'], truth, strict=True):
            np.testing.assert_array_equal(decode(segmentation, (HEIGHT, WIDTH)), mask)


def test_results_vote_on_the_class_and_leave_gaps_empty():
    results = VideoResults(5, 3, {ID_BY_NAME['car']: 7})
    id_map = np.zeros((6, 8), np.uint16)
    id_map[2:4, 2:5] = 9
    for index, (name, score) in enumerate([('car', 0.9), ('bus', 0.5)]):
        results.add(2 * index, Tracks(
            np.array([9], np.uint16), np.array([ID_BY_NAME[name]], np.uint16),
            np.array([score], np.float32), np.zeros((1, 4), np.float32), id_map))
    row, = results.rows()
    assert row['category_id'] == 7 and row['score'] == pytest.approx(0.7)
    assert row['segmentations'][1] is None and None not in row['segmentations'][::2]
    assert not VideoResults(5, 3, {}).rows()


def test_run_lengths_survive_a_round_trip():
    random = np.random.default_rng(3)
    for mask in random.random((20, 17, 23)) < random.random((20, 1, 1)):
        np.testing.assert_array_equal(decode(encode(mask), (17, 23)), mask)
        if mask.any():
            np.testing.assert_array_equal(decode(as_numbers(mask), (17, 23)), mask)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BagError, match=r'^there is no .*gone\.json$'):
        open_collection(tmp_path / 'gone.json')


@pytest.mark.parametrize(('damage', 'message'), [
    (lambda c: c.pop('videos'), 'no YouTube-VIS data set'),
    (lambda c: c['annotations'][0]['segmentations'].pop(), '3 segmentations in 4 frames'),
    (lambda c: c['videos'][0]['file_names'].__setitem__(0, 'gone.jpg'), 'are in none of'),
])
def test_damaged_files_are_refused(damage, message, tmp_path):
    path = write_fixture(tmp_path, 'ytvis_2019')
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(BagError, match=message):
        open_collection(path)


@pytest.mark.parametrize('segmentation', [{'size': [4, 4], 'counts': 'P11'}, 'text', [[1.0]], {}])
def test_damaged_segmentations_are_refused(segmentation):
    with pytest.raises(BagError, match='segmentation'):
        decode(segmentation, (HEIGHT, WIDTH))


def test_the_command_writes_results_for_a_model(tmp_path, capsys):
    from small_world import write_models
    from xmodelkd_ros.cli.video_results import main

    _, model = write_models(tmp_path)
    path = write_fixture(tmp_path, 'ovis', told=False)
    (tmp_path / 'map.yaml').write_text('giant_panda: rider\n')
    command = [str(path), '--model', str(model), '--device', 'cpu', '--out',
               str(tmp_path / 'r' / 'results.json'), '--class-map', str(tmp_path / 'map.yaml')]
    assert main(command) == 0
    assert 'tracks in 1 videos' in capsys.readouterr().out
    rows = json.loads((tmp_path / 'r' / 'results.json').read_text())
    assert {row['category_id'] for row in rows} <= set(CATEGORIES)
    (tmp_path / 'map.yaml').write_text('- a list')
    assert main(command) == 2
    assert 'a YAML file with a mapping' in capsys.readouterr().err
