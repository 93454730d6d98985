"""What a catalogue of many entries costs, and what its search loses: the table in docs/catalogue.md.

    RIG_SHARED=shared python -m tests.bench.catalogue_scale 10000 --folder /tmp/scale [--milvus FILE.db]

Entries are features of real photographs (tetrarchic coins, euro coins), and as many more made of them as are wanted:
the pooled features of one photograph, moved by the difference of two others; its grid. Queries are photographs of euro
coins in another session than the one that is an entry: the truth is planted, and no entry is made of these coins. What
is there already is not made again: interrupted, the same command continues with the next part.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from calibration.image import Image, read_image
from calibration.outline import NoCoinError, crop_coin
from models.embedding.embedder import Embedder, Features
from models.matching.faiss_index import FaissIndex
from models.matching.gallery import GalleryEntry, Where
from models.matching.index import CatalogueIndex
from models.matching.matcher import SHORTLIST, CoinMatcher
from models.matching.milvus_index import MilvusIndex
from models.matching.parts import Part
from models.matching.probability import Probability
from models.matching.same_coin import CoinLinks
from models.matching.views import View, crops_at_turns

SHARED = Path(os.environ.get("RIG_SHARED", "../shared"))
PART = 131_072  # entries: as large as merging makes them
QUERIES, ROMAN_COINS = 40, 200
SIDES = ("obverse", "reverse")


@dataclass(frozen=True)
class Query:
    """A coin that is an entry, another photograph of it, and that one's pooled features at every turn."""

    coin: str
    path: Path
    turned: npt.NDArray[np.float32]


class Clock:
    """Times what is done in its blocks: on the clock, and of the processor, which a busy machine changes little."""

    def __init__(self) -> None:
        self._clock: list[float] = []
        self._processor: list[float] = []

    def __enter__(self) -> None:
        self._begun = time.perf_counter(), time.process_time()

    def __exit__(self, *ended: object) -> None:
        self._clock.append(time.perf_counter() - self._begun[0])
        self._processor.append(time.process_time() - self._begun[1])

    def __str__(self) -> str:
        median, processor = (1e3 * statistics.median(each) for each in (self._clock, self._processor))
        return f"median {median:.0f} ms ({processor:.0f} ms of processor), longest {1e3 * max(self._clock):.0f} ms"


