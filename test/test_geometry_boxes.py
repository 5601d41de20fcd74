"""Boxes: corners, what is inside, and KITTI's hand-made ones on real pictures."""

import cv2
import numpy as np
import pytest
from tracklets import read_tracklets
from xmodelkd_ros.errors import BagError
from xmodelkd_ros.geometry.boxes import box_corners, box_poses, points_in_boxes
from xmodelkd_ros.geometry.cameras import Camera
from xmodelkd_ros.geometry.occlusion import OcclusionConfig
from xmodelkd_ros.geometry.projection import project_points


def test_corners_of_a_turned_box():
    center, size = np.array([[10.0, 5, 1]]), np.array([[4.0, 2, 1.5]])
    corners = box_corners(center, size, np.array([np.pi / 2]))
    np.testing.assert_allclose(corners[0, 0], [9, 7, 0.25], atol=1e-12)
    np.testing.assert_allclose(corners[0, 4:] - corners[0, :4], [[0, 0, 1.5]] * 4, atol=1e-12)
    np.testing.assert_allclose(corners[0].mean(0), [10, 5, 1], atol=1e-12)


def test_points_inside_agree_with_the_boxes_own_frames():
    rng = np.random.default_rng(0)
    center, yaw = rng.uniform(-5, 5, (6, 3)), rng.uniform(-4, 4, 6)
    size = rng.uniform(0.5, 6, (6, 3))
    points = rng.uniform(-8, 8, (400, 3)).astype(np.float32)
    points[0] = np.nan
    inside = points_in_boxes(points, center, size, yaw)
    assert inside.shape == (6, 400)
    assert 20 < inside.sum() < 2000
    for box in range(6):
        for number, point in enumerate(points.astype(float)):
            x, y, z = point - center[box]
            forward = np.cos(yaw[box]) * x + np.sin(yaw[box]) * y
            left = np.cos(yaw[box]) * y - np.sin(yaw[box]) * x
            expected = (abs(forward) <= size[box, 0] / 2 and abs(left) <= size[box, 1] / 2
                        and abs(z) <= size[box, 2] / 2)
            assert inside[box, number] == expected
    np.testing.assert_allclose(box_poses(center, yaw)[:, :3, 3], center)
    assert points_in_boxes(points, center[:0], size[:0], yaw[:0]).shape == (0, 400)


@pytest.mark.parametrize('text', [None, 'no xml', '<x><tracklets><item/></tracklets></x>'])
def test_a_file_that_holds_no_tracklets_is_refused(tmp_path, text):
    path = tmp_path / 'tracklet_labels.xml'
    if text is not None:
        path.write_text(text)
    with pytest.raises(BagError, match=r'cannot read tracklets from .*tracklet_labels\.xml'):
        read_tracklets(path)


def numbers_by_key(path):
    """Return a KITTI calibration file as arrays, without the lines that hold text."""
    found = {}
    for line in path.read_text().splitlines():
        key, _, values = line.partition(': ')
        if key != 'calib_time':
            found[key] = np.array(values.split(), float)
    return found


def kitti_calibration(day):
    """Return the camera of image_02 and rectified camera 0 from lidar, as the devkit has it."""
    cameras = numbers_by_key(day / 'calib_cam_to_cam.txt')
    lidar = numbers_by_key(day / 'calib_velo_to_cam.txt')
    projection = cameras['P_rect_02'].reshape(3, 4)
    width, height = cameras['S_rect_02'].astype(int).tolist()
    camera = Camera(width, height, projection[:, :3], [], 'plumb_bob',
                    cameras['R_rect_00'].reshape(3, 3), projection, True)
    camera_from_lidar = np.eye(4)
    camera_from_lidar[:3, :3] = lidar['R'].reshape(3, 3)
    camera_from_lidar[:3, 3] = lidar['T']
    return camera, camera_from_lidar


@pytest.mark.kitti
def test_points_of_a_tracklet_project_into_its_outline(kitti_root):
    """
    On drive 0001, with the outline of the projected box as the reference.

    The box is convex, so the points in it lie inside the hull of its corners exactly; what the
    labels and the rounding of the coordinates leave is checked by the share of the boxes that
    hold points at all.
    """
    drive = kitti_root / 'kitti_0001' / '2011_09_26' / '2011_09_26_drive_0001_sync'
    camera, camera_from_lidar = kitti_calibration(drive.parent)
    tracklets = read_tracklets(drive / 'tracklet_labels.xml')
    assert len({int(t) for boxes in tracklets.values() for t in boxes.track_id}) == 15
    checked = filled = boxes_seen = 0
    for number, boxes in list(tracklets.items())[::10]:
        sweep = drive / 'velodyne_points' / 'data' / f'{number:010d}.bin'
        points = np.fromfile(sweep, np.float32).reshape(-1, 4)[:, :3]
        pairing = project_points(points, camera_from_lidar, camera, OcclusionConfig(enabled=False))
        place = np.full(len(points), -1)
        place[pairing.index] = np.arange(len(pairing))
        corners = box_corners(boxes.center, boxes.size, boxes.yaw)
        inside = points_in_boxes(points, boxes.center, boxes.size, boxes.yaw)
        for box in range(len(boxes.track_id)):
            outline, in_front = camera.project(
                corners[box] @ camera_from_lidar[:3, :3].T + camera_from_lidar[:3, 3])
            if not in_front.all() or not ((outline > 0) & (outline < [397, 120])).all():
                continue
            boxes_seen += 1
            filled += inside[box].sum() > 5
            hull = cv2.convexHull(outline)
            for position in place[inside[box]]:
                assert position >= 0
                pixel = tuple(map(float, pairing.pixels[position]))
                assert cv2.pointPolygonTest(hull, pixel, True) > -0.1
                checked += 1
    assert boxes_seen > 30
    assert filled > 0.9 * boxes_seen
    assert checked > 3000


@pytest.mark.kitti
def test_edges_of_real_clouds_lie_on_edges_of_their_pictures(kitti_root):
    """
    Where the depth of neighbouring points jumps, the picture changes too (Levinson 2013).

    The brightness changes most where the projection puts the near side of the jumps, and less
    anywhere six pixels or more to the side of it.
    """
    day = kitti_root / 'kitti_0052' / '2011_09_26'
    drive = day / '2011_09_26_drive_0052_sync'
    camera, camera_from_lidar = kitti_calibration(day)
    shifts = (-12, -6, 0, 6, 12)
    change = np.zeros(len(shifts))
    for number in (5, 20, 40, 60):
        sweep = drive / 'velodyne_points' / 'data' / f'{number:010d}.bin'
        points = np.fromfile(sweep, np.float32).reshape(-1, 4)[:, :3]
        picture = cv2.imread(str(drive / 'image_02' / 'data' / f'{number:010d}.jpg'), 0)
        steps = np.abs(np.diff(cv2.GaussianBlur(picture, (0, 0), 1.5).astype(float)))
        pairing = project_points(points, camera_from_lidar, camera)
        # Points are stored beam by beam, in the order of their azimuth.
        jump = (np.diff(pairing.depth) > 3) & (np.diff(pairing.index) < 4)
        u, v = np.round(pairing.pixels[:-1][jump]).astype(int).T
        change += [steps[v, np.clip(u + shift, 0, steps.shape[1] - 1)].mean() for shift in shifts]
    assert change.argmax() == 2
    assert change[2] > 1.2 * np.delete(change, 2).max()
