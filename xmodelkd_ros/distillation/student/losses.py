"""
Losses of the distillation, as pure functions over the points of a batch.

Which terms xModel-KD has beside its contrastive objective is not known; the form of each, and how
negatives are chosen, is our reconstruction.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ...training.point.losses import IGNORED


def contrast(first: Tensor, second: Tensor, apart: Tensor, temperature: float) -> Tensor:
    """
    Return the symmetric InfoNCE loss of K pairs.

    Parameters
    ----------
    first, second
        (K, E) embeddings of any length; row i of one and row i of the other are a pair.
    apart
        (K, K) bool, symmetric: i and j are negatives of one another. The diagonal is not read.
    temperature
        Divides the cosines.

    Returns
    -------
    Tensor
        Scalar, the mean over the pairs and both directions; 0 without a pair.

    References
    ----------
    van den Oord, Li, Vinyals: Representation learning with contrastive predictive coding, 2018,
    equation 4; symmetric as in CLIP (Radford et al. 2021).

    """
    if not len(first):
        return first.sum() * 0 + second.sum() * 0
    own = torch.eye(len(first), dtype=torch.bool, device=first.device)
    with torch.autocast(first.device.type, enabled=False):  # halves would round the cosines
        cosine = unit(first) @ unit(second).t() / temperature
    cosine = cosine.masked_fill(~(apart | own), -torch.inf)
    both = cosine.logsumexp(0) + cosine.logsumexp(1)
    return (0.5 * both - cosine.diagonal()).mean()


def negatives(xyz: Tensor, sweep: Tensor, kind: Tensor, radius: float) -> Tensor:
    """
    Return which of K points may be pushed apart.

    Points of one surface look alike and must not be: a pair nearer than `radius` within a sweep,
    or of the same class in the teacher's or the annotator's eyes, is no pair of negatives.

    Parameters
    ----------
    xyz
        (K, 3) lidar frame, m.
    sweep
        (K,) which sweep of the batch each point is of.
    kind
        (K,) class index, or `IGNORED` where nobody says: then the distance alone decides.
    radius
        m.

    Returns
    -------
    Tensor
        (K, K) bool, symmetric.

    """
    far = (torch.cdist(xyz, xyz) > radius) | (sweep[:, None] != sweep)
    unlike = (kind[:, None] != kind) | (kind[:, None] == IGNORED)
    return far & unlike


def alignment(student: Tensor, teacher: Tensor) -> Tensor:
    """
    Return the mean of 1 - cosine between M x D features; the teacher gets no gradient.

    It is half of the squared distance between the two, scaled to unit length.
    """
    if not len(student):
        return student.sum() * 0
    return (1 - (unit(student) * unit(teacher.detach())).sum(1)).mean()


def unit_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """
    Return the mean L2 distance between M x D features of unit length.

    References
    ----------
    Puy et al.: Three pillars improving vision foundation model distillation for lidar (ScaLR),
    CVPR 2024.

    """
    if not len(student):
        return student.sum() * 0
    gap = unit(student) - unit(teacher.detach())
    return gap.square().sum(1).clamp(min=1e-12).sqrt().mean()


def logit_distance(student: Tensor, teacher: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """
    Return the weighted mean of KL(teacher || student), softened, times the squared temperature.

    Parameters
    ----------
    student, teacher
        (C, M) logits; the teacher gets no gradient.
    weight
        (M,) of the points, at least 0.
    temperature
        Divides both logits.

    References
    ----------
    Hinton, Vinyals, Dean: Distilling the knowledge in a neural network, 2015.

    """
    said = (teacher.detach().float() / temperature).log_softmax(0)
    heard = (student.float() / temperature).log_softmax(0)
    gap = functional.kl_div(heard, said, log_target=True, reduction='none').sum(0)
    return temperature**2 * (gap * weight).sum() / weight.sum().clamp(min=1e-6)


def trusted_cross_entropy(
    logits: Tensor, target: Tensor, trust: Tensor, weight: Tensor
) -> Tensor:
    """
    Return the cross-entropy against labels that are trusted more or less.

    Parameters
    ----------
    logits
        (C, M).
    target
        (M,) int64 class indices, or `IGNORED`.
    trust
        (M,) in 0..1, of each label.
    weight
        (C,) of the classes.

    Returns
    -------
    Tensor
        Scalar, sum(w c l) / sum(w c) over points; 0 where no label counts.

    """
    share = trust * weight[target.clamp(min=0)] * (target != IGNORED)
    loss = functional.cross_entropy(
        logits.float()[None], target[None], reduction='none', ignore_index=IGNORED)[0]
    return (share * loss).sum() / share.sum().clamp(min=1e-6)


def unit(features: Tensor) -> Tensor:
    """Scale M x D features to unit length, in float32."""
    return functional.normalize(features.float(), dim=1)