def real_entries(embedder: Embedder, folder: Path) -> tuple[list[GalleryEntry], Features, list[Query]]:
    """Photographs as entries, of euros those of one session; and of some coins that of another session, as queries."""
    euro = SHARED / "data" / "euro_same_coin"
    first: dict[str, tuple[str, Path]] = {}
    other: dict[str, Path] = {}
    with (euro / "labels.csv").open() as stream:
        for row in csv.DictReader(stream):
            coin, placement, path = f"euro {row['coin_id']}", row["placement"], euro / row["file"]
            if first.setdefault(coin, (placement, path))[0] != placement:
                other.setdefault(coin, path)
    asked = sorted(other)[:: max(1, len(other) // QUERIES)][:QUERIES]
    kept = folder / f"real-{embedder.id}.npz"
    if not kept.is_file():
        names, crops = _roman_sides()
        names += [(coin, "") for coin in first]
        crops += [crop_coin(read_image(path)) for _, path in first.values()]
        features = embedder.embed(crops)  # without the rotation-invariant part, which the search does not use
        turned = [embedder.embed(crops_at_turns([View(crop_coin(read_image(other[coin])))])).pooled for coin in asked]
        np.savez(kept, pooled=features.pooled, grid=features.grid, turned=np.stack(turned), names=np.array(names))
    with np.load(kept) as saved:
        entries = [GalleryEntry(f"{coin} {side}".strip(), coin, side or None) for coin, side in saved["names"].tolist()]
        features, turned = Features(saved["pooled"], saved["grid"]), list(saved["turned"])
    return entries, features, [Query(coin, other[coin], seen) for coin, seen in zip(asked, turned, strict=True)]


def _roman_sides() -> tuple[list[tuple[str, str]], list[Image]]:
    names, crops = [], []
    for path in sorted((SHARED / "data" / "toulouse").rglob("*.jpg"))[:ROMAN_COINS]:
        image = read_image(path)
        half = image.shape[1] // 2
        for side, part in zip(SIDES, (image[:, :half], image[:, half:]), strict=True):
            with suppress(NoCoinError):
                crops.append(crop_coin(np.ascontiguousarray(part)))
                names.append((path.stem, side))
    return names, crops


def made_parts(real: Features, sources: list[int], begin: int, total: int) -> Iterator[Part]:
    """Entries up to so many made of real ones, a part at a time: each moved by the difference of two others."""
    source = Part.of(
        [GalleryEntry(str(n), str(n)) for n in sources], Features(real.pooled[sources], real.grid[sources])
    )
    vectors = real.pooled[sources]
    for start in range(begin, total, PART):
        rng = np.random.default_rng([2, start])
        count = min(PART, total - start)
        pooled = np.empty((count, vectors.shape[1]), np.float16)
        one, two, three = (rng.integers(len(sources), size=count) for _ in range(3))
        for begin in range(0, count, 4096):
            block = slice(begin, begin + 4096)
            share = rng.uniform(0.3, 0.9, len(one[block])).astype(np.float32)[:, None]
            moved = vectors[one[block]] + share * (vectors[two[block]] - vectors[three[block]])
            pooled[block] = moved / np.linalg.norm(moved, axis=1, keepdims=True)
        entries = [
            GalleryEntry(
                f"made {n}", f"made {n // 2}", SIDES[n % 2], sale=f"sale {n // 500}", weight_g=2.0 + n % 97 / 40.0
            )
            for n in range(start, start + count)
        ]
        yield replace(source.take(one, entries), pooled=pooled)


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


def exact_shortlists(index: FaissIndex, queries: list[Query], count: int) -> list[set[str]]:
    """The entries nearest by features that are not reduced: every one is compared."""
    best = np.empty((len(queries), len(index)), np.float32)
    asked = np.concatenate([query.turned for query in queries])
    for start in range(0, len(index), 8192):
        rows = np.arange(start, min(start + 8192, len(index)))
        scores = asked @ index.vectors(rows).T
        best[:, rows] = scores.reshape(len(queries), -1, len(rows)).max(axis=1)
    return [{e.entry_id for e in index.entries(np.argsort(-each, kind="stable")[:count])} for each in best]


def measure(index: CatalogueIndex, embedder: Embedder, queries: list[Query], answered: int, exactly: int) -> None:
    """Search for each query, compare with the exact search; and answer some of them, verified."""
    index.search(queries[0].turned, SHORTLIST)  # once, to have read what is read
    searches, filtered, found = Clock(), Clock(), []
    for query in queries:
        with searches:
            rows = index.search(query.turned, SHORTLIST)
        found.append([entry.entry_id for entry in index.entries(rows)])
        with filtered:
            index.search(query.turned, SHORTLIST, Where(side="obverse", weight_g=(2.5, 3.0)))
    there = sum(query.coin in each for query, each in zip(queries, found, strict=True))
    print(f"search, all turns: {searches}")
    print(f"the same, filtered by side and weight: {filtered}")
    print(f"the coin is in the shortlist of {there} of {len(queries)} queries", flush=True)
    print(f"memory: {memory_gb()}", flush=True)
    matcher = CoinMatcher(embedder, index, read_crop=read_crop)
    probability, answers = Probability.from_card(embedder.card), Clock()
    for query in queries[: answered + 1]:
        views = [View(crop_coin(read_image(query.path)))]
        with answers:
            matcher.match(views, probability, lambda names: CoinLinks())
    print(f"verified answer: {answers}")
    print(f"memory with the model: {memory_gb()}", flush=True)
    if isinstance(index, FaissIndex):
        exact = exact_shortlists(index, queries[:exactly], 100)
        first = [len(best & set(each[:100])) / 100 for best, each in zip(exact, found, strict=False)]
        listed = [len(best & set(each)) / 100 for best, each in zip(exact, found, strict=False)]
        in_first, in_all = f"{np.mean(first):.4f}", f"{np.mean(listed):.4f}"
        print(f"{len(exact)} queries: of the exact search's first 100 found: {in_first}; in the shortlist: {in_all}")


def main() -> None:
    """Build, if it is not there yet, and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("entries", type=int)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--milvus", type=Path, help="a file for Milvus Lite")
    parser.add_argument("--until", choices=("made", "ready", "measured"), default="measured", help="where to stop")
    parser.add_argument("--exact", type=int, default=QUERIES, help="how many queries are searched for exactly as well")
    parser.add_argument("--answers", type=int, default=8, help="how many queries are answered, verified")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    embedder = Embedder.load()
    entries, features, queries = real_entries(embedder, options.folder)
    folder = options.folder / str(options.entries)

    def open_index() -> CatalogueIndex:
        return MilvusIndex(embedder.id, str(options.milvus)) if options.milvus else FaissIndex.open(folder, embedder.id)

    index = open_index()
    if len(index) < options.entries:
        asked = {query.coin for query in queries}
        sources = [n for n, entry in enumerate(entries) if entry.coin not in asked]
        begun, cpu = time.perf_counter(), time.process_time()
        if len(index) == 0:
            index.add(entries, features)
        there = len(index) - len(entries)
        for part in made_parts(features, sources, there, options.entries - len(entries)):
            if isinstance(index, FaissIndex):
                index.leave(part, "1-1")
                index.adopt(part.labels["key"])
            else:
                everything = np.arange(len(part))
                index.add(part.entries(everything), Features(part.pooled.astype(np.float32), part.grids(everything)))
        made = options.entries - len(entries) - there
        taken, cpu = time.perf_counter() - begun, time.process_time() - cpu
        print(f"{made} made and added in {taken:.0f} s, {cpu:.0f} s of processor")
    if options.until != "made":
        begun, cpu = time.perf_counter(), time.process_time()
        index.tidy()  # of one that is ready nothing is left to be done
        print(f"made ready in {time.perf_counter() - begun:.0f} s, {time.process_time() - cpu:.0f} s of processor")
        print(f"memory while building: {memory_gb()}", flush=True)
    if options.until != "measured":
        return
    begun = time.perf_counter()
    del index
    index = open_index()
    print(f"{len(index)} entries opened in {time.perf_counter() - begun:.2f} s")
    of_files = [path for path in (options.milvus or folder).rglob("*") if path.is_file()]
    print(f"disk: {sum(path.stat().st_size for path in of_files) / 1e9:.2f} GB", flush=True)
    measure(index, embedder, queries, options.answers, options.exact)


if __name__ == "__main__":
    main()
