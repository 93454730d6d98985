"""What a catalogue image becomes before it is searched: its features, with a rotation-invariant part.

Lit by one lamp in a room, a coin turned between two photographs is shaded otherwise, and the best turn finds the coin
whose shading agrees. The mean over all turns has no shading: it keeps what lies how far from the centre, in no
direction. Comparing is linear in the entry, so that with a share s of that mean in its grid a query scores (1 - s)
times its similarity at the best turn plus s times its similarity to the rotation-invariant part.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.image import Image
from models.embedding.embedder import Embedder, Features, rotation_invariant_share
from models.matching.grid import cells_on_coin
from models.matching.rotation import embed_turned

ENTRY_TURNS = 12


def embed_entries(embedder: Embedder, crops: Sequence[Image]) -> Features:
    """Embed catalogue images, each with as much of its rotation-invariant part in the grid as the card says."""
    share = rotation_invariant_share(embedder.card)
    if share == 0.0 or not crops:
        return embedder.embed(crops)
    upright, *others = embed_turned(embedder, crops, ENTRY_TURNS)
    total = upright.grid.astype(np.float32)
    for turned in others:
        total += turned.grid
    length = np.linalg.norm(cells_on_coin(total), axis=1)[:, None, None, None]
    return Features(upright.pooled, ((1.0 - share) * upright.grid + share * total / length).astype(np.float16))
