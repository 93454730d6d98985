"""What a scan would do before it does it: shots, motion, time and disk; and what it may not begin."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from rich.filesize import decimal

from calibration.bundle import latest, size_px
from capture.cameras.twin import TwinCameraConfig
from capture.plan import Plan, Shot, Tray
from capture.store import Store
from capture.store.records import Session
from pipeline.documents import line_of
from pipeline.errors import LabError
from pipeline.lab import Lab
from rig.clock import SystemClock
from rig.sides import Side
from rig.station import Station

BYTES_PER_PIXEL = 4.0  # raw and calibrated, lossless: a generous guess until frames of this size are stored
UNKNOWN_PIXELS = 12_000_000  # of a camera that was never calibrated
MEASURED_FRAMES = 500  # of the same size, the latest ones


@dataclass(frozen=True)
class Move:
    """A pose of one coin, and the lights it is photographed under."""

    slot: int
    coin: str
    side: Side
    tilt_deg: float
    turntable_deg: float
    lights: tuple[str, ...]


@dataclass(frozen=True)
class Outlook:
    """What a scan would do: shots still to be taken, motion between them, time at the bench (s), bytes on disk.

    ``resumes`` is the session that goes on; ``changed`` says which of its tray and plan have been edited since.
    ``disk_is_measured``: by frames of the same size that are stored already, else it is a guess by pixels.
    """

    tray: str
    plan: str
    resumes: str | None
    coins: int
    shots: tuple[Shot, ...]
    done_shots: int
    changed: tuple[str, ...]
    moves: tuple[Move, ...]
    time_s: float
    disk_bytes: int
    disk_is_measured: bool
    free_bytes: int

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "tray": self.tray,
            "plan": self.plan,
            "resumes": self.resumes,
            "coins": self.coins,
            "shots": [{"id": shot.id, **shot.model_dump()} for shot in self.shots],
            "done_shots": self.done_shots,
            "time_s": round(self.time_s, 1),
            "disk_bytes": self.disk_bytes,
            "disk_measured": self.disk_is_measured,
        }


def outline_scan(lab: Lab, tray_name: str, plan_name: str, *, fresh: bool = False) -> Outlook:
    """Work out what `scan_tray` would do; nothing moves and nothing is written.

    Raises
    ------
    LabError
        If the tray or the plan is wrong or does not fit the rig.
    """
    if not (lab.store / "index.sqlite").exists():
        return outline_trays(lab, None, [tray_name], plan_name, fresh=fresh)[0]
    with Store.open(lab.store, writing=False) as store:
        return outline_trays(lab, store, [tray_name], plan_name, fresh=fresh)[0]


def outline_trays(
    lab: Lab, store: Store | None, tray_names: Sequence[str], plan_name: str, *, fresh: bool
) -> list[Outlook]:
    """`outline_scan` of several trays, with a store that is open already; None if there is none yet."""
    shot = bytes_per_shot(lab, store)
    return [_outline(lab, store, name, plan_name, fresh, *shot) for name in tray_names]


def _outline(
    lab: Lab,
    store: Store | None,
    tray_name: str,
    plan_name: str,
    fresh: bool,
    shot_bytes: float,
    is_measured: bool,
) -> Outlook:
    tray, plan = lab.tray(tray_name), lab.plan(plan_name)
    session, shots, done = None, plan.shots(tray), 0
    changed: tuple[str, ...] = ()
    if store is not None and not fresh:
        session = store.sessions.unfinished_scan(tray.id)
        if session is not None:
            changed = changes(session, tray, plan)
            tray, plan = session.frozen_tray(), session.frozen_plan()
            shots = store.sessions.missing_shots(session.id)
            done = len(store.sessions.shots(session.id)) - len(shots)
    station = Station(lab.rig.station, SystemClock())
    check_possible(lab, tray, plan, station)
    slots = {coin: slot for slot, coin in tray.coins.items()}
    moves = tuple(
        Move(slots[coin], coin, side, tilt_deg, turntable_deg, tuple(shot.light for shot in same))
        for (coin, side, tilt_deg, turntable_deg), same in groupby(
            shots, lambda shot: (shot.coin, shot.side, shot.tilt_deg, shot.turntable_deg)
        )
    )
    coins = len({shot.coin for shot in shots})
    time_s = (
        station.estimate_s(
            loads=coins,
            flips=2 * coins if len(plan.sides) == 2 else 0,
            turns_deg=[abs(after.turntable_deg - before.turntable_deg) for before, after in pairwise(moves)],
            lights=len(shots),
        )
        + sum(shot.exposure_us for shot in shots) / 1e6
    )
    return Outlook(
        tray=tray.id,
        plan=plan.name,
        resumes=session.id if session else None,
        coins=coins,
        shots=tuple(shots),
        done_shots=done,
        changed=changed,
        moves=moves,
        time_s=time_s,
        disk_bytes=round(len(shots) * shot_bytes),
        disk_is_measured=is_measured,
        free_bytes=free_bytes(lab),
    )


def changes(session: Session, tray: Tray, plan: Plan) -> tuple[str, ...]:
    """Which of ``plan`` and ``tray`` are not as they were when a session began."""
    both = (("plan", session.frozen_plan(), plan), ("tray", session.frozen_tray(), tray))
    return tuple(name for name, then, now in both if then != now)


def bytes_per_shot(lab: Lab, store: Store | None) -> tuple[float, bool]:
    """Bytes on disk for each shot, retakes included, and whether they were measured on frames of the same size."""
    bundle = latest(lab.calibrations)
    if bundle is None:
        camera = lab.rig.camera
        if isinstance(camera, TwinCameraConfig):
            return camera.optics.width_px * camera.optics.height_px * BYTES_PER_PIXEL, False
        return UNKNOWN_PIXELS * BYTES_PER_PIXEL, False
    size = (bundle.lens.width_px, bundle.lens.height_px)
    if store is not None:
        same = [each.id for each in store.calibrations.all() if size_px(lab.calibrations / each.folder) == size]
        measured = store.frames.bytes_per_shot(same, MEASURED_FRAMES)
        if measured is not None:
            return measured, True
    return size[0] * size[1] * BYTES_PER_PIXEL, False


def free_bytes(lab: Lab) -> int:
    """What is free on the lab's disk."""
    return shutil.disk_usage(lab.folder).free


