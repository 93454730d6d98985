"""`rig scan`: the main job. A tray in, every coin photographed, stored, identified and reported.

The rig moves in this thread; frames are checked and written in the runner's, coins identified in another.
`rig batch` does the same with tray after tray: see `pipeline.scanning.batch`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

from rich.console import Console

from calibration.bundle import Bundle, latest
from capture.engine.events import CoinFinished, Event, FrameKept
from capture.engine.runner import Runner, ScanStopped
from capture.engine.skips import in_words, is_away, latest_skips
from capture.quality import Limits
from capture.store import Store
from capture.store.journal_lines import BatchSession, CoinLine, ScanAbandoned, ScanBegan, ScanReported
from capture.store.records import Session
from pipeline.assembly import Rig, sole_driver, switched_on
from pipeline.bench.calibrate import calibrate_rig
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.reports.images import Thumbnails
from pipeline.reports.report import write_report
from pipeline.reports.results import ScanResult, coin_results
from pipeline.scanning.disk import find_shortage
from pipeline.scanning.display import ScanDisplay
from pipeline.scanning.identification import Identification, Identifies
from pipeline.scanning.preflight import PlannedScan, Preflight, check_trays
from pipeline.scanning.watch import Watch

Tell = Callable[[str], None]
MayGoOn = Callable[[], str | None]
"""Asked before each coin: why nothing more may be begun, in a sentence; None to go on."""


@dataclass(frozen=True)
class Bench:
    """A rig that is switched on, and everything that the trays of a job share."""

    lab: Lab
    store: Store
    rig: Rig
    bundle: Bundle
    identification: Identification
    told: Callable[[Event], None]
    console: Console
    tell: Tell


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
        If the tray or the plan does not fit the rig, the frames do not fit on the disk, or another process drives the
        rig; nothing has moved then.
    DeviceError
        If a device fails. Every frame taken is kept, and the same command goes on.
    """
    started_s = time.monotonic()
    with sole_driver(lab), Watch(lab, plan_name, [tray_name]) as watch, Store.open(lab.store) as store:
        for line in store.swept:
            tell(f"Put right after an interruption: {line}")
        preflight = check_trays(lab, store, {tray_name: None if fresh else _interrupted(store, tray_name)}, plan_name)
        (planned,) = preflight.scans
        announce(planned, tell)
        preflight.require_ready()
        tray = planned.tray
        with switched_on(lab, realtime=realtime) as rig:
            if rig.world is not None:
                rig.world.fill(tray.coins, tray.id)
            bundle = calibration(lab, store, rig, tell, ask)
            watch.expect([planned], realtime=realtime)
            hardware_started_s = rig.clock.now()
            session = planned.session or begin_scan(store, rig, bundle, planned)
            store.journal.log(ScanBegan(), session.id)
            watch.log_to(session.id)
            watch.tray_begins(tray.id, session.id)
            with Identification(store, identifier, tell) as identification:
                bench = Bench(lab, store, rig, bundle, identification, watch.told, console, tell)
                coin_bytes = planned.estimate.disk_bytes // max(1, planned.coins)
                stopped = photograph(bench, session, lambda: find_shortage(lab, coin_bytes))
            if stopped is not None:
                tell(stopped)
            hardware_s = rig.clock.now() - hardware_started_s
        session = store.session(session.id)
        skipped = skipped_coins(store, session)
        for sentence in skipped:
            tell(sentence)
        report = write_report(lab, store, session)
        store.journal.log(ScanReported(path=str(report)), session.id)
        result = ScanResult(
            tray=tray.id,
            session=session.id,
            coins=coin_results(store, session),
            report=report,
            wall_s=time.monotonic() - started_s,
            hardware_s=hardware_s,
            finished=session.finished_at is not None,
            skipped=tuple(skipped),
        )
        state = tray_state(store, session)
        watch.tray_ends(tray.id, *state)
        watch.ended("left over" if result.left_over else "done", stopped or state[1], str(report))
        return result


def photograph(bench: Bench, session: Session, may_go_on: MayGoOn) -> str | None:
    """Take every shot that a session misses, and hand each coin on to be identified.

    Returns
    -------
    str or None
        Why it was stopped early; None when everything was done or tried.
    """
    tray = session.frozen_tray()
    thumbnails = Thumbnails(bench.lab, bench.store)
    with ScanDisplay(bench.console, tray.id, tray.coins) as display:

        def told(event: Event) -> None:
            display.told(event)
            bench.told(event)
            if isinstance(event, FrameKept):
                thumbnails.keep(event.frame, event.image)
            if isinstance(event, CoinFinished):
                bench.identification.coin(session, event.coin, display.identified)

        bench.identification.take_up(session, display.identified)
        runner = Runner(
            bench.rig.station,
            bench.rig.camera,
            bench.store,
            bench.bundle,
            on_event=told,
            limits=limits_of(bench.lab, bench.bundle),
            policy=bench.lab.rig.policy,
            may_go_on=may_go_on,
        )
        try:
            runner.run(session)
        except ScanStopped as stopped:
            return str(stopped)
    return None


