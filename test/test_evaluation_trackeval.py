"""Track scores against TrackEval's YouTube-VIS metric, on official JSON files."""

import json

import numpy as np
import pytest
from test_evaluation_video import CLASSES, evaluate, random_video
from test_networks_video import write
import torch
from xmodelkd_ros.evaluation.video import TrackEvaluation, TrackScoreConfig
from xmodelkd_ros.inference.tracker import Tracker, TrackerConfig
from xmodelkd_ros.inference.video_segmenter import VideoSegmenter
from xmodelkd_ros.networks.video_network import VideoNetwork, VideoNetworkConfig

trackeval = pytest.importorskip('trackeval')
mask_tools = pytest.importorskip('pycocotools.mask')
NOTHING = {'id': 99, 'name': 'nothing'}


def run_lengths(mask):
    """Return the uncompressed run lengths of the ground truth files."""
    flat = np.concatenate(([0], mask.ravel(order='F'), [0])).astype(np.int8)
    edges = np.flatnonzero(np.diff(flat))
    runs = np.diff(np.concatenate(([0], edges, [mask.size])))
    return {'counts': runs.tolist(), 'size': list(mask.shape)}


def compressed(mask):
    """Return the compressed run lengths of result files."""
    coded = mask_tools.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {'counts': coded['counts'].decode(), 'size': list(mask.shape)}


def segmentations(ids, identity, code):
    return [code(frame == identity) if (frame == identity).any() else None for frame in ids]


def write_files(folder, videos):
    """Write videos (true ids, label, predicted ids, classes, scores) as YouTube-VIS does."""
    truth = {
        'categories': [{'id': c.id, 'name': c.name} for c in CLASSES] + [NOTHING],
        'videos': [], 'annotations': [],
    }
    # TrackEval takes the first predicted track, of id 0, for none: let it be of no class of ours.
    results = [{'video_id': 1, 'category_id': NOTHING['id'], 'score': 0.1, 'segmentations':
                [None] * len(videos[0][0])}]
    for number, (true, label, predicted, classes, scores) in enumerate(videos, 1):
        frames, height, width = true.shape
        truth['videos'].append({
            'id': number, 'width': width, 'height': height, 'length': frames,
            'file_names': [f'video{number}/{k:05}.jpg' for k in range(frames)],
        })
        for identity in np.unique(true[true > 0]).tolist():
            found = segmentations(true, identity, run_lengths)
            truth['annotations'].append({
                'id': len(truth['annotations']) + 1, 'video_id': number, 'iscrowd': 0,
                'category_id': int(np.bincount(label[true == identity]).argmax()),
                'width': width, 'height': height, 'segmentations': found,
                'areas': [(frame == identity).sum().item() or None for frame in true],
            })
        results += [
            {'video_id': number, 'category_id': classes[track], 'score': scores[track],
             'segmentations': segmentations(predicted, track, compressed)}
            for track in classes if (predicted == track).any()
        ]
    for place, name, content in (
        ('gt/youtube_vis_val', 'truth.json', truth),
        ('results/youtube_vis_val/ours/data', 'results.json', results),
    ):
        (folder / place).mkdir(parents=True)
        (folder / place / name).write_text(json.dumps(content))


def score_with_trackeval(folder, most):
    """Return AP, AP50, AP75 and AR of each class that the truth holds."""
    quiet = {'PRINT_CONFIG': False}
    dataset = trackeval.datasets.YouTubeVIS({
        'GT_FOLDER': f'{folder}/gt/', 'TRACKERS_FOLDER': f'{folder}/results/',
        'SPLIT_TO_EVAL': 'val', **quiet,
    })
    metric = trackeval.metrics.TrackMAP({
        'USE_AREA_RANGES': False, 'USE_TIME_RANGES': False, 'MAX_DETECTIONS': most, **quiet})
    raw = {name: dataset.get_raw_seq_data('ours', name) for name in dataset.seq_list}
    scores = {}
    for c in CLASSES:
        of_video = {
            name: metric.eval_sequence(dataset.get_preprocessed_seq_data(data, c.name))
            for name, data in raw.items()
        }
        found = metric.combine_sequences(of_video)
        ap = found['AP_all']
        scores[c.name] = (ap.mean(), ap[0], ap[5], found['AR_all'].mean())
    return scores


