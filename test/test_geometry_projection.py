"""Projection of clouds: constructed scenes, vehicle motion, occlusion, and what goes missing."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from xmodelkd_ros.geometry import transforms
from xmodelkd_ros.geometry.cameras import Camera
from xmodelkd_ros.geometry.occlusion import is_visible, OcclusionConfig
from xmodelkd_ros.geometry.pairing import Pairing, sample_bilinear, sample_nearest
from xmodelkd_ros.geometry.projection import project_points

OPTICAL_FROM_BODY = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
OPEN = OcclusionConfig(enabled=False)


def pose(x=0.0, y=0.0, z=0.0, yaw=0.0):
    return transforms.from_translation_quaternion(
        [x, y, z], [0, 0, np.sin(yaw / 2), np.cos(yaw / 2)]
    )


def pinhole():
    return Camera.pinhole(1242, 375, 721.5, 721.5, 609.6, 172.9)


def barrel():
    intrinsics = np.array([[960.0, 0, 696], [0, 957, 224], [0, 0, 1]])
    return Camera(1392, 512, intrinsics, [-0.369, 0.197, 0.0013, 0.0006, -0.0677], 'plumb_bob',
                  np.eye(3), np.eye(3, 4), False)


def fisheye():
    intrinsics = np.array([[300.0, 0, 400], [0, 300, 300], [0, 0, 1]])
    return Camera(800, 600, intrinsics, [0.01, -0.02, 0.003, -0.001], 'equidistant', np.eye(3),
                  np.eye(3, 4), False)


CAMERAS = {'pinhole': pinhole(), 'barrel': barrel(), 'fisheye': fisheye(),
           'rectified': dataclasses.replace(pinhole(), rectified=True)}


def random_cloud(seed=0, count=20000):
    rng = np.random.default_rng(seed)
    points = (rng.normal(size=(count, 3)) * [30, 30, 3]).astype(np.float32)
    points[::997] = np.nan
    points[5::1999, 1] = np.inf
    points[7::1999] = -np.inf
    return points


@pytest.mark.parametrize('name', CAMERAS)
def test_pairs_are_the_finite_points_in_front_and_inside(name):
    """Against the camera's own slow path: every point projected, then selected."""
    camera, points = CAMERAS[name], random_cloud()
    camera_from_lidar = OPTICAL_FROM_BODY @ pose(0.3, 0.1, -0.2, 0.05)
    pairing = project_points(points, camera_from_lidar, camera, OPEN)
    optical = transforms.transform_points(camera_from_lidar, points.astype(float))
    pixels, in_front = camera.project(optical)
    size = [camera.width - 0.5, camera.height - 0.5]
    expected = np.flatnonzero(in_front & ((pixels > -0.5) & (pixels < size)).all(1))
    assert len(expected) > 200
    np.testing.assert_array_equal(pairing.index, expected)
    np.testing.assert_allclose(pairing.pixels, pixels[expected], atol=0.01)
    np.testing.assert_allclose(pairing.depth, optical[expected, 2], rtol=1e-5)
    assert pairing.index.dtype == np.int64
    assert pairing.pixels.dtype == pairing.depth.dtype == np.float32


def test_a_constructed_scene_reprojects_within_a_tenth_of_a_pixel():
    """K (R X + t), written out, for a camera beside and below a turned lidar."""
    camera, points = pinhole(), random_cloud(1)
    points = points[np.isfinite(points).all(1)]
    base_from_lidar, base_from_body = pose(0.8, 0, 1.7, 0.02), pose(1.1, 0.3, 1.6, -0.01)
    camera_from_lidar = OPTICAL_FROM_BODY @ transforms.invert(base_from_body) @ base_from_lidar
    pairing = project_points(points, camera_from_lidar, camera, OPEN)
    assert len(pairing) > 200
    for index, pixel in zip(pairing.index, pairing.pixels, strict=True):
        x, y, z = camera_from_lidar[:3, :3] @ points[index].astype(float) + (
            camera_from_lidar[:3, 3])
        expected = (721.5 * x / z + 609.6, 721.5 * y / z + 172.9)
        assert np.abs(pixel - expected).max() < 0.1


