"""What embedding costs: over the bare forward pass of the same network, and over the plain way to run it.

The ways are taken by turns in one run, so that a busy machine is so for all, and the best of each counts.
"""

from __future__ import annotations

import copy
import csv
import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from rich.table import Table

from calibration.image import Image, read_image
from calibration.outline import crop_coin
from models.embedding.embedder import Embedder, to_tensor
from models.embedding.forward import bf16_pays, by_torch
from models.evaluation.evaluation import ranks_of_truth
from models.evaluation.samples import Sample, SampleCrops, split
from models.evaluation.scores import embed_in_blocks, score_all

BATCH = 36  # as many as an embedder takes at a time
BATCHES, ROUNDS = 2, 7
COINS, QUERIES, TURNS = 48, 200, 36
NEEDS_SHARED = pytest.mark.skipif("RIG_SHARED" not in os.environ, reason="$RIG_SHARED is not set: no photographs here")


def best_ms(ways: Mapping[str, Callable[[], object]], crops: int) -> dict[str, float]:
    """Milliseconds a crop of each way, the best of some rounds in which all are taken by turns."""
    for way in ways.values():
        way()
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began_s = time.perf_counter()
            way()
            best[name] = min(best[name], 1000 * (time.perf_counter() - began_s) / crops)
    return best


def noise(count: int) -> list[Image]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (224, 224, 3), dtype=np.uint8) for _ in range(count)]


@pytest.mark.bench
def test_embedding_over_the_bare_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = os.environ.get("RIG_SHARED")
    if shared:
        monkeypatch.setenv("RIG_WEIGHTS", str(Path(shared) / "weights"))
    table = Table(f"ms a crop, {torch.get_num_threads()} threads", "bare forward", "embed", "embed over bare")
    for name in ("starter", "resnet50", "mobilenet_v3_small") if shared else ("starter",):
        embedder = Embedder.load(name)
        crops = noise(BATCHES * BATCH)
        batches = [to_tensor(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)]
        ms = best_ms(
            {
                "bare": lambda embedder=embedder, batches=batches: [embedder.forward(batch) for batch in batches],
                "embed": lambda embedder=embedder, crops=crops: embedder.embed(crops),
            },
            len(crops),
        )
        table.add_row(name, f"{ms['bare']:.2f}", f"{ms['embed']:.2f}", f"{ms['embed'] / ms['bare']:.3f}")
    Console(width=100).print(table)


@pytest.mark.bench
def test_the_way_taken_over_eager_float32() -> None:
    """Forward passes of the starter's network; which of them an embedder takes depends on the machine."""
    embedder = Embedder.load("starter")
    laid_out = embedder.network
    plain = copy.deepcopy(laid_out).to(memory_format=torch.contiguous_format)
    batch = to_tensor(noise(BATCH))
    ways = {
        "eager float32": partial(by_torch(plain, is_half=False), batch.contiguous()),
        "float32, channels last": partial(by_torch(laid_out, is_half=False), batch),
        "bfloat16": partial(by_torch(plain, is_half=True), batch.contiguous()),
        "bfloat16, channels last": partial(by_torch(laid_out, is_half=True), batch),
    }
    taken = "bfloat16, channels last" if bf16_pays() else "float32, channels last"
    if importlib.util.find_spec("openvino"):
        taken = "OpenVINO"
        ways[taken] = partial(embedder.forward, batch)
    ms = best_ms(ways, BATCH)
    table = Table(f"starter, {torch.get_num_threads()} threads", "ms a crop", "times as fast as eager float32")
    for name, took_ms in ms.items():
        mark = " (taken here)" if name == taken else ""
        table.add_row(name + mark, f"{took_ms:.2f}", f"{ms['eager float32'] / took_ms:.2f}")
    Console(width=100).print(table)


def euro_coins(shared: Path) -> tuple[list[Sample], list[Sample]]:
    """A gallery of one photograph of each euro coin, and some queries of other placements."""
    folder = shared / "data" / "euro_same_coin"

    def reader(file: str) -> Callable[[], Image]:
        def read() -> Image:
            image = read_image(folder / file)
            return crop_coin(image)

        return read

    with (folder / "labels.csv").open() as stream:
        samples = [
            Sample(row["file"], reader(row["file"]), row["coin_id"], row["placement"], row["denomination"])
            for row in csv.DictReader(stream)
        ]
    gallery, queries, _ = split(samples)
    rng = np.random.default_rng(0)
    gallery = [gallery[number] for number in sorted(rng.choice(len(gallery), COINS, replace=False))]
    kept = {sample.coin for sample in gallery}
    queries = [query for query in queries if query.coin in kept]
    return gallery, [queries[number] for number in sorted(rng.permutation(len(queries))[:QUERIES])]


@pytest.mark.bench
@NEEDS_SHARED
def test_rank1_by_the_way_taken_and_by_float32() -> None:
    gallery, queries = euro_coins(Path(os.environ["RIG_SHARED"]))
    first: dict[str, np.ndarray] = {}
    title = f"Rank-1 ({len(queries)} euro queries, {len(gallery)} coins, {TURNS} turns)"
    table = Table("starter", title, "the same first as float32")
    types = np.array([sample.type for sample in gallery])
    others = np.array([[query.type != kind for kind in types] for query in queries])
    for way in ("float32", "the way taken"):
        embedder = Embedder.load("starter")
        if way == "float32":
            embedder.forward = by_torch(embedder.network, is_half=False)
        scores = score_all(embedder, embed_in_blocks(embedder, SampleCrops(queries)), SampleCrops(gallery), TURNS).grid
        first[way] = np.where(others, -np.inf, scores).argmax(axis=1)
        rank1 = np.mean(ranks_of_truth(scores, queries, gallery) == 1)
        table.add_row(way, f"{rank1:.1%}", f"{np.mean(first[way] == first['float32']):.1%}")
    Console(width=100).print(table)
