"""Convolutions in integers against plain arithmetic, and networks in integers against floats."""

import copy
import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from test_networks_point import random_points, VIEW
from test_networks_point import SMALL as SMALL_POINT
from test_networks_video import SMALL as SMALL_VIDEO
import torch
from torch import nn
from xmodelkd_ros.config import to_mapping
from xmodelkd_ros.errors import DeviceError
from xmodelkd_ros.inference import devices
from xmodelkd_ros.inference.point_segmenter import PointSegmenter
from xmodelkd_ros.inference.video_segmenter import VideoPreprocessing, VideoSegmenter
from xmodelkd_ros.labels import POINT_CLASSES, THING_CLASSES
from xmodelkd_ros.networks import integers
from xmodelkd_ros.networks.checkpoint import Checkpoint, save_checkpoint
from xmodelkd_ros.networks.convolution import ConvNorm, fuse, PlainConv
from xmodelkd_ros.networks.integers import (
    can_multiply_integers,
    Grid,
    IntegerConv,
    IntegerEntry,
    IntegerExit,
    to_integers,
)
from xmodelkd_ros.networks.point_network import PointNetwork
from xmodelkd_ros.networks.point_projection import RangeProjection
from xmodelkd_ros.networks.video_network import VideoNetwork

needs_integers = pytest.mark.skipif(
    not can_multiply_integers(), reason='the CPU has no instructions for 8-bit integers')

GRIDS = st.builds(Grid, st.floats(0.001, 0.1), st.integers(0, 255))
LAYOUTS = st.sampled_from([torch.contiguous_format, torch.channels_last])


def integers_in(shape, seed, layout=torch.contiguous_format):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8).contiguous(
        memory_format=layout)


def meaning(x, grid):
    return (x.double() - grid.zero) * grid.scale


@needs_integers
@settings(max_examples=60, deadline=None)
@given(
    source=GRIDS, added=GRIDS, target=GRIDS, kernel=st.sampled_from([1, 3]),
    stride=st.sampled_from([1, 2]), relu=st.booleans(), has_sum=st.booleans(),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)), batch=st.integers(1, 3),
    seed=st.integers(0, 10_000), layout=LAYOUTS)
