"""Camera models against the plain formulas, against OpenCV, and at their limits."""

import dataclasses

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from xmodelkd_ros.errors import CalibrationError
from xmodelkd_ros.geometry.cameras import Camera

INTRINSICS = np.array([[960.0, 0, 696], [0, 957, 224], [0, 0, 1]])
WIDTH, HEIGHT = 1392, 512
LENSES = {
    'none': ('plumb_bob', []),
    'plumb_bob 4': ('plumb_bob', [-0.3, 0.1, 0.001, 0.002]),
    'plumb_bob 5': ('plumb_bob', [-0.369, 0.197, 0.00135, 0.00057, -0.0677]),
    'rational_polynomial': (
        'rational_polynomial', [0.1, -0.05, 0.001, -0.001, 0.01, 0.2, -0.03, 0.005]
    ),
    'equidistant': ('equidistant', [0.01, -0.02, 0.003, -0.001]),
    'ideal equidistant': ('equidistant', [0.0] * 4),
}


def raw_camera(name, width=WIDTH, height=HEIGHT):
    model, distortion = LENSES[name]
    projection = np.hstack([INTRINSICS, np.zeros((3, 1))])
    return Camera(width, height, INTRINSICS, distortion, model, np.eye(3), projection, False)


def rectified_camera(baseline=0.0):
    turn = cv2.Rodrigues(np.array([0.01, -0.02, 0.03]))[0]
    projection = np.array([[721.5, 0, 609.6, baseline], [0, 721.5, 172.9, 0], [0, 0, 1, 0.0]])
    model, distortion = LENSES['plumb_bob 5']
    return Camera(1242, 375, INTRINSICS, distortion, model, turn, projection, True)


def pixel_by_formula(camera, point):
    """Return the pixel of one point, written out with scalars as the CameraInfo text has it."""
    if camera.rectified:
        x, y, z = camera.rectification @ point
        u, v, w = camera.projection @ np.array([x, y, z, 1.0])
        return u / w, v / w
    x, y = point[0] / point[2], point[1] / point[2]
    r = np.hypot(x, y)
    k = list(camera.distortion)
    if camera.model == 'equidistant' and k:
        angle = np.arctan(r)
        bent = angle * (1 + k[0] * angle**2 + k[1] * angle**4 + k[2] * angle**6 + k[3] * angle**8)
        x, y = x * bent / r, y * bent / r
    elif k:
        k1, k2, p1, p2, k3, k4, k5, k6 = (k + [0.0] * 4)[:8]
        radial = (1 + k1 * r**2 + k2 * r**4 + k3 * r**6) / (
            1 + k4 * r**2 + k5 * r**4 + k6 * r**6
        )
        x, y = (
            x * radial + 2 * p1 * x * y + p2 * (r**2 + 2 * x**2),
            y * radial + p1 * (r**2 + 2 * y**2) + 2 * p2 * x * y,
        )
    return camera.intrinsics[0, 0] * x + camera.intrinsics[0, 2], (
        camera.intrinsics[1, 1] * y + camera.intrinsics[1, 2]
    )


def inside(camera, pixels):
    return ((pixels > -0.5) & (pixels < [camera.width - 0.5, camera.height - 0.5])).all(1)


def points_in_front(count=3000, seed=0):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.5, 100, count)
    return np.stack([rng.uniform(-1.2, 1.2, count) * depth,
                     rng.uniform(-0.5, 0.5, count) * depth, depth], 1)


CAMERAS = {**{name: raw_camera(name) for name in LENSES},
           'rectified': rectified_camera(), 'rectified, baseline': rectified_camera(-386.1)}


@pytest.mark.parametrize('name', CAMERAS)
def test_pixels_agree_with_the_formula(name):
    camera, points = CAMERAS[name], points_in_front()
    pixels, in_front = camera.project(points)
    expected = np.array([pixel_by_formula(camera, point) for point in points])
    shown = in_front & inside(camera, expected)
    assert shown.sum() > 500
    np.testing.assert_allclose(pixels[shown], expected[shown], atol=1e-3)


@pytest.mark.parametrize('name', LENSES)
def test_pixels_agree_with_opencv(name):
    camera, points = CAMERAS[name], points_in_front()
    zero = np.zeros(3)
    if camera.model == 'equidistant':
        expected = cv2.fisheye.projectPoints(
            points[None], zero, zero, camera.intrinsics, camera.distortion
        )[0][0]
    else:
        expected = cv2.projectPoints(
            points, zero, zero, camera.intrinsics, camera.distortion
        )[0][:, 0]
    pixels, in_front = camera.project(points)
    shown = in_front & inside(camera, expected)
    assert shown.sum() > 500
    np.testing.assert_allclose(pixels[shown], expected[shown], atol=1e-3)


