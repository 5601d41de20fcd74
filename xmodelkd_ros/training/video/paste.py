"""
Instances of one clip pasted into another, along the whole clip.

The published augmentation that 'fairly transfers the knowledge of all classes' is known by that
phrase alone; this is our reconstruction, after simple copy-paste (Ghiasi et al., CVPR 2021). An
instance keeps its height in the picture: cameras of one mounting see things at one distance at
one height, so it stands on the ground as before, only farther to the side.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from ...labels import THING_CLASSES
from ...records import Picture


def paste(
    clip: Sequence[Picture], donor: Sequence[Picture], identity: int, shift: int
) -> list[Picture]:
    """
    Put one instance of a clip into another clip, behind what stands lower in the picture.

    Parameters
    ----------
    clip
        L pictures with true labels and instances.
    donor
        L pictures of the same size, likewise.
    identity
        Instance of `donor`; frames that do not show it change nothing.
    shift
        How far it moves to the right, pixels.

    Returns
    -------
    list of Picture
        L; the new instance has one id that none of the clip has.

    """
    fresh = 1 + max(int(truth(picture)[1].max()) for picture in clip)
    return [
        _paste(picture, source, identity, fresh, shift)
        for picture, source in zip(clip, donor, strict=True)
    ]


def _paste(
    picture: Picture, donor: Picture, identity: int, fresh: int, shift: int
) -> Picture:
    label, instance = truth(picture)
    donor_label, donor_instance = truth(donor)
    covered = _shifted(donor_instance == identity, shift)
    if not covered.any():
        return picture
    covered &= ~_nearer(label, instance, covered)
    return dataclasses.replace(
        picture,
        rgb=np.where(covered[..., None], _shifted(donor.rgb, shift), picture.rgb),
        label=np.where(covered, _shifted(donor_label, shift), label),
        instance=np.where(covered, instance.dtype.type(fresh), instance),
    )


def has_truth(picture: Picture) -> bool:
    """Return whether the true label and instance of each pixel are there."""
    return picture.label is not None and picture.instance is not None


def truth(picture: Picture) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the true label and instance of each pixel of a training picture, (H, W) each.

    Raises
    ------
    ValueError
        If it has none.

    """
    if picture.label is None or picture.instance is None:
        raise ValueError('a training picture has no true labels')
    return picture.label, picture.instance


def _nearer(label: np.ndarray, instance: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Return (H, W) bool: instances that reach lower down than what covers them, so are nearer."""
    instance = np.where(np.isin(label, [row.id for row in THING_CLASSES]), instance, 0)
    ground = np.flatnonzero(covered.any(1))[-1]
    lower = np.unique(instance[ground + 1:])
    return (instance > 0) & np.isin(instance, lower)


def _shifted(image: np.ndarray, shift: int) -> np.ndarray:
    """Return the image moved to the right, zeros where nothing comes from."""
    moved = np.zeros_like(image)
    width = image.shape[1]
    moved[:, max(shift, 0):width + min(shift, 0)] = image[:, max(-shift, 0):width - max(shift, 0)]
    return moved