def check_scan(lab: Lab, tray_name: str, plan_name: str, *, fresh: bool) -> Preflight:
    """Check a scan of one tray as `scan_tray` will; nothing moves and nothing is written.

    Raises
    ------
    LabError
        See `pipeline.scanning.preflight.check_trays`.
    """
    if not (lab.store / "index.sqlite").exists():
        return check_trays(lab, None, {tray_name: None}, plan_name)
    with Store.open(lab.store, writing=False) as store:
        return check_trays(lab, store, {tray_name: None if fresh else _interrupted(store, tray_name)}, plan_name)


def announce(planned: PlannedScan, tell: Tell) -> None:
    """Say which interrupted scan is resumed or given up, and how it differs from the files as they are now."""
    session = planned.session
    if planned.set_aside is not None:
        tell(f"The interrupted scan of tray {planned.tray.id} cannot be resumed: {planned.set_aside} Starting over.")
    if session is None:
        return
    if not planned.shots:
        tell(f"Every coin was photographed already ({session.id}); writing the report. To scan again: --fresh.")
        return
    tell(f"Resuming the scan of {session.started_at[:16].replace('T', ' ')} UTC ({session.id}).")
    if planned.changed:
        tell(
            f"The {' and the '.join(planned.changed)} changed since that scan began; it is resumed as it was begun. "
            "To scan as the files are now: --fresh."
        )


def _interrupted(store: Store, tray: str) -> Session | None:
    """The scan of a tray that has something left to do: shots, or the report after its last coin."""
    unfinished = store.unfinished_scan(tray)
    if unfinished is not None:
        return unfinished
    for session in store.sessions("scan", tray)[-1:]:
        last = store.journal.last(ScanBegan, ScanReported, BatchSession, ScanAbandoned, session_id=session.id)
        if isinstance(last, ScanBegan):
            return session
    return None


def begin_scan(store: Store, rig: Rig, bundle: Bundle, planned: PlannedScan) -> Session:
    """Begin a session of a tray; those that were interrupted are given up, their frames kept."""
    while (old := store.unfinished_scan(planned.tray.id)) is not None:
        store.journal.log(ScanAbandoned(why=planned.set_aside or "a fresh scan was begun"), old.id)
        store.finish_session(old.id)
    devices = [asdict(identity) for identity in rig.identities]
    return store.begin_scan(planned.tray, planned.plan, devices, bundle.id)


def tray_state(store: Store, session: Session) -> tuple[Literal["done", "left over"], str | None]:
    """Whether every shot of a session has a good frame and every coin is in its slot, and what is left over if not."""
    missing = store.missing_shots(session.id)
    bad = len(store.shots(session.id)) - len(missing) - len(store.frames(session.id))
    left = [f"{len(missing)} shots are not taken."] if missing else []
    left += [f"{bad} shots have no good frame."] if bad else []
    left += skipped_coins(store, session)
    return ("left over", " ".join(left)) if left else ("done", None)


def skipped_coins(store: Store, session: Session) -> list[str]:
    """A sentence for each coin that was skipped and is still to be photographed, or to be looked for."""
    missing = {shot.coin for shot in store.missing_shots(session.id)}
    lines = store.journal.lines(CoinLine, session_id=session.id)

    def is_left(coin: str) -> bool:
        return coin in missing or is_away([line for line in lines if line.coin == coin])

    return in_words([each for each in latest_skips(lines) if is_left(each.coin)])


def limits_of(lab: Lab, bundle: Bundle) -> Limits:
    """What a good frame is: `quality:` of rig.yaml, the ring's zero as it was measured unless rig.yaml gives one."""
    limits = lab.rig.quality
    if bundle.ring_zero_deg is None or "ring_zero_deg" in limits.model_fields_set:
        return limits
    return limits.model_copy(update={"ring_zero_deg": bundle.ring_zero_deg})


def calibration(lab: Lab, store: Store, rig: Rig, tell: Tell, ask: Tell) -> Bundle:
    """The latest calibration, made known to the store; a twin that has none is calibrated.

    Raises
    ------
    LabError
        If a real rig was never calibrated.
    """
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
