"""Parts of the simulation, each against a plain reference."""

import functools
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip('embreex')

from xmodelkd_ros.config import from_mapping  # noqa: E402
from xmodelkd_ros.errors import ConfigurationError  # noqa: E402
from xmodelkd_ros.geometry.cameras import Camera  # noqa: E402
from xmodelkd_ros.geometry.transforms import invert, transform_points  # noqa: E402
from xmodelkd_ros.simulation.actors import make_actors  # noqa: E402
from xmodelkd_ros.simulation.casting import cast, Hits, Scene  # noqa: E402
from xmodelkd_ros.simulation.drive import SimulationConfig  # noqa: E402
from xmodelkd_ros.simulation.ground import CELL, Ground, SIZE  # noqa: E402
from xmodelkd_ros.simulation.lidar import beam_directions, column_times, returns  # noqa: E402
from xmodelkd_ros.simulation.lighting import make_light  # noqa: E402
from xmodelkd_ros.simulation.materials import GROUND_COLOUR, IS_RAISED, Material  # noqa: E402
from xmodelkd_ros.simulation.meshes import box, ellipsoid, placement, tube  # noqa: E402
from xmodelkd_ros.simulation.motion import bumped, drive, Movers, TICK  # noqa: E402
from xmodelkd_ros.simulation.mounting import base_from_camera, make_camera  # noqa: E402
from xmodelkd_ros.simulation.people import bicycle, pedestrian  # noqa: E402
from xmodelkd_ros.simulation.pictures import pixel_rays, render  # noqa: E402
from xmodelkd_ros.simulation.profiles import lidar_profile, PROFILES  # noqa: E402
from xmodelkd_ros.simulation.streets import make_network, make_route, STEP  # noqa: E402
from xmodelkd_ros.simulation.textures import add_detail, albedo  # noqa: E402


@pytest.fixture(scope='module')
def kerb_ground():
    """Ground whose part beyond x = 2 m is pavement, 0.1 m higher."""
    surface = np.full((SIZE, SIZE), Material.ASPHALT, np.uint8)
    surface[:, SIZE // 2 + round(2 / CELL):] = Material.PAVING
    return Ground(surface, 0.1, GROUND_COLOUR)


@pytest.fixture(scope='module')
def network():
    return make_network(np.random.default_rng(5))


def test_rays_meet_road_kerb_and_pavement_where_small_steps_do(kerb_ground):
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(300, 3))
    directions[:, 2] = -np.abs(directions[:, 2]) - 0.02
    directions = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype('f4')
    directions = directions[directions[:, 2] < -0.1]
    origins = np.tile(np.array([0.5, 0, 1.7], np.float32), (len(directions), 1))
    distance, material, normal = kerb_ground.cast(origins, directions)
    for k in range(len(directions)):
        path = origins[k] + np.arange(0, 20, 0.002)[:, None] * directions[k]
        below = path[:, 2] <= np.where(path[:, 0] > 2, 0.1, 0)
        first = path[np.argmax(below)]
        assert abs(distance[k] - np.argmax(below) * 0.002) < 0.06
        if abs(first[0] - 2) > 0.1:
            assert material[k] == (Material.PAVING if first[0] > 2 else Material.ASPHALT)
            assert normal[k].tolist() == [0, 0, 1]
    assert (material == Material.KERB).any() and (material == Material.PAVING).any()


def test_a_ray_to_the_sky_meets_nothing(kerb_ground):
    up = np.array([[0, 0, 1], [0.6, 0, 0.8]], np.float32)
    hits = cast([], kerb_ground, np.zeros_like(up) + np.float32(1), up)
    assert np.isinf(hits.distance).all() and (hits.label == 0).all()


def test_the_nearest_of_two_scenes_and_the_ground_wins(kerb_ground):
    near = box((5, 0, 1), (1, 1, 2), Material.PAINT, (1, 0, 0)).named(10, 7)
    far = box((9, 0, 1), (1, 4, 2), Material.PLASTER, (0, 1, 0)).named(4)
    rays = np.array([[1, 0, 0], [1, 0.15, 0], [1, 0, -0.8]])
    rays = (rays / np.linalg.norm(rays, axis=1, keepdims=True)).astype(np.float32)
    origins = np.tile(np.array([0, 0, 1], np.float32), (3, 1))
    hits = cast([Scene(far), Scene(near)], kerb_ground, origins, rays)
    assert hits.label.tolist() == [10, 4, 1] and hits.instance.tolist() == [7, 0, 0]
    np.testing.assert_allclose(hits.position[0], (4.5, 0, 1), atol=1e-5)
    np.testing.assert_allclose(hits.position[1, 0], 8.5, atol=1e-5)
    np.testing.assert_allclose(hits.normal[:2], [(-1, 0, 0)] * 2, atol=1e-6)
    np.testing.assert_allclose(hits.texture[0], (4.5, 0, 1), atol=1e-5)
    assert (np.einsum('ij,ij->i', hits.normal, rays) <= 0).all()


