"""Losses between paired queries of teacher and student: embeddings, classes, masks."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def embedding_loss(
    student: torch.Tensor,
    teacher: torch.Tensor,
    owner: torch.Tensor,
    clip: torch.Tensor,
    temperature: float,
) -> torch.Tensor:
    """
    Return the contrastive loss (InfoNCE, van den Oord et al., 2018) with in-clip negatives.

    A query of the student shall look like the teacher's query of its instance, and unlike the
    teacher's other queries of the same clip.

    Parameters
    ----------
    student
        (P, E) unit length, of P pairs.
    teacher
        (M, E) unit length, of the teacher's queries, each once.
    owner
        (P,) int64: row of `teacher` of each pair.
    clip
        (M,) int64: clip of each query of the teacher.
    temperature
        Divides the similarities.

    """
    if not len(student):
        return 0.0 * student.sum()
    logits = student @ teacher.T / temperature  # P x M
    foreign = clip[owner][:, None] != clip[None]
    return F.cross_entropy(logits.masked_fill(foreign, float('-inf')), owner)


def class_loss(
    student: torch.Tensor, teacher: torch.Tensor, temperature: float
) -> torch.Tensor:
    """
    Return the KL divergence of the student's class probabilities from the teacher's.

    Classes are yes-or-no questions here, so it is a sum over classes; times temperature squared
    (Hinton et al., 2015).

    Parameters
    ----------
    student, teacher
        (P, C) logits of P pairs.
    temperature
        Divides the logits.

    """
    wanted, given = (teacher / temperature).sigmoid(), student / temperature
    cross = F.binary_cross_entropy_with_logits(given, wanted, reduction='none')
    own = F.binary_cross_entropy_with_logits(teacher / temperature, wanted, reduction='none')
    return temperature**2 * (cross - own).sum() / max(len(student), 1)


def cover_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """
    Return the cross-entropy of the student's masks against the teacher's, by the masks' areas.

    Parameters
    ----------
    student, teacher
        (P, cells) logits of P pairs.

    """
    wanted = teacher.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(student, wanted, reduction='none')
    return (entropy.sum(1) / (wanted.sum(1) + 4)).sum() / max(len(student), 1)


def dice_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """
    Return the dice loss of the student's masks against the teacher's.

    Parameters
    ----------
    student, teacher
        (P, cells) logits of P pairs.

    """
    covered, wanted = student.sigmoid(), teacher.sigmoid()
    shared, total = (covered * wanted).sum(1), covered.sum(1) + wanted.sum(1)
    return (1 - (2 * shared + 1) / (total + 1)).sum() / max(len(student), 1)
