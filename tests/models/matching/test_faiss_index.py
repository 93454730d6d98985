"""The catalogue index in this process: its folder, and the rough search of many entries."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from models.embedding.embedder import Features
from models.matching import faiss_index
from models.matching.faiss_index import FaissIndex
from models.matching.gallery import Where
from models.matching.index import CatalogueIndexError
from tests.models.matching.gallery import some


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_another_model_or_damage_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    FaissIndex.open(folder, "model-1").add(*some(10))
    with pytest.raises(CatalogueIndexError, match="model-2"):
        FaissIndex.open(folder, "model-2")
    with pytest.raises(CatalogueIndexError, match="rig catalogue add"):
        FaissIndex.open(tmp_path / "nowhere", "model-1").grids(np.array([0]))
    (path,) = folder.rglob("cells.npy")
    path.write_bytes(b"nothing")
    with pytest.raises(CatalogueIndexError, match="rig catalogue build"):
        FaissIndex.open(folder, "model-1")


@pytest.mark.slow
def test_adding_a_few_writes_a_few(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    FaissIndex.open(folder, "m").add(*some(3000))
    FaissIndex.open(folder, "m").tidy()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")}
    for seed in range(1, 40):
        index = FaissIndex.open(folder, "m")
        index.add(*some(2, seed))
        index.tidy()
    assert before.items() <= {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")}.items()
    assert len(list((folder / "parts").iterdir())) <= 8, "small parts are merged"
    assert len(FaissIndex.open(folder, "m")) == 3078


def test_what_is_removed_gives_its_room_back(tmp_path: Path) -> None:
    entries, features = some(3000)
    index = FaissIndex.open(tmp_path, "m")
    index.add(entries, features)
    whole = size(tmp_path)
    index.remove([entry.key for entry in entries[:2000]])
    index.tidy()
    assert size(tmp_path) < 0.4 * whole
    again = FaissIndex.open(tmp_path, "m")
    assert again.entries(again.search(features.pooled[2500:2501], 1)) == [entries[2500]]


def test_parts_of_other_machines_are_taken_over(tmp_path: Path) -> None:
    entries, features = some(30)
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, rows in ((here, slice(0, 12)), (there, slice(8, 30))):
        FaissIndex.open(folder, "m").add(entries[rows], Features(features.pooled[rows], features.grid[rows]))
    shutil.copytree(there / "parts", here / "parts", dirs_exist_ok=True)
    for name, age_s in (("damaged", 100_000), ("being copied", 0)):
        (here / "parts" / name).mkdir()
        os.utime(here / "parts" / name, (time.time() - age_s,) * 2)
    index = FaissIndex.open(here, "m")
    assert len(index) == 12, "until they are taken over"
    assert index.adopt(np.array([entry.key for entry in entries[:28]])) == 16
    again = FaissIndex.open(here, "m")
    assert set(again.keys()) == {entry.key for entry in entries[:28]} and again.unlisted() == []
    assert len(list((here / "parts").iterdir())) == 3 and (here / "parts" / "being copied").is_dir()
    assert again.entries(again.search(features.pooled[20:21], 1)) == [entries[20]]


@pytest.mark.slow
def test_the_rough_search_finds_what_the_exact_one_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss_index, "EXACT", 1000)
    monkeypatch.setattr(faiss_index, "_TAIL", 100)
    entries, features = some(2100)
    exact = FaissIndex("m")
    exact.add(entries, features)
    for start in range(0, 2100, 700):
        index = FaissIndex.open(tmp_path, "m")
        part = slice(start, start + 700)
        index.add(entries[part], Features(features.pooled[part], features.grid[part]))
        index.tidy()
    index.remove([entries[7].key])
    index.add(*some(50, seed=1))
    index.tidy()
    again = FaissIndex.open(tmp_path, "m")
    (rough,) = tmp_path.glob("coarse-*.faiss")
    asked = features.pooled[[7, 1500]]
    for where in (Where(), Where(side="obverse")):
        found = again.entries(again.search(asked, 100, where))
        best = [each for each in exact.entries(exact.search(asked, 101, where)) if each.entry_id != "0-7"][:100]
        assert len(found) == 100 and len({each.entry_id for each in found} & {each.entry_id for each in best}) >= 95
    assert again.entries(again.search(some(1, seed=1)[1].pooled, 1))[0].entry_id == "1-0", "added since"
    rough.write_bytes(rough.read_bytes()[:-1] + b"?")
    with pytest.raises(CatalogueIndexError, match="rig catalogue build"):
        FaissIndex.open(tmp_path, "m")


@pytest.mark.slow
def test_on_a_full_disk_nothing_is_lost(tmp_path: Path) -> None:
    """A limit on files stands in for the disk: what cannot be written is an error, and not the end of the process."""
    entries, features = some(3000)
    index = FaissIndex.open(tmp_path, "m")
    index.add(entries[:10], Features(features.pooled[:10], features.grid[:10]))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        with pytest.raises(OSError, match="large"):
            index.add(entries[10:], Features(features.pooled[10:], features.grid[10:]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert len(FaissIndex.open(tmp_path, "m")) == 10 and len(list((tmp_path / "parts").iterdir())) == 1
    index.add(entries[10:], Features(features.pooled[10:], features.grid[10:]))
    assert len(FaissIndex.open(tmp_path, "m")) == 3000