def test_rays_pass_the_wheels_of_a_bicycle_but_its_outline_in_pictures_is_whole(kerb_ground):
    bike = bicycle(np.random.default_rng(0)).moved(placement(0, 4, 0.3)).named(15, 3)
    camera = Camera.pinhole(200, 120, 100, 100, 100, 70)
    rays, pose = pixel_rays(camera), np.eye(4)
    pose[:3, :3], pose[:3, 3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]], (0, 0, 1.2)
    wheel = np.array([[-0.52, 0, 0.34, 1], [0.55, 0, 0.34, 1]]) @ placement(0, 4, 0.3).T
    at, _ = camera.project(transform_points(invert(pose), wheel[:, :3]))
    column, row = np.round(at).astype(int).T

    directions = (rays @ pose[:3, :3].T.astype(np.float32)).reshape(-1, 3)
    origins = np.tile(pose[:3, 3].astype(np.float32), (len(directions), 1))
    seen = cast([Scene(bike)], kerb_ground, origins, directions)
    assert (seen.instance.reshape(120, 200)[row + 2, column - 2] == 0).all()

    light = make_light('day', np.random.default_rng(0))
    post = box((0.4, 3, 1), (0.15, 0.15, 2), Material.WOOD, (1, 1, 1)).named(7)
    draw = functools.partial(render, rays, pose, ground=kerb_ground, light=light)
    rgb, label, instance = draw(
        scenes=[Scene(bike)], lamps=np.zeros((0, 3)), rng=np.random.default_rng(1))
    assert (label[row, column] == 15).all() and (instance[row, column] == 3).all()
    outlined, found = instance == 3, (seen.instance == 3).reshape(120, 200)
    assert outlined[found].all() and outlined.sum() > 1.5 * found.sum()
    bare = bike.part(bike.material != Material.NOTHING)
    same, *_ = draw(
        scenes=[Scene(bare)], lamps=np.zeros((0, 3)), rng=np.random.default_rng(1))
    np.testing.assert_array_equal(rgb, same)

    _, behind, _ = draw(
        scenes=[Scene(bike), Scene(post)], lamps=np.zeros((0, 3)), rng=np.random.default_rng(1))
    assert ((behind == 7) & outlined).any()


def test_solids_have_their_measures():
    corners = tube((0, 0, 0), (0, 0, 2), 0.5, Material.METAL, (1, 1, 1), 32).corners
    np.testing.assert_allclose(np.ptp(corners.reshape(-1, 3), axis=0), (1, 1, 2), atol=1e-5)
    egg = ellipsoid((1, 2, 3), (1, 2, 3), Material.LEAVES, (1, 1, 1), 16, 8)
    np.testing.assert_allclose(np.ptp(egg.corners.reshape(-1, 3), axis=0), (2, 4, 6), rtol=1e-3)
    moved = box((1, 0, 0), (2, 1, 1), 1, (1, 1, 1)).moved(placement(10, 5, np.pi / 2, 1))
    np.testing.assert_allclose(moved.corners.reshape(-1, 3).mean(axis=0), (10, 6, 1), atol=0.2)


def test_limbs_swing_about_their_joints():
    figure = pedestrian(np.random.default_rng(1))
    stride = figure.at(np.pi / 2).corners - figure.mesh.corners
    shift = np.linalg.norm(stride, axis=2).max(axis=1)
    assert (shift[figure.swing == 0] == 0).all() and shift.max() > 0.2
    np.testing.assert_allclose(figure.at(0.0).corners, figure.mesh.corners, atol=1e-6)


