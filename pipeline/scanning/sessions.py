"""The session of a tray: which one is resumed, how one begins, and what it came to."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from calibration.bundle import Bundle
from capture.engine.skips import in_words, is_away, latest_skips
from capture.plan import Shot
from capture.store import Store
from capture.store.journal_lines import BatchSession, CoinLine, ScanAbandoned, ScanBegan, ScanReported
from capture.store.records import Session
from pipeline.assembly import Rig
from pipeline.reporter import Reporter
from pipeline.scanning.preflight import PlannedScan
from pipeline.wording import count, minute


def find_interrupted(store: Store, tray: str) -> Session | None:
    """The scan of a tray that has something left to do: shots, or the report after its last coin."""
    unfinished = store.sessions.unfinished_scan(tray)
    if unfinished is not None:
        return unfinished
    for session in store.sessions.find("scan", tray)[-1:]:
        last = store.journal.last(ScanBegan, ScanReported, BatchSession, ScanAbandoned, session_id=session.id)
        if isinstance(last, ScanBegan):
            return session
    return None


def report_resumption(planned: PlannedScan, reporter: Reporter) -> None:
    """Report which interrupted scan is resumed or given up, and how it differs from the files as they are now."""
    session = planned.session
    if planned.set_aside is not None:
        reporter.warn(
            f"The interrupted scan of tray {planned.tray.id} cannot be resumed: {planned.set_aside} Starting over."
        )
    if session is None:
        return
    if not planned.shots:
        reporter.report(
            f"Every coin was photographed already ({session.id}). Writing the report. To scan again: --fresh."
        )
        return
    reporter.report(
        f"Resuming the scan of {minute(session.started_at)} by plan {planned.plan.name} ({session.id}): "
        f"{count(len(planned.shots), 'shot')} left."
    )
    if planned.changed:
        reporter.warn(
            f"The {' and the '.join(planned.changed)} changed since that scan began; it is resumed as it was begun. "
            "To scan as the files are now: --fresh."
        )


def begin_session(store: Store, rig: Rig, bundle: Bundle | None, planned: PlannedScan) -> Session:
    """Begin a session of a tray; those that were interrupted are given up, their frames kept."""
    while (old := store.sessions.unfinished_scan(planned.tray.id)) is not None:
        store.journal.log(ScanAbandoned(why=planned.set_aside or "a fresh scan was begun"), old.id)
        store.sessions.finish(old.id)
    devices = [asdict(identity) for identity in rig.identities]
    return store.sessions.begin_scan(planned.tray, planned.plan, devices, bundle.id if bundle else None)


def tray_state(store: Store, session: Session) -> tuple[Literal["done", "left over"], str | None]:
    """Whether every shot of a session has a good frame and every coin is in its slot, and what is left over if not."""
    shots, settled = store.sessions.shots(session.id), store.sessions.settled_shots(session.id)
    missing = [shot for shot in shots if shot.id not in settled]
    bad = len(shots) - len(missing) - len(store.frames.find(session.id))
    left = [f"{count(len(missing), 'shot')} {'is' if len(missing) == 1 else 'are'} not taken."] if missing else []
    left += [f"{count(bad, 'shot')} {'has' if bad == 1 else 'have'} no good frame."] if bad else []
    left += _skipped_coins(store, session, missing)
    return ("left over", " ".join(left)) if left else ("done", None)


def skipped_coins(store: Store, session: Session) -> list[str]:
    """A sentence for each coin that was skipped and is still to be photographed, or to be looked for."""
    return _skipped_coins(store, session, store.sessions.missing_shots(session.id))


def _skipped_coins(store: Store, session: Session, missing: list[Shot]) -> list[str]:
    to_photograph = {shot.coin for shot in missing}
    lines = store.journal.lines(CoinLine, session_id=session.id)

    def is_left(coin: str) -> bool:
        return coin in to_photograph or is_away([line for line in lines if line.coin == coin])

    return in_words([each for each in latest_skips(lines) if is_left(each.coin)])
