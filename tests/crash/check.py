"""Whether a lab that was found after a power cut has kept what it acknowledged."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from calibration.bundle import latest
from capture.store import Store
from capture.store.files import Content
from capture.store.record_kinds import DELETION, FRAME, KINDS
from models.embedding.embedder import CARD_FILE, Embedder
from models.matching.faiss_index import FaissIndex
from tests.processes import run

Records = dict[tuple[str, str], Content]


def read_records(lab: Path) -> Records:
    """What the index says, as records have it, by kind and name."""
    with Store.open(lab / "store", writing=False) as store:
        return {(kind.name, name): content for kind in KINDS for name, content in kind.contents(store.storage.read)}


def check_reopened(lab: Path, before: Records, after: Records, promised: Iterable[Any]) -> None:
    """Recover the lab with the program, and compare it with what was there before and acknowledged since.

    Parameters
    ----------
    before, after
        What was in the index before the command, and after it.
    promised
        What the command had acknowledged when the power was cut.
    """
    promised = list(promised)
    run_well(lab, "store", "gc")  # whatever writes next puts things right
    verified = run_well(lab, "store", "verify", "--json")
    assert json.loads(verified)["problems"] == []
    _check_records(lab, before, after, promised)
    _check_catalogue(lab)
    rebuilt = json.loads(run_well(lab, "store", "rebuild", "--json"))
    assert (rebuilt["lost"], rebuilt["unfit"]) == ([], [])
    _check_records(lab, before, after, promised)
    _check_calibration(lab, [note["calibration"] for note in promised if "calibration" in note])
    _check_model(lab, [note["model"] for note in promised if "model" in note])


def check_repeated(lab: Path, args: Iterable[object], when_done: str = "") -> None:
    """Whoever finds a lab like that runs the same command again: it comes to its end, and all is well.

    Where the command had come to its end already, it may say so in these words.
    """
    (lab / "twin" / "world.json").unlink(missing_ok=True)  # where the twin's coins are is not forced onto the disk
    ran = run(*args, "--lab", lab)
    assert ran.code == 0 or (when_done and when_done in ran.err), f"{args}: {ran.out}{ran.err}"
    assert json.loads(run_well(lab, "store", "verify", "--json"))["problems"] == []


def run_well(lab: Path, *args: object) -> str:
    """Run `rig` in the lab, which has to succeed."""
    ran = run(*args, "--lab", lab)
    assert ran.code == 0, f"{args}: {ran.out}{ran.err}"
    return ran.out


def _check_records(lab: Path, before: Records, after: Records, promised: Iterable[Any]) -> None:
    found = read_records(lab)
    kept = set(before)
    lines = 0
    for note in promised:
        kept |= {(kind, name) for kind, names in note.get("records", {}).items() for name in names}
        lines = max(lines, note.get("line", 0))
    deleted = {(FRAME.name, name) for kind, name in found if kind == DELETION.name}
    assert sorted(kept - set(found) - deleted) == []
    assert [key for key in deleted if key in found] == []
    for key, content in found.items():
        known = [records[key] for records in (before, after) if key in records]
        assert not known or content in known, (key, content, known)
    with Store.open(lab / "store", writing=False) as store:
        frames = store.frames.find(good=None)
        taken = [(frame.session_id, frame.shot_id, frame.attempt) for frame in frames if frame.shot_id is not None]
        assert len(set(taken)) == len(taken)
        sources = [(frame.session_id, frame.source, frame.sha256) for frame in frames if frame.source is not None]
        assert len(set(sources)) == len(sources)
        assert lines <= max(store.journal.in_index(), default=0)


def _check_calibration(lab: Path, names: list[str]) -> None:
    assert latest(lab / "calibrations") is not None
    assert [name for name in names if not (lab / "calibrations" / name).is_dir()] == []
    if names:
        newest = latest(lab / "calibrations")
        assert newest is not None and names[-1].endswith(newest.id)


def _check_catalogue(lab: Path) -> None:
    """The whole catalogue is embedded by the model in use, and a search index is whole or is none."""
    in_use = lab / "models" / "in-use.json"
    ids = [json.loads(in_use.read_text())["id"]] if in_use.exists() else []
    with Store.open(lab / "store", writing=False) as store:
        entries = [entry.id for entry in store.catalogue.entries()]
        for folder in (lab / "catalogue").glob("*/"):
            index = FaissIndex.open(folder, folder.name)
            rows = np.arange(len(index))
            named = [entry.entry_id for entry in index.entries(rows)]
            assert len(set(named)) == len(named) and set(named) <= set(entries)
            assert folder.name not in ids or set(named) == set(entries)
            assert len(named) == 0 or np.isfinite(index.grids(rows)).all()


def _check_model(lab: Path, names: list[str]) -> None:
    if not list((lab / "models").glob(f"*/{CARD_FILE}")):
        return
    listed = json.loads(run_well(lab, "models", "list", "--json"))
    in_use = [each["model"] for each in listed if each["in_use"]]
    assert len(in_use) == 1
    assert not names or in_use == names[-1:]
    if in_use != ["starter"]:
        Embedder.load(lab / "models" / in_use[0])