@pytest.mark.parametrize(
    ('name', 'beams', 'high', 'low'),
    [('hdl64e', 64, 2.0, -24.9), ('vlp32c', 32, 15.0, -25.0), ('os1_128', 128, 22.5, -22.5)],
)
def test_profiles_have_the_field_of_view_of_the_units(name, beams, high, low):
    profile = lidar_profile(name)
    assert len(profile.elevations_deg) == beams
    assert (profile.elevations_deg[0], profile.elevations_deg[-1]) == (high, low)
    assert (np.diff(profile.elevations_deg) < 0).all()
    directions = beam_directions(profile, 360)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=2), 1)
    np.testing.assert_allclose(np.degrees(np.arcsin(directions[7, :, 2])), profile.elevations_deg)
    azimuth = np.arctan2(directions[:, 0, 1], directions[:, 0, 0])
    assert (np.diff(azimuth) < 0).all()
    facing = np.argmin(np.abs(column_times(360, 0.1)))
    assert abs(azimuth[facing]) < 0.01


def test_the_two_blocks_of_an_hdl64e_differ_in_spacing():
    steps = -np.diff(lidar_profile('hdl64e').elevations_deg)
    assert abs(steps[:31].mean() - 1 / 3) < 0.01 and abs(steps[32:].mean() - 0.52) < 0.01


def hits_on(material, distance, count=4000):
    """Return hits on one material at one distance."""
    column = np.full(count, material, np.uint8)
    flat = np.zeros((count, 3), np.float32)
    return Hits(
        np.full(count, distance, np.float32), flat, flat + (0, 0, 1), flat.copy(), column,
        column, column.astype(np.uint16), flat + np.float32(0.3), np.zeros(count, bool),
    )


def test_dark_far_and_grazing_surfaces_and_glass_lose_returns():
    def share(material, distance, cosine):
        kept, _ = returns(hits_on(material, distance), np.full(4000, cosine), PROFILES['hdl64e'],
                          np.random.default_rng(0))
        return kept.mean()

    assert share(Material.PLASTER, 20, 1.0) > 0.95
    assert share(Material.PLASTER, 119, 0.1) < 0.3
    assert share(Material.RUBBER, 60, 0.5) < share(Material.CONCRETE, 60, 0.5)
    assert share(Material.GLASS, 10, 1.0) < 0.4
    assert share(Material.CONCRETE, 121, 1.0) == share(Material.CONCRETE, 0.5, 1.0) == 0


def test_signs_shine_and_markings_stand_out():
    def brightness(material):
        _, intensity = returns(hits_on(material, 15), np.full(4000, 0.8), PROFILES['hdl64e'],
                               np.random.default_rng(0))
        return np.median(intensity)

    assert brightness(Material.SIGN) > 0.85
    assert brightness(Material.MARKING) > 2 * brightness(Material.ASPHALT)
    assert brightness(Material.GRASS) > brightness(Material.PAVING) > brightness(Material.ASPHALT)


def test_facades_have_windows_and_bricks_have_joints(kerb_ground):
    hits = hits_on(Material.BRICK_FACADE, 10, 4000)
    rng = np.random.default_rng(0)
    hits.texture[:] = rng.uniform((0, 1, 0), (6, 4, 0), (4000, 3)) + (0, 0, 3.5)
    add_detail(hits, kerb_ground)
    glass = (hits.material == Material.GLASS).mean()
    assert 0.1 < glass < 0.5 and (hits.material == Material.BRICK).mean() > 0.3
    assert albedo(hits)[hits.material == Material.BRICK].std() > 0.01