def kept_bytes(lab: Lab) -> int:
    """What has to stay free (`batch: keep_free_gb`)."""
    return round(lab.rig.batch.keep_free_gb * 1e9)


def wall_s(lab: Lab, bench_s: float, *, realtime: bool) -> float:
    """How long so many seconds at the bench take: less where a twin runs faster than life."""
    return bench_s if lab.rig.twin is None or realtime else bench_s / lab.rig.twin.speed


def check_fits(lab: Lab, outlooks: list[Outlook]) -> None:
    """Refuse what the disk cannot hold.

    Raises
    ------
    LabError
        Naming what is needed, what is there, and how many trays would fit.
    """
    need, have = sum(outlook.disk_bytes for outlook in outlooks), free_bytes(lab) - kept_bytes(lab)
    if need <= have:
        return
    fitting, left = 0, have
    for outlook in outlooks:
        left -= outlook.disk_bytes
        if left < 0:
            break
        fitting += 1
    how = "by the frames stored so far" if outlooks[0].disk_is_measured else "a guess: no frame of this size is stored"
    only = f" The first {fitting} of {len(outlooks)} trays would fit." if fitting else ""
    raise LabError(
        f"the disk of {lab.folder} is too small: {decimal(need)} are needed ({how}), and {decimal(max(0, have))} "
        f"are free beside the {lab.rig.batch.keep_free_gb:g} GB to be kept (`batch: keep_free_gb` in rig.yaml).{only} "
        "Free some space, or scan less. Nothing has moved."
    )


def room_for(lab: Lab, count: int) -> str | None:
    """Why so many more bytes may not be written; None if there is room."""
    have = free_bytes(lab) - kept_bytes(lab)
    if count <= have:
        return None
    return (
        f"The disk of {lab.folder} is full: {decimal(max(0, have))} are free beside the "
        f"{lab.rig.batch.keep_free_gb:g} GB to be kept, and the next coin needs {decimal(count)}. Free some space; "
        "the same command goes on."
    )


def check_possible(lab: Lab, tray: Tray, plan: Plan, station: Station) -> None:
    """Refuse before anything moves what this rig cannot do.

    Raises
    ------
    LabError
        Naming the file and the line.
    """
    plan_file = lab.folder / "plans" / f"{plan.name}.yaml"
    tray_file = lab.folder / "trays" / f"{tray.id}.yaml"
    unknown = [light for light in plan.lights if light not in station.light_names]
    if unknown:
        raise LabError(
            f"{plan_file}, line {line_of(plan_file, ('lights',))}: lights: the lightbox has no {', '.join(unknown)}. "
            f"It has {', '.join(station.light_names)}: correct the plan, or add the light to rig.yaml."
        )
    beyond = [slot for slot in tray.slots if slot > station.slots]
    if beyond:
        raise LabError(
            f"{tray_file}, line {line_of(tray_file, ('slots', beyond[0]))}: slots: there is no slot {beyond[0]}; "
            f"this rig's tray has slots 1 to {station.slots}. "
            "Correct the tray file, or `station: bench: tray:` in rig.yaml."
        )
    if not tray.coins:
        raise LabError(f"{tray_file}, line 1: every slot is empty. Enter the accession numbers of the coins.")
