"""The fusion encoder against a loop over points, and what points without views see."""

import numpy as np
import pytest
import torch
from xmodelkd_ros.config import from_mapping
from xmodelkd_ros.errors import ConfigurationError
from xmodelkd_ros.networks.fusion import (
    FusionConfig,
    FusionEncoder,
    SAID,
    softmax_with_nothing,
    Views,
)
from xmodelkd_ros.networks.point_network import PointNetwork, PointNetworkConfig

POINTS, OWN, SEEN = 7, 5, 6


def make_views(point, seed=0):
    torch.manual_seed(seed)
    count = len(point)
    return Views(
        torch.tensor(point, dtype=torch.int64), torch.randn(count, SEEN).half(),
        torch.rand(count, SAID).half(), 30 * torch.rand(count), torch.randn(count))


@pytest.fixture
def encoder():
    torch.manual_seed(3)
    return FusionEncoder(FusionConfig(width=8, heads=2), OWN, SEEN, 4).eval()


def subset(views, rows):
    return Views(*(getattr(views, n)[rows] for n in (
        'point', 'feature', 'probability', 'depth', 'delay')))


def test_attention_against_a_loop(encoder):
    own, views = torch.randn(POINTS, OWN), make_views([0, 0, 0, 2, 5, 5])
    fused, seen = encoder(own, views), encoder.see(views)
    for i in range(POINTS):
        query, nothing = encoder.query(own[i]).view(2, -1), encoder.nothing(own[i])
        rows = [r for r in range(6) if int(views.point[r]) == i]
        attended, believed = torch.zeros(8), torch.zeros(SAID)
        for head in range(2):
            keys = [encoder.key(seen[r]).view(2, -1)[head] for r in rows]
            scores = [(key @ query[head]).item() / 4**0.5 for key in keys]
            powers = np.exp([*scores, float(nothing[head])])
            for r, power in zip(rows, powers, strict=False):
                value = encoder.value(seen[r]).view(2, -1)[head]
                attended[4 * head: 4 * head + 4] += float(power / powers.sum()) * value
                believed += float(power / powers.sum()) / 2 * views.probability[r].float()
        expected = encoder.own(own[i]) + attended
        torch.testing.assert_close(fused.feature[i], expected + encoder.mix(expected))
        torch.testing.assert_close(fused.probability[i], believed)


def test_an_encoder_begins_by_believing_both():
    encoder = FusionEncoder(FusionConfig(width=8, heads=2), OWN, SEEN, 4)
    own, logits = torch.randn(POINTS, OWN), torch.zeros(4, POINTS)
    views = make_views([0, 1, 1])
    views.probability[:] = 0
    views.probability[:, 2] = 1
    found = encoder.score(encoder(own, views), logits)
    assert found.argmax(0)[:2].tolist() == [2, 2]
    assert (found[:, 2:] == 0).all()
    logits[3] = 100
    assert (encoder.score(encoder(own, views), logits).argmax(0) == 3).all()


def test_points_without_views_do_not_depend_on_others(encoder):
    own, views = torch.randn(POINTS, OWN), make_views([1, 1, 4])
    alone = encoder(own, subset(views, slice(0, 0))).feature
    together = encoder(own, views).feature
    unseen = [0, 2, 3, 5, 6]
    torch.testing.assert_close(together[unseen], alone[unseen])
    assert (together[[1, 4]] - alone[[1, 4]]).abs().amax(1).min() > 1e-3
    assert alone.isfinite().all()


def test_the_order_of_views_does_not_matter(encoder):
    own, views = torch.randn(POINTS, OWN), make_views([0, 0, 3, 3, 3])
    again = subset(views, [1, 0, 4, 2, 3])
    torch.testing.assert_close(tuple(encoder(own, views)), tuple(encoder(own, again)))


def test_shares_leave_room_for_nothing():
    point = torch.tensor([0, 0, 1, 3])
    share = softmax_with_nothing(torch.tensor([[100.0], [99.0], [-200.0], [0.0]]),
                                 torch.tensor([[0.0], [0.0], [5.0], [0.0]]), point)
    total = torch.zeros(4).index_add(0, point, share[:, 0])
    assert total.tolist() == pytest.approx([1, 0, 0, 0.5], abs=1e-4)


def test_gradients_reach_points_and_views(encoder):
    own, views = torch.randn(POINTS, OWN, requires_grad=True), make_views([0, 2, 2])
    encoder.classify.weight.data.normal_()
    logits = torch.zeros(4, POINTS, requires_grad=True)
    encoder.score(encoder(own, views), logits).square().sum().backward()
    assert (own.grad != 0).any(1).all() and logits.grad is None
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


def test_heads_divide_the_width():
    with pytest.raises(ConfigurationError, match='width = 10'):
        from_mapping(FusionConfig, {'width': 10, 'heads': 4})


def test_features_before_the_classifier_lead_to_the_same_labels():
    torch.manual_seed(0)
    network = PointNetwork(PointNetworkConfig(channels=(8, 8), blocks=(1, 1), head=8), 3).eval()
    image, features = torch.randn(1, 10, 8, 32), torch.randn(8, 50)
    cell = torch.randint(0, 8 * 32, (50,))
    hidden = network.hidden(network.cells(image), cell, features)
    assert hidden.shape == (50, 8)
    torch.testing.assert_close(network.score(hidden), network(image, cell, features))
