"""From how many entries on the rough search is faster than comparing every entry: `models.matching.faiss_index.EXACT`.

    RIG_SHARED=shared python -m tests.bench.catalogue_threshold 10000 20000 40000 --folder /tmp/scale

Vectors and queries are those of `tests.bench.catalogue_scale`; grids, which the search does not read, are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from models.embedding.embedder import Embedder, Features
from models.matching import faiss_index
from models.matching.faiss_index import FaissIndex
from models.matching.gallery import Where
from models.matching.matcher import SHORTLIST
from tests.bench.catalogue_scale import Clock, Query, made_parts, real_entries

NARROW = Where(side="obverse", weight_g=(2.5, 3.0))


def main() -> None:
    """Make an index of each size in memory, and search it both ways."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    embedder = Embedder.load()
    entries, features, queries = real_entries(embedder, options.folder)
    asked = {query.coin for query in queries}
    sources = [n for n, entry in enumerate(entries) if entry.coin not in asked]
    small = Features(features.pooled, features.grid[:, :1])
    for size in sorted(options.sizes):
        index = FaissIndex(embedder.id)
        index.add(entries, small)
        for part in made_parts(small, sources, 0, size - len(entries)):
            everything = np.arange(len(part))
            index.add(part.entries(everything), Features(part.pooled.astype(np.float32), part.grids(everything)))
        faiss_index.EXACT = 0
        ready = Clock()
        with ready:
            index.tidy()
        print(f"{size} entries; the rough search made ready: {ready}")
        for name, where in (("all", Where()), ("a side and a weight", NARROW)):
            found = {way: search(index, queries, most, where) for way, most in (("rough", 0), ("every one", size))}
            shares = [len(set(one) & set(two)) / len(two) for one, two in zip(*found.values(), strict=True)]
            print(f"  of {name}: the rough search's shortlist has {np.mean(shares):.4f} of the exact one", flush=True)


def search(index: FaissIndex, queries: list[Query], exact: int, where: Where) -> list[list[int]]:
    """What is found where so many entries are compared one by one, its time printed."""
    faiss_index.EXACT = exact
    index.search(queries[0].turned, SHORTLIST, where)
    clock, found = Clock(), []
    for query in queries:
        with clock:
            rows = index.search(query.turned, SHORTLIST, where)
        found.append(rows.tolist())
    print(f"  {'rough' if exact == 0 else 'every one compared'}: {clock}")
    return found


if __name__ == "__main__":
    main()
