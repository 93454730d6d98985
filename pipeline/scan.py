"""`rig scan`: the main job. A tray in, every coin photographed, stored, identified and reported.

The rig moves in this thread; frames are checked and written in the runner's, coins identified in another.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import groupby, pairwise
from typing import Protocol

from rich.console import Console

from calibration.bundle import Bundle, latest
from capture.events import CoinFinished, Event
from capture.plan import Plan, Shot, Side, Tray
from capture.quality import Limits
from capture.records import Candidate, Session
from capture.runner import Runner, ScanStopped
from capture.store import Store
from pipeline.assembly import Rig, connected
from pipeline.calibrate import calibrate_rig
from pipeline.display import ScanDisplay
from pipeline.documents import line_of
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.report import write_report
from pipeline.results import ScanResult, coin_results
from rig.station import Station
from rig.twin.clock import SystemClock

BYTES_PER_PIXEL = 4.0  # raw and calibrated, lossless: a generous guess until frames of this lab are stored
UNKNOWN_PIXELS = 12_000_000  # of a camera that was never calibrated

Tell = Callable[[str], None]


class Identified(Protocol):
    """An answer to which catalogue coin this is."""

    @property
    def verdict(self) -> str | None: ...

    @property
    def candidates(self) -> tuple[Candidate, ...]: ...


class Identifies(Protocol):
    """What a scan asks of `pipeline.identify.Identifier`, which needs torch and is not imported here."""

    def identify_scanned(self, store: Store, session_id: str, coin: str) -> Identified: ...


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
    """What a scan would do: shots still to be taken, motion between them, time at the bench (s), bytes on disk."""

    tray: str
    plan: str
    resumes: str | None
    coins: int
    shots: tuple[Shot, ...]
    done_shots: int
    moves: tuple[Move, ...]
    time_s: float
    disk_bytes: int
    free_bytes: int


def outline_scan(lab: Lab, tray_name: str, plan_name: str) -> Outlook:
    """Work out what `scan_tray` would do; nothing moves and nothing is written."""
    tray, plan = lab.tray(tray_name), lab.plan(plan_name)
    session, shots, done = None, plan.shots(tray), 0
    if lab.store.is_dir():
        with Store.open(lab.store, writing=False) as store:
            session = store.unfinished_scan(tray.id)
            if session is not None:
                tray, plan = session.frozen_tray(), session.frozen_plan()
                shots = store.missing_shots(session.id)
                done = len(store.shots(session.id)) - len(shots)
    station = Station(lab.rig.station, SystemClock())
    _check(lab, tray, plan, station)
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
    bundle = latest(lab.calibrations)
    pixels = bundle.lens.width_px * bundle.lens.height_px if bundle else UNKNOWN_PIXELS
    return Outlook(
        tray=tray.id,
        plan=plan.name,
        resumes=session.id if session else None,
        coins=coins,
        shots=tuple(shots),
        done_shots=done,
        moves=moves,
        time_s=time_s,
        disk_bytes=round(len(shots) * pixels * BYTES_PER_PIXEL),
        free_bytes=shutil.disk_usage(lab.folder).free,
    )


def scan_tray(
    lab: Lab,
    tray_name: str,
    plan_name: str,
    *,
    fresh: bool,
    realtime: bool,
    identifier: Identifies | None,
    console: Console,
    tell: Tell,
    ask: Tell,
) -> ScanResult:
    """Scan a tray, or go on with an interrupted scan of it.

    Parameters
    ----------
    fresh
        Begin anew even if there is an interrupted scan.
    identifier
        None to photograph only.
    console
        Where progress is shown.
    tell, ask
        Say something to the technician; ask for something to be done.

    Raises
    ------
    LabError
        If the tray or the plan does not fit the rig; nothing has moved then.
    DeviceError
        If a device fails. Every frame taken is kept, and the same command goes on.
    """
    started_s = time.monotonic()
    tray, plan = lab.tray(tray_name), lab.plan(plan_name)
    with Store.open(lab.store) as store:
        for line in store.swept:
            tell(f"Put right after an interruption: {line}")
        session = None if fresh else store.unfinished_scan(tray.id)
        if session is not None:
            _tell_of_changes(session, tray, plan, tell)
            tray, plan = session.frozen_tray(), session.frozen_plan()
        with connected(lab, realtime=realtime) as rig:
            _check(lab, tray, plan, rig.station)
            if rig.world is not None:
                rig.world.fill(tray.coins)
            bundle = _calibration(lab, store, rig, session, tell, ask)
            hardware_started_s = rig.clock.now()
            if session is None:
                _abandon_unfinished(store, tray)
                devices = [asdict(identity) for identity in rig.station.identities]
                session = store.begin_scan(tray, plan, devices, bundle.id)
            with ScanDisplay(console, tray.id, tray.coins) as display:
                identified = _Identification(store, session.id, identifier, display)
                with identified:
                    try:
                        Runner(
                            rig.station, rig.camera, store, bundle, identified.told, limits=limits_of(lab, bundle)
                        ).run(session)
                    except ScanStopped as stopped:
                        tell(str(stopped))
            hardware_s = rig.clock.now() - hardware_started_s
        report = write_report(lab, store, store.session(session.id))
        return ScanResult(
            tray=tray.id,
            session=session.id,
            coins=coin_results(store, session),
            report=report,
            wall_s=time.monotonic() - started_s,
            hardware_s=hardware_s,
            finished=store.session(session.id).finished_at is not None,
        )


def limits_of(lab: Lab, bundle: Bundle) -> Limits:
    """What a good frame is: `quality:` of rig.yaml, the ring's zero as it was measured unless rig.yaml gives one."""
    limits = lab.rig.quality
    if bundle.ring_zero_deg is None or "ring_zero_deg" in limits.model_fields_set:
        return limits
    return limits.model_copy(update={"ring_zero_deg": bundle.ring_zero_deg})


