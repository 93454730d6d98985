"""What a store can do without is found and removed; frames never."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from capture.store import Store
from capture.store.garbage import find_garbage, remove_garbage
from capture.store.journal_lines import StoreCleaned
from capture.store.rebuild import rebuild
from capture.store.records import Frame, NewEntry
from tests.capture.conftest import BLURRED, PLAN, TRAY, add_frame, small_image

Fill = Callable[[int], tuple[str, list[Frame]]]


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for kind in ("files", "records")
        for path in sorted((folder / kind).rglob("*"))
        if path.is_file() and "journal" not in path.parts
    }


def test_everything_superfluous_goes_and_nothing_else(folder: Path) -> None:
    with Store.open(folder) as store:
        session = store.sessions.begin_scan(TRAY, PLAN)
        frames = [
            add_frame(store, session.id, shot, seed, quarantine_reasons=BLURRED if seed else (), calibrated=None)
            for seed, shot in enumerate(store.sessions.missing_shots(session.id)[:3])
        ]
        entries = store.catalogue.add_entries(
            [NewEntry(f"R{n}", small_image(60 + n), f"{n}.jxl", "x") for n in range(2)]
        )
        for model, name in (("m1", "starter"), ("m2", "starter"), ("m3", "other")):
            store.embeddings.add_model(model, name, {})
            pooled, grid = np.zeros((2, 8), np.float32), np.zeros((2, 2, 3, 3), np.float16)
            store.embeddings.add(model, [entry.id for entry in entries], pooled, grid)
        store.catalogue.remove_entries(store.catalogue.entries("R1"))
        lost = store.storage.files.set_aside(
            store.storage.files.path(store.storage.files.keep(small_image(99))[0].sha256, ".jxl")
        )
    rebuild(folder)
    with Store.open(folder) as store:
        store.embeddings.add("m1", [entry.id for entry in entries], pooled, grid)
        store.embeddings.add("m2", [entry.id for entry in entries], pooled, grid)
    (folder / "tmp" / "0123").write_bytes(b"half a pic")
    before = hashes(folder)
    with Store.open(folder, writing=False) as store:
        young = {each.kind: each.count for each in find_garbage(store.storage)}
        waste = find_garbage(store.storage, keep_days=0)
    assert young == {"half written": 1, "set aside": 0, "former index": 0, "embedding": 3}
    assert {each.kind: each.count for each in waste} == {
        "half written": 1,
        "set aside": 1,
        "former index": 1,
        "embedding": 3,
    }
    assert [each.bytes for each in waste if each.kind == "embedding"] == [3 * (8 * 4 + 18 * 2)]
    assert lost.exists()
    with Store.open(folder, alone=True) as store:
        remove_garbage(store.storage, waste)
        assert not lost.exists()
        assert sum(each.count for each in find_garbage(store.storage, keep_days=0)) == 0
        assert store.frames.find(good=None) == frames
        assert store.embeddings.image_ids("m2") == {entries[0].id}
        assert store.verify() == []
        line = store.journal.last(StoreCleaned)
        assert line is not None
        assert set(line.bytes) == {"half written", "set aside", "former index", "embedding"}
    assert hashes(folder) == before


def test_what_a_living_writer_is_writing_is_no_waste(store: Store, folder: Path) -> None:
    (folder / "tmp" / "0123").write_bytes(b"half a pic")
    assert [each.count for each in find_garbage(store.storage, 0)] == [0, 0, 0, 0]
