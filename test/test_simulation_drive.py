"""A whole simulated drive: the truth it tells agrees with the world it was made from."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

trimesh = pytest.importorskip('trimesh')
pytest.importorskip('embreex')

from xmodelkd_ros.geometry.transforms import invert, transform_points  # noqa: E402
from xmodelkd_ros.labels import ALL_CLASSES, ID_BY_NAME, THING_CLASSES  # noqa: E402
from xmodelkd_ros.simulation.casting import Scene  # noqa: E402
from xmodelkd_ros.simulation.drive import Drive, SimulationConfig  # noqa: E402
from xmodelkd_ros.simulation.lighting import make_light  # noqa: E402

CONFIG = {'seed': 5, 'frames': 8, 'light': 'day', 'columns': 512, 'width': 320, 'height': 96}
THINGS = [c.id for c in THING_CLASSES]


def digest(frame):
    picture = frame.views['front'].picture
    arrays = (
        frame.cloud.points, frame.cloud.intensity, frame.cloud.label, frame.cloud.instance,
        frame.cloud.time_offset, picture.rgb, picture.label, picture.instance,
    )
    return hashlib.sha256(b''.join(a.tobytes() for a in arrays)).hexdigest()


@pytest.fixture(scope='module')
def drive():
    return Drive(SimulationConfig(**CONFIG))


@pytest.fixture(scope='module')
def frames(drive):
    return list(drive.frames())


@pytest.mark.timeout(400)
def test_a_seed_gives_the_same_drive_in_another_process(frames):
    code = (
        'import sys; sys.path.insert(0, "test")\n'
        'from test_simulation_drive import *\n'
        'print(digest(Drive(SimulationConfig(**CONFIG)).frame(7)))'
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == digest(frames[7])


def test_a_frame_does_not_depend_on_those_before_it(drive, frames):
    assert digest(drive.frame(5)) == digest(frames[5])
    assert digest(frames[4]) != digest(frames[5])


def test_arrays_have_the_types_of_the_records(frames):
    for frame in frames:
        cloud, picture = frame.cloud, frame.views['front'].picture
        count = len(cloud.points)
        assert 10_000 < count <= 64 * 512
        assert cloud.points.dtype == np.float32 and np.isfinite(cloud.points).all()
        assert cloud.intensity.dtype == np.float32
        assert cloud.intensity.min() >= 0 and cloud.intensity.max() <= 1
        assert cloud.label.dtype == cloud.instance.dtype == cloud.ring.dtype == np.uint16
        assert cloud.time_offset.dtype == np.int64
        assert {len(a) for a in (cloud.intensity, cloud.label, cloud.instance, cloud.ring,
                                 cloud.time_offset)} == {count}
        assert picture.rgb.shape == (96, 320, 3) and picture.rgb.dtype == np.uint8
        assert picture.label.dtype == np.uint8 and picture.instance.dtype == np.uint16


def test_the_world_holds_every_class(drive, frames):
    there = set(np.unique(drive.town.mesh.label))
    there |= {int(a.figure.mesh.label[0]) for a in drive.traffic.actors}
    there |= set(np.unique(np.concatenate([f.cloud.label for f in frames])))
    there |= set(np.unique(frames[0].views['front'].picture.label))
    assert there == {c.id for c in ALL_CLASSES[1:]}


def test_points_of_parked_vehicles_lie_on_their_surfaces(drive, frames):
    mesh, checked = drive.town.mesh, 0
    for frame in (frames[0], frames[-1]):
        points = transform_points(frame.fixed_from_lidar, frame.cloud.points)
        ids, counts = np.unique(frame.cloud.instance, return_counts=True)
        near = ids[(ids > 0) & (ids <= drive.town.instances) & (counts > 60)]
        for identity in near[:4]:
            measured = points[frame.cloud.instance == identity][:150]
            far = distance_to(mesh.corners[mesh.instance == identity], measured)
            assert np.quantile(far, 0.95) < 0.06 and far.max() < 0.15
            checked += 1
    assert checked >= 2


def test_points_of_moving_vehicles_lie_where_they_were_at_that_time(drive, frames):
    checked = 0
    for index, frame in enumerate(frames):
        cloud = frame.cloud
        points = transform_points(frame.fixed_from_lidar, cloud.points)
        for identity in np.unique(cloud.instance[cloud.instance > drive.town.instances]):
            rows = np.flatnonzero(cloud.instance == identity)
            actor = int(identity) - drive.town.instances - 1
            if len(rows) < 40 or drive.traffic.actors[actor].cruise == 0:
                continue
            second = index / 10 + cloud.time_offset[rows].mean() * 1e-9
            along = drive.traffic.along(np.array([second]))[0]
            place = drive.traffic.places(along)[actor]
            height = drive.town.ground.heights(place[None, :2])[0]
            mesh = drive.traffic.mesh(actor, along[actor], place, height)
            assert np.median(distance_to(mesh.corners, points[rows[:100]])) < 0.15
            checked += 1
    assert checked >= 3


def distance_to(triangles, points):
    """Return the distance (N,) of points to the nearest of some triangles."""
    pairs = np.repeat(points, len(triangles), axis=0).astype(float)
    nearest = trimesh.triangles.closest_point(np.tile(triangles, (len(points), 1, 1)), pairs)
    return np.linalg.norm(nearest - pairs, axis=1).reshape(len(points), -1).min(axis=1)


def test_points_and_pixels_agree_inside_objects(frames):
    same = total = 0
    for frame in frames[::3]:
        view, cloud = frame.views['front'], frame.cloud
        pixels, seen = view.camera.project(transform_points(view.camera_from_lidar, cloud.points))
        column, row = np.round(np.where(seen[:, None], pixels, -9)).astype(int).T
        seen &= (column >= 2) & (column < 318) & (row >= 2) & (row < 94)
        label = view.picture.label
        around = np.stack([
            label[row[seen] + dy, column[seen] + dx] for dy in (-2, 0, 2) for dx in (-2, 0, 2)
        ])
        inner = (around == around[0]).all(axis=0)
        same += (around[0] == cloud.label[seen])[inner].sum()
        total += inner.sum()
    assert total > 3000 and same / total > 0.96


def test_an_instance_keeps_its_class_and_only_things_have_one(frames):
    owner = {}
    for frame in frames:
        picture = frame.views['front'].picture
        for label, instance in (
            (frame.cloud.label, frame.cloud.instance), (picture.label, picture.instance)
        ):
            assert ((instance > 0) == np.isin(label, THINGS)).all()
            for pair in np.unique(np.stack([instance.ravel(), label.ravel()]), axis=1).T:
                if pair[0]:
                    assert owner.setdefault(int(pair[0]), int(pair[1])) == pair[1]
    first, last = (set(np.unique(f.cloud.instance)) for f in (frames[0], frames[-1]))
    assert len(first & last) > 10


def test_things_have_ids_of_their_own(drive):
    parked = np.unique(drive.town.mesh.instance)
    assert parked.tolist() == list(range(drive.town.instances + 1))
    moving = [int(a.figure.mesh.instance[0]) for a in drive.traffic.actors]
    assert moving == list(range(drive.town.instances + 1,
                                drive.town.instances + 1 + len(moving)))


def test_raw_points_moved_by_the_pose_at_their_own_times_are_the_compensated_ones(drive, frames):
    object.__setattr__(drive.config, 'deskewed', False)
    raw, compensated = drive.frame(4), frames[4]
    object.__setattr__(drive.config, 'deskewed', True)
    cloud = raw.cloud
    times, which = np.unique(cloud.time_offset, return_inverse=True)
    poses = np.stack([drive.pose(cloud.stamp + int(t)) for t in times]) @ drive.base_from_lidar
    fixed = np.einsum('nij,nj->ni', poses[which, :3, :3], cloud.points) + poses[which, :3, 3]
    expected = transform_points(compensated.fixed_from_lidar, compensated.cloud.points)
    np.testing.assert_allclose(fixed, expected, atol=2e-4)
    speed = np.linalg.norm((drive.pose(drive.stamp(5)) - drive.pose(drive.stamp(4)))[:2, 3]) / 0.1
    moved = np.linalg.norm(cloud.points - compensated.cloud.points, axis=1).max()
    assert speed > 1 and 0.5 < moved / (0.05 * speed) < 3
    check_beams(drive, cloud)


def check_beams(drive, cloud):
    """Every raw point lies on its ring's beam and column, and the columns turn clockwise."""
    profile = drive.profile
    beam = len(profile.elevations_deg) - 1 - cloud.ring.astype(int)
    rise = np.array(profile.heights_m or np.zeros(len(profile.elevations_deg)))[beam]
    x, y, z = cloud.points.astype(float).T
    elevation = np.degrees(np.arctan2(z - rise, np.hypot(x, y)))
    np.testing.assert_allclose(elevation, np.array(profile.elevations_deg)[beam], atol=0.02)
    azimuth = np.arctan2(y, x)
    np.testing.assert_allclose(cloud.time_offset * 1e-9, -azimuth / (2 * np.pi) * 0.1, atol=1e-5)


