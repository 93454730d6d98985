"""``python evaluate_many.py GALLERY``: evaluate on so many images and print the process's peak memory (kB)."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable

import cv2
import numpy as np
import torch

from calibration.image import Image
from models.embedding.embedder import Embedder
from models.evaluation.evaluation import evaluate
from models.evaluation.samples import Sample

CELLS, CHANNELS, QUERIES, TYPES = 14, 32, 20, 20


def image(number: int) -> Callable[[], Image]:
    """Reads an image whose every cell is of another grey."""

    def read() -> Image:
        cells = np.random.default_rng(number).integers(0, 256, (CELLS, CELLS, 3), dtype=np.uint8)
        return np.asarray(cv2.resize(cells, (224, 224), interpolation=cv2.INTER_NEAREST), np.uint8)

    return read


def main(gallery: int) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.AvgPool2d(16), torch.nn.Conv2d(3, CHANNELS, 1))
    embedder = Embedder(network, {"name": "means", "backbone": "mobilenet_v3_small", "channels": CHANNELS})
    seen = [(number, "first") for number in range(gallery)] + [(number, "later") for number in range(QUERIES)]
    samples = [
        Sample(f"{session} {number}", image(number), f"coin {number}", session, f"type {number % TYPES}")
        for number, session in seen
    ]
    result = evaluate(embedder, samples, turns=1)
    assert result.labels == gallery and result.queries == QUERIES and result.any_type_rank1 == 1.0
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main(int(sys.argv[1]))