@pytest.mark.parametrize('name', CAMERAS)
def test_rays_are_the_inverse_of_projection(name):
    camera = CAMERAS[name].scaled(348, 128)
    rays = camera.rays()
    assert rays.shape == (camera.height, camera.width, 3)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1, atol=1e-12)
    pixels, in_front = camera.project(1e7 * rays.reshape(-1, 3))
    assert in_front.all()
    grid = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), -1)
    np.testing.assert_allclose(pixels.reshape(grid.shape), grid, atol=2e-3)


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(st.floats(-0.5, 0.3), st.floats(-0.2, 0.3), st.floats(-0.01, 0.01),
              st.floats(-0.01, 0.01), st.floats(-0.2, 0.2)),
    st.floats(0, 2 * np.pi),
)
def test_no_lens_folds_points_back_into_the_picture(distortion, azimuth):
    """A point that turns away from the axis moves outwards, leaves, and never comes back."""
    camera = Camera(200, 120, np.array([[90.0, 0, 100], [0, 90, 60], [0, 0, 1]]), distortion,
                    'plumb_bob', np.eye(3), np.eye(3, 4), False)
    angle = np.radians(np.linspace(0.5, 179.5, 400))
    points = np.stack([np.sin(angle) * np.cos(azimuth), np.sin(angle) * np.sin(azimuth),
                       np.cos(angle)], 1)
    pixels, in_front = camera.project(100 * points)
    assert in_front[0]
    assert not np.diff(in_front.astype(int)).max() > 0
    assert not in_front[points[:, 2] <= 0].any()
    outwards = (pixels[in_front] - [100, 60]) @ [np.cos(azimuth), np.sin(azimuth)]
    assert (np.diff(outwards) > 0).all()


def test_a_strong_barrel_lens_would_alias_without_its_limit():
    camera = raw_camera('plumb_bob 5')
    far_off_axis = np.array([[1.5, 0.0, 1.0]])
    u, _ = pixel_by_formula(camera, far_off_axis[0])
    assert 0 < u < camera.width
    assert not camera.project(far_off_axis)[1].any()
    assert 1.0 < camera.lens.limit < 1.5


@pytest.mark.parametrize('name', CAMERAS)
def test_points_behind_and_points_that_are_not_finite_are_not_in_front(name):
    bad = np.array([[0, 0, -5], [0.1, 0.1, 0], [np.nan, 0, 5], [0, np.inf, 5], [0, 0, np.inf],
                    [np.nan] * 3, [-np.inf] * 3])
    pixels, in_front = CAMERAS[name].project(np.vstack([bad, [[0, 0, 5.0]]]).astype(np.float32))
    assert in_front.tolist() == [False] * len(bad) + [True]
    assert pixels.dtype == np.float32
    assert np.isnan(pixels[:-1]).all()
    assert np.isfinite(pixels[-1]).all()


def test_no_points_give_no_pixels():
    pixels, in_front = raw_camera('plumb_bob 5').project(np.zeros((0, 3), np.float32))
    assert pixels.shape == (0, 2)
    assert in_front.shape == (0,)


@pytest.mark.parametrize('name', CAMERAS)
def test_a_scaled_camera_sees_the_resized_picture(name):
    """The corners of the picture stay its corners."""
    camera = CAMERAS[name]
    small = camera.scaled(camera.width // 3, camera.height // 2)
    points = points_in_front()
    pixels, in_front = camera.project(points)
    small_pixels, small_in_front = small.project(points)
    np.testing.assert_array_equal(in_front, small_in_front)
    size, small_size = (camera.width, camera.height), (small.width, small.height)
    expected = (pixels + 0.5) / size * small_size - 0.5
    np.testing.assert_allclose(small_pixels[in_front], expected[in_front], atol=0.05, rtol=1e-5)


def test_zeros_after_the_eighth_coefficient_change_nothing():
    model, distortion = LENSES['rational_polynomial']
    long = Camera(WIDTH, HEIGHT, INTRINSICS, distortion + [0.0] * 6, model, np.eye(3),
                  np.eye(3, 4), False)
    points = points_in_front()
    np.testing.assert_array_equal(
        long.project(points)[0], CAMERAS['rational_polynomial'].project(points)[0]
    )


def test_no_distortion_is_too_much_for_a_rectified_picture():
    thin_prism = dataclasses.replace(rectified_camera(), model='rational_polynomial',
                                     distortion=[0.1] * 12)
    points = points_in_front()
    np.testing.assert_array_equal(
        thin_prism.project(points)[0], rectified_camera().project(points)[0])


@pytest.mark.parametrize(('changes', 'message'), [
    ({'model': 'fisheye62'}, "camera model 'fisheye62' is not known"),
    ({'distortion': [0.1]}, 'plumb_bob takes 0 or 4 or 5 distortion coefficients, not 1'),
    ({'distortion': [0.1, np.nan, 0, 0]}, 'camera distortion is not finite'),
    ({'model': 'rational_polynomial', 'distortion': [0.0] * 8 + [1, 0, 0, 0]},
     'thin prism and tilt must be 0'),
    ({'intrinsics': np.zeros((3, 3))}, 'camera intrinsics has no focal lengths'),
    ({'rectified': True, 'projection': np.zeros((3, 4))}, 'camera projection has no focal'),
    ({'width': 0}, 'a picture of 0 x 512 pixels'),
])
def test_an_impossible_camera_is_refused(changes, message):
    valid = {'width': WIDTH, 'height': HEIGHT, 'intrinsics': INTRINSICS, 'distortion': [],
             'model': 'plumb_bob', 'rectification': np.eye(3), 'projection': np.eye(3, 4),
             'rectified': False}
    Camera(**valid)
    with pytest.raises(CalibrationError, match=message):
        Camera(**{**valid, **changes})
