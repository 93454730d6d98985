"""The search index is killed at the durable steps of adding, correcting, removing and merging: nothing is lost."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.embedding.embedder import Features
from models.matching import faiss_index, index_folder
from models.matching.faiss_index import FaissIndex
from tests.kills import steps
from tests.kills.processes import KILLED, Kill, run
from tests.models.matching.gallery import some
from tests.pipeline.conftest import COINS, photographs  # noqa: F401 - a fixture
from tests.processes import Process

ENTRIES, PART, GONE, CALLED = 60, 4, (8, 9, 10, 11), 30


def work(folder: Path, die_at: int | None) -> None:
    """Add entries four at a time and tidy up; correct one, remove four; print what is done. Continues where it was."""
    taken = 0

    def on_step(step: steps.Step) -> None:
        nonlocal taken
        taken += 1
        if taken == die_at:
            steps.die(after=False)

    faiss_index.EXACT, faiss_index._TAIL, index_folder._TOO_MANY = 40, 10, 3
    steps.watch(folder, on_step)
    entries, features = some(ENTRIES)
    index = FaissIndex.open(folder, "m")
    index.adopt(np.array([entry.key for entry in entries]))
    for start in range(0, ENTRIES, PART):
        part = [n for n in range(start, start + PART) if entries[n].key not in set(index.keys())]
        if part and not (start == GONE[0] and (folder / "removed").exists()):
            index.add([entries[n] for n in part], Features(features.pooled[part], features.grid[part]))
        index.tidy()
        print(start + PART, flush=True)
    index.relabel([replace(entries[CALLED], coin="lot 7")])
    (folder / "removed").touch()
    index.remove([entries[n].key for n in GONE])
    index.tidy()
    print("steps", taken, flush=True)


def check(folder: Path, at_least: int) -> None:
    """The index is whole, and has what was added at least."""
    entries, features = some(ENTRIES)
    index = FaissIndex.open(folder, "m")
    found = index.entries(index.sample(ENTRIES))
    names = {entry.entry_id for entry in found}
    assert len(names) == len(found) == len(index)
    assert {entry.entry_id for n, entry in enumerate(entries[:at_least]) if n not in GONE} <= names
    for number in (0, 20, 59):
        rows = index.search(features.pooled[number : number + 1], 1)
        if entries[number].entry_id in names:
            assert index.entries(rows)[0].entry_id == entries[number].entry_id
            np.testing.assert_allclose(index.grids(rows)[0], features.grid[number], atol=0.02)


@pytest.mark.slow
def test_killed_at_any_step_nothing_that_was_added_is_lost(tmp_path: Path) -> None:
    whole = Process(work, tmp_path / "whole", None)
    assert whole.wait(60) == 0, whole.err
    taken = int(whole.out.split()[-1])
    for die_at in range(1, taken + 1, max(1, taken // 80)):
        folder = tmp_path / str(die_at)
        killed = Process(work, folder, die_at)
        assert killed.wait(60) == -9, killed.err
        check(folder, max([0, *map(int, killed.out.split())]))
        again = Process(work, folder, None)
        assert again.wait(60) == 0, (die_at, again.err)
        check(folder, ENTRIES)
        index = FaissIndex.open(folder, "m")
        assert len(index) == ENTRIES - len(GONE) and index.unlisted() == []
        assert [entry.entry_id for entry in index.of_coin("lot 7")] == [f"0-{CALLED}"]


@pytest.mark.slow
def test_a_build_that_is_killed_is_completed_by_the_same_command(own_lab: Path, photographs: Path) -> None:  # noqa: F811
    sale = own_lab.with_name("Hess 1936")
    sale.mkdir()
    shutil.copy(photographs / f"{COINS[0]}.jpg", sale / "lot 7.jpg")
    added = run(own_lab, "catalogue", "add", sale)
    assert added.code == 0, added.err
    for kill in (Kill("fsync catalogue", 2), Kill("rename catalogue", 1, after=True), Kill("rename catalogue", 2)):
        killed = run(own_lab, "catalogue", "build", kill=kill)
        assert killed.code == KILLED, (kill, killed.out, killed.err)
    built = run(own_lab, "catalogue", "build", "--json")
    assert built.code == 0 and built.json["entries"] == 14, built.err
    assert "Embedding the catalogue" not in built.err, "the second of them was killed when it was embedded"
