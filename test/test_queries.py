"""Query filtering and association against brute force; its losses against slow loops."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch
from xmodelkd_ros.distillation.ookd.losses import (
    class_loss,
    cover_loss,
    dice_loss,
    embedding_loss,
)
from xmodelkd_ros.distillation.ookd.queries import (
    associate_queries,
    filter_by_agreement,
    filter_by_truth,
    mask_agreement,
    QueryFilterConfig,
    rank_pairs,
)
from xmodelkd_ros.training.clip.query_matching import pair_cost

SEEDS = st.integers(0, 2**32 - 1)
CONFIG = QueryFilterConfig()


def random_case(seed, queries=4, instances=3, classes=3, cells=12):
    random = np.random.default_rng(seed)
    return (
        torch.from_numpy(random.normal(size=(queries, classes)).astype(np.float32) * 2),
        torch.from_numpy(random.normal(size=(queries, cells)).astype(np.float32) * 3),
        torch.from_numpy(random.integers(0, classes, instances)),
        torch.from_numpy(random.random((instances, cells)).astype(np.float32).round(1)),
    )


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_the_cost_of_a_pair_is_its_definition(seed):
    class_logits, mask_logits, channel, mask = random_case(seed)
    cost = pair_cost(class_logits, mask_logits, channel, mask)
    for n, q in np.ndindex(3, 4):
        found = 1 / (1 + np.exp(-mask_logits[q].numpy().astype(float)))
        truth = mask[n].numpy().astype(float)
        entropy = -sum(t * np.log(p) + (1 - t) * np.log1p(-p)
                       for t, p in zip(truth, found, strict=True))
        dice = 1 - (2 * (truth * found).sum() + 1) / (truth.sum() + found.sum() + 1)
        score = 1 / (1 + np.exp(-class_logits[q, channel[n]].item()))
        expected = 2 * (1 - score) + min(entropy / (truth.sum() + 1), 4) + 2 * dice
        assert cost[n, q].item() == pytest.approx(expected, rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(0, 4), st.integers(0, 4), st.floats(0.5, 6))
def test_the_filter_is_the_best_of_all_assignments(seed, instances, queries, limit):
    cost = torch.from_numpy(np.random.default_rng(seed).uniform(0, 6, (instances, queries)))
    found = filter_by_truth(cost, limit).tolist()
    taken = [q for q in found if q >= 0]
    assert len(set(taken)) == len(taken)
    best = min(
        sum(limit if q is None else cost[n, q].item() for n, q in enumerate(choice))
        for choice in itertools.product([None, *range(queries)], repeat=instances)
        if len({q for q in choice if q is not None}) == sum(q is not None for q in choice)
    )
    total = sum(limit if q < 0 else cost[n, q].item() for n, q in enumerate(found))
    assert total == pytest.approx(best)


def test_a_perfect_query_is_found_and_a_stray_one_dropped():
    _, _, channel, mask = random_case(1)
    mask = (mask > 0.5).float()
    perfect = torch.full((3, 3), -9.0)
    perfect[range(3), channel] = 9.0
    order = [2, 0, 1]
    stray = torch.full((1, 12), -9.0)
    masks = torch.cat(((20 * mask - 10)[order], stray))
    logits = torch.cat((perfect[order], torch.full((1, 3), -9.0)))
    cost = pair_cost(logits, masks, channel, mask)
    assert filter_by_truth(cost, CONFIG.max_cost).tolist() == [1, 2, 0]
    assert filter_by_truth(cost[:, 3:], CONFIG.max_cost).tolist() == [-1] * 3


def slow_agreement(masks):
    """Return the mean over neighbouring frames of the IoU of sets of cells around a centroid."""
    found = []
    for query in range(masks.shape[1]):
        shapes = []
        for frame in range(len(masks)):
            cells = np.argwhere(masks[frame, query].numpy())
            middle = np.round(cells.mean(0).astype(np.float32)).astype(int) if len(cells) else 0
            shapes.append({tuple(c) for c in cells - middle})
        pairs = [(a, b) for a, b in itertools.pairwise(shapes) if a and b]
        found.append(np.mean([len(a & b) / len(a | b) for a, b in pairs]) if pairs else 0.0)
    return found


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_agreement_compares_shapes_wherever_they_are(seed):
    random = np.random.default_rng(seed)
    masks = np.zeros((4, 3, 20, 30), bool)
    for frame, query in np.ndindex(4, 3):
        if random.random() < 0.8:
            y, x = random.integers(0, (14, 24))
            h, w = random.integers(1, 7, 2)
            masks[frame, query, y:y + h, x:x + w] = random.random((min(h, 20 - y), w)) < 0.8
    masks = torch.from_numpy(masks)
    np.testing.assert_allclose(mask_agreement(masks), slow_agreement(masks), atol=1e-6)


def test_moving_alike_agrees_fully_and_flicker_does_not():
    masks = torch.zeros(3, 3, 16, 24, dtype=torch.bool)
    for frame in range(3):
        masks[frame, 0, 2:6, 2 + 6 * frame:8 + 6 * frame] = True
        masks[frame, 1, 3:3 + (1, 4, 12)[frame], 10:12] = True
    masks[1, 2, 3:9, 3:9] = True
    agreement = mask_agreement(masks)
    assert agreement[0] == 1
    assert agreement[1] < 0.5
    assert agreement[2] == 0
    score = np.array([0.5, 0.99, 0.98])
    assert filter_by_agreement(score, agreement.numpy(), CONFIG).tolist() == [True, False, False]
    assert filter_by_agreement(np.array([0.3, 0.4]), np.ones(2), CONFIG).tolist() == [False, True]


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_association_is_the_join_over_instances(seed):
    random = np.random.default_rng(seed)
    teacher, student = random.integers(-1, 5, (2, 3, 4))
    expected = [
        [frame, teacher[frame, n], student[frame, n]]
        for frame in range(3) for n in range(4)
        if teacher[frame, n] >= 0 and student[frame, n] >= 0
    ]
    found = associate_queries(torch.from_numpy(teacher), torch.from_numpy(student))
    assert found.tolist() == expected


def test_rank_pairs_ignore_what_the_queries_are():
    teacher = torch.tensor([[0.1, 0.9, 0.5], [0.3, 0.2, 0.1]])
    student = torch.tensor([[0.2, 0.8], [0.1, 0.7]])
    assert rank_pairs(teacher, student).tolist() == [
        [0, 1, 1], [0, 2, 0], [1, 0, 1], [1, 1, 0]]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_losses_are_their_definitions(seed):
    random = np.random.default_rng(seed)
    student, teacher = random.normal(size=(2, 5, 7)) * 2
    owner, clip = random.integers(0, 4, 5), np.array([0, 0, 1, 1])
    bank = random.normal(size=(4, 7))
    bank /= np.linalg.norm(bank, axis=1, keepdims=True)
    looks = student / np.linalg.norm(student, axis=1, keepdims=True)
    contrast, kl, cover, dice = [], [], [], []
    for row in range(5):
        scores = {m: np.exp(looks[row] @ bank[m] / 0.1) for m in range(4)
                  if clip[m] == clip[owner[row]]}
        contrast.append(-np.log(scores[owner[row]] / sum(scores.values())))
        p, q = sigmoid(teacher[row] / 2), sigmoid(student[row] / 2)
        kl.append(4 * sum(a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b))
                          for a, b in zip(p, q, strict=True)))
        p, q = sigmoid(teacher[row]), sigmoid(student[row])
        entropy = -sum(a * np.log(b) + (1 - a) * np.log(1 - b) for a, b in zip(p, q, strict=True))
        cover.append(entropy / (p.sum() + 4))
        dice.append(1 - (2 * (p * q).sum() + 1) / (p.sum() + q.sum() + 1))
    tensors = [torch.from_numpy(a) for a in (student, teacher, looks, bank, owner, clip)]
    student, teacher, looks, bank, owner, clip = tensors
    for found, expected in (
        (embedding_loss(looks, bank, owner, clip, 0.1), contrast),
        (class_loss(student, teacher, 2.0), kl),
        (cover_loss(student, teacher), cover),
        (dice_loss(student, teacher), dice),
    ):
        assert found.item() == pytest.approx(np.mean(expected), rel=1e-6)


def test_no_pair_costs_nothing_and_can_be_differentiated():
    nothing = torch.zeros(0, 4, requires_grad=True)
    none = torch.zeros(0, dtype=torch.int64)
    losses = (embedding_loss(nothing, nothing, none, none, 0.1), class_loss(nothing, nothing, 1.0),
              cover_loss(nothing, nothing), dice_loss(nothing, nothing))
    assert [loss.item() for loss in losses] == [0] * 4
    sum(losses).backward()