def test_vehicle_motion_between_cloud_and_image_is_followed():
    """15 m/s and 20 deg/s, 40 ms apart: still points stay on their pixels within 0.5 px."""
    camera = pinhole()
    base_from_lidar, base_from_body = pose(0.8, 0, 1.7), pose(1.1, 0.0, 1.6)
    at_cloud, at_image = transforms.interpolate(
        pose(100, 50, 0, 1.0), pose(100.81, 51.26, 0, 1.035), np.array([0.3, 0.7]))
    rng = np.random.default_rng(2)
    depth = rng.uniform(5, 60, 500)
    seen_in_image = np.stack(
        [rng.uniform(-0.7, 0.7, 500) * depth, rng.uniform(-0.2, 0.2, 500) * depth, depth], 1)
    body_from_optical = transforms.invert(OPTICAL_FROM_BODY)
    fixed = transforms.transform_points(
        at_image @ base_from_body @ body_from_optical, seen_in_image)
    points = transforms.transform_points(
        transforms.invert(base_from_lidar) @ transforms.invert(at_cloud), fixed)
    camera_from_base = OPTICAL_FROM_BODY @ transforms.invert(base_from_body)
    camera_from_lidar = transforms.camera_from_lidar_between(
        camera_from_base, at_image, at_cloud, base_from_lidar)
    pairing = project_points(points.astype(np.float32), camera_from_lidar, camera, OPEN)
    expected = 721.5 * seen_in_image[:, :2] / seen_in_image[:, 2:] + [609.6, 172.9]
    assert len(pairing) > 300
    assert np.abs(pairing.pixels - expected[pairing.index]).max() < 0.5
    unmoved = project_points(
        points.astype(np.float32), camera_from_base @ base_from_lidar, camera, OPEN)
    assert np.abs(unmoved.pixels - expected[unmoved.index]).max() > 5


def test_several_cameras_see_their_own_sides():
    points = random_cloud(3)
    front, left = (OPTICAL_FROM_BODY @ pose(yaw=yaw) for yaw in (0.0, -np.pi / 2))
    ahead = project_points(points, front, pinhole(), OPEN).index
    aside = project_points(points, left, fisheye(), OPEN).index
    assert (points[ahead, 0] > 0).all()
    assert (points[aside, 1] > 0).all()


@pytest.mark.parametrize('points', [
    np.zeros((0, 3), np.float32), np.full((5, 3), np.nan, np.float32),
    np.full((5, 3), np.inf, np.float32), np.zeros((3, 3), np.float32),
    np.array([[0.005, 0, 0]], np.float32),
])
def test_clouds_without_a_usable_point_give_no_pairs(points):
    pairing = project_points(points, OPTICAL_FROM_BODY, pinhole())
    assert len(pairing) == 0
    assert len(sample_nearest(np.ones((375, 1242), np.uint16), pairing)) == 0


# Occlusion.


def wall(depth, half_width, half_height, step):
    """Return a wall of points facing the camera, sampled every `step` rad like a lidar does."""
    x, y = np.meshgrid(np.arange(-half_width, half_width + 1e-9, step),
                       np.arange(-half_height, half_height + 1e-9, step * 2))
    return np.stack([x.ravel() * depth, y.ravel() * depth, np.full(x.size, depth)], 1)


