"""What makes embeddings of one instance alike at different times, and of different ones unlike."""

from __future__ import annotations

import torch

from .targets import InstanceTargets


def association_loss(
    embedding: torch.Tensor, targets: InstanceTargets, clip: torch.Tensor, temperature: float
) -> torch.Tensor:
    """
    Return the supervised contrastive loss (Khosla et al., NeurIPS 2020) over a batch.

    Parameters
    ----------
    embedding
        (B, G, N, E), unit length: of G queries for each true instance.
    targets
        Of the B images.
    clip
        (B,) int64; one identity in one clip makes a positive pair, all other pairs of this clip
        and of others are negatives.
    temperature
        Divides the similarities.

    """
    known = (targets.channel >= 0)[:, None].expand(embedding.shape[:3])
    owner = torch.stack((clip[:, None].expand_as(targets.identity), targets.identity), 2)
    owner = owner[:, None].expand(*known.shape, 2)[known]  # M x 2
    rows = embedding[known]  # M x E
    same = (owner[:, None] == owner[None]).all(2)
    itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    logits = (rows @ rows.T / temperature).masked_fill(itself, -1e4)
    log_share = logits - logits.logsumexp(1, keepdim=True)
    positive = same & ~itself
    per_query = (log_share * positive).sum(1) / positive.sum(1).clamp(min=1)
    return -per_query.sum() / positive.any(1).sum().clamp(min=1)
