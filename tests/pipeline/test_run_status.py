"""Looking on from another terminal: `rig status`. What a running and a killed batch show is in test_batch.py."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import re
import signal
from pathlib import Path
from typing import Any

from tests.pipeline.conftest import Rig, with_faults
from tests.pipeline.scanning.test_scan import SCAN, wait_for_frames
from tests.pipeline.scanning.test_unattended import set_speed
from tests.processes import Command, run


def fill_the_disk_for_the_status() -> None:
    """From the second time on, there is no room for another status."""
    from pipeline import run_status

    writes, write = itertools.count(1), run_status.write_atomically

    def fail(*args: Any, **how: Any) -> None:
        if next(writes) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(*args, **how)

    run_status.write_atomically = fail


def test_a_lab_in_which_nothing_was_scanned_says_so(rig: Rig, lab: Path) -> None:
    assert "Nothing was scanned" in rig("status", "--lab", lab).out
    seen = rig("status", "--lab", lab, "--json").json
    assert seen["state"] == "nothing yet" and not seen["unfinished"]
    assert {seen[key] for key in ("holder", "status", "alarm", "coin_out")} == {None}


def test_what_a_failed_scan_came_to_and_how_it_resumes(rig: Rig, short_lab: Path) -> None:
    lab = short_lab
    with_faults(lab, "{kind: unplugged, device: turntable, after_messages: 20}")
    failed = rig(*SCAN, RIG_LAB=str(lab))
    assert failed.code == 1
    seen = rig("status", "--lab", lab, "--json").json
    assert seen["state"] == "ended" and seen["holder"] is None
    status = seen["status"]
    assert status["command"].startswith("rig scan --tray 1") and status["batch"] is None
    assert status["ended"]["state"] == "failed" and "turntable" in status["ended"]["why"]
    assert [each["tray"] for each in seen["unfinished"]] == ["1"]
    assert seen["unfinished"][0]["command"] == f"rig scan --tray 1 --no-identify --lab {lab}", "it is of this lab"
    log = Path(status["log"]).read_text()
    assert status["session"] in log and "ERROR Ended: failed." in log and "Traceback" not in log
    printed = rig("status", RIG_LAB=str(lab)).out
    assert "failed" in printed and "turntable" in printed
    assert "Resume with `rig scan --tray 1 --no-identify`." in printed, "$RIG_LAB names the lab here"


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


def test_a_suspended_scan_and_a_killed_one_are_distinguished(rig: Rig, short_lab: Path) -> None:
    set_speed(short_lab, 30)
    scan = Command(*SCAN, "--lab", short_lab)
    wait_for_frames(short_lab, scan, 1)
    scan.send_signal(signal.SIGSTOP)
    suspended = rig("status", "--lab", short_lab)
    assert "suspended" in suspended.out and f"kill -CONT {scan.pid}" in suspended.out
    scan.kill()
    scan.wait(60)
    killed = rig("status", "--lab", short_lab).out
    assert "died" in killed and "Left" not in killed, "no time is left of what has ended"
    assert re.search(r"Coin 1994\.\d of slot \d ", killed) and "Leave it there" in killed


def test_how_a_scan_ended_is_known_on_a_full_disk_too(rig: Rig, tiny_lab: Path) -> None:
    assert run(*SCAN, "--lab", tiny_lab, before=fill_the_disk_for_the_status).code == 0
    assert rig("status", "--lab", tiny_lab, "--json").json["status"]["ended"]["state"] == "done"
