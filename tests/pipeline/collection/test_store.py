"""`rig store ...`: what a person does to the store, and what is printed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import bagit
import numpy as np
import pytest

from calibration.image import read_image
from capture.store import Store
from capture.store.records import Frame, NewEntry
from tests.capture.conftest import BLURRED, PLAN, TRAY, add_frame, small_image
from tests.capture.store.old_store import unpack
from tests.kills.processes import KILLED, Kill
from tests.kills.processes import run as kill_at
from tests.pipeline.conftest import Rig
from tests.processes import Command


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A lab with nothing but a store: a scan of tray 3 with eight frames, one of them quarantined."""
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "rig.yaml").write_text("camera: {kind: twin}\n")
    with Store.open(folder / "store") as store:
        session = store.sessions.begin_scan(TRAY, PLAN)
        for seed, shot in enumerate(store.sessions.missing_shots(session.id)[:8]):
            add_frame(store, session.id, shot, seed, quarantine_reasons=BLURRED if seed == 3 else ())
        store.catalogue.add_entries([NewEntry("RIC 1", small_image(99), "a.jxl", "sale 12")])
    return folder


def frames(lab: Path) -> list[Frame]:
    with Store.open(lab / "store", writing=False) as store:
        return store.frames.find(good=None)


def test_verify_says_that_all_is_well_and_what_is_not(lab: Path, rig: Rig) -> None:
    ran = rig("store", "verify", "--lab", lab)
    assert (ran.code, ran.out) == (0, "8 frames and 1 catalogue entry checked: clean.\n")
    with Store.open(lab / "store", writing=False) as store:
        path = store.path(store.frames.find()[0].sha256)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    ran = rig("store", "verify", "--json", "--lab", lab)
    assert ran.code == 1
    assert [(each["kind"], each["what"]) for each in ran.json["problems"]] == [("damaged", str(path))]


def test_rebuild_compares_and_keeps_the_former_index(lab: Path, rig: Rig) -> None:
    before = frames(lab)
    ran = rig("store", "rebuild", "--dry-run", "--json", "--lab", lab)
    assert ran.code == 0, ran.err
    assert ran.json["rows"]["frame"] == {"before": 8, "after": 8}
    assert ran.json["former"] is None
    ran = rig("store", "rebuild", "--lab", lab)
    assert ran.code == 0, ran.err
    assert "The index was rebuilt from the files." in ran.out
    assert len(list((lab / "store").glob("index.*Z.sqlite"))) == 1
    assert frames(lab) == before
    record = lab / "store" / "records" / "frame" / before[0].session_id / f"{before[0].id}.json"
    record.unlink()
    ran = rig("store", "rebuild", "--lab", lab)
    assert (ran.code, record.exists()) == (0, True)
    assert f"The record of frame {before[0].id}, which was damaged or gone, was written again" in ran.err
    record.unlink()
    with Store.open(lab / "store", writing=False) as store:
        store.path(before[0].sha256).unlink()
    ran = rig("store", "rebuild", "--lab", lab)
    assert ran.code == 3
    assert f"frame {before[0].id} was in the old index, but its record" in ran.err


def test_a_damaged_index_leads_to_rebuild(lab: Path, rig: Rig) -> None:
    before = frames(lab)
    (lab / "store" / "index.sqlite").write_bytes(b"no database")
    ran = rig("store", "verify", "--lab", lab)
    assert ran.code == 1
    assert "`rig store rebuild` rebuilds it" in ran.err
    assert rig("store", "rebuild", "--lab", lab).code == 0
    assert frames(lab) == before


def test_export_makes_a_bag_of_what_is_named(lab: Path, rig: Rig, tmp_path: Path) -> None:
    ran = rig("store", "export", tmp_path / "bag", "--tray", "3", "--lab", lab)
    assert ran.code == 0, ran.err
    assert "Exported 7 frames (14 files, " in ran.out
    assert bagit.Bag(str(tmp_path / "bag")).is_valid()
    ran = rig("store", "export", tmp_path / "bag", "--lab", lab)
    assert ran.code == 1
    assert "is not empty" in ran.err
    ran = rig(
        "store", "export", tmp_path / "plain", "--no-bag", "--quarantined", "--coin", "2024.1.1", "--json", "--lab", lab
    )
    assert (ran.code, ran.json["frames"]) == (0, 8)
    assert len(json.loads((tmp_path / "plain" / "frames.json").read_text())) == 8
    for format_, head in (("tiff", b"II*"), ("jpeg", b"\xff\xd8")):
        out = tmp_path / format_
        ran = rig("store", "export", out, "--no-bag", "--format", format_, "--lab", lab, "--json")
        assert (ran.code, ran.json["frames"]) == (0, 7), ran.err
        images = sorted(out.rglob(f"*.{format_}"))
        assert len(images) == ran.json["pictures"] == 14
        assert all(path.read_bytes().startswith(head) for path in images)
        assert format_.upper() in (out / "README.txt").read_text()
    with Store.open(lab / "store", writing=False) as store:
        first = store.frames.find()[0]
        (tiff,) = (
            path for path in (tmp_path / "tiff").rglob("*.raw.tiff") if path.stem.split("_")[-1][:8] == first.id[:8]
        )
        assert np.array_equal(read_image(tiff), store.image(first.sha256)), "without loss"
    ran = rig("store", "export", tmp_path / "none", "--coin", "2024.9.9", "--lab", lab)
    assert ran.code == 1
    assert "no frame matches coin 2024.9.9" in ran.err