def test_still_points_of_two_sweeps_coincide_in_the_fixed_frame(drive, frames):
    assert np.linalg.norm((frames[0].fixed_from_lidar - frames[-1].fixed_from_lidar)[:2, 3]) > 1
    for frame in (frames[0], frames[-1]):
        points = transform_points(frame.fixed_from_lidar, frame.cloud.points)
        road = points[frame.cloud.label == ID_BY_NAME['road'], 2]
        assert abs(np.median(road)) < 0.01 and np.quantile(np.abs(road), 0.99) < 0.08
        wall = np.flatnonzero(frame.cloud.label == ID_BY_NAME['building'])[::20]
        eye = frame.fixed_from_lidar[:3, 3] + (0, 0, 0.16)
        ray = points[wall] - eye
        reach = np.linalg.norm(ray, axis=1)
        found = Scene(drive.town.mesh).nearest(
            np.tile(eye, (len(wall), 1)).astype(np.float32),
            (ray / reach[:, None]).astype(np.float32),
        )
        assert np.median(np.abs(found['tfar'] - reach)) < 0.05


def test_a_view_spans_both_stamps(drive, frames):
    frame = frames[3]
    view = frame.views['front']
    assert view.picture.stamp - frame.cloud.stamp == 6_000_000
    expected = (
        invert(drive.pose(view.picture.stamp) @ drive.base_from_camera['front'])
        @ drive.pose(frame.cloud.stamp) @ drive.base_from_lidar
    )
    np.testing.assert_allclose(view.camera_from_lidar, expected, atol=1e-9)
    np.testing.assert_array_equal(
        frame.fixed_from_lidar, drive.pose(frame.cloud.stamp) @ drive.base_from_lidar
    )


def test_night_is_darker_and_changes_no_label(drive, frames):
    day, drive.light = drive.light, make_light('night', np.random.default_rng(0))
    night = drive.frame(0)
    drive.light = day
    dark, bright = night.views['front'].picture, frames[0].views['front'].picture
    assert dark.rgb.mean() < 0.85 * bright.rgb.mean() and dark.rgb.mean() > 8
    np.testing.assert_array_equal(dark.label, bright.label)
    np.testing.assert_array_equal(night.cloud.points, frames[0].cloud.points)
