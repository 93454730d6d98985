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
from capture.plan import Plan, Tray
from capture.quality import Limits
from capture.store import Store
from capture.store.journal_lines import BatchSession, CoinLine, ScanAbandoned, ScanBegan, ScanReported
from capture.store.records import Session
from pipeline.assembly import Rig, sole_driver, switched_on
from pipeline.bench.calibrate import calibrate_rig
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.reporter import SilentReporter
from pipeline.reports.images import Thumbnails
from pipeline.reports.report import write_report
from pipeline.reports.results import ScanResult, coin_results
from pipeline.scanning.display import ScanDisplay
from pipeline.scanning.estimate import changes, check_fits, check_possible, outline_trays, room_for
from pipeline.scanning.identification import Identification, Identifies
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
    tray, plan = lab.tray(tray_name), lab.plan(plan_name)
    with sole_driver(lab), Watch(lab, plan_name, [tray.id]) as watch, Store.open(lab.store) as store:
        for line in store.repairs:
            tell(f"Put right after an interruption: {line}")
        session = interrupted(store, tray, plan, fresh=fresh, tell=tell)
        if session is None and not fresh:
            session = _unreported(store, tray, tell)
        if session is not None:
            tray, plan = session.frozen_tray(), session.frozen_plan()
        with switched_on(lab, realtime=realtime) as rig:
            check_possible(lab, tray, plan, rig.station)
            if rig.world is not None:
                rig.world.fill(tray.coins, tray.id)
            bundle = calibration(lab, store, rig, tell, ask)
            outlook = outline_trays(lab, store, [tray.id], plan_name, fresh=fresh)[0]
            check_fits(lab, [outlook])
            watch.expect([outlook], realtime=realtime)
            hardware_started_s = rig.clock.now()
            session = session or begin_scan(store, rig, bundle, tray, plan)
            store.journal.log(ScanBegan(), session.id)
            watch.log_to(session.id)
            watch.tray_begins(tray.id, session.id)
            with Identification(store, identifier, tell) as identification:
                bench = Bench(lab, store, rig, bundle, identification, watch.told, console, tell)
                coin_bytes = outlook.disk_bytes // max(1, outlook.coins)
                stopped = photograph(bench, session, lambda: room_for(lab, coin_bytes))
            if stopped is not None:
                tell(stopped)
            hardware_s = rig.clock.now() - hardware_started_s
        session = store.sessions.get(session.id)
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


def interrupted(store: Store, tray: Tray, plan: Plan, *, fresh: bool, tell: Tell) -> Session | None:
    """The scan of a tray that has something left to do, unless it is to begin anew; tells how it differs from now."""
    session = None if fresh else store.sessions.unfinished_scan(tray.id)
    if session is None:
        return None
    tell(f"Going on with the scan of {session.started_at[:16].replace('T', ' ')} UTC ({session.id}).")
    changed = changes(session, tray, plan)
    if changed:
        tell(
            f"The {' and the '.join(changed)} changed since that scan began; it goes on as it was begun. "
            "To scan as the files are now: --fresh."
        )
    return session


def _unreported(store: Store, tray: Tray, tell: Tell) -> Session | None:
    """The last scan of a tray if it was interrupted after its last coin, so that it is not all taken anew."""
    for session in store.sessions.find("scan", tray.id)[-1:]:
        last = store.journal.last(ScanBegan, ScanReported, BatchSession, ScanAbandoned, session_id=session.id)
        if isinstance(last, ScanBegan):
            tell(f"Every coin was photographed already ({session.id}); the report is written now. Anew: --fresh.")
            return session
    return None


def begin_scan(store: Store, rig: Rig, bundle: Bundle, tray: Tray, plan: Plan) -> Session:
    """A new session of a tray; those that were interrupted are given up, their frames kept."""
    while (old := store.sessions.unfinished_scan(tray.id)) is not None:
        store.journal.log(ScanAbandoned(why="a fresh scan was begun"), old.id)
        store.sessions.finish(old.id)
    return store.sessions.begin_scan(tray, plan, [asdict(identity) for identity in rig.station.identities], bundle.id)


def tray_state(store: Store, session: Session) -> tuple[Literal["done", "left over"], str | None]:
    """Whether every shot of a session has a good frame and every coin is in its slot, and what is left over if not."""
    missing = store.sessions.missing_shots(session.id)
    bad = len(store.sessions.shots(session.id)) - len(missing) - len(store.frames.find(session.id))
    left = [f"{len(missing)} shots are not taken."] if missing else []
    left += [f"{bad} shots have no good frame."] if bad else []
    left += skipped_coins(store, session)
    return ("left over", " ".join(left)) if left else ("done", None)


def skipped_coins(store: Store, session: Session) -> list[str]:
    """A sentence for each coin that was skipped and is still to be photographed, or to be looked for."""
    missing = {shot.coin for shot in store.sessions.missing_shots(session.id)}
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
        bundle = calibrate_rig(lab, rig, SilentReporter())
        tell(
            f"Calibrated: {bundle.id}, {1000 * bundle.mm_per_pixel:.2f} µm per pixel, "
            f"lens to {bundle.lens.rms_px:.2f} px."
        )
    store.calibrations.add(bundle.id, bundle.created_at.isoformat(), f"{bundle.created_at:%Y%m%dT%H%M%SZ}_{bundle.id}")
    return bundle
