"""A night on the twin, as it is begun in the evening: `rig batch`."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from capture.store import Store
from capture.store.journal_lines import BatchBegan, BatchEnded, BatchLine, BatchSession, JournalLine, TrayEnded
from pipeline.assembly import Rig as BenchRig
from pipeline.assembly import assemble
from pipeline.errors import UsageError
from pipeline.lab import open_lab
from pipeline.scanning.trays import mount, next_time, tray_names
from tests.pipeline.conftest import COINS, SHORT_PLAN, Rig, command, lay_out, with_faults
from tests.pipeline.scanning.test_scan import stored, wait_for_frames
from tests.processes import Command, environment

SHOTS = 4  # of each coin
LONG_PLAN = "sides: [obverse, reverse]\nturntable_deg: 8\n"
L = TypeVar("L", bound=JournalLine)
BATCH = ("batch", "--trays", "1-2", "--no-identify")


@pytest.fixture
def night(lab: Path) -> Path:
    """A lab whose nights are short."""
    return lay_out(lab, SHORT_PLAN)


def start(lab: Path, *more: object) -> Command:
    return Command(*BATCH, "--lab", lab, *more)


def journal(lab: Path, *types: type[L]) -> list[L]:
    with Store.open(lab / "store", writing=False) as store:
        return store.journal.lines(*types)


def configure(lab: Path, lines: str) -> None:
    with (lab / "rig.yaml").open("a") as file:
        file.write(f"\n{lines}\n")


def nothing_moved(lab: Path) -> bool:
    return not (lab / "store").exists() or not stored_or_none(lab)


def stored_or_none(lab: Path) -> list[tuple[str, int]]:
    try:
        return stored(lab)
    except sqlite3.OperationalError:
        return []


def test_a_night_that_was_killed_after_its_last_shot_is_brought_to_its_end(rig: Rig, tiny_lab: Path) -> None:
    batch = ("batch", "--trays", "1", "--no-identify", "--lab", tiny_lab)
    assert rig(*batch).code == 0
    with Store.open(tiny_lab / "store") as store:  # as it was before it ended
        store.journal.log(BatchBegan(batch="killed", trays=("1",), plan="default"))
        (session,) = store.sessions.find("scan")
        store.journal.log(BatchSession(batch="killed", tray="1"), session.id)
    shutil.rmtree(tiny_lab / "store" / "records" / "finished")
    (tiny_lab / "store" / "index.sqlite").unlink()
    assert rig("store", "rebuild", "--lab", tiny_lab).code == 0
    ran = rig(*batch)
    assert ran.code == 0 and "resumes: 2 shots done" in ran.err, ran.err
    with Store.open(tiny_lab / "store", writing=False) as store:
        assert store.sessions.get(session.id).finished_at is not None


@pytest.mark.slow
def test_a_killed_night_resumes_where_it_was_and_accounts_for_every_coin(rig: Rig, night: Path) -> None:
    first = start(night)
    wait_for_frames(night, first, 3 * SHOTS + 2)  # in the second tray
    while (running := rig("status", "--lab", night, "--json").json)["status"]["tray"] != "2":
        assert first.poll() is None, first.communicate()  # its status is a moment behind its frames
    second = rig("scan", "--tray", 1, "--no-identify", "--lab", night)
    first.send_signal(signal.SIGKILL)
    first.communicate()

    assert running["state"] == "running" and running["status"]["pid"] == first.pid
    assert running["status"]["tray"] == "2" and running["status"]["shots"] == 3 * SHOTS
    assert running["status"]["command"].startswith("rig batch --trays 1-2")
    assert second.code == 1
    assert f"rig batch --trays 1-2 --no-identify --lab {night} (process {first.pid}, since" in second.err
    assert "at tray 2" in second.err

    died = rig("status", "--lab", night)
    assert died.code == 0 and "died" in died.out and "run the same command again to resume" in died.out
    assert "tray 2" in died.out and f"Resume with `rig batch --trays 1-2 --no-identify --lab {night}`" in died.out

    ran = rig(*BATCH, "--lab", night, "--json")
    assert ran.code == 0, ran.err
    assert "Resuming batch" in ran.err and "1 of 2 trays" in ran.err
    assert [count for _, count in stored(night)] == [1] * 6 * SHOTS
    assert [tray["state"] for tray in ran.json["trays"]] == ["done", "done"]
    assert [coin["coin"] for tray in ran.json["trays"] for coin in tray["coins"]] == list(COINS)
    assert {coin["frames"] for tray in ran.json["trays"] for coin in tray["coins"]} == {SHOTS}
    assert Path(ran.json["report"]).is_file() and Path(ran.json["log"]).is_file()

    lines = journal(night, BatchLine)
    assert {line.batch for line in lines} == {ran.json["batch"]}
    assert [line.kind.removeprefix("batch ") for line in lines] == [
        *("began", "session", "tray", "session"),  # and here it was killed
        *("began", "session", "tray", "ended", "report"),
    ]
    ended = rig("status", "--lab", night, "--json").json
    assert ended["state"] == "ended" and ended["status"]["ended"]["state"] == "done" and not ended["unfinished"]
    assert rig("store", "verify", "--lab", night).code == 0
    assert not list(night.glob("*.unfinished"))

    again = rig(*BATCH, "--dry-run", "--lab", night, "--json")
    assert again.json["batch"] is None and [each["tray"] for each in again.json["to_do"]] == ["1", "2"], (
        "a finished night is not resumed"
    )
    assert again.json["disk_measured"]


def test_what_does_not_fit_on_the_disk_is_not_begun(rig: Rig, night: Path) -> None:
    configure(night, "batch: {keep_free_gb: 1000000}")
    dry = rig(*BATCH, "--dry-run", "--lab", night, "--json")
    assert dry.code == 1 and dry.json["fits"] is False and dry.json["disk_bytes"] > 0
    ran = rig(*BATCH, "--lab", night)
    assert ran.code == 1
    assert ran.err.count("too small") == 1 and "are needed" in ran.err and "keep_free_gb" in ran.err
    assert nothing_moved(night) and not journal(night, BatchBegan)


def test_a_slip_in_any_tray_is_found_before_anything_moves(rig: Rig, night: Path) -> None:
    (night / "trays" / "2.yaml").write_text("slots:\n  1: 1994.4\n  99: 1994.5\n")
    ran = rig(*BATCH, "--lab", night)
    assert ran.code == 1 and "2.yaml, line 3" in ran.err and "no slot 99" in ran.err
    assert nothing_moved(night)
    ran = rig("batch", "--trays", "1,7", "--no-identify", "--lab", night)
    assert ran.code == 2 and "'7': there is no tray 7" in ran.err and "1, 2" in ran.err


def test_a_coin_that_would_not_be_back_in_time_is_not_begun(rig: Rig, night: Path) -> None:
    (night / "plans" / "default.yaml").write_text(LONG_PLAN)  # minutes for each coin
    until = datetime.now() + timedelta(seconds=75)
    ran = rig(*BATCH, "--realtime", "--until", f"{until:%H:%M}", "--lab", night, "--json")
    assert ran.code == 3, ran.err
    assert ran.json["state"] == "left over" and "time is up" in ran.json["why"]
    assert [tray["state"] for tray in ran.json["trays"]] == ["not begun", "not begun"]
    assert nothing_moved(night)
    assert [line.state for line in journal(night, BatchEnded)] == ["left over"]


def test_the_end_of_the_night_is_the_next_time_that_the_clock_shows_it() -> None:
    now = datetime(2026, 11, 20, 22, 0).astimezone()
    assert next_time("06:30", now) == datetime(2026, 11, 21, 6, 30).astimezone()
    assert next_time("22:01", now) == datetime(2026, 11, 20, 22, 1).astimezone()
    assert next_time("21:58", now) == datetime(2026, 11, 21, 21, 58).astimezone(), "past: tomorrow"
    for wrong in ("6h", "24:00", "06:60", ""):
        with pytest.raises(UsageError, match="06:30"):
            next_time(wrong, now)


def test_trays_are_named_one_by_one_and_in_ranges(made_lab: Path, tmp_path: Path) -> None:
    (tmp_path / "trays").mkdir()
    (tmp_path / "rig.yaml").write_text((made_lab / "rig.yaml").read_text())
    for name in ("1", "2", "3", "10", "bronze", "4-5"):
        (tmp_path / "trays" / f"{name}.yaml").touch()
    lab = open_lab(tmp_path)
    assert tray_names(lab, "1-3, 10,bronze,2") == ("1", "2", "3", "10", "bronze")
    assert tray_names(lab, "all") == ("1", "2", "3", "4-5", "10", "bronze")
    assert tray_names(lab, "4-5") == ("4-5",), "a tray may be called that"
    for text, part in (("1-4", "'1-4': there is no tray 4"), ("3-1", "'3-1'"), ("1,,2", "''"), ("gold", "'gold'")):
        with pytest.raises(UsageError, match="1, 2, 3, 4-5, 10, bronze") as raised:
            tray_names(lab, text)
        assert part in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_night_puts_the_coin_back_and_writes_its_report(
    rig: Rig, night: Path, number: signal.Signals
) -> None:
    batch = start(night, "--json")
    wait_for_frames(night, batch, SHOTS + 1)
    batch.send_signal(number)
    out, err = batch.communicate(timeout=120)
    assert batch.returncode == 3, err
    assert "Traceback" not in err
    assert '"state": "stopped"' in out
    assert '"place":"plate"' not in (night / "twin" / "world.json").read_text().replace(" ", "")
    assert [line.state for line in journal(night, TrayEnded)] == ["left over", "not begun"]
    assert [line.state for line in journal(night, BatchEnded)] == ["stopped"]
    assert list((night / "reports").glob("batch-*.html"))
    ended = rig("status", "--lab", night, "--json").json
    assert ended["status"]["ended"]["state"] == "stopped" and ended["unfinished"][0]["tray"] == "1"
    (night / "plans" / "default.yaml").write_text(LONG_PLAN)
    changed = rig(*BATCH, "--dry-run", "--lab", night, "--json").json
    assert changed["batch"] is not None and [each["changed"] for each in changed["to_do"]] == [["plan"], []]
    assert changed["to_do"][0]["shots"] < 3 * SHOTS, "it is resumed as it was begun"
    (night / "plans" / "default.yaml").write_text(SHORT_PLAN)
    assert rig(*BATCH, "--lab", night).code == 0
    assert [count for _, count in stored(night)] == [1] * 6 * SHOTS


@pytest.mark.slow
def test_a_night_resumes_when_its_terminal_is_closed(night: Path) -> None:
    controller, terminal = pty.openpty()
    batch = subprocess.Popen(
        command(*BATCH, "--lab", night), env=environment(), stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    reader = threading.Thread(target=drain, args=(controller,))
    reader.start()
    wait_for_frames(night, batch, 2)  # type: ignore[arg-type]
    batch.send_signal(signal.SIGHUP)
    reader.join(60)
    os.close(controller)
    assert batch.wait(timeout=300) == 0
    assert [count for _, count in stored(night)] == [1] * 6 * SHOTS


def drain(terminal: int) -> None:
    """Read what is shown until nobody shows anything there any more."""
    with contextlib.suppress(OSError):
        while os.read(terminal, 4096):
            pass


@pytest.mark.slow
def test_what_cannot_be_identified_does_not_stop_the_night_and_is_tried_again(rig: Rig, night: Path) -> None:
    assert rig(*BATCH, "--lab", night).code == 0
    with Store.open(night / "store", writing=False) as store:
        frame = store.frames.find(coin=COINS[1])[0]
        damaged = store.path(frame.calibrated_sha256 or frame.sha256)
    away = damaged.rename(night / "away")
    identify = ("batch", "--trays", "1-2", "--lab", night, "--json")
    ran = rig(*identify)
    assert ran.code == 3, ran.err
    assert [each["coin"] for each in ran.json["unidentified"]] == [COINS[1]]
    verdicts = {coin["coin"]: coin["verdict"] for tray in ran.json["trays"] for coin in tray["coins"]}
    assert verdicts.pop(COINS[1]) is None and None not in verdicts.values()
    away.rename(damaged)
    mended = rig(*identify)
    assert mended.code == 0, mended.err
    assert mended.json["batch"] == ran.json["batch"] and mended.json["unidentified"] == []
    assert [count for _, count in stored(night)] == [1] * 6 * SHOTS, "nothing was photographed again"
    (night / "trays" / "1.yaml").write_text("slots:\n  1: 1994.4\n")
    other = rig(*identify, "--dry-run").json
    assert other["batch"] is None and other["finished"] == [], "other coins: another night"


@pytest.mark.slow
def test_a_rig_that_fails_for_good_ends_the_night_and_says_so(rig: Rig, night: Path) -> None:
    document = (night / "rig.yaml").read_text()
    with_faults(night, "{kind: unplugged, device: turntable, after_messages: 20}")
    ran = rig(*BATCH, "--lab", night, "--json")
    assert ran.code == 1, ran.err
    assert ran.json["state"] == "failed" and "turntable" in ran.json["why"]
    assert [tray["state"] for tray in ran.json["trays"]] == ["left over", "not begun"]
    assert Path(ran.json["report"]).is_file()
    (night / "rig.yaml").write_text(document)
    mended = rig(*BATCH, "--lab", night, "--json")
    assert mended.code == 0 and mended.json["batch"] == ran.json["batch"], mended.err
    assert [count for _, count in stored(night)] == [1] * 6 * SHOTS


@pytest.mark.slow
def test_memory_does_not_grow_over_a_night(rig: Rig, night: Path) -> None:
    for tray in range(3, 9):
        slots = "".join(f"  {slot}: {tray}.{slot}\n" for slot in (1, 2, 3))
        (night / "trays" / f"{tray}.yaml").write_text(f"slots:\n{slots}")
    document = (night / "rig.yaml").read_text()
    (night / "rig.yaml").write_text(re.sub(r"coins: .*", "coins: procedural", document, count=1))
    batch = Command("batch", "--trays", "3-8", "--no-identify", "--lab", night)
    resident_kb: dict[str, int] = {}
    while batch.poll() is None:
        seen = rig("status", "--lab", night, "--json").json["status"]
        if seen is not None and seen["tray"] is not None and seen["ended"] is None:
            fields = (Path("/proc") / str(batch.pid) / "status").read_text().split("VmRSS:")
            resident_kb[seen["tray"]] = int(fields[1].split()[0]) if len(fields) > 1 else 0
        time.sleep(0.2)
    assert batch.returncode == 0
    assert resident_kb["8"] < 1.15 * resident_kb["4"], resident_kb


@pytest.fixture
def by_hand(night: Path) -> BenchRig:
    """A rig at which a person changes the trays: the twin's devices without its technician."""
    return replace(assemble(open_lab(night), realtime=False), world=None)


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """What is written to it is typed at this process's terminal."""
    controller, terminal = pty.openpty()
    with os.fdopen(terminal, closefd=True) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield controller
    os.close(controller)


