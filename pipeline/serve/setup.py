"""First run: find devices, write rig.yaml, try them, print the targets, calibrate. Commands do it, not this page."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from calibration.bundle import latest
from calibration.errors import CalibrationError
from pipeline.assembly import holder_of
from pipeline.bench.handwork import STEPS_DEG, STEPS_MM
from pipeline.bench.printing import board_width_mm, make_print, ring_width_mm
from pipeline.bench.rig_file import Value, change_rig_file, read_rig_file
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab, open_lab
from pipeline.serve.jobs import Jobs
from pipeline.serve.live import live_facts
from pipeline.serve.pages import Page, read_json, text_of
from pipeline.wording import minute
from rig.registry import STATION

KEEP, BY_HAND = "keep", "manual"
ROLES = tuple(registry.role for registry in STATION)
CAN_BE_MANUAL = tuple(registry.role for registry in STATION if BY_HAND in registry.drivers)
TARGETS = ("board", "ring")
SCALE = (0.8, 1.25)  # that a printer may have: what was measured is hardly the target otherwise
TWIN = "twin://"


def setup_routes(page: Page) -> APIRouter:
    """Routes of the first run."""
    routes, lab = APIRouter(), page.opened.lab
    jobs = Jobs(lab)

    def read_state() -> dict[str, Any]:
        job = {name: job.as_json() if (job := jobs.find(name)) else None for name in ("find", "check")}
        if job["check"] and isinstance(job["check"]["result"], list):
            job["check"]["result"] = [{**each, "check_name": each["name"]} for each in job["check"]["result"]]
        holder = holder_of(lab)
        live = live_facts(lab) if holder is not None else None
        return {**view_setup(lab), **job, "holder": holder, "live": live, "session": page.hands.view()}

    @routes.get("/setup")
    def show(request: Request) -> Response:
        """The page of the first run."""
        return page.html(request, "setup.html", state=read_state(), steps_mm=STEPS_MM, steps_deg=STEPS_DEG)

    @routes.get("/setup/state")
    def watch(request: Request) -> Response:
        """How far it is."""
        return page.data(request, read_state())

    @routes.post("/setup/find")
    async def find(request: Request) -> Response:
        """Look for devices, as `rig devices` does."""
        await read_json(request)
        jobs.start("find", "devices", "--json")
        return JSONResponse({})

    @routes.post("/setup/check")
    async def check(request: Request) -> Response:
        """Check everything, as `rig doctor` does."""
        await read_json(request)
        jobs.start("check", "doctor", "--json")
        return JSONResponse({})

    @routes.post("/setup/devices")
    async def write(request: Request) -> Response:
        """Write the devices that were chosen into rig.yaml."""
        sent = await read_json(request)
        chosen = {role: text_of(sent, role, default=KEEP) for role in (*ROLES, "camera")}
        job = jobs.find("find")
        found = job.result["devices"] if job and isinstance(job.result, dict) else []
        former = await run_in_threadpool(_write_devices, lab, chosen, found, text_of(sent, "digest"))
        return JSONResponse({"former": former})

    @routes.post("/setup/measured")
    async def measured(request: Request) -> Response:
        """Write what a print measures into rig.yaml."""
        sent = await read_json(request)
        what, width_mm = text_of(sent, "what"), sent.get("width_mm")
        if what not in TARGETS or not isinstance(width_mm, int | float):
            raise UsageError("'width_mm' has to be the width that was measured. Load the page again.")
        former = await run_in_threadpool(_write_measure, lab, what, float(width_mm), text_of(sent, "digest"))
        return JSONResponse({"former": former})

    @routes.get("/setup/print/{what}.png")
    def print_target(request: Request, what: str) -> Response:
        """The board or the ring, to be printed at true scale."""
        if what not in TARGETS:
            return page.error(request, "There is no such target.", 404)
        rig = open_lab(lab.folder).rig
        made = make_print(rig.board, rig.quality.ring, what)
        return Response(made.png, media_type="image/png")

    return routes


def view_setup(lab: Lab) -> dict[str, Any]:
    """What rig.yaml says of devices now, what the targets measure, and the latest calibration, as plain data."""
    shown: dict[str, Any] = {"problem": None, "digest": "", "devices": {}, "targets": {}, "calibration": None}
    try:
        file = read_rig_file(lab)
        shown["digest"] = file.digest
        shown["devices"] = {role: _spell(_section(file.values, role)) for role in (*ROLES, "camera")}
        rig = open_lab(lab.folder).rig
        board, ring = rig.board, rig.quality.ring
        shown["targets"] = {"board": board_width_mm(board), "ring": ring_width_mm(ring)}
        if lab.calibrations.is_dir():
            shown["calibration"] = _view_calibration(lab.calibrations, lab.calibrations.stat().st_mtime_ns)
    except (LabError, CalibrationError) as error:
        shown["problem"] = str(error)
    return shown


@functools.lru_cache(maxsize=1)
def _view_calibration(folder: Path, changed_ns: int) -> dict[str, str] | None:
    """The newest calibration; read again where the folder was changed: a new one is renamed into it, whole."""
    bundle = latest(folder)
    return {"id": bundle.id, "at": minute(bundle.created_at.isoformat())} if bundle is not None else None


def _section(values: Mapping[str, Any], role: str) -> Mapping[str, Any]:
    section = values if role == "camera" else values.get("station")
    section = section.get(role) if isinstance(section, dict) else None
    return section if isinstance(section, dict) else {}


def _spell(section: Mapping[str, Any]) -> str:
    where = section.get("port") or section.get("device") or section.get("camera") or ""
    return f"{section.get('kind', '')} {where}".strip()


def _write_devices(lab: Lab, chosen: Mapping[str, str], found: list[dict[str, Any]], digest: str) -> str:
    file = read_rig_file(lab)
    changes: dict[tuple[str, ...], Value | None] = {}
    sections: dict[str, Mapping[str, Any]] = {}
    for role, choice in chosen.items():
        now = sections[role] = _section(file.values, role)
        if choice == KEEP:
            continue
        section = sections[role] = _chosen(role, choice, found)
        keys = ("camera",) if role == "camera" else ("station", role)
        if now.get("kind") == section["kind"]:
            changes |= {(*keys, key): value for key, value in section.items() if str(now.get(key)) != str(value)}
        else:
            changes[keys] = section
    has_twin = any(str(each.get("port", TWIN)).startswith(TWIN) for role, each in sections.items() if role != "camera")
    if "twin" in file.values and not has_twin and sections["camera"].get("kind") != "twin":
        changes[("twin",)] = None
    if not changes:
        raise UsageError("rig.yaml says that already. Nothing was written.")
    return change_rig_file(lab, changes, digest).name


def _chosen(role: str, choice: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """The section of rig.yaml for what was chosen: by its number in what was found, or by hand."""
    if choice == BY_HAND and role in CAN_BE_MANUAL:
        return {"kind": BY_HAND}
    device = found[int(choice)] if choice.isascii() and choice.isdigit() and int(choice) < len(found) else {}
    if role == "camera" and device.get("camera"):
        return dict(device["camera"])
    if device.get("role") != role or not device.get("kind"):
        raise UsageError(f"there is no such {role}. Look for devices again.")
    return {"kind": device["kind"], "port": device["port"]}


def _write_measure(lab: Lab, what: str, width_mm: float, digest: str) -> str:
    rig = open_lab(lab.folder).rig
    board, ring = rig.board, rig.quality.ring
    now_mm = board_width_mm(board) if what == "board" else ring_width_mm(ring)
    scale = width_mm / now_mm
    if not SCALE[0] <= scale <= SCALE[1]:
        raise UsageError(
            f"{width_mm:g} mm instead of {now_mm:g} mm: measure once more, from edge to edge of what is printed, and "
            "print at 100 %. Nothing was written."
        )
    sizes: dict[tuple[str, ...], float]
    if what == "board":
        sizes = {("board", "square_mm"): board.square_mm, ("board", "marker_mm"): board.marker_mm}
    else:
        keys = ("quality", "ring")
        sizes = {(*keys, "radius_mm"): ring.radius_mm, (*keys, "marker_mm"): ring.marker_mm}
    return change_rig_file(lab, {key: float(f"{value * scale:.5g}") for key, value in sizes.items()}, digest).name