def assert_agrees(folder, videos, scores):
    write_files(folder, videos)
    by_limit = {most: score_with_trackeval(folder, most) for most in (1, 10, 100)}
    for c in CLASSES:
        found = scores.by_class[c.name]
        if not found.tracks:
            assert by_limit[100][c.name][0] == -1
            continue
        np.testing.assert_allclose(
            (found.ap, found.ap50, found.ap75), by_limit[100][c.name][:3], atol=1e-6)
        np.testing.assert_allclose(found.ar1, by_limit[1][c.name][3], atol=1e-6)
        np.testing.assert_allclose(found.ar10, by_limit[10][c.name][3], atol=1e-6)
    return by_limit[100]


def mostly_right(random):
    """Return a random video whose predicted tracks often have a true track's class and place."""
    true, label, predicted, classes, scores = random_video(random, instances=6)
    for track in classes:
        covered = true[(predicted == track) & (true > 0)]
        if len(covered) and random.random() < 0.8:
            truth = true == np.bincount(covered).argmax()
            classes[track] = int(np.bincount(label[truth]).argmax())
            kept = truth & (random.random(true.shape) < random.uniform(0.5, 1))
            predicted[kept & (predicted == 0)] = track
    return true, label, predicted, classes, scores


@pytest.mark.parametrize('seed', range(3))
def test_scores_of_random_tracks_agree(tmp_path, seed):
    random = np.random.default_rng(seed)
    videos = [mostly_right(random) for _ in range(6)]
    expected = assert_agrees(tmp_path, videos, evaluate(videos))
    assert all(ap[1] > 0.1 for ap in expected.values())


def test_scores_of_a_network_with_its_tracker_agree(tmp_path):
    """Random weights, but real masks, classes, scores and ids; the truth is another such run."""
    torch.manual_seed(1)
    small = VideoNetworkConfig(
        queries=12, widths=(32,) * 4, blocks=(1,) * 4, fine=32, coarse=32, kernel=8, embedding=16)
    network = VideoNetwork(small)
    for parameter in network.parameters():
        parameter.data.mul_(2)
    segment = VideoSegmenter(write(tmp_path / 'video.safetensors', network.eval()))
    random = np.random.default_rng(0)
    believing = TrackerConfig(
        low_score=0.0, birth_score=0.0, confirm_hits=1, min_visible=0.0, min_affinity=0.1)
    every = TrackScoreConfig(min_pixels=0)  # how large a random network's masks are is chance
    videos, evaluation = [], TrackEvaluation(every, CLASSES)
    for name in 'ab':
        scene = random.integers(0, 256, (64, 96, 3), np.uint8)
        runs = []
        for _ in range(2):
            tracker, run = Tracker(believing), []
            for frame in range(5):
                image = np.roll(scene, 2 * frame, 1)
                noisy = image + random.normal(0, 6, image.shape)
                found, = segment([np.clip(noisy, 0, 255).astype(np.uint8)])
                found.class_id[:] = np.where(found.class_id % 2, CLASSES[1].id, CLASSES[0].id)
                run.append(tracker.update(found, frame * 10**8))
            runs.append(run)
        videos.append(as_video(name, *runs, evaluation))
    assert_agrees(tmp_path, videos, evaluation.scores())
    assert evaluation.scores().mean.tracks > 4


def as_video(name, truth, prediction, evaluation):
    """Add a run to an evaluation with another as its truth; return both as arrays."""
    label = []
    for true, found in zip(truth, prediction, strict=True):
        class_of_id = np.zeros(65536, np.uint8)
        class_of_id[true.track_id] = true.class_id
        label.append(class_of_id[true.id_map])
        evaluation.add(name, true.id_map, label[-1], found)
    overlaps = evaluation._videos[name]
    said = {t: overlaps.predicted_class(t) for t in overlaps.predicted_tracks}
    return (
        np.stack([t.id_map for t in truth]), np.stack(label),
        np.stack([t.id_map for t in prediction]),
        {t: c for t, (c, _) in said.items()}, {t: s for t, (_, s) in said.items()},
    )
