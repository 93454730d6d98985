"""Entries with random features."""

from __future__ import annotations

import numpy as np

from models.embedding.embedder import Features
from models.matching.gallery import GalleryEntry


def some(count: int, seed: int = 0) -> tuple[list[GalleryEntry], Features]:
    """Entries with random features, two sides a coin."""
    rng = np.random.default_rng(seed)
    pooled = rng.normal(0, 1, (count, 8)).astype(np.float32)
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True) + 1e-9
    entries = [GalleryEntry(f"{seed}-{n}", f"coin {n // 2}", ("obverse", "reverse")[n % 2]) for n in range(count)]
    return entries, Features(pooled, rng.normal(0, 1, (count, 8, 3, 3)).astype(np.float16))
