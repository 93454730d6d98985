"""What is checked before a session exists is the same for a dry run, a scan and a batch."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from capture.plan import Plan
from capture.store import Store
from capture.store.records import Session
from pipeline.errors import LabError
from pipeline.lab import open_lab
from tests.pipeline.conftest import COINS, with_faults
from tests.pipeline.loop import run

SHORT = "sides: [obverse]\nlights: [az060]\nturntable_deg: [0]\n"
TILTED = SHORT + "tilt_deg: [0, 20]\n"


@pytest.fixture
def lab(lab: Path) -> Path:
    """A lab in haste, one coin to a tray."""
    (lab / "rig.yaml").write_text(re.sub(r"speed: \d+", "speed: 1000", (lab / "rig.yaml").read_text()))
    (lab / "plans" / "default.yaml").write_text(SHORT)
    for number in (1, 2):
        (lab / "trays" / f"{number}.yaml").write_text(f"slots:\n  1: {COINS[number]}\n")
    return lab


def sessions(lab: Path) -> list[Session]:
    with Store.open(lab / "store", writing=False) as store:
        return store.sessions.find("scan")


@pytest.mark.parametrize(
    ("file", "document", "complaint"),
    [
        ("plans/default.yaml", TILTED, r"default\.yaml, line 4: tilt_deg: .* camera is fixed\. Set `tilt_deg: \[0\]`"),
        ("plans/default.yaml", SHORT.replace("az060", "az999"), r"default\.yaml, line 2: lights: .* no az999"),
        ("trays/1.yaml", "slots:\n  99: 1994.1\n", r"1\.yaml, line 2: slots: There is no slot 99"),
        ("trays/1.yaml", "slots: {1: null}\n", r"1\.yaml, line 1: Every slot is empty"),
    ],
    ids=["tilt", "light", "slot", "empty"],
)
def test_what_the_rig_cannot_do_is_refused_by_every_command(
    lab: Path, file: str, document: str, complaint: str
) -> None:
    good = (lab / file).read_text()
    (lab / file).write_text(document)
    for command in (("scan", "--tray", 1), ("batch", "--trays", "1-2")):
        for dry in ((), ("--dry-run",)):
            with pytest.raises(LabError, match=complaint):
                run(*command, *dry, "--no-identify", "--lab", lab)
    assert sessions(lab) == []
    (lab / file).write_text(good)
    assert run("scan", "--tray", 1, "--no-identify", "--lab", lab).code == 0


def test_a_light_that_was_not_calibrated_and_a_full_disk_are_shown_by_a_dry_run_and_refused_by_a_scan(
    lab: Path,
) -> None:
    (lab / "rig.yaml").write_text(
        (lab / "rig.yaml")
        .read_text()
        .replace("port: twin://lightbox", "port: twin://lightbox, lights: {extra: {sectors_deg: [[0, 60]]}}")
        + "\nbatch: {keep_free_gb: 1000000}\n"
    )
    (lab / "plans" / "default.yaml").write_text(SHORT.replace("az060", "extra"))
    dry = run("scan", "--tray", 1, "--dry-run", "--lab", lab)
    assert dry.code == 0 and "Light extra is not in calibration" in dry.out and "too small" in dry.out
    for command in (("scan", "--tray", 1), ("batch", "--trays", "1")):
        with pytest.raises(LabError, match=r"Light extra is not in calibration .* Run `rig calibrate` again"):
            run(*command, "--no-identify", "--lab", lab)
    assert sessions(lab) == []


@pytest.mark.parametrize("command", [("scan", "--tray", 1), ("batch", "--trays", "1")], ids=["scan", "batch"])
def test_an_interrupted_scan_that_the_rig_cannot_finish_starts_over_with_the_corrected_plan(
    lab: Path, command: tuple[object, ...]
) -> None:
    with Store.open(lab / "store") as store:  # as version 0.1.0 began it
        trapped = store.sessions.begin_scan(open_lab(lab).tray("1"), Plan(lights=("az060",), tilt_deg=(0.0, 20.0)))
    ran = run(*command, "--no-identify", "--lab", lab, "--json")
    assert ran.code == 0, ran.err
    assert "cannot be resumed: The plan tilts the camera by 20 degrees" in ran.err and "Starting over" in ran.err
    with Store.open(lab / "store", writing=False) as store:
        assert {frame.coin_id for frame in store.frames.find()} == {COINS[1]}
        assert store.sessions.get(trapped.id).finished_at is not None
        assert store.frames.find(trapped.id) == []


def test_every_session_of_a_batch_names_every_device_also_after_one_was_recovered(lab: Path) -> None:

    with_faults(lab, "{kind: unplugged, device: lightbox, after_messages: 9, seconds: 1}")
    ran = run("batch", "--trays", "1-2", "--no-identify", "--lab", lab, "--json")
    assert ran.code == 0, ran.err
    assert 0 < ran.err.find("Connected and homed again") < ran.err.find("Tray 2.")
    kinds = [[device["kind"] for device in session.devices] for session in sessions(lab)]
    assert kinds == [["wled", "grbl", "uarm", "twin"]] * 2
    wled, grbl, uarm, _ = sessions(lab)[1].devices
    assert [device["firmware"] for device in (wled, grbl, uarm)] == ["WLED 0.15.0", "Grbl 1.1h", "V4.10.0"]
    assert (wled["settings"]["count"], grbl["settings"]["$110"], uarm["settings"]["work mode"]) == (
        "60",
        "3600.000",
        "0",
    )