def test_routes_are_smooth_and_keep_to_the_right(network):
    route = make_route(network, 400, 0.0, np.random.default_rng(0))
    steps = np.hypot(*np.diff(route[:, :2], axis=0).T)
    assert len(route) * STEP > 395
    np.testing.assert_allclose(steps, STEP, atol=0.05)
    assert np.abs(np.diff(route[:, 2])).max() < 0.25
    street = network.streets[0]
    middle = street.line[len(street.line) // 2]
    right = street.offset(-1.7)[len(street.line) // 2]
    across = right[:2] - middle[:2]
    left = (-np.sin(middle[2]), np.cos(middle[2]))
    assert across @ left == pytest.approx(-1.7, abs=1e-6)


def test_traffic_moves_steadily_and_gives_way(network):
    actors = make_actors(network, 150, 0.6, np.random.default_rng(2))
    movers = Movers.of(actors)
    gone = drive(movers, 6.0)
    speed = np.diff(gone, axis=0) / TICK
    assert speed.min() >= 0 and speed.max() < 13
    assert np.diff(speed, axis=0).min() >= -5.01 * TICK
    assert np.diff(speed, axis=0).max() <= 1.81 * TICK
    free = [a for a in range(len(actors)) if actors[a].cruise > 0]
    assert (gone[-1, free] > 2).mean() > 0.8


def test_every_actor_keeps_a_route_where_streets_are_short_and_full(network):
    for seed in range(12):
        actors = make_actors(network, 150, 3.0, np.random.default_rng(seed))
        assert min(len(a.route) for a in actors) >= 2
        assert np.isfinite(Movers.of(actors).limits).all()


def test_a_car_stops_behind_a_standing_one_and_is_told_apart_when_it_does_not(network):
    actors = make_actors(network, 150, 0.0, np.random.default_rng(2)) * 2
    movers = Movers.of(actors)
    start = 30
    movers.routes[0, :-start] = movers.routes[1, start:].copy()
    movers.limits[0] = 0
    gone = drive(movers, 8.0)
    gap = start * STEP + gone[-1, 0] - gone[-1, 1] - movers.half_length.sum()
    assert gone[-1, 0] == 0 and 0.2 < gap < 5
    assert not bumped(movers, gone).any()
    through = gone + np.linspace(0, 15, len(gone))[:, None] * (0, 1)
    assert bumped(movers, through).tolist() == [False, True]


@pytest.mark.parametrize('distorted', [False, True])
def test_each_pixel_looks_along_the_ray_that_projects_to_it(distorted):
    camera = make_camera(640, 192, distorted)
    rays = pixel_rays(camera)
    pixels, seen = camera.project(12.0 * rays.reshape(-1, 3).astype(float))
    u, v = np.meshgrid(np.arange(640), np.arange(192))
    assert seen.mean() > 0.99
    off = np.abs(pixels - np.stack([u, v], axis=2).reshape(-1, 2))[seen]
    assert np.quantile(off, 0.99) < 0.02


def test_cameras_look_where_their_names_say():
    assert make_camera(640, 192, False).intrinsics[0, 0] == pytest.approx(371.8, abs=0.1)
    headings = {'front': (1, 0), 'left': (0, 1), 'right': (0, -1), 'rear': (-1, 0)}
    for name, ahead in headings.items():
        transform = base_from_camera(name)
        np.testing.assert_allclose(transform[:3, 2], (*ahead, 0), atol=1e-12)
        np.testing.assert_allclose(transform[:3, 1], (0, 0, -1), atol=1e-12)
        assert 1.6 < transform[2, 3] < 1.7


def test_raised_ground_is_all_but_the_road():
    assert not IS_RAISED[Material.MARKING] and IS_RAISED[Material.GRASS]


@pytest.mark.parametrize(
    ('key', 'value'),
    [('lidar', 'vlp16'), ('frames', 0), ('rate_hz', 0.5), ('light', 'fog'), ('cameras', ['up'])],
)
def test_wrong_settings_are_named(key, value):
    with pytest.raises(ConfigurationError, match=key):
        from_mapping(SimulationConfig, {key: value})


def test_an_unknown_unit_lists_those_that_are_there():
    with pytest.raises(ConfigurationError, match=r"'vlp16'.*hdl64e"):
        lidar_profile('vlp16')


def test_a_unit_can_be_a_file(tmp_path):
    path = tmp_path / 'vlp16.yaml'
    path.write_text('high_deg: 15\nlow_deg: -15\nbeams: 16\nmax_range: 100\n')
    profile = lidar_profile(str(path))
    assert profile.name == 'vlp16' and profile.max_range == 100
    np.testing.assert_allclose(profile.elevations_deg, np.arange(15, -16, -2))
    path.write_text('elevations_deg: [-3, 2, 0.5]\n')
    assert lidar_profile(str(path)).elevations_deg == (2, 0.5, -3)
    for text in ('beams: 16', 'elevations_deg: [1]', 'elevations_deg: [1, 1]', 'rows: 3', '- 1'):
        path.write_text(text)
        with pytest.raises(ConfigurationError):
            lidar_profile(str(path))


def test_profiles_need_no_ray_caster_and_a_drive_says_what_it_needs():
    code = (
        'import sys; sys.modules["embreex"] = sys.modules["embreex.mesh_construction"] = None\n'
        'import xmodelkd_ros.simulation.profiles as p; assert len(p.PROFILES) == 3\n'
        'from xmodelkd_ros.errors import MissingDependencyError\n'
        'try:\n    import xmodelkd_ros.simulation.drive\n'
        'except MissingDependencyError as error:\n    print(error)'
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert 'pip install embreex' in run.stdout
