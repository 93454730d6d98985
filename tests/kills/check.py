"""Whether anything was lost: what a lab has to be like after any interruption, once the same command has ended."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from capture.store import Store
from capture.store.files import Files
from capture.store.records import Frame
from tests.kills.processes import run, truth_of
from tests.kills.truth import digest, read_truth

KEPT = ("coin", "tray", "slot", "file", "calibration", "session", "shot", "frame", "entry")  # tables with records
OVERWRITTEN = ("status.json.unfinished", "-same-coin.json.unfinished")  # by whoever writes the file next
ANGLE_DEG = 0.5  # between where a frame says that the plate stood and where it did


def check_readers(lab: Path) -> None:
    """What must hold at any moment, right after a kill too: no reader sees a row without its whole file."""
    if not (lab / "store" / "index.sqlite").exists():
        return
    with closing(sqlite3.connect(f"file:{lab / 'store' / 'index.sqlite'}?mode=ro", uri=True)) as index:
        if not index.execute("SELECT 1 FROM sqlite_master WHERE name = 'file'").fetchone():
            return
        kept = index.execute("SELECT sha256, suffix FROM file").fetchall()
        assert index.execute("PRAGMA foreign_key_check").fetchall() == []
    files = Files(lab / "store")
    for sha256, suffix in kept:
        files.read(sha256, suffix)


def check_lab(lab: Path) -> None:
    """What must hold of every lab when nothing is left to do."""
    verified = run(lab, "store", "verify", "--json")
    assert verified.code == 0, verified.out + verified.err
    assert verified.json["problems"] == []
    assert leftover(lab) == []
    assert tables(lab / "store") == tables(rebuilt(lab))


def check_scans(lab: Path, *trays: str) -> None:
    """What must hold of scanned trays: every shot once, of the coin it says, and every coin in its slot."""
    truth = read_truth(truth_of(lab))
    with Store.open(lab / "store", writing=False) as store:
        for tray in trays:
            (session,) = store.sessions.find("scan", tray)
            assert session.finished_at is not None
            frames = store.frames.find(session.id, good=None)
            good = Counter(frame.shot_id for frame in frames if frame.is_good)
            tries = Counter(frame.shot_id for frame in frames)
            used_up = {shot for shot, count in tries.items() if count > session.frozen_plan().retakes}
            for shot in store.sessions.shots(session.id):
                assert good[shot.id] == 1 or (not good[shot.id] and shot.id in used_up), shot
            assert set(tries) <= {shot.id for shot in store.sessions.shots(session.id)}
            assert len({(frame.shot_id, frame.attempt) for frame in frames}) == len(frames)
            assert len({frame.sha256 for frame in frames}) == len(frames)
            for frame in frames:
                _check_frame(frame, truth[digest(store.image(frame.sha256))])
            _check_report(lab, session.id, list(session.frozen_tray().coins.values()))
    reported = run(lab, "report", "--tray", trays[-1])
    assert reported.code == 0, reported.err
    assert lies_in_order(lab, trays[-1])


def lies_in_order(lab: Path, tray: str) -> bool:
    """Whether every coin of the mounted tray is truly in its slot, obverse up."""
    coins = json.loads((lab / "twin" / "world.json").read_text())["coins"]
    slots = yaml.safe_load((lab / "trays" / f"{tray}.yaml").read_text())["slots"]
    return {(coin["coin"], coin["place"], coin["slot"], coin["side"]) for coin in coins} == {
        (str(coin), "slot", slot, "obverse") for slot, coin in slots.items() if coin is not None
    }


def leftover(lab: Path) -> list[Path]:
    """Files that something half done left where it works; what was set aside in `leftovers` is not among them."""
    return [
        path
        for path in sorted(lab.rglob("*"))
        if path.parent in (lab / "store" / "tmp", lab / "store" / "writers")
        or (path.name.endswith((".tmp", ".unfinished")) and not path.name.endswith(OVERWRITTEN))
        or path.name.startswith(".unfinished")
    ]


def rebuilt(lab: Path) -> Path:
    """A store with the same files and an index made of them alone."""
    copy = lab.with_name(f"{lab.name}.rebuilt")
    shutil.rmtree(copy, ignore_errors=True)
    index = shutil.ignore_patterns("index.sqlite*", "leftovers")
    shutil.copytree(lab / "store", copy, copy_function=_link_or_copy, ignore=index)
    with Store.open(copy) as store:
        assert not [line for line in store.repairs if "is set aside" in line or "is removed" in line], store.repairs
    return copy


def tables(store: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row that is not made again from others."""
    with closing(sqlite3.connect(f"file:{store / 'index.sqlite'}?mode=ro", uri=True)) as index:
        found = {name: sorted(index.execute(f"SELECT * FROM {name}"), key=repr) for name in KEPT}
        found["event"] = list(index.execute("SELECT * FROM event WHERE kind != 'put right' ORDER BY id"))
        return found


def count_rows(store: Path) -> dict[str, int]:
    """How many rows each table has."""
    with closing(sqlite3.connect(f"file:{store / 'index.sqlite'}?mode=ro", uri=True)) as index:
        names = [name for (name,) in index.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: index.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another file system
        shutil.copy2(source, target)


def _check_frame(frame: Frame, truth: dict[str, object]) -> None:
    assert truth["coins"] == [[frame.coin_id, frame.side]], f"{frame.shot_id} shows {truth['coins']}"
    stood_deg = truth["plate_deg"]
    assert stood_deg == pytest.approx(frame.turntable_deg, abs=ANGLE_DEG) or stood_deg == pytest.approx(
        (frame.turntable_deg or 0.0) + 360.0, abs=ANGLE_DEG
    )


def _check_report(lab: Path, session_id: str, coins: list[str]) -> None:
    (report,) = (lab / "reports").glob(f"tray-*-{session_id}.html")
    page = report.read_text()
    assert page.rstrip().endswith("</html>")
    assert [coin for coin in coins if coin not in page] == []