def test_a_convolution_is_the_plain_arithmetic_of_what_its_integers_mean(
        source, added, target, kernel, stride, relu, has_sum, size, batch, seed, layout):
    torch.manual_seed(seed)
    conv = nn.Conv2d(5, 7, kernel, stride, kernel // 2).requires_grad_(False)
    x = integers_in((batch, 5, *size), seed, layout)
    step = conv.weight.abs().amax((1, 2, 3), keepdim=True) / 127
    weight = (conv.weight / step).round().double() * step.double()
    expected = nn.functional.conv2d(
        meaning(x, source), weight, conv.bias.double(), stride, kernel // 2)
    add = integers_in(expected.shape, seed + 1, layout) if has_sum else None
    if has_sum:
        expected = expected + meaning(add, added)
    expected = expected.relu() if relu else expected
    layer = IntegerConv(conv, relu, source, added, target, torch.float32)
    found = layer(x, *([add] if has_sum else []))
    assert found.dtype == torch.uint8
    held = (expected / target.scale + target.zero).clamp(0, 255)
    assert (found - held).abs().max() <= 0.51  # the nearest integer, or the end of the grid
    if not has_sum:
        numbers = IntegerConv(conv, relu, source, added, None, torch.float32)(x)
        torch.testing.assert_close(numbers, expected.float(), atol=1e-4, rtol=1e-4)


@given(GRIDS, st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_what_enters_and_leaves_is_off_by_half_a_step(grid, seed):
    random = np.random.default_rng(seed)
    low, high = -grid.zero * grid.scale, (255 - grid.zero) * grid.scale
    x = torch.from_numpy(random.uniform(low - 0.1, high + 0.1, 300).astype(np.float32))
    entered = IntegerEntry(grid)(x)
    left = IntegerExit(grid, torch.float32)(entered, entered)
    assert entered.dtype == torch.uint8
    assert ((left - x.clamp(low, high)).abs() <= 0.501 * grid.scale + 1e-5).all()
    assert torch.equal(IntegerEntry(grid)(entered), entered)  # it is on the grid already


def trained(network, run):
    """Let a network with random weights learn the statistics of what it will see."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    with torch.no_grad():
        for seed in range(8):
            run(network.train(), seed)
    return network.eval()


def picture(seed, size=(1, 3, 64, 96)):
    """Return smooth numbers, as of a picture of bytes with mean 110 and deviation 60."""
    coarse = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(seed))
    fine = nn.functional.interpolate(coarse, size[2:], mode='bilinear')
    return (255 * fine - 110) / 60


def some_picture():
    noise = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    return (255 * noise - 110) / 60


@pytest.fixture(scope='module')
def video():
    torch.manual_seed(2)
    return trained(VideoNetwork(SMALL_VIDEO), lambda network, seed: network(picture(seed)))


def in_integers(network, run):
    copied = copy.deepcopy(network)
    return to_integers(copied, lambda: run(copied), torch.float32)


def likeness(first, second):
    return float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])


@needs_integers
@torch.inference_mode()
def test_the_video_network_in_integers_says_what_it_says_in_floats(video):
    network = in_integers(video, lambda net: net(some_picture()))
    kinds = {type(module) for module in network.modules()}
    assert not kinds & {ConvNorm, PlainConv, nn.Conv2d, nn.BatchNorm2d}
    for seed in range(100, 104):
        x = picture(seed)
        expected, found = video.pyramid(x), network.pyramid(network.pyramid.entry(x))
        assert [f.dtype for f in found] == [torch.uint8] * 3
        trunks = [net.pixel_trunk(p) for net, (p, *_) in ((video, expected), (network, found))]
        heat, integer_heat = (
            net._pixels(trunk).heat for net, trunk in zip((video, network), trunks, strict=True))
        assert likeness(heat, integer_heat) > 0.99
        exits = [*network.exits, network.coarse_exit]
        for leave, a, b in zip(exits, (trunks[0], *expected), (trunks[1], *found), strict=True):
            assert likeness(a, leave(b, b)) > 0.99  # in its own numbers, not only alike
            torch.testing.assert_close(leave(b, b).mean(), a.mean(), atol=0.05, rtol=0.05)
        again = network.pyramid(x)
        assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))


@needs_integers
@pytest.mark.parametrize('beams', [8, 7, 5])  # which do not always halve into whole rows
@torch.inference_mode()
def test_the_point_network_in_integers_says_what_it_says_in_floats(beams):
    view = dataclasses.replace(
        VIEW, elevations_deg=VIEW.elevations_deg[:beams], heights_m=VIEW.heights_m[:beams])
    projection = RangeProjection(view)

    def run(network, seed):
        seen = projection(random_points(2000, seed)[0])
        return network(seen.image[None], seen.cell, seen.features)

    torch.manual_seed(1)
    network = trained(PointNetwork(SMALL_POINT, 15), run)
    noise = 5 * torch.rand(1, 10, beams, projection.width) - 2
    fast = in_integers(network, lambda net: net.cells(noise))
    for seed in range(100, 103):
        expected, found = run(network, seed), run(fast, seed)
        assert likeness(expected, found) > 0.99
        assert torch.equal(found, run(fast, seed))


@needs_integers
@torch.inference_mode()
def test_a_picture_in_a_batch_is_seen_as_alone(video):
    network = in_integers(video, lambda net: net(some_picture()))
    pictures = torch.cat([picture(seed) for seed in range(3)])
    queries, _ = network(pictures)
    for index in range(3):
        alone, _ = network(pictures[index:index + 1])
        assert torch.equal(alone.peak[0], queries.peak[index])
        torch.testing.assert_close(alone.class_logits[0], queries.class_logits[index])


@pytest.fixture(scope='module')
def checkpoints(video, tmp_path_factory):
    folder = tmp_path_factory.mktemp('integers')
    torch.manual_seed(1)
    point = PointNetwork(SMALL_POINT, len(POINT_CLASSES))
    save_checkpoint(folder / 'point', Checkpoint(
        'point', to_mapping(SMALL_POINT), to_mapping(VIEW), POINT_CLASSES, {},
        point.state_dict()))
    for name, mean in (('video', (110.0,) * 3), ('colours', (110.0, 115.5, 120.0))):
        looks = VideoPreprocessing(96, 64, mean, score_floor=0.0)
        save_checkpoint(folder / name, Checkpoint(
            'video', to_mapping(SMALL_VIDEO), to_mapping(looks), THING_CLASSES, {},
            video.state_dict()))
    return folder


@needs_integers
def test_the_bytes_of_a_picture_enter_as_they_are(checkpoints):
    segmenter = VideoSegmenter(checkpoints / 'video')
    assert segmenter._takes_bytes
    rgb = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    direct, = segmenter([rgb])
    segmenter._takes_bytes = False  # the long way: normalised, then made integers
    normalised, = segmenter([rgb])
    assert np.array_equal(direct.mask_logits, normalised.mask_logits)
    assert not VideoSegmenter(checkpoints / 'colours')._takes_bytes
    assert not VideoSegmenter(checkpoints / 'video', precision='float')._takes_bytes


@pytest.mark.parametrize('segmenter, name', [(PointSegmenter, 'point'), (VideoSegmenter, 'video')])
def test_an_unknown_precision_is_one_line(checkpoints, segmenter, name):
    with pytest.raises(DeviceError, match="precision = 'int4' is unknown: auto or float"):
        segmenter(checkpoints / name, precision='int4')


def test_floats_are_used_where_integers_are_not_to_be_had(checkpoints, monkeypatch):
    points = random_points(500)[0].numpy()
    expected = PointSegmenter(checkpoints / 'point', precision='float')(points)
    monkeypatch.setattr(devices, 'can_multiply_integers', lambda: False)
    found = PointSegmenter(checkpoints / 'point')(points)
    assert np.array_equal(found.label, expected.label)
    assert np.array_equal(found.confidence, expected.confidence)


@pytest.mark.parametrize('fault', [AttributeError, TypeError, RuntimeError, None])
def test_a_torch_with_other_operators_means_no_integers(monkeypatch, fault):
    def broken(self, x, add):
        if fault is not None:
            raise fault('no such operator')
        return torch.zeros_like(x)  # an operator that is there and wrong

    monkeypatch.setattr(torch.cpu, '_is_vnni_supported', lambda: True, raising=False)
    monkeypatch.setattr(IntegerConv, '__init__', lambda self, *_: nn.Module.__init__(self))
    monkeypatch.setattr(IntegerConv, 'forward', broken)
    assert integers.can_multiply_integers.__wrapped__() is False


def test_a_cpu_without_the_instructions_means_no_integers(monkeypatch):
    monkeypatch.setattr(torch.cpu, '_is_vnni_supported', lambda: False, raising=False)
    assert integers.can_multiply_integers.__wrapped__() is False


@torch.no_grad()
def test_nothing_but_the_layers_changes_before_norms_are_folded(video):
    """Random numbers go through the network: what it has learned must be as before."""
    copied = copy.deepcopy(video)
    integers._observe(copied, lambda: copied(some_picture()))
    for (name, before), after in zip(
            video.state_dict().items(), copied.state_dict().values(), strict=True):
        if not name.endswith('num_batches_tracked'):
            assert torch.equal(before, after), name
    x = picture(0)
    torch.testing.assert_close(fuse(copied)(x)[1].heat, video(x)[1].heat, atol=1e-3, rtol=1e-3)