def test_gaps_between_the_beams_of_a_near_surface_are_closed():
    """A wall at 10 m in rows 5 pixels apart hides the wall at 20 m between its rows."""
    near, far = wall(10.0, 0.1, 0.05, 0.0035), wall(20.0, 0.3, 0.15, 0.0034)
    points = np.vstack([near, far]).astype(np.float32)
    index = project_points(points, np.eye(4), pinhole()).index
    assert np.isin(np.arange(len(near)), index).all()
    kept = far[index[index >= len(near)] - len(near)]
    tangent = np.abs(kept[:, :2] / kept[:, 2:])
    assert not ((tangent[:, 0] < 0.095) & (tangent[:, 1] < 0.045)).any()
    outside = np.abs(far[:, :2] / far[:, 2:]) > [0.11, 0.06]
    kept_outside = (tangent > [0.11, 0.06]).any(1).sum()
    assert kept_outside == outside.any(1).sum()


def test_far_ground_does_not_hide_itself():
    """Rings on flat ground out to 60 m, 0.4 degrees apart, seen from 1.65 m."""
    angle = np.radians(np.arange(1.6, 20, 0.4))
    azimuth = np.radians(np.arange(-35, 35, 0.17))
    angle, azimuth = (a.ravel() for a in np.meshgrid(angle, azimuth))
    reach = 1.73 / np.tan(angle)
    points = np.stack([reach * np.cos(azimuth), reach * np.sin(azimuth),
                       np.full(len(reach), -1.73)], 1).astype(np.float32)
    camera_from_lidar = OPTICAL_FROM_BODY @ pose(-0.27, 0, 0.08)
    everything = project_points(points, camera_from_lidar, pinhole(), OPEN)
    seen = project_points(points, camera_from_lidar, pinhole())
    assert len(everything) > 5000
    assert len(seen) > 0.99 * len(everything)


def is_visible_slowly(pixels, depth, camera, config):
    """Return what `is_visible` does, point by point over all the others."""
    cell = max(1.0, camera.matrix[0, 0] * np.radians(config.cell))
    cells = [(int((v + 0.5) / cell), int((u + 0.5) / cell)) for u, v in pixels.astype(float)]
    found = []
    for (row, column), d in zip(cells, depth, strict=True):
        nearest = {}
        for (other_row, other_column), other in zip(cells, depth, strict=True):
            key = (other_row - row, other_column - column)
            nearest[key] = min(other, nearest.get(key, np.inf))

        def of(*keys, nearest=nearest):
            return min(nearest.get(key, np.inf) for key in keys)

        across = max(of((0, -1), (0, -2)), of((0, 1), (0, 2)))
        upright = max(of((-1, 0), (-2, 0)), of((1, 0), (2, 0)))
        surface = min(of((0, 0)), across, upright)
        around = of(*[(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1)])
        behind = d - config.absolute
        found.append(not (behind > (1 + config.relative) * surface
                          or behind > config.edge * around))
    return np.array(found)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 150), st.floats(0.5, 8.0))
def test_occlusion_agrees_with_a_slow_loop(seed, count, cell):
    rng = np.random.default_rng(seed)
    camera = Camera.pinhole(40, 20, 30, 30, 20, 10)
    pixels = rng.uniform(-0.49, [39.49, 19.49], (count, 2)).astype(np.float32)
    depth = rng.uniform(1, 8, count).astype(np.float32)
    config = OcclusionConfig(cell=cell, absolute=0.1, relative=0.1, edge=2.0)
    np.testing.assert_array_equal(
        is_visible(pixels, depth, camera, config), is_visible_slowly(pixels, depth, camera, config)
    )


# Pairing.


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_samples_are_those_of_the_pixels(width, height, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 1000, (height, width, 2)).astype(np.uint16)
    pixels = rng.uniform(-0.5, [width - 0.5, height - 0.5], (50, 2)).astype(np.float32)
    pairing = Pairing(np.arange(50), pixels, np.ones(50, np.float32))
    near, smooth = sample_nearest(image, pairing), sample_bilinear(image, pairing)
    for (u, v), value, blend in zip(pixels, near, smooth, strict=True):
        np.testing.assert_array_equal(value, image[
            min(int(np.floor(v + 0.5)), height - 1), min(int(np.floor(u + 0.5)), width - 1)])
        corner = [np.clip(v, 0, height - 1), np.clip(u, 0, width - 1)]
        expected = sum(
            max(0, 1 - abs(corner[0] - r)) * max(0, 1 - abs(corner[1] - c)) * image[r, c]
            for r in range(height) for c in range(width)
        )
        np.testing.assert_allclose(blend, expected, atol=0.05)


