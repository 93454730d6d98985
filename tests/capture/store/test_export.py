"""Frames copied out of the store explain themselves, and are checked."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
from collections import namedtuple
from pathlib import Path

import bagit
import pytest

from capture.store import Store, StoreError
from capture.store.export import ExportOptions, export
from capture.store.journal_lines import Lifting
from capture.store.records import Photograph
from tests.capture.conftest import PLAN, TRAY, add_frame, small_image


@pytest.fixture
def filled(store: Store, tmp_path: Path) -> Store:
    """Four frames of a scan and a photograph of another coin; a calibration in the lab."""
    store.calibrations.add("cal1", "2026-01-01T00:00:00Z", "20260101T000000Z_cal1")
    (tmp_path / "calibrations" / "20260101T000000Z_cal1").mkdir(parents=True)
    (tmp_path / "calibrations" / "20260101T000000Z_cal1" / "bundle.yaml").write_text("id: cal1\n")
    store.coins.add("2024.1.1", "RIC 7", 19.5)
    scan = store.sessions.begin_scan(TRAY, PLAN, [{"kind": "grbl"}], "cal1")
    for seed, shot in enumerate(store.sessions.missing_shots(scan.id)[:4]):
        add_frame(store, scan.id, shot, seed, calibration_id="cal1")
    store.journal.log(Lifting(slot=1, coin="2024.1.1"), scan.id)
    other = store.sessions.begin_import("euros")
    store.frames.add_photographs(other.id, [Photograph("../c7", small_image(50), "a/1.jxl", type="10c")])
    return store


def test_a_bag_that_explains_itself(filled: Store, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    target = tmp_path / "out" / "bag"
    exported = export(
        filled,
        tmp_path / "calibrations",
        target,
        filled.frames.find(),
        progress=lambda done, total: steps.append((done, total)),
    )
    assert (exported.frames, exported.images, exported.coins, exported.sessions) == (5, 9, 2, 2)
    assert steps == [(n, 9) for n in range(1, 10)]
    assert bagit.Bag(str(target)).is_valid()
    data = target / "data"
    with (data / "frames.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row, frame in zip(rows, filled.frames.find(), strict=True):
        assert hashlib.sha256((data / row["raw"]).read_bytes()).hexdigest() == frame.sha256
        assert bool(row["calibrated"]) == (frame.calibrated_sha256 is not None)
    assert rows[0]["raw"].startswith("frames/2024.1.1/obverse/")
    assert rows[0]["raw"].endswith(f"_az000_000.0deg_{filled.frames.find()[0].id[:8]}.raw.jxl")
    assert (rows[0]["type"], rows[0]["diameter_mm"], rows[0]["light"]) == ("RIC 7", "19.5", "az000")
    full = json.loads((data / "frames.json").read_text())
    assert full[0]["camera"]["port"] == "twin://camera"
    sessions = json.loads((data / "sessions.json").read_text())
    assert len(sessions[0]["shots"]) == len(PLAN.shots(TRAY))
    assert (data / "calibrations" / "20260101T000000Z_cal1" / "bundle.yaml").exists()
    assert [json.loads(line)["kind"] for line in (data / "journal.jsonl").read_text().splitlines()] == ["lifting"]
    assert "5 frames of 2 coins out of 2 sessions" in (data / "README.txt").read_text()
    assert filled.verify() == []
    assert sorted(path.name for path in target.parent.iterdir()) == ["bag"]


def test_a_plain_folder_can_be_checked_too(filled: Store, tmp_path: Path) -> None:
    target = tmp_path / "plain"
    target.mkdir()  # an empty one will do
    exported = export(
        filled, tmp_path / "nowhere", target, filled.frames.find(coin="2024.1.1"), options=ExportOptions(bag=False)
    )
    assert exported.missing_calibrations == ("cal1",)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=target, check=True)


def test_what_cannot_be_exported_is_refused_before_it_begins(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    with pytest.raises(StoreError, match="is not empty"):
        export(filled, tmp_path, tmp_path / "full", filled.frames.find())
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(1, 1, 1000))
    with pytest.raises(StoreError, match="has room for"):
        export(filled, tmp_path, tmp_path / "new", filled.frames.find())
    assert not (tmp_path / "new").exists()


def test_a_damaged_image_is_not_passed_on(filled: Store, tmp_path: Path) -> None:
    path = filled.path(filled.frames.find()[3].sha256)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match="is damaged"):
        export(filled, tmp_path, tmp_path / "new", filled.frames.find())
    assert not (tmp_path / "new").exists()
