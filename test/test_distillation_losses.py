"""Losses of the distillation against slow loops, and votes over views."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch
from xmodelkd_ros.distillation.records import CLASS_COUNT, PointViews
from xmodelkd_ros.distillation.student.losses import (
    alignment,
    contrast,
    logit_distance,
    negatives,
    trusted_cross_entropy,
    unit_distance,
)
from xmodelkd_ros.distillation.student.pseudo_labels import trust, vote
from xmodelkd_ros.labels import ALL_CLASSES, POINT_CLASSES, SKY
from xmodelkd_ros.training.point.losses import IGNORED

seeds = given(st.integers(0, 10_000), st.integers(1, 12))
few = settings(max_examples=25, deadline=None)


def draw(seed, *shape):
    return torch.from_numpy(np.random.default_rng((seed, len(shape))).normal(size=shape)).float()


def cosine(a, b):
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


@seeds
@few
def test_contrast_against_a_loop(seed, count):
    first, second = draw(seed, count, 5), draw(seed + 1, count, 5)
    apart = torch.from_numpy(np.random.default_rng(seed).random((count, count)) < 0.6)
    apart = apart | apart.t()
    total = 0.0
    for i in range(count):
        rivals = [j for j in range(count) if j == i or apart[i, j]]
        own = math.exp(cosine(first[i], second[i]) / 0.2)
        across = sum(math.exp(cosine(first[i], second[j]) / 0.2) for j in rivals)
        back = sum(math.exp(cosine(first[j], second[i]) / 0.2) for j in rivals)
        total -= math.log(own / across) + math.log(own / back)
    found = float(contrast(first, second, apart, 0.2))
    assert found == pytest.approx(total / (2 * count), abs=1e-4)


def test_contrast_pushes_negatives_apart_and_nothing_else():
    first, second = draw(1, 3, 4), draw(2, 3, 4).requires_grad_()
    apart = torch.zeros(3, 3, dtype=torch.bool)
    assert contrast(first, second, apart, 0.1).item() == pytest.approx(0, abs=1e-6)
    apart[0, 1] = apart[1, 0] = True
    contrast(first, second, apart, 0.1).backward()
    assert (second.grad[:2] != 0).any(1).all() and (second.grad[2] == 0).all()


def test_no_pair_is_no_contrast():
    none = torch.zeros(0, 4, requires_grad=True)
    contrast(none, none, torch.zeros(0, 0, dtype=torch.bool), 0.1).backward()
    assert alignment(none, none).item() == unit_distance(none, none).item() == 0


@seeds
@few
def test_negatives_against_a_loop(seed, count):
    rng = np.random.default_rng(seed)
    xyz = torch.from_numpy(rng.uniform(0, 3, (count, 3))).float()
    sweep = torch.from_numpy(rng.integers(0, 2, count))
    kind = torch.from_numpy(rng.integers(-1, 3, count))
    found = negatives(xyz, sweep, kind, 1.5)
    for i in range(count):
        for j in range(count):
            near = sweep[i] == sweep[j] and float((xyz[i] - xyz[j]).norm()) <= 1.5
            alike = kind[i] == kind[j] and kind[i] != IGNORED
            assert bool(found[i, j]) == (not near and not alike)


@seeds
@few
def test_feature_distances_against_a_loop(seed, count):
    student, teacher = draw(seed, count, 4), draw(seed + 1, count, 4)
    cosines = [cosine(a, b) for a, b in zip(student, teacher, strict=True)]
    aligned = sum(1 - c for c in cosines) / count
    assert float(alignment(student, teacher)) == pytest.approx(aligned, abs=1e-5)
    apart = sum(math.sqrt(max(2 - 2 * c, 0)) for c in cosines) / count
    assert float(unit_distance(student, teacher)) == pytest.approx(apart, abs=1e-3)


@seeds
@few
def test_logit_distance_against_a_loop(seed, count):
    student, teacher = draw(seed, 3, count), draw(seed + 1, 3, count)
    weight = draw(seed + 2, count).abs()
    total = 0.0
    for i in range(count):
        p = torch.exp(teacher[:, i] / 2) / torch.exp(teacher[:, i] / 2).sum()
        q = torch.exp(student[:, i] / 2) / torch.exp(student[:, i] / 2).sum()
        total += float(weight[i]) * sum(
            float(p[c]) * math.log(float(p[c]) / float(q[c])) for c in range(3))
    found = float(logit_distance(student, teacher, weight, 2.0))
    assert found == pytest.approx(4 * total / float(weight.sum()), rel=1e-3, abs=1e-5)


def test_teachers_get_no_gradient():
    student, teacher = (draw(i, 3, 4).requires_grad_() for i in (1, 2))
    loss = alignment(student, teacher) + unit_distance(student, teacher)
    (loss + logit_distance(student, teacher, torch.ones(4), 1.0)).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0


@seeds
@few
def test_trusted_cross_entropy_against_a_loop(seed, count):
    rng = np.random.default_rng(seed)
    logits, weight = draw(seed, 3, count), torch.tensor([0.5, 1.0, 2.0])
    target = torch.from_numpy(rng.integers(-1, 3, count))
    sure = torch.from_numpy(rng.random(count).astype('f4'))
    above = below = 0.0
    for i in range(count):
        if target[i] != IGNORED:
            share = float(sure[i] * weight[target[i]])
            above -= share * math.log(float(logits[:, i].softmax(0)[target[i]]))
            below += share
    expected = above / below if below else 0.0
    found = float(trusted_cross_entropy(logits, target, sure, weight))
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-5)


@seeds
@few
def test_votes_against_a_loop(seed, count):
    rng = np.random.default_rng(seed)
    point = np.sort(rng.integers(0, 6, count)).astype(np.int32)
    probability = rng.dirichlet(np.full(CLASS_COUNT, 0.3), count).astype(np.float16)
    some = np.zeros(count, np.float32)
    views = PointViews(
        point, np.zeros(count, np.uint8), some, some, np.zeros((count, 2), np.float16),
        probability, ('front',))
    channel, confidence = vote(views, 8, POINT_CLASSES)
    for i in range(8):
        rows = probability[point == i].astype(np.float32)
        if not len(rows):
            assert channel[i] == -1 and confidence[i] == 0
            continue
        mean = rows.mean(0)[:len(POINT_CLASSES)]
        assert confidence[i] == pytest.approx(mean.max(), rel=1e-4)
        assert mean[channel[i]] == pytest.approx(mean.max(), rel=1e-4)
    assert ALL_CLASSES[CLASS_COUNT] == SKY


def test_trust_begins_at_its_floor():
    np.testing.assert_allclose(
        trust(np.array([0.0, 0.4, 0.7, 1.0]), 0.4), [0, 0, 0.5, 1], atol=1e-6)
