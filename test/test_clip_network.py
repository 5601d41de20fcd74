"""The clip network: what it starts as, what it must not see, and its cost in memory."""

import numpy as np
import pytest
from test_networks_video import SMALL
import torch
from xmodelkd_ros.networks.clip_network import ClipNetwork, ClipNetworkConfig, TemporalConfig
from xmodelkd_ros.networks.clip_output import take
from xmodelkd_ros.networks.video_masks import mask_logits, QueryOutput

CONFIG = ClipNetworkConfig(SMALL, TemporalConfig(queries=5, tokens=6, layers=1, heads=2))
LENGTH = 4


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return ClipNetwork(CONFIG).eval()


@pytest.fixture(scope='module')
def images():
    return torch.randn(2 * LENGTH, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def assert_same(first, second, **kwargs):
    for name, value in first._asdict().items():
        torch.testing.assert_close(value, getattr(second, name), msg=name, **kwargs)


@torch.inference_mode()
def test_clips_of_a_batch_do_not_see_one_another(network, images):
    *_, both = network(images, LENGTH)
    *_, second = network(images[LENGTH:], LENGTH)
    assert both.queries.kernel.shape == (2 * LENGTH, 5, 9)
    assert both.reading.shape == (2 * LENGTH, 5, 7)
    whole = QueryOutput(*(value[LENGTH:] for value in both.queries))
    assert_same(whole, second.queries, atol=1e-3, rtol=1e-3)


@torch.inference_mode()
def test_frames_one_by_one_then_related_are_the_clip(network, images):
    """What the clip segmenter does with its window equals the whole forward pass."""
    *_, tokens, whole = network(images[:LENGTH], LENGTH)
    singles = [network.look(image[None])[0] for image in images[:LENGTH]]
    queries = QueryOutput(*(torch.cat(v) for v in zip(*(s.queries for s in singles), strict=True)))
    hidden, origin = (torch.cat([s[k] for s in singles]) for k in (0, 2))
    again = network.relate(type(tokens)(hidden, queries, origin), LENGTH)
    assert_same(again.queries, whole.queries, atol=1e-3, rtol=1e-3)


@torch.inference_mode()
def test_further_queries_of_the_frames_stay_out_of_the_clip(network, images):
    starts = torch.randint(0, 16, (len(images), 3, 2), generator=torch.Generator().manual_seed(0))
    queries, _, tokens, clip = network(images, LENGTH, starts)
    *_, without = network(images, LENGTH)
    assert queries.peak.shape[1] == 9 + 3
    assert tokens.origin.max() < 9
    assert_same(without.queries, clip.queries, atol=1e-3, rtol=1e-3)


@torch.inference_mode()
def test_an_untrained_clip_reads_by_looks_score_and_place(network, images):
    """Corrections start at zero: the reading is a formula, and a mask is that of its token."""
    _, pixels, tokens, clip = network(images[:LENGTH], LENGTH)
    flat = QueryOutput(*(v.flatten(0, 1) for v in tokens.queries))
    start = network.start(QueryOutput(*(v[None] for v in flat)))[0].tolist()
    size = flat.log_size.exp().mean(1)
    for frame in range(LENGTH):
        logits = torch.zeros(5, 6)
        for n, k in np.ndindex(5, 6):
            first, token = start[n], 6 * frame + k
            away = (flat.center[first] - flat.center[token]).norm() / (size[first] + size[token])
            stride = away / (1 + abs(first // 6 - frame))
            logits[n, k] = (
                15 * flat.embedding[first] @ flat.embedding[token]
                + flat.class_logits[token].max().sigmoid().log() - 0.5 * (1 + stride**2).log())
        logits = logits + (logits - logits.exp().sum(0).log())
        torch.testing.assert_close(clip.reading[frame, :, :-1], logits, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(
            clip.queries.kernel[frame], tokens.queries.kernel[frame][logits.argmax(1)])
        presence = logits.exp().sum(1).log() - 8
        torch.testing.assert_close(clip.presence[frame], presence, atol=1e-3, rtol=1e-3)
    assert mask_logits(clip.queries, pixels).shape == (LENGTH, 5, 32, 48)


def test_starts_are_well_scored_and_different(network):
    axes = torch.eye(16)
    embedding = axes[[0, 0, 1, 1, 2, 0]][None]
    logits = torch.tensor([3.0, 2.9, 1.0, 0.9, -1.0, 2.8])[None, :, None].expand(-1, -1, 6)
    nothing = torch.zeros(1, 6, 2)
    found = network.start(QueryOutput(logits, embedding, nothing, nothing, nothing, nothing))
    assert found[0, :3].tolist() == [0, 2, 4]
    assert sorted(found[0].tolist()) != found[0].tolist()
    assert len(set(found[0].tolist())) == 5


def test_class_and_embedding_are_one_per_clip_and_all_weights_learn(images):
    torch.manual_seed(0)
    network = ClipNetwork(CONFIG).train()
    queries, pixels, _, clip = network(images, LENGTH)
    for name in ('class_logits', 'embedding'):
        frames = getattr(clip.queries, name).unflatten(0, (2, LENGTH))
        assert torch.equal(frames, frames[:, :1].expand_as(frames))
    loss = sum(v.square().sum() for v in (*clip.queries[:5], clip.reading, *queries[:5], *pixels))
    loss.backward()
    without = {n for n, p in network.named_parameters() if p.grad is None}
    assert not without


def test_take_is_indexing_per_row():
    value, index = torch.arange(24).reshape(2, 4, 3), torch.tensor([[3, 0], [1, 1]])
    expected = [[value[b, i].tolist() for i in index[b]] for b in range(2)]
    assert take(value, index).tolist() == expected
