"""What every catalogue index does: one suite, in memory, in a folder, and in Milvus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.embedding.embedder import Features
from models.matching.faiss_index import FaissIndex
from models.matching.gallery import GalleryEntry, Where
from models.matching.index import CatalogueIndex
from models.matching.milvus_index import MilvusIndex
from pipeline.lab import natural
from tests.models.matching.gallery import some
from tests.processes import Process

Open = Callable[[], CatalogueIndex]


@pytest.fixture(params=["memory", "folder", pytest.param("milvus", marks=pytest.mark.slow)])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the index as it was left, by another process where it is kept anywhere."""
    if request.param == "memory":
        kept = FaissIndex("model-1")
        yield lambda: kept
    elif request.param == "folder":
        yield lambda: FaissIndex.open(tmp_path / "index", "model-1")
    else:
        pytest.importorskip("pymilvus", reason="Milvus is tried with `pip install 'coinlab[milvus]'`")
        pytest.importorskip("milvus_lite", reason="Milvus is tried with `pip install 'coinlab[milvus]'`")
        index = MilvusIndex("model-1", str(tmp_path / "index.db"))
        yield lambda: index
        index.close()


def test_added_in_parts_everything_is_found(reopen: Open) -> None:
    entries, features = some(40)
    assert len(reopen()) == 0 and len(reopen().search(features.pooled[:1], 5)) == 0
    for start in range(0, 40, 3):
        part = slice(start, start + 3)
        reopen().add(entries[part], Features(features.pooled[part], features.grid[part]))
        reopen().tidy()
    index = reopen()
    assert len(index) == 40 and set(index.keys()) == {entry.key for entry in entries}
    sampled = {entry.entry_id for entry in index.entries(index.sample(7))}
    assert len(sampled) == 7 and len(index.sample(99)) == 40
    assert sorted(index.coins(), key=natural) == [f"coin {n}" for n in range(20)]
    for number, entry in enumerate(entries):
        row = index.search(features.pooled[number : number + 1], 1)
        assert index.entries(row) == [entry]
        np.testing.assert_allclose(index.grids(row)[0], features.grid[number], atol=0.02)
    assert [each.entry_id for each in index.of_coin("coin 4")] == ["0-8", "0-9"] and index.of_coin("coin 99") == []
    asked = some(3, seed=9)[1].pooled
    found = index.entries(index.search(asked, 7))
    nearest = np.argsort(-(asked @ features.pooled.T).max(axis=0))[:7]
    assert found == [entries[n] for n in nearest], "the nearest to any of the queries, the most similar first"


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Where(side="obverse"), lambda entry: entry.side != "reverse"),
        (Where(sales=("sale 1", "sale 2")), lambda entry: entry.sale in ("sale 1", "sale 2")),
        (Where(metal="AR"), lambda entry: entry.metal in ("silver", "AR")),
        (Where(weight_g=(3.1, 3.4)), lambda entry: entry.weight_g is not None and 3.1 <= entry.weight_g <= 3.4),
        (Where(days=("1936", "1937-05")), lambda entry: entry.date in ("1936", "1936-03-18", "1937-01")),
        (Where(but_coin="coin 3"), lambda entry: entry.coin != "coin 3"),
        (Where(side="reverse", metal="Gold", weight_g=(3.0, 3.5)), lambda entry: entry.entry_id == "0-1"),
        (Where(sales=("no such sale",)), lambda entry: False),
    ],
)
def test_a_search_finds_what_may_be_found_and_nothing_else(
    reopen: Open, where: Where, expected: Callable[[GalleryEntry], bool]
) -> None:
    metals, dates = ("silver", "gold", "AR", None), ("1936", "1936-03-18", "1937-01", "1938", None)
    entries, features = some(40)
    entries = [
        replace(
            entry,
            side=None if n == 12 else entry.side,
            sale=f"sale {n % 4}",
            metal=metals[n // 10] if n != 1 else "Gold",
            date=dates[n % 5],
            weight_g=None if n % 7 == 0 else 3.0 + n / 20,
        )
        for n, entry in enumerate(entries)
    ]
    reopen().add(entries, features)
    index = reopen()
    wanted = {entry.entry_id for entry in entries if expected(entry)}
    assert index.count(where) == len(wanted)
    found = index.entries(index.search(features.pooled[:2], 40, where))
    assert {entry.entry_id for entry in found} == wanted
    assert len(index.search(features.pooled[:2], 2, where)) == min(2, len(wanted))


def test_an_entry_is_added_once(reopen: Open) -> None:
    entries, features = some(10)
    reopen().add(entries, features)
    with pytest.raises(ValueError, match="already"):
        reopen().add(entries[3:4], Features(features.pooled[:1], features.grid[:1]))
    with pytest.raises(ValueError, match="features"):
        reopen().add([GalleryEntry("new", "new")], features)
    assert len(reopen()) == 10


def test_removed_entries_are_gone_and_may_be_added_again(reopen: Open) -> None:
    entries, features = some(10)
    reopen().add(entries, features)
    assert reopen().remove([entries[2].key, entries[5].key, 7]) == 2
    index = reopen()
    assert len(index) == 8 == len(index.keys()) and index.of_coin("coin 1") == [entries[3]]
    kept = [n for n in range(10) if n not in (2, 5)]
    assert {entry.entry_id for entry in index.entries(index.search(features.pooled, 10))} == {f"0-{n}" for n in kept}
    reopen().add(entries[2:3], Features(features.pooled[2:3], features.grid[2:3]))
    index = reopen()
    assert index.entries(index.search(features.pooled[2:3], 1)) == [entries[2]]


def test_corrected_entries_keep_their_features(reopen: Open) -> None:
    entries, features = some(10)
    reopen().add(entries, features)
    corrected = [replace(entries[n], coin="lot 7", sale="Hess 1936", weight_g=3.9) for n in (1, 6)]
    assert reopen().relabel([*corrected, GalleryEntry("never", "there")]) == 2
    index = reopen()
    assert len(index) == 10 and index.of_coin("lot 7") == corrected
    row = index.search(features.pooled[6:7], 1, Where(sales=("Hess 1936",)))
    assert index.entries(row) == [corrected[1]]
    np.testing.assert_allclose(index.grids(row)[0], features.grid[6], atol=0.02)


@pytest.mark.slow
def test_of_ten_thousand_entries_it_does_the_same(reopen: Open) -> None:
    entries, features = some(10_000)
    entries = [replace(entry, sale=f"sale {n % 20}", weight_g=2.0 + n % 97 / 40) for n, entry in enumerate(entries)]
    for start in range(0, 10_000, 2500):
        part = slice(start, start + 2500)
        reopen().add(entries[part], Features(features.pooled[part], features.grid[part]))
    reopen().tidy()
    index = reopen()
    assert len(index) == 10_000 and set(index.keys()) == {entry.key for entry in entries}
    assert len(index.coins()) == 5000 and len(index.sample(999)) == 999
    asked = some(3, seed=9)[1].pooled
    order = np.argsort(-(asked @ features.pooled.T).max(axis=0))
    found = index.entries(index.search(asked, 300))
    both = {each.key for each in found} & {entries[n].key for n in order[:300]}
    assert len(found) == 300 and len(both) >= 297, "all but those that half precision cannot tell apart"
    where = Where(side="obverse", sales=("sale 2", "sale 4"), weight_g=(3.0, 3.5))
    wanted = [n for n, each in enumerate(entries) if n % 20 in (2, 4) and 3.0 <= (each.weight_g or 0) <= 3.5]
    assert index.count(where) == len(wanted)
    narrowed = {each.key for each in index.entries(index.search(asked, len(wanted), where))}
    assert narrowed == {entries[n].key for n in wanted}
    with pytest.raises(ValueError, match="already"):
        reopen().add(entries[9999:], Features(features.pooled[:1], features.grid[:1]))
    assert reopen().remove([entry.key for entry in entries[5000:6000]]) == 1000
    assert reopen().relabel([replace(entry, coin="lot 7") for entry in entries[:1200]]) == 1200
    index = reopen()
    assert len(index) == 9000 and len(index.of_coin("lot 7")) == 1200 and index.of_coin("coin 2600") == []
    (row,) = index.search(features.pooled[1100:1101], 1)
    np.testing.assert_allclose(index.grids(np.array([row]))[0], features.grid[1100], atol=0.02)
    assert index.entries(np.array([row]))[0].coin == "lot 7"


def add_in_milvus(path: Path) -> None:
    """Add ten entries, and end."""
    index = MilvusIndex("model-1", str(path))
    index.add(*some(10))
    index.close()


@pytest.mark.slow
def test_in_milvus_other_processes_find_what_one_has_added(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite", reason="Milvus is tried with `pip install 'coinlab[milvus]'`")
    adding = Process(add_in_milvus, tmp_path / "index.db")
    assert adding.wait(120) == 0, adding.err
    index, (entries, features) = MilvusIndex("model-1", str(tmp_path / "index.db")), some(10)
    assert len(index) == 10 and index.entries(index.search(features.pooled[3:4], 1)) == [entries[3]]
    index.close()