def test_bilinear_samples_of_a_plane_are_exact():
    v, u = np.mgrid[:20, :30].astype(np.float32)
    pixels = np.array([[3.25, 7.5], [0, 0], [29, 19], [28.75, 0.125]], np.float32)
    pairing = Pairing(np.arange(4), pixels, np.ones(4, np.float32))
    np.testing.assert_allclose(sample_bilinear(2 * u + 3 * v, pairing),
                               2 * pixels[:, 0] + 3 * pixels[:, 1], rtol=1e-6)


def distance_to_boxes(origin, directions, low, high):
    """Return how far rays (N, 3) from `origin` reach to the nearest box or the ground, z = 0."""
    with np.errstate(divide='ignore', invalid='ignore'):
        reach = np.where(directions[:, 2] < 0, -origin[2] / directions[:, 2], np.inf)
        for box_low, box_high in zip(low, high, strict=True):
            to_low, to_high = (box_low - origin) / directions, (box_high - origin) / directions
            enter = np.minimum(to_low, to_high).max(1)
            leave = np.maximum(to_low, to_high).min(1)
            reach = np.where((enter > 0) & (enter < leave), np.minimum(reach, enter), reach)
    return reach


@pytest.mark.parametrize('camera_at', [(0.27, 0.0, 1.65), (0.3, 0.8, 1.4), (1.5, 0.0, 1.1)])
def test_most_hidden_points_are_found_and_few_visible_ones_lost(camera_at):
    """A street of cars, posts and walls, swept by 64 beams; rays from the camera say the truth."""
    rng = np.random.default_rng(0)
    side = np.sign(rng.normal(size=40))
    middle = np.stack([rng.uniform(6, 60, 40), side * rng.uniform(2.5, 7, 40), np.zeros(40)], 1)
    half = np.array([[2.1, 0.9, 1.5]] * 18 + [[0.08, 0.08, 5]] * 12 + [[0.2, 0.25, 1.75]] * 10)
    walls = np.array([[x, y, 0] for y in (-16, 16) for x in (10, 26, 42, 58)])
    low = np.vstack([middle - half, walls - [6, 4, 0]]) * [1, 1, 0]
    high = np.vstack([middle + half, walls + [6, 4, 8]])
    elevation = np.concatenate([np.linspace(2, -8.33, 32), np.linspace(-8.83, -24.33, 32)])
    elevation, azimuth = (a.ravel() for a in np.meshgrid(
        np.radians(elevation), np.radians(np.arange(-42, 42, 0.1728))))
    directions = np.stack([np.cos(elevation) * np.cos(azimuth),
                           np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], 1)
    lidar_at = np.array([0, 0, 1.73])
    reach = distance_to_boxes(lidar_at, directions, low, high)
    points = lidar_at + (directions * reach[:, None])[reach < 100]
    sight = points - camera_at
    distance = np.linalg.norm(sight, axis=1)
    free = distance_to_boxes(np.array(camera_at), sight / distance[:, None], low, high)
    visible, hidden = free > 0.98 * distance - 0.1, free < 0.9 * distance - 0.5
    camera_from_lidar = OPTICAL_FROM_BODY @ transforms.invert(pose(*camera_at))
    cloud = points.astype(np.float32)
    everything = project_points(cloud, camera_from_lidar, pinhole(), OPEN).index
    kept = np.isin(everything, project_points(cloud, camera_from_lidar, pinhole()).index)
    assert hidden[everything].sum() > 200
    assert kept[hidden[everything]].mean() < 0.05
    assert kept[visible[everything]].mean() > 0.96
