"""What a catalogue of many entries costs, and what its search loses: the table in docs/catalogue.md.

    RIG_SHARED=shared python -m tests.bench.catalogue_scale 10000 --folder /tmp/scale [--milvus FILE.db]

Entries are features of real photographs (tetrarchic coins, euro coins), and as many more made of them as are wanted:
each the grid of one photograph, moved by the difference of two others. Queries are photographs of euro coins in another
session than the one that is an entry: the truth is planted, and no entry is made of the coins that are asked for.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from calibration.image import Image, read_image
from calibration.outline import NoCoinError, crop_coin
from models.embedding.embedder import Embedder, Features, _region_weights
from models.matching.entries import embed_entries
from models.matching.faiss_index import FaissIndex
from models.matching.gallery import GalleryEntry, Where
from models.matching.index import CatalogueIndex
from models.matching.matcher import SHORTLIST, CoinMatcher
from models.matching.milvus_index import MilvusIndex
from models.matching.probability import Probability
from models.matching.same_coin import CoinLinks
from models.matching.views import View

SHARED = Path(os.environ.get("RIG_SHARED", "../shared"))
PART = 4096
QUERIES = 40


def real_entries(embedder: Embedder, folder: Path) -> tuple[list[GalleryEntry], Features, list[tuple[str, Path]]]:
    """Photographs of one session as entries, and those of others as queries: a coin and a file each."""
    entries: list[GalleryEntry] = []
    crops: list[Image] = []
    for path in sorted((SHARED / "data" / "toulouse").rglob("*.jpg")):
        image = read_image(path)
        half = image.shape[1] // 2
        for side, part in (("obverse", image[:, :half]), ("reverse", image[:, half:])):
            try:
                crops.append(crop_coin(np.ascontiguousarray(part)))
            except NoCoinError:
                continue
            entries.append(GalleryEntry(f"{path.stem} {side}", path.stem, side))
    queries: list[tuple[str, Path]] = []
    euro = SHARED / "data" / "euro_same_coin"
    with (euro / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    first: dict[str, str] = {}
    for row in rows:
        if row["coin_id"] not in first:
            first[row["coin_id"]] = row["placement"]
            crops.append(crop_coin(read_image(euro / row["file"])))
            entries.append(GalleryEntry(f"euro {row['coin_id']}", f"euro {row['coin_id']}", None))
        elif row["placement"] != first[row["coin_id"]]:
            queries.append((f"euro {row['coin_id']}", euro / row["file"]))
    kept = folder / f"real-{embedder.id}.npz"
    if not kept.is_file():
        features = embed_entries(embedder, crops)
        np.savez(kept, pooled=features.pooled, grid=features.grid)
    with np.load(kept) as saved:
        features = Features(saved["pooled"], saved["grid"])
    chosen = np.random.default_rng(1).permutation(len(queries))[:QUERIES]
    return entries, features, [queries[n] for n in chosen]


def made_entries(real: Features, sources: np.ndarray, total: int) -> Iterator[tuple[list[GalleryEntry], Features]]:
    """So many entries made of real ones, a part at a time."""
    rng = np.random.default_rng(2)
    grids = torch.from_numpy(real.grid[sources].astype(np.float32))
    cells = grids.shape[-1]
    weights = _region_weights(cells)
    for start in range(0, total, PART):
        count = min(PART, total - start)
        pooled, out = [], []
        for begin in range(0, count, 512):
            size = min(512, count - begin)
            one, other, another = (torch.from_numpy(rng.integers(len(sources), size=size)) for _ in range(3))
            share = torch.from_numpy(rng.uniform(0.3, 0.9, size).astype(np.float32))[:, None, None, None]
            grid = torch.nn.functional.normalize(grids[one] + share * (grids[other] - grids[another]), dim=1)
            regions = weights @ grid.flatten(2).transpose(1, 2)
            pooled.append(torch.nn.functional.normalize(regions.transpose(1, 2).flatten(1), dim=1).numpy())
            out.append(grid.half().numpy())
        numbers = range(start, start + count)
        sides = ("obverse", "reverse")
        entries = [
            GalleryEntry(
                f"made {n}", f"made {n // 2}", sides[n % 2], sale=f"sale {n // 500}", weight_g=2.0 + n % 97 / 40
            )
            for n in numbers
        ]
        yield entries, Features(np.concatenate(pooled), np.concatenate(out))


def read_crop(entry: str) -> Image:
    """A crop to verify an entry with, read from a file as that of a store is; of one that was made any coin's."""
    euro = SHARED / "data" / "euro_same_coin"
    if entry.startswith("euro "):
        with (euro / "labels.csv").open() as stream:
            return crop_coin(
                read_image(next(euro / row["file"] for row in csv.DictReader(stream) if row["coin_id"] == entry[5:]))
            )
    image = read_image(SHARED / "data" / "toulouse" / "toulouse_1_1.jpg")
    return crop_coin(np.ascontiguousarray(image[:, : image.shape[1] // 2]))


def memory_gb() -> str:
    """Memory of this process now: its own, and with what is mapped of files; and the most it ever had."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    own, mapped = (int(status[name].split()[0]) / 1e6 for name in ("RssAnon", "VmRSS"))
    return (
        f"{own:.2f} GB ({mapped:.2f} with files, peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f})"
    )


def exact_shortlists(index: FaissIndex, asked: list[np.ndarray], count: int) -> list[set[str]]:
    """The entries nearest by features that are neither reduced nor rounded further: every one is compared."""
    rows = np.arange(len(index))
    best = np.empty((len(asked), len(rows)), np.float32)
    stacked, bounds = np.concatenate(asked), np.cumsum([len(each) for each in asked])[:-1]
    for start in range(0, len(rows), 8192):
        scores = stacked @ index._vectors(rows[start : start + 8192]).T
        best[:, start : start + 8192] = [part.max(axis=0) for part in np.split(scores, bounds)]
    return [{e.entry_id for e in index.entries(np.argsort(-each, kind="stable")[:count])} for each in best]


def measure(index: CatalogueIndex, embedder: Embedder, queries: list[tuple[str, Path]], exact_to: int) -> None:
    """Search for each query, verify, and compare with the exact search."""
    crops = {path: crop_coin(read_image(path)) for _, path in queries}
    matcher = CoinMatcher(embedder, index, read_crop=read_crop)
    probability = Probability.from_card(embedder.card)
    turned = [matcher.extract([View(crops[path])]) for _, path in queries]
    matcher.match([View(crops[queries[0][1]])], probability, lambda names: CoinLinks())  # once, to have all loaded
    searches, filtered, answers, found, first = [], [], [], [], 0
    for (coin, path), features in zip(queries, turned, strict=True):
        begun = time.perf_counter()
        rows = index.search(features.pooled, SHORTLIST)
        searches.append(time.perf_counter() - begun)
        found.append([entry.entry_id for entry in index.entries(rows)])
        begun = time.perf_counter()
        index.search(features.pooled, SHORTLIST, Where(side="obverse", weight_g=(2.5, 3.0)))
        filtered.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        ranked = matcher.match([View(crops[path])], probability, lambda names: CoinLinks())
        answers.append(time.perf_counter() - begun)
        first += bool(ranked) and ranked[0].scored.coin == coin
    there = sum(coin in each for (coin, _), each in zip(queries, found, strict=True))
    print(
        f"search of all turns: median {1e3 * statistics.median(searches):.0f} ms, longest {1e3 * max(searches):.0f} ms"
    )
    print(f"the same, filtered by side and weight: median {1e3 * statistics.median(filtered):.0f} ms")
    print(f"verified answer: median {statistics.median(answers):.2f} s, longest {max(answers):.2f} s")
    print(f"the coin is in the shortlist of {there} of {len(queries)}, first of {first}")
    if isinstance(index, FaissIndex) and exact_to:
        exact = exact_shortlists(index, [each.pooled for each in turned[:exact_to]], 100)
        share = [len(best & set(each[:100])) / 100 for best, each in zip(exact, found, strict=False)]
        wide = [len(best & set(each)) / 100 for best, each in zip(exact, found, strict=False)]
        print(f"of the exact search's first 100: {np.mean(share):.4f} in the first 100, {np.mean(wide):.4f} in all")
    print(f"memory: {memory_gb()}")


def main() -> None:
    """Build, if it is not there yet, and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("entries", type=int)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--milvus", type=Path)
    parser.add_argument("--exact", type=int, default=QUERIES, help="queries compared with the exact search")
    options = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    options.folder.mkdir(parents=True, exist_ok=True)
    embedder = Embedder.load()
    entries, features, queries = real_entries(embedder, options.folder)
    folder = options.folder / str(options.entries)

    def open_index() -> CatalogueIndex:
        return MilvusIndex(embedder.id, str(options.milvus)) if options.milvus else FaissIndex.open(folder, embedder.id)

    index = open_index()
    if len(index) < options.entries:
        asked = {coin for coin, _ in queries}
        sources = np.array([n for n, entry in enumerate(entries) if entry.coin not in asked])
        index.remove(index.keys())
        begun, seconds = time.perf_counter(), 0.0
        index.add(entries, features)
        for made, these in made_entries(features, sources, options.entries - len(entries)):
            since = time.perf_counter()
            index.add(made, these)
            seconds += time.perf_counter() - since
        since = time.perf_counter()
        index.tidy()
        tidied = time.perf_counter() - since
        print(f"added in {seconds:.0f} s, made ready in {tidied:.0f} s; {memory_gb()}", flush=True)
        print(f"(with making them {time.perf_counter() - begun:.0f} s)", flush=True)
    begun = time.perf_counter()
    del index
    index = open_index()
    print(f"{len(index)} entries opened in {time.perf_counter() - begun:.2f} s")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"disk: {size / 1e9:.2f} GB")
    measure(index, embedder, queries, options.exact)


if __name__ == "__main__":
    main()
