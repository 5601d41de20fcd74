"""Track scores against a slow implementation on whole masks, and against TrackEval."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from xmodelkd_ros.evaluation.video import TrackEvaluation, TrackScoreConfig
from xmodelkd_ros.labels import THING_CLASSES
from xmodelkd_ros.records import Tracks

CAR, PERSON = (next(c for c in THING_CLASSES if c.name == name) for name in ('car', 'person'))
CLASSES = (CAR, PERSON)
NONE = np.zeros(0, np.float32)


def tracks_of(id_map, classes, scores):
    """Return Tracks of a map of ids, with classes and scores by id."""
    ids = [t for t in sorted(classes) if (id_map == t).any()]
    return Tracks(
        np.array(ids, np.uint16), np.array([classes[t] for t in ids], np.uint16),
        np.array([scores[t] for t in ids], np.float32), np.zeros((len(ids), 4), np.float32), id_map
    )


def random_video(rng, frames=6, size=(24, 32), instances=5):
    """Return true ids, true classes and predicted ids (F, H, W), and predicted classes, scores."""
    true = np.zeros((frames, *size), np.uint16)
    label = np.zeros((frames, *size), np.uint8)
    predicted = np.zeros((frames, *size), np.uint16)
    for truth in range(1, instances + 1):
        class_id = CLASSES[rng.integers(2)].id
        height, width = rng.integers(2, 12, 2)
        top, left = rng.uniform(-2, 20), rng.uniform(-2, 28)
        speed = rng.normal(size=2)
        track = int(rng.integers(1, 60000))
        while track in (predicted // 10).flat:
            track += 1
        for frame in range(frames):
            row, column = int(top + speed[0] * frame), int(left + speed[1] * frame)
            area = (frame, slice(max(row, 0), max(row + height, 0)),
                    slice(max(column, 0), max(column + width, 0)))
            true[area], label[area] = truth, class_id
            if rng.random() < 0.1:
                track = int(rng.integers(1, 60000))
            if rng.random() < 0.8:
                shift = rng.integers(-1, 2, 2)
                moved = (frame, slice(max(row + shift[0], 0), max(row + height, 0)),
                         slice(max(column + shift[1], 0), max(column + width, 0)))
                predicted[moved] = track
    found = np.unique(predicted[predicted > 0]).tolist()
    classes = {t: CLASSES[rng.integers(2)].id for t in found}
    scores = {t: float(np.float32(rng.uniform(0.05, 1))) for t in found}
    return true, label, predicted, classes, scores


def evaluate(videos, min_pixels=0):
    evaluation = TrackEvaluation(TrackScoreConfig(min_pixels=min_pixels), CLASSES)
    for name, (true, label, predicted, classes, scores) in enumerate(videos):
        for frame in range(len(true)):
            evaluation.add(str(name), true[frame], label[frame],
                           tracks_of(predicted[frame], classes, scores))
    return evaluation.scores()


def masks_by_id(ids):
    return {int(i): ids == i for i in np.unique(ids) if i}


def slow_matches(video, class_id, threshold, min_pixels):
    """Return (score, hit, ignored) of each predicted track, best first, and the true count."""
    true, label, predicted, classes, scores = video
    truths = [
        (max(m.sum() for m in mask) < min_pixels, mask) for mask in masks_by_id(true).values()
        if np.bincount(label[mask]).argmax() == class_id
    ]
    rows, taken = [], set()
    tracks = [(scores[t], m) for t, m in masks_by_id(predicted).items() if classes[t] == class_id]
    for score, mask in sorted(tracks, key=lambda item: -item[0]):
        best, best_iou = None, threshold - 1e-10
        for want_small in (False, True):
            for number, (small, truth) in enumerate(truths):
                if best is None or truths[best][0] == want_small:
                    iou = (mask & truth).sum() / (mask | truth).sum()
                    if small == want_small and number not in taken and iou >= best_iou:
                        best, best_iou = number, iou
            if best is not None:
                break
        taken.add(best)
        if best is None:
            rows.append((score, False, max(m.sum() for m in mask) < min_pixels))
        else:
            rows.append((score, not truths[best][0], truths[best][0]))
    return rows, sum(not small for small, _ in truths)


def slow_scores(videos, class_id, min_pixels):
    """Return AP, AP50, AP75, AR1, AR10 of one class, from the definitions."""
    precisions, recalls = [], {1: [], 10: []}
    for threshold in np.arange(0.5, 0.96, 0.05):
        matches = [slow_matches(video, class_id, threshold, min_pixels) for video in videos]
        count = sum(number for _, number in matches)
        if count == 0:
            return None
        rows = sorted((r for found, _ in matches for r in found if not r[2]), key=lambda r: -r[0])
        hits = [sum(r[1] for r in rows[: k + 1]) for k in range(len(rows))]
        points = [(hit / count, hit / (k + 1)) for k, hit in enumerate(hits)]
        precisions.append(np.mean([
            max((p for r, p in points if r >= recall - 1e-12), default=0.0)
            for recall in np.linspace(0, 1, 101)
        ]))
        for limit, values in recalls.items():
            values.append(sum(r[1] for found, _ in matches for r in found[:limit]) / count)
    return (np.mean(precisions), precisions[0], precisions[5], *map(np.mean, recalls.values()))


def slow_switches(videos):
    switches = 0
    for true, _, predicted, _, _ in videos:
        for truth in np.unique(true[true > 0]):
            last = None
            for frame in range(len(true)):
                mask = true[frame] == truth
                for track in np.unique(predicted[frame][mask]):
                    other = predicted[frame] == track
                    if track and (mask & other).sum() / (mask | other).sum() > 0.5:
                        switches += last not in (None, track)
                        last = track
    return switches


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 30, 60]))
def test_scores_agree_with_the_slow_definition(seed, min_pixels):
    rng = np.random.default_rng(seed)
    videos = [random_video(rng, instances=int(rng.integers(0, 8))) for _ in range(3)]
    scores = evaluate(videos, min_pixels)
    present = []
    for c in CLASSES:
        expected = slow_scores(videos, c.id, min_pixels)
        found = dataclasses.astuple(scores.by_class[c.name])
        if expected is None:
            assert found[0] == 0
            assert np.isnan(found[1:]).all()
        else:
            np.testing.assert_allclose(found[1:], expected, atol=1e-9)
            present.append(expected)
    if present:
        np.testing.assert_allclose(dataclasses.astuple(scores.mean)[1:], np.mean(present, 0))
    if min_pixels == 0:
        assert scores.id_switches == slow_switches(videos)


def boxes_video(rng, frames=8, instances=6):
    """Return a video of boxes that never overlap: true and predicted boxes keep to a column."""
    true, predicted = np.zeros((2, frames, 40, 16 * instances), np.uint16)
    label = np.zeros(true.shape, np.uint8)
    true_boxes, predicted_boxes = {}, {}
    for truth in range(1, instances + 1):
        class_id = CLASSES[rng.integers(2)].id
        for frame in range(frames):
            for ids, boxes, keep in ((true, true_boxes, 0.9), (predicted, predicted_boxes, 0.85)):
                if rng.random() > keep:
                    continue
                left = 16 * (truth - 1) + int(rng.integers(0, 3))
                top, height, width = (int(n) for n in rng.integers((2, 20, 9), (5, 24, 12)))
                ids[frame, top:top + height, left:left + width] = truth
                boxes.setdefault(truth, {})[frame] = np.array([left, top, width, height], float)
            label[frame][true[frame] == truth] = class_id
    classes = {t: CLASSES[rng.integers(2)].id for t in predicted_boxes}
    scores = {t: float(np.float32(rng.uniform(0.05, 1))) for t in predicted_boxes}
    return (true, label, predicted, classes, scores), true_boxes, predicted_boxes


def test_scores_agree_with_trackeval():
    """The metric TrackMAP of TrackEval says the same of the same tracks as boxes."""
    trackeval = pytest.importorskip('trackeval')
    metric = trackeval.metrics.TrackMAP({
        'USE_AREA_RANGES': False, 'USE_TIME_RANGES': False, 'MAX_DETECTIONS': 100,
        'PRINT_CONFIG': False,
    })
    rng = np.random.default_rng(5)
    made = [boxes_video(rng) for _ in range(6)]
    scores = evaluate([video for video, _, _ in made])
    for c in CLASSES:
        results = {}
        for number, ((true, label, _, classes, scored), truths, tracks) in enumerate(made):
            truth_ids = [t for t in truths if label[true == t][0] == c.id]
            ids = sorted((t for t in tracks if classes[t] == c.id), key=lambda t: -scored[t])
            results[number] = metric.eval_sequence({
                'gt_track_ids': truth_ids, 'gt_tracks': [truths[t] for t in truth_ids],
                'dt_track_ids': ids, 'dt_tracks': [tracks[t] for t in ids],
                'dt_track_scores': [scored[t] for t in ids], 'iou_type': 'bbox',
            })
        expected = metric.combine_sequences(results)
        found = scores.by_class[c.name]
        assert 0.05 < found.ap < 0.95
        np.testing.assert_allclose(found.ap, expected['AP_all'].mean(), atol=1e-6)
        np.testing.assert_allclose(found.ap50, expected['AP_all'][0], atol=1e-6)
        np.testing.assert_allclose(found.ap75, expected['AP_all'][5], atol=1e-6)
        np.testing.assert_allclose(found.ar10, expected['AR_all'].mean(), atol=1e-6)


def moving_square(frames=4):
    true = np.zeros((frames, 20, 40), np.uint16)
    for frame in range(frames):
        true[frame, 5:15, 3 * frame:3 * frame + 10] = 7
    return true


def test_a_perfect_prediction_scores_one_and_a_changed_id_is_one_switch():
    true = moving_square()
    label = np.where(true, CAR.id, 0).astype(np.uint8)
    perfect = (true, label, np.where(true, 300, 0).astype(np.uint16), {300: CAR.id}, {300: 0.4})
    scores = evaluate([perfect])
    assert dataclasses.astuple(scores.mean) == (1, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert np.isnan(scores.by_class['person'].ap)
    assert scores.id_switches == 0
    changed = perfect[2].copy()
    changed[2:][changed[2:] > 0] = 301
    scores = evaluate([(true, label, changed, dict.fromkeys((300, 301), CAR.id),
                        {300: 0.9, 301: 0.8})])
    assert scores.id_switches == 1
    # Half of the volume: only the threshold of 0.5 is met, by the better scored half.
    np.testing.assert_allclose(scores.mean.ap, 0.1)


def test_the_class_of_a_wrong_prediction_gets_the_blame():
    true = moving_square()
    label = np.where(true, CAR.id, 0).astype(np.uint8)
    scores = evaluate([(true, label, true, {7: PERSON.id}, {7: 1.0})])
    assert scores.by_class['car'].ap == 0
    assert scores.by_class['person'].tracks == 0


def test_a_predicted_class_that_flickers_is_that_of_the_greatest_score():
    true = moving_square(3)
    label = np.where(true, CAR.id, 0).astype(np.uint8)
    evaluation = TrackEvaluation(TrackScoreConfig(min_pixels=0), CLASSES)
    for frame, (class_id, score) in enumerate([(CAR.id, 0.9), (PERSON.id, 0.2), (PERSON.id, 0.3)]):
        evaluation.add('drive', true[frame], label[frame],
                       tracks_of(true[frame], {7: class_id}, {7: score}))
    assert evaluation.scores().by_class['car'].ap == 1


def test_small_truths_are_neither_hits_nor_misses():
    true = moving_square()
    true[:, :3, 30:33] = 9
    label = np.where(true, CAR.id, 0).astype(np.uint8)
    without = np.where(true == 9, 0, true).astype(np.uint16)
    both = {7: CAR.id, 9: CAR.id}
    for predicted in (true, without):
        scores = evaluate([(true, label, predicted, both, {7: 0.9, 9: 0.5})], min_pixels=50)
        assert dataclasses.astuple(scores.mean) == (1, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert evaluate([(true, label, without, both, {7: 0.9, 9: 0.5})], 0).mean.ap < 1


def test_nothing_at_all_has_no_score():
    scores = TrackEvaluation().scores()
    assert scores.mean.tracks == 0
    assert np.isnan(scores.mean.ap)
    assert 'id switches: 0' in scores.table()


def test_maps_of_another_size_are_refused():
    evaluation = TrackEvaluation()
    tracks = tracks_of(np.zeros((5, 6), np.uint16), {}, {})
    with pytest.raises(ValueError, match=r'truth of \(5, 5\), tracks of \(5, 6\)'):
        evaluation.add('drive', np.zeros((5, 5), np.uint16), np.zeros((5, 5), np.uint8), tracks)


def test_the_table_has_units():
    true = moving_square()
    label = np.where(true, CAR.id, 0).astype(np.uint8)
    table = evaluate([(true, label, true, {7: CAR.id}, {7: 0.4})]).table()
    assert 'AP75 [%]' in table
    assert 'mean of the present' in table


def shown(area):
    """Return a true map in which instance 7 has this many pixels."""
    true = np.zeros((20, 40), np.uint16)
    true.reshape(-1)[:area] = 7
    return true


def scores_of(areas, part, **config):
    evaluation = TrackEvaluation(TrackScoreConfig(min_pixels=20, **config), CLASSES)
    for area in areas:
        true = shown(area)
        label = np.where(true, CAR.id, 0).astype(np.uint8)
        evaluation.add('drive', true, label, tracks_of(true, {7: CAR.id}, {7: 0.9}))
    return evaluation.scores(part)


@pytest.mark.parametrize(('areas', 'share'), [
    ([30, 40, 50, 60], 0.0), ([60, 50, 40, 30], 0.0), ([60, 0, 60], 1.0),
    ([100, 30, 50], 0.4), ([50, 30, 100], 0.4), ([100, 10, 60, 20, 80], 0.875),
    ([100, 5, 15], 0.0), ([0, 60, 60, 0], 0.0), ([60, 0, 0, 40, 0], 1.0),
])
def test_what_a_track_lost_and_regained(areas, share):
    """By hand: a dip counts against the smaller of the largest areas before and after it."""
    evaluation = TrackEvaluation(TrackScoreConfig(), CLASSES)
    for area in areas:
        true = shown(area)
        evaluation.add('drive', true, np.full(true.shape, CAR.id, np.uint8),
                       tracks_of(np.zeros_like(true), {}, {}))
    found = evaluation._videos['drive'].hidden_share(7, 20)
    assert found == pytest.approx(share)
    assert scores_of(areas, 'occluded', hidden_share=0.5).mean.tracks == (share >= 0.5)


def test_tracks_of_another_part_are_neither_hits_nor_misses():
    areas = [60] * 5
    assert scores_of(areas, 'long', long_frames=5).mean.ap == 1
    none = scores_of(areas, 'long', long_frames=6)
    assert none.mean.tracks == 0
    assert np.isnan(none.mean.ap)
    true = moving_square(6)
    true[:, 16:19, 30:40] = 9
    label = np.where(true, CAR.id, 0).astype(np.uint8)
    label[4:][true[4:] == 9] = 0
    true[4:][true[4:] == 9] = 0
    evaluation = TrackEvaluation(TrackScoreConfig(min_pixels=0, long_frames=6), CLASSES)
    for frame in range(6):
        found = tracks_of(true[frame], dict.fromkeys((7, 9), CAR.id), {7: 0.5, 9: 0.9})
        evaluation.add('drive', true[frame], label[frame], found)
    assert evaluation.scores('long').mean.tracks == 1
    assert evaluation.scores('long').mean.ap == 1
    assert 'occluded' in evaluation.table()