def test_a_person_is_asked_for_the_next_tray_and_not_waited_for_all_night(
    night: Path, by_hand: BenchRig, keyboard: int
) -> None:
    tray = open_lab(night).tray("2")
    asked: list[str] = []

    def put(former: str | None, wait_s: float = 0.0, reason: str | None = None) -> str | None:
        return mount(by_hand, tray, former, wait_s=wait_s, find_reason_to_end=lambda: reason, ask=asked.append)

    assert put(None) is None and "has to lie at the bench" in asked.pop()
    assert "Nobody put tray 2 in place" in str(put("1"))
    assert "Take tray 1 away" in asked[0] and "tray 2" in asked[0]
    assert put("1", 60.0, "The time is up.") == "The time is up."

    def press_enter(request: str) -> None:
        threading.Timer(0.1, os.write, (keyboard, b"\n")).start()

    assert mount(by_hand, tray, "1", wait_s=60.0, find_reason_to_end=lambda: None, ask=press_enter) is None


def test_where_there_is_no_terminal_nobody_is_asked(
    night: Path, by_hand: BenchRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        why = mount(
            by_hand,
            open_lab(night).tray("2"),
            "1",
            wait_s=60.0,
            find_reason_to_end=lambda: None,
            ask=lambda request: None,
        )
    assert why is not None and "Nobody is there" in why
