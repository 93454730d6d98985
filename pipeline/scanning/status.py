"""`rig status`: what runs in a lab, or what the last run came to.

That the process of a status still lives is seen by its hold on the rig, which goes with the process however that ends:
without it, a status that has not ended is one of a process that died.
"""

from __future__ import annotations

import os
import shlex
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from capture.store import Store
from pipeline.assembly import holder_of
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.run_status import Status, read_status
from pipeline.scanning.whereabouts import coin_out_in_words
from pipeline.wording import duration, moment

SILENT_S = 15.0  # it writes about once a second


class Unfinished(BaseModel):
    """A scan that has something left to do, and the command that resumes it: the last one, if it was of this tray."""

    tray: str
    session: str
    missing_shots: int
    command: str


class LabStatus(BaseModel):
    """Answer of `rig status`.

    ``state`` is ``"running"``, ``"ended"``, ``"died"`` (killed, or the power failed), ``"busy"`` when another command
    holds the rig, or ``"nothing yet"``. ``holder`` is who holds the rig. ``alarm`` says what is wrong with a run that
    makes no progress, ``coin_out`` where the coin is that a run left out of its slot.
    """

    state: Literal["running", "ended", "died", "busy", "nothing yet"]
    holder: str | None
    status: Status | None
    unfinished: list[Unfinished]
    alarm: str | None = None
    coin_out: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return self.model_dump(mode="json")


def find_status(lab: Lab) -> LabStatus:
    """Find what runs in a lab, or what the last run came to. Changes nothing, and never makes a scan wait."""
    holder, status = holder_of(lab), read_status(lab)
    if holder is not None and status is not None and f"(process {status.pid}," in holder and status.ended is None:
        state: Literal["running", "ended", "died", "busy", "nothing yet"] = "running"
    elif holder is not None:
        state = "busy"
    elif status is None:
        state = "nothing yet"
    else:
        state = "ended" if status.ended is not None else "died"
    if holder is not None:
        alarm = _find_alarm(status) if state == "running" and status is not None else None
        return LabStatus(state=state, holder=holder, status=status, unfinished=[], alarm=alarm)
    if not (lab.store / "index.sqlite").exists():
        return LabStatus(state=state, holder=holder, status=status, unfinished=[])
    with Store.open(lab.store, writing=False) as store:
        return LabStatus(
            state=state,
            holder=holder,
            status=status,
            unfinished=_unfinished(lab, store, status),
            coin_out=coin_out_in_words(store),
        )


def ask_to_stop(lab: Lab, pid: int) -> None:
    """Ask the running scan or batch to stop in good order, as SIGTERM does: the coin goes back into its slot first.

    Parameters
    ----------
    pid
        Its process, as the status has it: whoever asks has seen that it runs.

    Raises
    ------
    LabError
        If it does not run any more, was asked before, is suspended, or is somebody else's.
    """
    seen = find_status(lab)
    if seen.state != "running" or seen.status is None or seen.status.pid != pid:
        raise LabError("that scan or batch does not run any more. Nothing was stopped.")
    if seen.status.stopping:
        raise LabError(
            "it was asked to stop before, and does as soon as the coin is back in its slot. A second stop would "
            "interrupt that: press Ctrl-C in its terminal if you want it."
        )
    if _is_suspended(pid):
        raise LabError(f"{seen.alarm} Let it continue first; then it can stop.")
    try:
        os.kill(pid, signal.SIGTERM)
    except OSError as error:
        raise LabError(
            f"process {pid} cannot be stopped from here: {error.strerror}. Stop it in its terminal."
        ) from error


def _find_alarm(status: Status) -> str | None:
    """What is wrong with a run whose process lives."""
    silent_s = (datetime.now(UTC) - datetime.fromisoformat(status.at)).total_seconds()
    if _is_suspended(status.pid):
        return (
            f"The process is suspended (Ctrl-Z, or SIGSTOP) since {moment(status.at):%H:%M:%S}: nothing moves. "
            f"`kill -CONT {status.pid}` lets it continue; so does `fg` in its terminal."
        )
    if silent_s > SILENT_S:
        return (
            f"The process lives, but it has given no sign of life for {duration(silent_s)}: the computer or its disk "
            "may be overloaded. Look at the rig."
        )
    if status.stalled_since is not None:
        idle_s = (datetime.now(UTC) - datetime.fromisoformat(status.stalled_since)).total_seconds()
        return f"Nothing has happened for {duration(idle_s)}. Look at the rig."
    return None


def _is_suspended(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False  # not on Linux: its silence shows
    return state in ("T", "t")


def _unfinished(lab: Lab, store: Store, status: Status | None) -> list[Unfinished]:
    last = {tray.tray: _typed_here(lab, status.command) for tray in status.trays} if status else {}
    found = []
    for session in store.sessions.find("scan"):
        latest = store.sessions.unfinished_scan(session.name)
        if latest is not None and latest.id == session.id:
            command = last.get(session.name) or lab.command(f"rig scan --tray {shlex.quote(session.name)}")
            missing = len(store.sessions.missing_shots(session.id))
            found.append(Unfinished(tray=session.name, session=session.id, missing_shots=missing, command=command))
    return found


def _typed_here(lab: Lab, command: str) -> str:
    """The command of a run as it resumes from here: of this lab, and not started over."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command  # of a version that did not quote it
    kept: list[str] = []
    for former, word in zip(["", *words], words, strict=False):
        if former != "--lab" and word not in ("--lab", "--fresh") and not word.startswith("--lab="):
            kept.append(word)
    return lab.command(shlex.join(kept))
