"""What identifying one photograph costs, stage by stage, over the shortest of them: embedding the query once.

All stages are taken in turn in one run, so that a busy machine is so for all, and the best of each counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from rich.console import Console
from rich.table import Table

from calibration.outline import crop_coin
from models.embedding.embedder import Embedder
from models.local_features.networks import describe
from models.matching.entries import embed_entries
from models.matching.faiss_index import FaissIndex
from models.matching.gallery import GalleryEntry
from models.matching.matcher import CoinMatcher
from models.matching.registration import register
from models.matching.surface import compare_surfaces
from models.matching.surface_network import judge_places
from models.matching.verification import shipped_verification
from models.matching.views import View
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.reproduction import reproduction
from tests.models.matching.die_mates import SEED, same_dies

ENTRIES, ROUNDS = 1200, 3


@pytest.mark.bench
def test_the_stages_of_a_query_over_embedding_it_once() -> None:
    drawer, (own, mate) = ProceduralDrawer(SEED), same_dies(2)
    query, same, other = (
        crop_coin(reproduction(drawer.side_texture(coin, "obverse"), number, "photograph"))
        for coin, number in ((own, 1), (own, 2), (mate, 1))
    )
    embedder = Embedder.load("starter")
    features = embed_entries(embedder, [same, other])
    index = FaissIndex(embedder.id)
    shown = [GalleryEntry(str(number), f"coin {number}") for number in range(ENTRIES)]
    index.add(
        shown, type(features)(*(np.repeat(each, ENTRIES // 2, axis=0) for each in (features.pooled, features.grid)))
    )
    matcher = CoinMatcher(embedder, index)
    turned = matcher.extract([View(query)])
    rows = matcher.find_shortlist(turned, None)
    points, same_points, other_points = describe(query), describe(same), describe(other)
    laid, beside = register(points, same_points), register(points, other_points)
    network, surface = shipped_verification().verifier.network, compare_surfaces(query, same, laid)
    stages: dict[str, Callable[[], object]] = {
        "embed once": lambda: embedder.embed([query]),
        "embed at 36 turns": lambda: matcher.extract([View(query)]),
        f"shortlist of {ENTRIES}": lambda: matcher.find_shortlist(turned, None),
        f"grids of {len(rows)}": lambda: matcher.compare_grids(turned, rows),
        "points of an image": lambda: describe(query),
        "register a candidate": lambda: register(points, same_points),
        "statistics of its surface": lambda: compare_surfaces(query, same, laid),
        "network on its surface": lambda: judge_places(network, surface.laid),
    }
    best = dict.fromkeys(stages, float("inf"))
    for _ in range(ROUNDS):
        for name, stage in stages.items():
            began_s = time.perf_counter()
            stage()
            best[name] = min(best[name], time.perf_counter() - began_s)
    table = Table(f"stage, {torch.get_num_threads()} threads", "ms", "over embedding once")
    for name, took_s in best.items():
        table.add_row(name, f"{1000 * took_s:.1f}", f"{took_s / best['embed once']:.1f}")
    Console(width=100).print(table)
    assert laid.holds and laid.inliers > beside.inliers
