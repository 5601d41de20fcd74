"""Reading recorded results back, and scoring them against ground truth by stamps."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')

from xmodelkd_ros.bags.results import OUTPUT, RecordedResults  # noqa: E402
from xmodelkd_ros.bags.scoring import _joined, score_results  # noqa: E402
from xmodelkd_ros.bags.writer import BagWriter  # noqa: E402
from xmodelkd_ros.labels import ALL_CLASSES  # noqa: E402
from xmodelkd_ros.messages.clouds import cloud_message  # noqa: E402
from xmodelkd_ros.messages.detections import detections_2d_message  # noqa: E402
from xmodelkd_ros.messages.diagnostics import diagnostics_message, status_message  # noqa: E402
from xmodelkd_ros.messages.images import image_message  # noqa: E402
from xmodelkd_ros.messages.stamps import header_message  # noqa: E402
from xmodelkd_ros.records import Cloud, Tracks  # noqa: E402

STAMPS = (1_000, 2_000, 3_000, 4_000)


def test_joined_keeps_only_stamps_that_all_have():
    left = iter([(1, 'a'), (2, 'b'), (4, 'd'), (6, 'f')])
    right = iter([(2, 'B'), (3, 'C'), (4, 'D'), (5, 'E'), (6, 'F')])
    assert list(_joined(left, right)) == [('b', 'B'), ('d', 'D'), ('f', 'F')]


def cloud(stamp: int, label: np.ndarray) -> Cloud:
    points = np.arange(3 * len(label), dtype=np.float32).reshape(-1, 3)
    return Cloud(stamp, points, label=label, instance=np.zeros_like(label))


@pytest.fixture
def bags(tmp_path):
    """Truth of four clouds and pictures; results of the last three, one point in four wrong."""
    label = np.array([1, 4, 10, 10], np.uint16)
    wrong = np.array([1, 4, 10, 4], np.uint16)
    id_map = np.zeros((20, 30), np.uint16)
    id_map[2:18, 5:25] = 7
    class_map = np.where(id_map, 10, 1).astype(np.uint8)
    tracks = Tracks(np.array([9], np.uint16), np.array([10], np.uint16),
                    np.array([0.9], np.float32), np.array([[5, 2, 25, 18]], np.float32),
                    np.where(id_map, 9, 0).astype(np.uint16))
    with BagWriter(tmp_path / 'drive') as drive, BagWriter(tmp_path / 'result') as result:
        for stamp in STAMPS:
            header = header_message(stamp, 'front')
            drive.write('/ground_truth/points', cloud_message(cloud(stamp, label)), stamp)
            drive.write('/ground_truth/front/label', image_message(class_map, 'mono8', header),
                        stamp)
            drive.write('/ground_truth/front/instance', image_message(id_map, 'mono16', header),
                        stamp)
            if stamp == STAMPS[0]:
                continue
            result.write(f'{OUTPUT}/points', cloud_message(cloud(stamp, wrong)), stamp)
            result.write(f'{OUTPUT}/front/instance_mask',
                         image_message(tracks.id_map, 'mono16', header), stamp)
            result.write(f'{OUTPUT}/front/detections',
                         detections_2d_message(tracks, ALL_CLASSES, header), stamp)
            status = status_message('perception', 'ok', '', {'points.used': stamp})
            result.write('/diagnostics', diagnostics_message([status], stamp), stamp)
    return tmp_path


def test_results_come_back_as_they_were(bags):
    results = RecordedResults(bags / 'result')
    assert results.cameras() == ['front']
    assert [c.stamp for c in results.clouds()] == list(STAMPS[1:])
    stamp, tracks = next(results.tracks('front'))
    assert stamp == STAMPS[1] and tracks.track_id.tolist() == [9]
    np.testing.assert_allclose(tracks.box, [[5, 2, 25, 18]])
    assert tracks.score == pytest.approx([0.9])
    assert results.diagnostics() == {'points.used': str(STAMPS[-1])}


def test_scores_count_what_was_used_and_what_was_wrong(bags):
    scores = score_results(RecordedResults(bags / 'result'), bags / 'drive')
    assert (scores.clouds, scores.images) == (3, 3)
    by_name = dict(zip([c.name for c in scores.points.classes], scores.points.iou, strict=True))
    assert by_name['road'] == 1 and by_name['car'] == 0.5 and by_name['building'] == 0.5
    assert scores.tracks.mean.ap == pytest.approx(1) and scores.tracks.id_switches == 0
