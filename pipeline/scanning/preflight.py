"""The one check before a scan: what it would do to each tray, and whether it may begin.

`--dry-run`, `rig scan` and `rig batch` ask it before any session exists, so that what a dry run accepts is what a scan
accepts. A mistake in a plan or a tray file is an error everywhere. What is not ready yet (no calibration, too little
room on the disk) is shown by a dry run and refused by a scan.

An interrupted scan is resumed as it was begun, with the plan and the tray that its session froze. Where this rig cannot
carry that plan out, the session is given up, its frames kept, and the scan starts over with the files as they are now:
it must not stand in the way of a corrected plan.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.filesize import decimal

from capture.engine.plan_check import Obstacle, find_obstacles
from capture.plan import Plan, Shot, Tray
from capture.store import Store
from capture.store.journal_lines import ScanAbandoned
from capture.store.records import Session
from pipeline.documents import line_of
from pipeline.errors import LabError
from pipeline.lab import DEFAULT_PLAN, Lab
from pipeline.ports import require_devices
from pipeline.scanning.calibration import FrameCalibration, find_calibration
from pipeline.scanning.cautions import find_cautions, find_coin_on_two_trays
from pipeline.scanning.disk import ShotSize, free_bytes, kept_bytes, shot_size
from pipeline.scanning.estimate import CoinPose, Estimate, estimate_scan, poses_of
from pipeline.wording import count
from rig.clock import SystemClock
from rig.station import Station


@dataclass(frozen=True)
class PlannedScan:
    """What a scan of one tray would do.

    Attributes
    ----------
    tray, plan
        As they would be scanned: those of the session that is resumed, else those of the files.
    session
        The interrupted scan that is resumed; None to begin one.
    set_aside
        Why the interrupted scan cannot be resumed, a sentence; None where it can, or where there is none.
    shots, done_shots
        Still to be taken, and how many were taken before.
    changed
        Which of ``plan`` and ``tray`` were edited since the session began.
    cautions
        What its author hardly meant, a paragraph each.
    repeats
        The finished scan of the same coins by the same plan, which this one would do again.
    """

    tray: Tray
    plan: Plan
    session: Session | None
    set_aside: str | None
    shots: tuple[Shot, ...]
    done_shots: int
    changed: tuple[str, ...]
    estimate: Estimate
    cautions: tuple[str, ...] = ()
    repeats: Session | None = None

    @property
    def resumes(self) -> str | None:
        """The id of the session that is resumed."""
        return self.session.id if self.session else None

    @property
    def coins(self) -> int:
        """How many coins have shots to be taken."""
        return len({shot.coin for shot in self.shots})

    @property
    def poses(self) -> tuple[CoinPose, ...]:
        """The poses that the shots go through."""
        return poses_of(self.tray, self.shots)

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "tray": self.tray.id,
            "plan": self.plan.name,
            "resumes": self.resumes,
            "coins": self.coins,
            "shots": [{"id": shot.id, **shot.model_dump()} for shot in self.shots],
            "done_shots": self.done_shots,
            "time_s": round(self.estimate.time_s, 1),
            "time_parts_s": {part: round(seconds, 1) for part, seconds in self.estimate.parts_s.items()},
            "disk_bytes": self.estimate.disk_bytes,
            "disk_measured": self.estimate.disk_is_measured,
            "repeats": self.repeats.id if self.repeats else None,
            "warnings": list(self.cautions),
        }


@dataclass(frozen=True)
class Preflight:
    """What scans would do, and what keeps them from starting now.

    Attributes
    ----------
    scans
        One for each tray, in order.
    free_bytes
        On the lab's disk.
    obstacles
        A paragraph for each thing that is not ready; empty if a scan may start.
    """

    scans: tuple[PlannedScan, ...]
    free_bytes: int
    obstacles: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """What the scan of a single tray would do, as plain data (docs/json.md)."""
        (planned,) = self.scans
        return planned.as_json() | {"obstacles": list(self.obstacles)}

    def require_ready(self) -> None:
        """Refuse to scan while something is not ready.

        Raises
        ------
        LabError
            With the first obstacle.
        """
        if self.obstacles:
            raise LabError(f"{self.obstacles[0]} Nothing has moved.")


def check_trays(
    lab: Lab,
    store: Store | None,
    trays: Mapping[str, Session | None],
    plan_name: str | None,
    *,
    allow_uncalibrated: bool = False,
) -> Preflight:
    """Check a plan, trays, the rig, its calibration and the disk; nothing moves and nothing is written.

    Parameters
    ----------
    store
        Open for reading at least; None if there is none yet.
    trays
        The trays to be scanned, in order, and for each the interrupted scan that would be resumed.
    plan_name
        The plan that was asked for; without one, interrupted scans are resumed by their own.
    allow_uncalibrated
        A calibration that is missing, expired or lacks a light is no obstacle.

    Raises
    ------
    LabError
        If a tray or the plan is wrong, or the rig cannot do what they ask for: with the file, its line and the remedy.
    """
    require_devices(lab)
    found, station = find_calibration(lab), Station(lab.rig.station, SystemClock())
    size = shot_size(lab, store, found.bundle)
    scans: list[PlannedScan] = []
    uncalibrated: list[Obstacle] = []
    obstacles: list[str] = []
    for name, session in trays.items():
        tray, plan = lab.tray(name), _plan(lab, session, plan_name)
        if store is not None and session is not None and session.frozen_plan().name != plan.name:
            obstacles.append(_other_plan(store, session, plan.name))
        scan, set_aside = None, None
        if store is not None and session is not None:
            scan = _resumed(store, session, tray, plan, station, size)
            set_aside = next((str(each) for each in _of_documents(lab, scan, station)), None)
        if scan is None or set_aside is not None:
            shots = tuple(plan.shots(tray))
            estimate = estimate_scan(station, tray, plan, shots, size)
            scan = PlannedScan(tray, plan, None, set_aside, shots, 0, (), estimate)
            for obstacle in _of_documents(lab, scan, station):
                raise LabError(_complaint(lab, scan, obstacle))
        uncalibrated += find_obstacles(scan.shots, scan.tray, station, found.bundle)  # of the calibration alone, by now
        coin_s = scan.estimate.time_s / max(1, scan.coins)
        cautions = tuple(find_cautions(lab, scan.tray, scan.plan, coin_s, trays))
        scans.append(replace(scan, cautions=cautions, repeats=_repeated(store, scan) if store is not None else None))
    free = free_bytes(lab)
    obstacles += find_coin_on_two_trays([scan.tray for scan in scans])
    if not allow_uncalibrated:
        obstacles += [*_lacks_calibration(found, uncalibrated)]
    obstacles += [*_lacks_room(lab, scans, free), *_lacks_hands(station)]
    return Preflight(tuple(scans), free, tuple(obstacles))


def _resumed(store: Store, session: Session, tray: Tray, plan: Plan, station: Station, size: ShotSize) -> PlannedScan:
    """What is left to do of a session; `tray` and `plan` are as the files have them now."""
    shots = tuple(store.sessions.missing_shots(session.id))
    done = len(store.sessions.shots(session.id)) - len(shots)
    both = (("plan", session.frozen_plan(), plan), ("tray", session.frozen_tray(), tray))
    changed = tuple(name for name, then, now in both if then != now)
    tray, plan = session.frozen_tray(), session.frozen_plan()
    return PlannedScan(tray, plan, session, None, shots, done, changed, estimate_scan(station, tray, plan, shots, size))


def _plan(lab: Lab, session: Session | None, plan_name: str | None) -> Plan:
    """The plan that is asked for, as its file is now; of a scan that is resumed, by default its own."""
    if plan_name is None and session is not None:
        own = session.frozen_plan()
        return lab.plan(own.name) if (lab.folder / "plans" / f"{own.name}.yaml").is_file() else own
    return lab.plan(plan_name or DEFAULT_PLAN)


def _other_plan(store: Store, session: Session, plan_name: str) -> str:
    own, tray = session.frozen_plan().name, session.name
    missing = count(len(store.sessions.missing_shots(session.id)), "shot")
    return (
        f"Tray {tray} has an interrupted scan by plan {own} ({missing} missing), and --plan asks for {plan_name}. To "
        f"resume that scan, leave out --plan; to scan by plan {plan_name} instead, add --fresh: the frames so far are "
        "kept."
    )


def _repeated(store: Store, scan: PlannedScan) -> Session | None:
    """The last scan of the tray, if it was finished and a new one would do the same again."""
    if scan.session is not None:
        return None
    last = next(iter(store.sessions.find("scan", scan.tray.id)[-1:]), None)
    if last is None or last.finished_at is None:
        return None
    is_abandoned = store.journal.last(ScanAbandoned, session_id=last.id) is not None
    is_same = (last.frozen_tray().coins, last.frozen_plan()) == (scan.tray.coins, scan.plan)
    return last if is_same and not is_abandoned else None


def _of_documents(lab: Lab, scan: PlannedScan, station: Station) -> list[Obstacle]:
    """What the plan and the tray ask for that the rig cannot do."""
    obstacles = find_obstacles(scan.shots, scan.tray, station, None)
    camera = lab.rig.camera
    if camera is not None and not camera.drives_focus and any(shot.focus_mm for shot in scan.shots):
        problem = f"The plan takes a focus bracket, and nothing drives the focus of this camera ({camera.kind})."
        remedy = "Leave `focus_mm` out; a picamera2 whose lens has a motor needs `lens_position` in rig.yaml."
        obstacles.append(Obstacle("plan", ("focus_mm",), problem, remedy))
    return obstacles


def _complaint(lab: Lab, scan: PlannedScan, obstacle: Obstacle) -> str:
    """An obstacle in a file of the lab, with its line."""
    folder, name = ("plans", scan.plan.name) if obstacle.document == "plan" else ("trays", scan.tray.id)
    file = lab.folder / folder / f"{name}.yaml"
    key = f"{obstacle.keys[0]}: " if obstacle.keys else ""
    return f"{file}, line {line_of(file, obstacle.keys)}: {key}{obstacle}"


def _lacks_calibration(found: FrameCalibration, obstacles: Sequence[Obstacle]) -> Iterator[str]:
    if found.flaw is not None:
        yield f"{found.flaw} Or scan with --allow-uncalibrated, which marks every frame."
    yield from dict.fromkeys(str(each) for each in obstacles)


def _lacks_hands(station: Station) -> Iterator[str]:
    """A technician's errands, and nobody who could be asked to do them."""
    if station.by_hand and not sys.stdin.isatty():
        yield (
            f"A technician does the work of {' and '.join(station.by_hand)} (`kind: manual` in rig.yaml), and there is "
            "no terminal to ask. Start the command in a terminal, with somebody at the bench until it is done."
        )


def _lacks_room(lab: Lab, scans: Sequence[PlannedScan], free: int) -> Iterator[str]:
    need, have = sum(scan.estimate.disk_bytes for scan in scans), max(0, free - kept_bytes(lab))
    if need <= have:  # also where nothing is left to take, and only a report to write
        return
    fitting, left = 0, have
    for scan in scans:
        left -= scan.estimate.disk_bytes
        if left < 0:
            break
        fitting += 1
    is_measured = scans[0].estimate.disk_is_measured
    how = "measured on the frames stored so far" if is_measured else "a guess: no frame of this size is stored yet"
    only = f" The first {fitting} of {len(scans)} trays would fit." if fitting else ""
    yield (
        f"the disk of {lab.folder} is too small: {decimal(need)} are needed ({how}), and {decimal(have)} "
        f"are free beyond the {lab.rig.batch.keep_free_gb:g} GB to be kept (`batch: keep_free_gb` in rig.yaml).{only} "
        "Free some space, or scan less."
    )
