"""Looking on from another terminal: `rig status`. What a running and a killed batch show is in test_batch.py."""

from __future__ import annotations

import fcntl
from pathlib import Path

from tests.pipeline.conftest import SHORT_PLAN, Rig, with_faults
from tests.pipeline.scanning.test_scan import SCAN


def test_a_lab_in_which_nothing_was_scanned_says_so(rig: Rig, lab: Path) -> None:
    assert "Nothing was scanned" in rig("status", "--lab", lab).out
    seen = rig("status", "--lab", lab, "--json").json
    assert seen == {"state": "nothing yet", "holder": None, "status": None, "unfinished": []}


def test_what_a_failed_scan_came_to_and_how_it_resumes(rig: Rig, lab: Path) -> None:
    (lab / "plans" / "default.yaml").write_text(SHORT_PLAN)
    with_faults(lab, "{kind: unplugged, device: turntable, after_messages: 20}")
    failed = rig(*SCAN, "--lab", lab)
    assert failed.code == 1
    seen = rig("status", "--lab", lab, "--json").json
    assert seen["state"] == "ended" and seen["holder"] is None
    status = seen["status"]
    assert status["command"].startswith("rig scan --tray 1") and status["batch"] is None
    assert status["ended"]["state"] == "failed" and "turntable" in status["ended"]["why"]
    assert [each["tray"] for each in seen["unfinished"]] == ["1"]
    assert seen["unfinished"][0]["command"] == status["command"]
    log = Path(status["log"]).read_text()
    assert status["session"] in log and "ERROR Ended: failed." in log and "Traceback" not in log
    printed = rig("status", "--lab", lab).out
    assert "failed" in printed and "turntable" in printed and "Resume with `rig scan --tray 1" in printed


def test_a_status_that_is_no_status_and_another_command_at_the_rig_are_no_trouble(rig: Rig, lab: Path) -> None:
    (lab / "status.json").write_text('{"command": "rig scan"')
    assert rig("status", "--lab", lab, "--json").json["state"] == "nothing yet"
    with (lab / "rig.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("rig jog (process 4711, since 2026-11-20 21:00)")
        lock.flush()
        seen = rig("status", "--lab", lab, "--json").json
        assert seen["state"] == "busy" and seen["holder"].startswith("rig jog (process 4711")
        refused = rig(*SCAN, "--lab", lab)
    assert refused.code == 1 and "rig jog (process 4711" in refused.err
