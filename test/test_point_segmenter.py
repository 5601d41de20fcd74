"""The point segmenter: every point gets a label, in order, whatever the sweep."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from test_networks_point import ELEVATIONS, HEIGHTS, random_points, SMALL, VIEW
import torch
from xmodelkd_ros.config import to_mapping
from xmodelkd_ros.errors import CheckpointError, DeviceError
from xmodelkd_ros.inference.point_segmenter import PointSegmenter
from xmodelkd_ros.labels import POINT_CLASSES
from xmodelkd_ros.networks.checkpoint import Checkpoint, save_checkpoint
from xmodelkd_ros.networks.point_network import PointNetwork
from xmodelkd_ros.networks.point_projection import RangeProjection

IDS = {c.id for c in POINT_CLASSES}


def make_checkpoint():
    torch.manual_seed(3)
    network = PointNetwork(SMALL, len(POINT_CLASSES))
    for parameter in network.parameters():
        parameter.data.mul_(2)
    return Checkpoint(
        'point', to_mapping(SMALL), to_mapping(VIEW), POINT_CLASSES, {}, network.state_dict()
    )


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp('point') / 'point.safetensors'
    save_checkpoint(path, make_checkpoint())
    return path


@pytest.fixture(scope='module')
def segmenter(path):
    return PointSegmenter(path, device='cpu')


def sweep(count, seed=0):
    return random_points(count, seed)[0].numpy(), np.random.default_rng(seed).random(count, 'f4')


@given(st.integers(1, 400), st.integers(0, 10_000), st.booleans())
@settings(max_examples=25, deadline=None)
def test_every_point_has_a_label(segmenter, count, seed, with_intensity):
    rng = np.random.default_rng(seed)
    points = (rng.normal(size=(count, 3)) * [20, 20, 3]).astype(np.float32)
    intensity = rng.random(count, 'f4') if with_intensity else None
    result = segmenter(points, intensity)
    assert result.label.shape == result.confidence.shape == (count,)
    assert result.label.dtype == np.uint16 and result.confidence.dtype == np.float32
    assert set(result.label.tolist()) <= IDS
    assert (result.confidence > 0).all() and (result.confidence <= 1).all()


def test_an_empty_sweep(segmenter):
    result = segmenter(np.zeros((0, 3), np.float32), np.zeros(0, np.float32))
    assert result.label.shape == result.confidence.shape == (0,)


def test_labels_differ(segmenter):
    assert len(set(segmenter(*sweep(2000)).label.tolist())) > 1


def test_the_same_sweep_gives_the_same_labels(segmenter, path):
    points, intensity = sweep(1500)
    first = segmenter(points, intensity)
    segmenter(*sweep(700, seed=9))
    for again in (segmenter(points, intensity), PointSegmenter(path)(points, intensity)):
        np.testing.assert_array_equal(again.label, first.label)
        np.testing.assert_array_equal(again.confidence, first.confidence)


def test_results_outlive_the_next_call(segmenter):
    first = segmenter(*sweep(300))
    kept = first.label.copy(), first.confidence.copy()
    segmenter(*sweep(300, seed=5))
    np.testing.assert_array_equal(first.label, kept[0])
    np.testing.assert_array_equal(first.confidence, kept[1])


def test_order_of_points_does_not_matter(segmenter):
    points, intensity = sweep(1000)
    order = np.random.default_rng(1).permutation(1000)
    straight, shuffled = segmenter(points, intensity), segmenter(points[order], intensity[order])
    np.testing.assert_array_equal(shuffled.label, straight.label[order])
    np.testing.assert_allclose(shuffled.confidence, straight.confidence[order], atol=1e-6)


def test_points_that_were_not_measured_change_nothing_else(segmenter):
    points, intensity = sweep(900)
    clean = segmenter(points, intensity)
    rows = np.array([0, 17, 400, 600, 899])
    dirty = np.insert(points, rows, 0.0, axis=0)
    bad = rows + np.arange(len(rows))
    dirty[bad] = [[np.nan] * 3, [1, np.inf, 1], [-np.inf, 2, 3], [0, -0.0, 0], [5, 5, np.nan]]
    strength = np.insert(intensity, rows, [np.nan, 0.5, np.inf, 0, 0.5])
    result = segmenter(dirty, strength)
    assert (result.label[bad] == 0).all() and (result.confidence[bad] == 0).all()
    good = np.delete(np.arange(len(dirty)), bad)
    np.testing.assert_array_equal(result.label[good], clean.label)
    np.testing.assert_allclose(result.confidence[good], clean.confidence, atol=1e-6)


@pytest.mark.parametrize('value', [np.nan, 0])
def test_only_points_that_were_not_measured(segmenter, value):
    result = segmenter(np.full((5, 3), value, np.float32))
    assert (result.label == 0).all() and (result.confidence == 0).all()


@pytest.mark.parametrize('scale', [1e-6, 1e5, 1e30, 3e38])
def test_absurd_coordinates(segmenter, scale):
    points = np.float32(scale) * np.array([[1, 0.1, 0.2], [-0.5, 1, -1]], np.float32)
    result = segmenter(points)
    assert set(result.label.tolist()) <= IDS and np.isfinite(result.confidence).all()


def test_points_outside_the_profile_take_their_neighbours_label(segmenter):
    points, _ = sweep(3000)
    above = points[:200] + np.float32([0, 0, 1.5]) * np.linalg.norm(points[:200], axis=1)[:, None]
    view = RangeProjection(VIEW)(torch.from_numpy(above))
    above = above[~view.inside.numpy()]
    assert len(above) > 150
    result = segmenter(np.concatenate([points, above]))
    inside, borrowed = result.label[:3000], result.label[3000:]
    top = np.flatnonzero(np.asarray(random_points(3000)[1]) < 3)
    azimuth = np.arctan2(points[:, 1], points[:, 0])
    for point, label in zip(above, borrowed, strict=True):
        turn = np.abs(np.angle(np.exp(1j * (azimuth[top] - np.arctan2(point[1], point[0])))))
        assert label in inside[top[turn < 2 * np.pi / 64 * 6]]


def test_intensity_matters_and_may_be_absent(segmenter):
    points, intensity = sweep(2000)
    with_intensity, without = segmenter(points, intensity), segmenter(points)
    assert (with_intensity.confidence != without.confidence).any()


def test_strided_and_read_only_input(segmenter):
    points, intensity = sweep(500)
    wide = np.concatenate([points, intensity[:, None]], 1)
    wide.setflags(write=False)
    expected = segmenter(points, intensity)
    np.testing.assert_array_equal(segmenter(wide[:, :3], wide[:, 3]).label, expected.label)
    assert (wide[:, :3] == points).all()


def test_input_is_not_changed(segmenter):
    points, intensity = sweep(100)
    points[3] = np.nan
    before = points.copy(), intensity.copy()
    segmenter(points, intensity)
    np.testing.assert_array_equal(points, before[0])
    np.testing.assert_array_equal(intensity, before[1])


def test_labels_are_the_ids_of_the_checkpoint(tmp_path, segmenter):
    shifted = tuple(dataclasses.replace(c, id=c.id + 100) for c in POINT_CLASSES)
    path = tmp_path / 'shifted.safetensors'
    save_checkpoint(path, dataclasses.replace(make_checkpoint(), classes=shifted))
    other = PointSegmenter(path)
    assert other.classes == shifted
    np.testing.assert_array_equal(
        other(*sweep(400)).label, segmenter(*sweep(400)).label + 100
    )


def test_faults_are_named(path, tmp_path):
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match='cuda'):
            PointSegmenter(path, device='cuda')
    for section in ('network', 'preprocessing'):
        bad = tmp_path / f'{section}.safetensors'
        save_checkpoint(bad, dataclasses.replace(make_checkpoint(), **{section: {'dpeth': 3}}))
        with pytest.raises(CheckpointError, match='dpeth'):
            PointSegmenter(bad)
    for section, key in (('network', 'blocks'), ('preprocessing', 'heights_m')):
        bad = tmp_path / f'{key}.safetensors'
        values = {**getattr(make_checkpoint(), section), key: (1,)}
        save_checkpoint(bad, dataclasses.replace(make_checkpoint(), **{section: values}))
        with pytest.raises(CheckpointError, match=key):
            PointSegmenter(bad)
    bad = tmp_path / 'classes.safetensors'
    save_checkpoint(bad, dataclasses.replace(make_checkpoint(), classes=POINT_CLASSES[:5]))
    with pytest.raises(CheckpointError, match='do not fit'):
        PointSegmenter(bad)


def test_profile_of_the_tests_is_uneven():
    assert len(set(np.diff(ELEVATIONS).round(6))) > 3 and len(set(HEIGHTS)) == 2
