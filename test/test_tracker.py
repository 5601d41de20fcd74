"""The tracker on made-up detections: identity through order, occlusion, crossing and time."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from xmodelkd_ros.config import from_mapping
from xmodelkd_ros.errors import ConfigurationError
from xmodelkd_ros.inference import track_ids
from xmodelkd_ros.inference.image_boxes import bounding_boxes
from xmodelkd_ros.inference.instance_masks import paint_instances, resolve_overlaps
from xmodelkd_ros.inference.tracker import Tracker, TrackerConfig
from xmodelkd_ros.records import Detections

FRAME = 100_000_000  # ns
GRID = (24, 80)
SIZE = (96, 320)


def embedding(identity, noise=0.0, random=None):
    vector = np.random.default_rng(identity).normal(size=16)
    if noise:
        vector = vector + noise * random.normal(size=16)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def detections(*objects, noise=0.0, random=None, size=SIZE):
    """Objects are (identity, x0, y0, x1, y1 in cells, score, class)."""
    logits = np.full((len(objects), *GRID), -6, np.float32)
    for row, (_, x0, y0, x1, y1, *_) in enumerate(objects):
        logits[row, y0:y1, x0:x1] = 6
    return Detections(
        class_id=np.array([o[6] for o in objects], np.uint16),
        score=np.array([o[5] for o in objects], np.float32),
        embedding=np.array(
            [embedding(o[0], noise, random) for o in objects], np.float32
        ).reshape(-1, 16),
        mask_logits=logits,
        size=size,
    )


def thing(identity, x, y, score=0.9, class_id=10, size=6):
    return identity, x, y, x + size, y + size, score, class_id


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_order_of_detections_does_not_change_anything(seed):
    random = np.random.default_rng(seed)
    plain, shuffled = Tracker(), Tracker()
    for frame in range(6):
        objects = [
            thing(i, int(random.integers(0, 70)), int(random.integers(0, 16)),
                  float(random.uniform(0.1, 1)))
            for i in range(random.integers(0, 8))
        ]
        found = detections(*objects)
        order = random.permutation(len(objects))
        other = dataclasses.replace(
            found, **{name: getattr(found, name)[order]
                      for name in ('class_id', 'score', 'embedding', 'mask_logits')}
        )
        first, second = (
            tracker.update(d, frame * FRAME)
            for tracker, d in ((plain, found), (shuffled, other))
        )
        for name in ('track_id', 'class_id', 'score', 'box', 'id_map'):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name), name)


def test_identity_survives_an_occlusion_of_three_seconds():
    tracker = Tracker()
    random = np.random.default_rng(0)
    for frame in range(10):
        seen = tracker.update(
            detections(thing(1, 10 + frame, 8), thing(2, 40, 8), noise=0.1, random=random),
            frame * FRAME)
    before = dict(zip(seen.box[:, 0] > 130, seen.track_id, strict=True))
    for frame in range(10, 40):
        hidden = tracker.update(detections(thing(2, 40, 8)), frame * FRAME)
        assert hidden.track_id.tolist() == [before[True]]
    seen = tracker.update(
        detections(thing(1, 50, 8), thing(2, 40, 8), noise=0.1, random=random), 40 * FRAME)
    after = {column: seen.id_map[40, 4 * column] for column in (53, 43)}
    assert after == {53: before[False], 43: before[True]}


def test_forgotten_after_the_maximal_age():
    tracker = Tracker(TrackerConfig(max_age=1.0))
    first = tracker.update(detections(thing(1, 10, 8)), 0).track_id
    assert tracker.update(detections(thing(1, 10, 8)), 10 * FRAME).track_id == first
    for frame in range(11, 22):
        tracker.update(detections(), frame * FRAME)
    assert len(tracker.ids) == 0
    assert tracker.update(detections(thing(1, 10, 8)), 22 * FRAME).track_id > first


def test_too_old_even_when_no_image_came_meanwhile():
    tracker = Tracker(TrackerConfig(max_age=1.0))
    first = tracker.update(detections(thing(1, 10, 8)), 0).track_id
    assert tracker.update(detections(thing(1, 10, 8)), 11 * FRAME).track_id != first


def test_crossing_objects_keep_their_ids():
    tracker = Tracker()
    owners = []
    for frame in range(30):
        left, right = 2 + 2 * frame, 62 - 2 * frame
        found = detections(thing(1, left, 8, 0.9), thing(2, right, 9, 0.8))
        tracks = tracker.update(found, frame * FRAME)
        if abs(left - right) > 6:
            owners.append([tracks.id_map[46, 4 * x + 12] for x in (left, right)])
    assert owners[0][0] != owners[0][1]
    assert all(pair == owners[0] for pair in owners)


def test_lookalikes_that_pass_each_other_keep_their_ids():
    tracker = Tracker()
    owners = []
    for frame in range(20):
        left, right = 2 + 3 * frame, 62 - 3 * frame
        tracks = tracker.update(
            detections(thing(1, left, 8, 0.9), thing(1, right, 10, 0.8)), frame * FRAME)
        if abs(left - right) > 6:
            owners.append([tracks.id_map[46, 4 * x + 12] for x in (left, right)])
    assert owners[0][0] != owners[0][1]
    assert all(pair == owners[0] for pair in owners)


def test_ids_are_unique_and_memory_is_bounded_over_a_long_run():
    tracker = Tracker(TrackerConfig(max_age=0.5))
    owner_of_id, sizes = {}, []
    for frame in range(10_000):
        present = np.arange(frame // 5, frame // 5 + 3)  # each stays for 15 frames at one place
        found = detections(*(thing(i, 12 * (i % 6), 8) for i in present), size=GRID)
        tracks = tracker.update(found, frame * FRAME)
        sizes.append(len(tracker.ids))
        for identity, box in zip(tracks.track_id.tolist(), tracks.box, strict=True):
            owner = next(i for i in present if 12 * (i % 6) == box[0])
            assert owner_of_id.setdefault(identity, owner) == owner
    assert len(owner_of_id) == 2002
    assert max(sizes[100:]) <= max(sizes[:100]) <= 6


def test_no_more_tracks_than_allowed():
    tracker = Tracker(TrackerConfig(max_tracks=3))
    for frame in range(8):
        tracker.update(detections(thing(frame, 8 * frame, 8)), frame * FRAME)
        assert len(tracker.ids) <= 3


def test_ids_wrap_around_and_skip_the_living(monkeypatch):
    monkeypatch.setattr(track_ids, 'LAST_ID', 9)
    tracker, ids = Tracker(TrackerConfig(max_age=0.15, overlap_weight=0.0)), []
    for frame in range(6):
        found = detections(
            thing(0, 70, 8, 0.95), *(thing(2 * frame + n, 12 * n - 10, 2) for n in (1, 2)))
        ids.append(tracker.update(found, frame * FRAME).track_id.tolist())
    assert ids == [[1, 2, 3], [1, 4, 5], [1, 6, 7], [1, 8, 9], [1, 2, 3], [1, 4, 5]]


def test_reset_and_jump_backwards_forget_but_do_not_reuse_ids():
    tracker = Tracker()
    found = detections(thing(1, 10, 8))
    assert tracker.update(found, 10 * FRAME).track_id.tolist() == [1]
    tracker.reset()
    assert len(tracker.ids) == 0
    assert tracker.update(found, 11 * FRAME).track_id.tolist() == [2]
    assert tracker.update(found, 3 * FRAME).track_id.tolist() == [3]


def test_weak_tracks_need_a_second_sight_and_class_is_a_vote():
    tracker = Tracker()
    weak = detections(thing(1, 10, 8, 0.4, 12))
    assert tracker.update(weak, 0).track_id.size == 0
    assert tracker.update(detections(thing(1, 10, 8, 0.9)), FRAME).class_id.tolist() == [10]
    tracker.update(detections(), 2 * FRAME)
    assert tracker.update(weak, 3 * FRAME).class_id.tolist() == [10]
    flicker = Tracker()
    flicker.update(weak, 0)
    flicker.update(detections(), FRAME)
    assert len(flicker.ids) == 0


def test_a_covered_duplicate_is_no_track():
    tracker = Tracker()
    found = detections(thing(1, 10, 8, 0.9), thing(2, 10, 8, 0.7))
    assert tracker.update(found, 0).track_id.tolist() == [1]


def test_a_different_place_is_a_different_track():
    tracker = Tracker()
    tracker.update(detections(thing(1, 5, 8)), 0)
    assert tracker.update(detections(thing(1, 70, 8)), FRAME).track_id.tolist() == [2]


def test_what_has_no_embedding_is_passed_over_and_harms_nothing_later():
    tracker, found = Tracker(), detections(thing(1, 10, 8), thing(2, 40, 8))
    found.embedding[1] = np.nan
    ids = [tracker.update(found, frame * FRAME).track_id.tolist() for frame in range(3)]
    assert ids == [[1]] * 3


def test_no_detections_at_all():
    tracks = Tracker().update(detections(), 0)
    assert tracks.id_map.shape == SIZE
    assert tracks.box.shape == (0, 4)
    assert not tracks.id_map.any()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(96, 320), (95, 311), (24, 80), (180, 630)]))
def test_painting_equals_enlarging_every_mask_whole(seed, size):
    random = np.random.default_rng(seed)
    logits = random.normal(-1, 2, (4, *GRID)).astype(np.float32)
    score = random.uniform(0.2, 1, 4).astype(np.float32)
    id_map, boxes = paint_instances(np.arange(1, 5, dtype=np.uint16), logits, score, size)
    y, x = ((np.arange(n) + 0.5) * g / n - 0.5 for n, g in zip(size, GRID, strict=True))
    whole = np.stack([bilinear(logit, y, x) for logit in logits])
    strength = np.where(whole > 0, score[:, None, None] / (1 + np.exp(-whole)), 0)
    expected = np.where(strength.max(0) > 0, strength.argmax(0) + 1, 0)
    ranked = np.sort(strength, 0)
    near = (np.abs(whole) < 0.15).any(0) | (ranked[-1] - ranked[-2] < 0.03)  # OpenCV rounds
    assert (id_map == expected)[~near].all()
    for identity, box in enumerate(boxes, 1):
        rows, columns = np.nonzero(id_map == identity)
        wanted = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else 0
        np.testing.assert_array_equal(box, np.broadcast_to(wanted, 4))


def bilinear(image, y, x):
    y, x = np.clip(y, 0, image.shape[0] - 1), np.clip(x, 0, image.shape[1] - 1)
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    y1, x1 = np.minimum(y0 + 1, image.shape[0] - 1), np.minimum(x0 + 1, image.shape[1] - 1)
    fy, fx = (y - y0)[:, None], (x - x0)[None]
    top = image[y0][:, x0] * (1 - fx) + image[y0][:, x1] * fx
    return top * (1 - fy) + (image[y1][:, x0] * (1 - fx) + image[y1][:, x1] * fx) * fy


def test_masks_share_no_cell_and_boxes_fit():
    logits = np.full((3, *GRID), -5.0, np.float32)
    logits[0, 2:6, 3:9] = 5
    logits[1, 4:8, 6:12] = 5
    masks = resolve_overlaps(logits, np.array([0.5, 0.9, 0.9], np.float32))
    assert masks.sum(0).max() == 1
    assert masks[1].sum() == 24
    assert bounding_boxes(masks).tolist() == [[3, 2, 9, 6], [6, 4, 12, 8], [0, 0, 0, 0]]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 100_000), st.integers(0, 5))
def test_a_cell_goes_to_the_most_probable_of_its_masks(seed, count):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (count, 5, 7)).astype(np.float32)
    score = random.random(count).astype(np.float32)
    masks = resolve_overlaps(logits, score)
    for y, x in np.ndindex(5, 7):
        probability = score / (1 + np.exp(-logits[:, y, x])) * (logits[:, y, x] > 0)
        owner = [probability.argmax()] if probability.any() else []
        assert np.flatnonzero(masks[:, y, x]).tolist() == owner


def test_an_empty_mask_paints_nothing_and_has_no_box():
    logits = np.full((2, *GRID), -5.0, np.float32)
    logits[1, 2:6, 3:9] = 5
    id_map, boxes = paint_instances(
        np.array([4, 5], np.uint16), logits, np.ones(2, np.float32), SIZE)
    assert boxes[0].tolist() == [0, 0, 0, 0]
    assert np.unique(id_map).tolist() == [0, 5]
    assert bounding_boxes(np.zeros((2, 0, 4), bool)).tolist() == [[0, 0, 0, 0]] * 2


def test_settings_have_ranges():
    with pytest.raises(ConfigurationError, match=r'max_age = -1\.0'):
        from_mapping(TrackerConfig, {'max_age': -1.0})
