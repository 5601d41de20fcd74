"""The video network against slow loops, and its predictor: batches, sizes, bad checkpoints."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch
from xmodelkd_ros.errors import CheckpointError, DeviceError
from xmodelkd_ros.inference.video_segmenter import VideoPreprocessing, VideoSegmenter
from xmodelkd_ros.labels import THING_CLASSES
from xmodelkd_ros.networks.checkpoint import Checkpoint, save_checkpoint
from xmodelkd_ros.networks.convolution import fuse
from xmodelkd_ros.networks.video_decoder import position_encoding
from xmodelkd_ros.networks.video_masks import mask_logits, PixelOutput, QueryOutput
from xmodelkd_ros.networks.video_network import VideoNetwork, VideoNetworkConfig

SMALL = VideoNetworkConfig(
    queries=9, widths=(32, 32, 32, 32), blocks=(1, 1, 1, 1), fine=32, coarse=32, layers=1,
    kernel=8, embedding=16,
)


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    network = VideoNetwork(SMALL)
    with torch.no_grad():
        for module in network.modules():  # as after some training
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 2.0)
    return network.eval()


@pytest.fixture(scope='module')
def images():
    return torch.randn(3, 3, 64, 96, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def test_a_batch_equals_its_images_one_by_one(network, images):
    queries, pixels = network(images)
    for index in range(len(images)):
        single, cells = network(images[index:index + 1])
        for name, value in single._asdict().items():
            torch.testing.assert_close(value[0], getattr(queries, name)[index], atol=1e-4,
                                       rtol=1e-4, msg=name)
        torch.testing.assert_close(
            mask_logits(single, cells)[0], mask_logits(queries, pixels)[index], atol=1e-3,
            rtol=1e-3)


@torch.inference_mode()
def test_further_queries_do_not_change_the_others(network, images):
    alone, _ = network(images)
    starts = torch.randint(0, 16, (3, 5, 2), generator=torch.Generator().manual_seed(0))
    together, _ = network(images, starts)
    assert together.class_logits.shape[1] == 9 + 5
    for name, value in alone._asdict().items():
        torch.testing.assert_close(value, getattr(together, name)[:, :9], atol=1e-4, rtol=1e-4)
    assert torch.equal(together.peak[:, 9:], starts)


@torch.inference_mode()
def test_folding_the_norms_changes_nothing(network, images):
    folded = VideoNetwork(SMALL)
    folded.load_state_dict(network.state_dict())
    fuse(folded)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    for first, second in zip(network(images), folded(images), strict=True):
        for name, value in first._asdict().items():
            torch.testing.assert_close(value, getattr(second, name), atol=1e-3, rtol=1e-3)


def test_embeddings_have_unit_length_and_the_default_network_is_small(network, images):
    queries, pixels = network(images)
    torch.testing.assert_close(queries.embedding.norm(dim=2), torch.ones(3, 9))
    assert pixels.heat.shape == (3, 6, 16, 24)
    assert sum(p.numel() for p in VideoNetwork(VideoNetworkConfig()).parameters()) < 4e6


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_peaks_are_the_strongest_local_maxima(seed):
    network = VideoNetwork(SMALL)
    heat = torch.from_numpy(np.random.default_rng(seed).normal(size=(1, 6, 9, 14)))
    strength = heat[0].amax(0).numpy()
    around = np.pad(strength, 1, constant_values=-np.inf)
    maxima = [
        (strength[y, x], x, y) for y in range(9) for x in range(14)
        if strength[y, x] == around[y:y + 3, x:x + 3].max()
    ]
    expected = [[x, y] for _, x, y in sorted(maxima, reverse=True)][:9]
    assert network.find_peaks(heat)[0].tolist()[:len(expected)] == expected


def test_mask_logits_are_the_formula():
    random = torch.Generator().manual_seed(3)
    queries = QueryOutput(
        *(torch.zeros(0),) * 2,
        center=torch.rand(2, 3, 2, generator=random) * 8,
        log_size=torch.rand(2, 3, 2, generator=random),
        kernel=torch.randn(2, 3, 5, generator=random),
        peak=torch.zeros(0),
    )
    pixels = PixelOutput(
        torch.zeros(0),
        torch.randn(2, 4, 3, 5, generator=random),
        torch.rand(2, 2, 3, 5, generator=random) * 8,
    )
    logits = mask_logits(queries, pixels)
    for b, q, y, x in np.ndindex(2, 3, 3, 5):
        away = (pixels.votes[b, :, y, x] - queries.center[b, q]) / queries.log_size[b, q].exp()
        kernel = queries.kernel[b, q]
        expected = kernel[:4] @ pixels.features[b, :, y, x] + kernel[4]
        expected -= 3 * (torch.sqrt(1 + (away**2).sum()) - 1)
        assert logits[b, q, y, x].item() == pytest.approx(expected.item(), abs=1e-3)


def test_position_encoding_tells_places_apart():
    grid = torch.stack(torch.meshgrid(
        torch.arange(0, 640, 16.0), torch.arange(0, 192, 16.0), indexing='ij'), -1).flatten(0, 1)
    code = position_encoding(grid, 32)
    assert code.shape == (480, 32)
    distance = torch.cdist(code, code) + 10 * torch.eye(480)
    assert distance.min() > 0.1


def write(path, trained, **changes):
    checkpoint = Checkpoint(
        kind='video',
        network=dataclasses.asdict(trained.config),
        preprocessing=dataclasses.asdict(
            VideoPreprocessing(width=96, height=64, score_floor=0.0)),
        classes=THING_CLASSES,
        training={},
        state=trained.state_dict(),
    )
    save_checkpoint(path, dataclasses.replace(checkpoint, **changes))
    return path


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory, network):
    return write(tmp_path_factory.mktemp('video') / 'video.safetensors', network)


@pytest.fixture
def exact(monkeypatch):
    """Let predictors compute in float32."""
    name = 'xmodelkd_ros.inference.devices.compute_dtype'
    monkeypatch.setattr(name, lambda device: torch.float32)


@pytest.fixture(scope='module')
def pictures():
    random = np.random.default_rng(0)
    return [random.integers(0, 256, size, np.uint8)
            for size in ((64, 96, 3), (375, 1242, 3), (40, 50, 3))]


def test_cameras_of_any_size_in_one_batch_equal_single_ones(checkpoint, pictures, exact):
    segment = VideoSegmenter(checkpoint)
    together = segment(pictures)
    for picture, found in zip(pictures, together, strict=True):
        alone, = segment([picture])
        assert found.size == picture.shape[:2]
        for name in ('class_id', 'score', 'embedding', 'mask_logits'):
            np.testing.assert_allclose(
                getattr(found, name), getattr(alone, name), atol=1e-3, err_msg=name)


def test_detections_are_typed_sorted_and_above_the_floor(tmp_path, network, pictures):
    path = write(tmp_path / 'v.safetensors', network, preprocessing={
        'width': 96, 'height': 64, 'score_floor': 0.05})
    found = VideoSegmenter(path)(pictures)[1]
    everything = VideoSegmenter(write(tmp_path / 'all.safetensors', network))(pictures)[1]
    assert (found.score >= 0.05).all()
    assert len(found.score) == (everything.score >= 0.05).sum()
    assert (np.diff(everything.score) <= 0).all()
    assert len(everything.score) == 9
    assert everything.mask_logits.shape == (9, 32, 48)
    assert everything.mask_logits.dtype == everything.embedding.dtype == np.float32
    assert everything.class_id.dtype == np.uint16
    assert set(everything.class_id) <= {row.id for row in THING_CLASSES}


def test_no_images(checkpoint):
    assert VideoSegmenter(checkpoint)([]) == []


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'kind': 'point'}, 'kind'),
        ({'network': {'quries': 4}}, 'quries'),
        ({'preprocessing': {'width': 'wide'}}, 'width'),
        ({'state': {}}, 'weights'),
    ],
)
def test_unsuitable_checkpoints_are_refused(tmp_path, network, changes, reason):
    with pytest.raises(CheckpointError, match=reason):
        VideoSegmenter(write(tmp_path / 'v.safetensors', network, **changes))


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_a_device_that_is_not_there(checkpoint):
    with pytest.raises(DeviceError, match='cuda'):
        VideoSegmenter(checkpoint, 'cuda')
