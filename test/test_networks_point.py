"""The range view against slow loops, and the point network's shapes and invariances."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch
from xmodelkd_ros.networks.activation import rectify
from xmodelkd_ros.networks.convolution import fuse
from xmodelkd_ros.networks.point_neighbours import COLUMN_REACH, nearest_shown, ROW_REACH
from xmodelkd_ros.networks.point_network import PointNetwork, PointNetworkConfig
from xmodelkd_ros.networks.point_projection import (
    IMAGE_CHANNELS,
    POINT_FEATURES,
    RangeProjection,
    RangeViewConfig,
)

ELEVATIONS = (2.0, 1.0, 0.2, -0.4, -3.0, -5.0, -9.0, -12.0)
HEIGHTS = (0.2,) * 4 + (0.1,) * 4
VIEW = RangeViewConfig(
    elevations_deg=ELEVATIONS, heights_m=HEIGHTS, columns=64, margin=16, max_range_m=80.0
)
SMALL = PointNetworkConfig(fold=4, channels=(8, 8, 8), blocks=(1, 1, 1), head=8)


def random_points(count, seed=0):
    rng = np.random.default_rng(seed)
    beam = rng.integers(0, len(ELEVATIONS), count)
    azimuth = rng.uniform(-math.pi, math.pi, count)
    rho = rng.uniform(2, 60, count)
    z = rho * np.tan(np.radians(ELEVATIONS))[beam] + np.array(HEIGHTS)[beam]
    points = np.stack([rho * np.cos(azimuth), rho * np.sin(azimuth), z], 1)
    return torch.from_numpy(points.astype(np.float32)), beam


def test_points_of_a_beam_fall_into_its_row():
    points, beam = random_points(2000)
    view = RangeProjection(VIEW)(points)
    assert view.inside.all()
    assert (view.pixel // 64 == torch.from_numpy(beam)).all()


def test_columns_run_clockwise_from_the_rear():
    points = torch.tensor([[-5.0, 0.01, 0.3], [0.0, 5, 0.3], [5, 0, 0.3], [0, -5, 0.3]])
    column = RangeProjection(VIEW)(points).pixel % 64
    assert column.tolist() == [0, 16, 32, 48]


def test_a_pixel_shows_its_nearest_point():
    points, _ = random_points(3000, seed=1)
    view = RangeProjection(VIEW)(points)
    distance = points.norm(dim=1)
    for pixel in range(len(view.winner)):
        inside = (view.pixel == pixel).nonzero()[:, 0].tolist()
        expected = min(inside, key=lambda i: float(distance[i])) if inside else len(points)
        assert int(view.winner[pixel]) == expected


def test_image_holds_what_the_pixels_show():
    points, _ = random_points(300, seed=2)
    intensity = torch.rand(300)
    projection = RangeProjection(VIEW)
    view = projection(points, intensity)
    assert view.image.shape == (IMAGE_CHANNELS, 8, 64 + 32)
    flat = view.image.reshape(IMAGE_CHANNELS, -1)[:, view.cell]
    shown = view.winner[view.pixel]
    torch.testing.assert_close(flat[1] * 40, points[shown].norm(dim=1))
    torch.testing.assert_close(flat[2] * 2, points[shown, 2])
    torch.testing.assert_close(flat[3], intensity[shown])
    assert (flat[4:6] == 1).all()
    empty = view.winner.view(8, 64) == len(points)
    assert (view.image[:, :, 16:-16][:, empty] == 0).all()
    np.testing.assert_array_equal(view.image[..., :32], view.image[..., 64:])


def test_steps_to_neighbours_against_a_loop():
    points, _ = random_points(900, seed=3)
    image = RangeProjection(VIEW)(points).image[:, :, 16:-16]
    for row in range(8):
        for column in range(64):
            for channel, (r, c) in ((6, (row, (column + 2) % 64)), (8, (min(row + 1, 7), column))):
                here, there = image[:, row, column], image[:, r, c]
                along = up = 0.0
                if here[5] and there[5]:
                    along = min(max(float((there[1] - here[1]) / here[1]) * 8, -2), 2)
                    up = min(max(float(there[2] - here[2]) * 8, -2), 2)
                assert float(here[channel]) == pytest.approx(along, abs=1e-4)
                assert float(here[channel + 1]) == pytest.approx(up, abs=1e-4)


def test_point_features_hold_the_offset_from_the_pixel():
    near, far = [5.0, 0.0, 0.2], [5.05, 0.0, 0.21]
    view = RangeProjection(VIEW)(torch.tensor([far, near]), torch.tensor([0.9, 0.4]))
    assert view.features.shape == (POINT_FEATURES, 2)
    assert view.pixel[0] == view.pixel[1] and int(view.winner[view.pixel[0]]) == 1
    expected = [0.0504 / 40 * 20, 0.01 / 2 * 8, 0.5 * 2]
    np.testing.assert_allclose(view.features[5:, 0], expected, atol=1e-4)
    assert (view.features[5:, 1] == 0).all()


def test_points_outside_the_profile_are_not_shown():
    points = torch.tensor([
        [10.0, 0, 5], [10, 0, -8], [0.1, 0, 0], [100, 0, 0.3], [10, 0, 0.2],
    ])
    view = RangeProjection(VIEW)(points)
    assert view.inside.tolist() == [False, False, False, False, True]
    assert set(view.winner.tolist()) == {4, 5}


@given(st.integers(1, 60), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_any_finite_point_has_a_place(count, seed):
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(rng.normal(0, 10 ** rng.uniform(-3, 4), (count, 3)).astype('f4'))
    view = RangeProjection(VIEW)(points)
    assert view.cell.shape == (count,) and view.features.isfinite().all()
    assert int(view.cell.min()) >= 0 and int(view.cell.max()) < 8 * 96
    assert view.image.isfinite().all() and float(view.image.abs().max()) < 100


def test_nearest_shown_against_a_loop():
    points, _ = random_points(150, seed=4)
    outside = torch.randn(40, 3) * torch.tensor([10.0, 10.0, 6.0])
    points = torch.cat([points, outside])
    view = RangeProjection(VIEW)(points)
    query = (~view.inside).nonzero()[:, 0]
    assert len(query) > 20
    found = nearest_shown(points, view, 8, 64, query)
    for index, chosen in zip(query.tolist(), found.tolist(), strict=True):
        row, column = divmod(int(view.pixel[index]), 64)
        window = {
            int(view.winner[min(max(row + r, 0), 7) * 64 + (column + c) % 64])
            for r in range(-ROW_REACH, ROW_REACH + 1)
            for c in range(-COLUMN_REACH, COLUMN_REACH + 1)
        } - {len(points)}
        distance = {i: float((points[i] - points[index]).norm()) for i in window}
        expected = min(distance, key=distance.__getitem__) if distance else index
        assert chosen == expected or distance[chosen] == pytest.approx(distance[expected])


def test_logits_have_one_column_per_point():
    network = PointNetwork(SMALL, 15).eval()
    points, _ = random_points(77)
    view = RangeProjection(VIEW)(points)
    logits = network(view.image[None], view.cell, view.features)
    assert logits.shape == (15, 77) and logits.isfinite().all()


def test_a_batch_equals_its_sweeps():
    torch.manual_seed(0)
    network = PointNetwork(SMALL, 15).eval()
    projection = RangeProjection(VIEW)
    views = [projection(random_points(50 + seed, seed)[0]) for seed in range(3)]
    cells = 8 * 96
    together = network(
        torch.stack([v.image for v in views]),
        torch.cat([v.cell + b * cells for b, v in enumerate(views)]),
        torch.cat([v.features for v in views], 1),
    )
    alone = [network(v.image[None], v.cell, v.features) for v in views]
    torch.testing.assert_close(together, torch.cat(alone, 1), atol=1e-4, rtol=1e-4)


def test_fusing_batch_norms_changes_nothing():
    torch.manual_seed(0)
    network = PointNetwork(SMALL, 15)
    points, _ = random_points(500)
    view = RangeProjection(VIEW)(points)
    inputs = view.image[None], view.cell, view.features
    for _ in range(5):
        network(*inputs)
    network.eval()
    before = network(*inputs)
    torch.testing.assert_close(fuse(network)(*inputs), before, atol=1e-4, rtol=1e-4)


def test_every_parameter_learns():
    network = PointNetwork(SMALL, 15)
    points, _ = random_points(500)
    view = RangeProjection(VIEW)(points)
    logits = network(view.image[None], view.cell, view.features)
    torch.nn.functional.cross_entropy(logits.t(), torch.arange(500) % 15).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_shapes_are_right_without_data():
    network = PointNetwork(PointNetworkConfig(), 15).to('meta')
    image = torch.empty(2, IMAGE_CHANNELS, 64, 2112, device='meta')
    cell = torch.empty(1000, dtype=torch.int64, device='meta')
    logits = network(image, cell, torch.empty(POINT_FEATURES, 1000, device='meta'))
    assert logits.shape == (15, 1000)
    size = sum(p.numel() for p in network.parameters())
    assert size * 2 < 5.2e6


def test_the_graph_is_whole_for_the_compiler():
    points, _ = random_points(300)
    projection, network = RangeProjection(VIEW), fuse(PointNetwork(SMALL, 15))
    view = projection(points)
    compiled = torch.compile(network, backend='eager', fullgraph=True, dynamic=True)
    inputs = view.image[None], view.cell, view.features
    torch.testing.assert_close(compiled(*inputs), network(*inputs))
    again = torch.compile(projection, backend='eager', fullgraph=True, dynamic=True)(points)
    assert torch.equal(again.winner, view.winner) and torch.equal(again.image, view.image)


@pytest.mark.parametrize('memory', [torch.contiguous_format, torch.channels_last])
def test_rectifying_every_bfloat16_is_a_relu(memory):
    bits = torch.arange(-2**15, 2**15, dtype=torch.int16).view(4, 16, 32, 32)
    values = bits.view(torch.bfloat16)
    values = values.nan_to_num(1.0).contiguous(memory_format=memory)
    expected = torch.relu(values)
    with torch.inference_mode():
        assert torch.equal(rectify(values.clone()), expected)
    learnt = values.clone().requires_grad_()
    rectify(learnt * 1).sum().backward()
    assert torch.equal(learnt.grad > 0, values > 0)
