"""The catalogue index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.embedding.embedder import Features
from models.matching.index import CatalogueIndexError, FaissIndex, GalleryEntry


def some(count: int, seed: int = 0) -> tuple[list[GalleryEntry], Features]:
    """Entries with random features, two sides a coin."""
    rng = np.random.default_rng(seed)
    pooled = rng.normal(0, 1, (count, 8)).astype(np.float32)
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True) + 1e-9
    entries = [GalleryEntry(f"{seed}-{n}", f"coin {n // 2}", ("obverse", "reverse")[n % 2]) for n in range(count)]
    return entries, Features(pooled, rng.normal(0, 1, (count, 8, 3, 3)).astype(np.float16))


def filled(count: int = 10) -> tuple[FaissIndex, Features]:
    index = FaissIndex("model-1")
    entries, features = some(count)
    index.add(entries, features)
    return index, features


def test_built_a_part_at_a_time_it_is_the_index_of_all(tmp_path: Path) -> None:
    index, features = filled(10)
    parts = [Features(features.pooled[n : n + 4], features.grid[n : n + 4]) for n in range(0, 10, 4)]
    built = FaissIndex.build(tmp_path / "index", "model-1", index.entries, parts)
    rows = np.arange(10)
    np.testing.assert_array_equal(built.grids(rows), index.grids(rows))
    assert list(built.search(features.pooled[:3], 5)) == list(index.search(features.pooled[:3], 5))
    assert len(FaissIndex.build(tmp_path / "index", "model-1", [], [])) == 0


@given(size=st.integers(1, 40), count=st.integers(1, 50), seed=st.integers(0, 99), queries=st.integers(1, 4))
def test_search_finds_what_comparing_with_everything_finds(size: int, count: int, seed: int, queries: int) -> None:
    entries, features = some(size, seed)
    index = FaissIndex("m")
    index.add(entries, features)
    asked = some(queries, seed + 100)[1].pooled
    allowed = np.arange(0, size, 2)
    expected = (asked @ features.pooled[allowed].T).max(axis=0)
    rows = index.search(asked, count, allowed)
    assert len(rows) == min(count, len(allowed))
    assert set(rows) <= set(allowed)
    reached = (asked @ features.pooled[rows].T).max(axis=0)
    assert np.allclose(reached, np.sort(expected)[::-1][: len(rows)], atol=1e-5)


def test_added_in_parts_it_is_the_same(tmp_path: Path) -> None:
    whole, features = filled()
    parts = FaissIndex("model-1")
    for at in range(0, 10, 3):
        part = slice(at, at + 3)
        parts.add(whole.entries[part], Features(features.pooled[part], features.grid[part]))
    assert list(parts.entries) == list(whole.entries)
    assert np.array_equal(parts.grids(np.arange(10)), whole.grids(np.arange(10)))


def test_an_entry_is_added_once_only() -> None:
    index, features = filled()
    with pytest.raises(ValueError, match="already"):
        index.add([index.entries[3]], Features(features.pooled[:1], features.grid[:1]))
    with pytest.raises(ValueError, match="features"):
        index.add([GalleryEntry("new", "new")], features)


def test_removed_entries_are_gone_and_the_rest_keep_their_features() -> None:
    index, features = filled()
    assert index.remove(["0-2", "0-5", "never there"]) == 2
    assert len(index) == 8
    kept = [n for n in range(10) if n not in (2, 5)]
    assert [entry.entry_id for entry in index.entries] == [f"0-{n}" for n in kept]
    assert np.array_equal(index.grids(np.arange(8)), features.grid[kept])
    for row, n in enumerate(kept):
        assert index.search(features.pooled[n : n + 1], 1)[0] == row


def test_saved_over_an_older_one_and_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    FaissIndex("older").save(folder)
    index, features = filled()
    index.save(folder)
    loaded = FaissIndex.load(folder, "model-1")
    assert list(loaded.entries) == list(index.entries)
    assert np.array_equal(loaded.grids(np.array([4, 1])), features.grid[[4, 1]])
    assert list(tmp_path.iterdir()) == [folder]
    loaded.add(*some(4, seed=5))
    assert loaded.remove(["0-0"]) == 1
    assert len(loaded) == 13


def test_an_empty_index_finds_nothing(tmp_path: Path) -> None:
    FaissIndex("m").save(tmp_path / "index")
    index = FaissIndex.load(tmp_path / "index")
    assert len(index.search(np.ones((1, 8), np.float32), 5)) == 0
    with pytest.raises(CatalogueIndexError, match="rig catalogue add"):
        index.grids(np.array([0]))


def test_an_index_of_another_model_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    filled()[0].save(folder)
    with pytest.raises(CatalogueIndexError, match="model-2"):
        FaissIndex.load(folder, "model-2")
    (folder / "grids.npy").write_bytes(b"nothing")
    with pytest.raises(CatalogueIndexError, match="rig catalogue build"):
        FaissIndex.load(folder)
    with pytest.raises(CatalogueIndexError, match="rig catalogue build"):
        FaissIndex.load(tmp_path / "nowhere")
