"""What a tracker remembers of a track."""

from __future__ import annotations

import numpy as np

MOMENTA = np.array([0.0, 0.6, 0.9], np.float32)[:, None]
"""Share of the old in the recent, the short and the long memory of a track's appearance."""

VELOCITY_GAIN = 0.8
"""Share of the new in what is known of the velocity of a track in the image."""

CLASS_IDS = 256
"""Class ids are below this: ours, and those of data sets whose classes are taken as they are."""


def memory_type(embedding: int) -> np.dtype[np.void]:
    """
    Return the type of a remembered track; id 0 is a track that is not confirmed yet.

    `stamp` is when it was last seen, `placed` when its box was last known: seen or held, ns.
    `velocity` is that of the middle of its box, pixels/s.
    """
    return np.dtype(
        [
            ('id', np.uint16),
            ('bank', np.float32, (len(MOMENTA), embedding)),
            ('box', np.float32, 4),
            ('velocity', np.float32, 2),
            ('stamp', np.int64),
            ('placed', np.int64),
            ('hits', np.int64),
            ('sure', bool),
            ('score', np.float32),
            ('votes', np.float32, CLASS_IDS),
        ]
    )