class _Identification:
    """Identifies each coin in a thread of its own as soon as it is back in its slot."""

    def __init__(self, store: Store, session_id: str, identifier: Identifies | None, display: ScanDisplay) -> None:
        self._store = store
        self._session_id = session_id
        self._identifier = identifier
        self._display = display
        self._pool = ThreadPoolExecutor(1, "identify")
        self._waiting: list[Future[None]] = []

    def __enter__(self) -> _Identification:
        if self._identifier is not None:  # coins that an interrupted run photographed but did not identify
            missing = {shot.coin for shot in self._store.missing_shots(self._session_id)}
            for coin in self._store.session(self._session_id).frozen_tray().coins.values():
                if coin not in missing and self._store.catalogue.ranking(self._session_id, coin) is None:
                    self._waiting.append(self._pool.submit(self._identify, coin))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            for each in self._waiting:
                each.result()

    def told(self, event: Event) -> None:
        """Take an event of the runner in."""
        self._display.told(event)
        if isinstance(event, CoinFinished) and self._identifier is not None:
            self._waiting.append(self._pool.submit(self._identify, event.coin))

    def _identify(self, coin: str) -> None:
        assert self._identifier is not None
        answer = self._identifier.identify_scanned(self._store, self._session_id, coin)
        if answer.verdict is None:
            self._display.identified(coin, "no good frame")
            return
        best = f", {answer.candidates[0].coin} ({answer.candidates[0].probability:.2f})" if answer.candidates else ""
        self._display.identified(coin, f"{answer.verdict}{best}")


def _calibration(lab: Lab, store: Store, rig: Rig, session: Session | None, tell: Tell, ask: Tell) -> Bundle:
    bundle = latest(lab.calibrations)
    if bundle is None:
        if rig.world is None:
            raise LabError(f"{lab.folder} was never calibrated. Run `rig calibrate` first: it takes about ten minutes.")
        tell("This twin lab was never calibrated: calibrating now (at the bench: `rig calibrate`).")
        rig.station.home()
        bundle = calibrate_rig(lab, rig, tell=lambda _: None, ask=ask)
        tell(
            f"Calibrated: {bundle.id}, {1000 * bundle.mm_per_pixel:.2f} µm per pixel, "
            f"lens to {bundle.lens.rms_px:.2f} px."
        )
    store.add_calibration(bundle.id, bundle.created_at.isoformat(), f"{bundle.created_at:%Y%m%dT%H%M%SZ}_{bundle.id}")
    return bundle


def _check(lab: Lab, tray: Tray, plan: Plan, station: Station) -> None:
    """Refuse before anything moves what this rig cannot do."""
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


def _tell_of_changes(session: Session, tray: Tray, plan: Plan, tell: Tell) -> None:
    tell(f"Going on with the scan of {session.started_at[:16].replace('T', ' ')} UTC ({session.id}).")
    changed = [
        name
        for name, then, now in (("plan", session.frozen_plan(), plan), ("tray", session.frozen_tray(), tray))
        if then != now
    ]
    if changed:
        tell(
            f"The {' and the '.join(changed)} changed since that scan began; it goes on as it was begun. "
            "To scan as the files are now: --fresh."
        )


def _abandon_unfinished(store: Store, tray: Tray) -> None:
    while (old := store.unfinished_scan(tray.id)) is not None:
        store.log("abandoned", old.id, why="a fresh scan was begun")
        store.finish_session(old.id)