def test_gc_says_first_and_then_removes(lab: Path, rig: Rig) -> None:
    assert rig("store", "rebuild", "--lab", lab).code == 0
    (index,) = (lab / "store").glob("index.*Z.sqlite")
    before = frames(lab)
    ran = rig("store", "gc", "--dry-run", "--json", "--older-than-days", 0, "--lab", lab)
    assert ran.json["kinds"]["former index"] == {"count": 1, "bytes": index.stat().st_size}
    assert ran.json["removed"] is False
    assert index.exists()
    ran = rig("store", "gc", "--older-than-days", 0, "--lab", lab)
    assert ran.code == 0, ran.err
    assert "removed. No frame was touched." in ran.out
    assert not index.exists()
    assert frames(lab) == before
    assert rig("store", "verify", "--lab", lab).code == 0


@pytest.mark.parametrize("step", ["remove store/files", "remove store/records/frame", "COMMIT store/index.sqlite"])
def test_a_deletion_that_was_killed_is_finished_by_the_same_command(lab: Path, step: str) -> None:
    args = ("store", "delete", "--coin", "2024.1.1", "--why", "not ours", "--yes")
    marks = len(frames(lab))
    assert kill_at(lab, *args, kill=Kill(step, 3)).code == KILLED
    for _ in range(2):  # the second time nothing is left to do
        ran = kill_at(lab, *args)
        assert ran.code == 0, ran.err
    assert (marks, frames(lab)) == (8, [])
    assert kill_at(lab, "store", "verify").code == 0


def test_delete_needs_a_name_a_reason_and_a_yes(lab: Path, rig: Rig) -> None:
    before = frames(lab)
    assert rig("store", "delete", "--lab", lab).code == 2
    ran = rig("store", "delete", "--why", "test", "--lab", lab)
    assert (ran.code, "name what to delete" in ran.err) == (2, True)
    ran = rig("store", "delete", "--why", " ", "--yes", "--frame", before[0].id, "--lab", lab)
    assert (ran.code, "--why: give the reason" in ran.err) == (2, True)
    ran = rig("store", "delete", "--why", "test", "--frame", before[0].id, "--lab", lab)
    assert (ran.code, "give --yes as well" in ran.err) == (2, True)
    ran = rig("store", "delete", "--why", "test", "--coin", "2024.1.1", "--dry-run", "--json", "--lab", lab)
    assert (ran.json["deleted"], len(ran.json["frames"])) == (False, 8)
    assert frames(lab) == before
    ran = rig("store", "delete", "--why", "a thumb", "--yes", "--frame", before[0].id, "--lab", lab)
    assert ran.code == 0, ran.err
    assert "Deleted 1 frame for good." in ran.out
    assert frames(lab) == before[1:]
    assert rig("store", "rebuild", "--lab", lab).code == 0
    assert frames(lab) == before[1:]
    assert rig("store", "verify", "--lab", lab).code == 0


def test_who_has_the_store_is_named(lab: Path, rig: Rig) -> None:
    with Store.open(lab / "store"):
        for args in (("rebuild",), ("gc",), ("delete", "--coin", "2024.1.1", "--why", "test", "--yes")):
            ran = rig("store", *args, "--lab", lab)
            assert ran.code == 1
            assert f"(pid {os.getpid()})" in ran.err
        assert rig("store", "verify", "--lab", lab).code == 0
        assert rig("store", "gc", "--dry-run", "--lab", lab).code == 0


def test_an_export_that_was_interrupted_is_no_export(lab: Path, rig: Rig, tmp_path: Path) -> None:
    with Store.open(lab / "store") as store:
        session = store.sessions.find()[0]
        big = small_image(1, 600)
        for seed, shot in enumerate(store.sessions.missing_shots(session.id)):
            add_frame(store, session.id, shot, seed, attempt=2, raw=big + bytes(seed), calibrated=None)
    target = tmp_path / "bag"
    process = Command("store", "export", target, "--lab", lab)
    while not (tmp_path / ".bag.partial").exists() and process.poll() is None:
        pass
    process.kill()
    process.wait()
    assert not target.exists()
    assert rig("store", "export", target, "--lab", lab).code == 0
    assert bagit.Bag(str(target)).is_valid()
    assert not (tmp_path / ".bag.partial").exists()


def test_a_store_of_version_0_1_is_brought_forward(lab: Path, rig: Rig, tmp_path: Path) -> None:
    shutil.rmtree(lab / "store")
    unpack("0.1.0", lab)
    ran = rig("store", "verify", "--lab", lab)
    assert (ran.code, ran.out) == (0, "15 frames and 4 catalogue entries checked: clean.\n")
    assert rig("store", "export", tmp_path / "bag", "--lab", lab).code == 3  # its calibration is not in this lab
