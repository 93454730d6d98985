"""`rig status`: what runs in a lab, or what the last run came to.

That the process of a status still lives is seen by its hold on the rig, which goes with the process however that ends:
without it, a status that has not ended is one of a process that died.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from capture.store import Store
from pipeline.assembly import holder_of
from pipeline.lab import Lab
from pipeline.run_status import Status, read_status


class Unfinished(BaseModel):
    """A scan that has something left to do, and the command that resumes it: the last one, if it was of this tray."""

    tray: str
    session: str
    missing_shots: int
    command: str


class LabStatus(BaseModel):
    """Answer of `rig status`.

    ``state`` is ``"running"``, ``"ended"``, ``"died"`` (killed, or the power failed), ``"busy"`` when another command
    holds the rig, or ``"nothing yet"``. ``holder`` is who holds the rig.
    """

    state: Literal["running", "ended", "died", "busy", "nothing yet"]
    holder: str | None
    status: Status | None
    unfinished: list[Unfinished]

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
    return LabStatus(state=state, holder=holder, status=status, unfinished=[] if holder else _unfinished(lab, status))


def _unfinished(lab: Lab, status: Status | None) -> list[Unfinished]:
    if not (lab.store / "index.sqlite").exists():
        return []
    last = {tray.tray: status.command.replace(" --fresh", "") for tray in status.trays} if status else {}
    found = []
    with Store.open(lab.store, writing=False) as store:
        for session in store.sessions.find("scan"):
            latest = store.sessions.unfinished_scan(session.name)
            if latest is not None and latest.id == session.id:
                found.append(
                    Unfinished(
                        tray=session.name,
                        session=session.id,
                        missing_shots=len(store.sessions.missing_shots(session.id)),
                        command=last.get(session.name, f"rig scan --tray {session.name}"),
                    )
                )
    return found
