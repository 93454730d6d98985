"""Carries a session out: every shot of it once, and every coin back in its slot.

It knows no hardware names and no file names. States of a run::

    home -> take up what was left on its way -> for each coin: load -> for each side: turn over -> expose all
     ^          -> wait for the frames -> expose again what failed -> ... -> put back
     |                                               |
     +-- connect anew <-- a device fails,            +-- skip: not the coin it should be, none, two,
                          wherever that is               too many failures, too long

While the rig moves on, a `FrameWorker` checks, calibrates and keeps what was exposed. What is left to do is asked of
the store, shot by shot, so that a run may end anywhere, and how it ended does not matter to the next:

- asked to stop (Ctrl-C once, SIGTERM, `Runner.stop`, or `may_go_on`): the coin is put back, then `ScanStopped`;
- a coin is skipped, as `capture.engine.policy` has it: it is put back, stays unfinished, and the next one follows;
- disk, calibration or the like fails: the coin is put back, then the error;
- a device fails, and the rig cannot be connected and homed anew (see `capture.engine.recovery`), or Ctrl-C twice:
  nothing is moved any more, the coin stays where the journal says;
- something lies on the plate of which nobody knows what it is, or a coin was lost: the same;
- killed: the same, and the next run looks.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from calibration.bundle import Bundle
from capture.cameras import Camera
from capture.engine.events import Event, Stopping
from capture.engine.frame_pipeline import FrameWorker
from capture.engine.policy import Policy
from capture.engine.run import Scan, ScanStopped
from capture.plan import Shot
from capture.quality import Limits
from capture.store import Store
from capture.store.journal_lines import CoinSkipped
from capture.store.records import Session
from rig.station import Station

__all__ = ["PlanError", "Runner", "ScanStopped", "Summary"]  # how a scan ends is told by who runs it


class PlanError(Exception):
    """The rig cannot do what the plan asks; nothing was moved."""


@dataclass(frozen=True)
class Summary:
    """What a run came to. ``hardware_s`` is motion, settling and exposure, ``wall_s`` everything.

    Coins that were skipped miss shots still: the next run of the session tries them again.
    """

    frames: int
    retakes: int
    quarantined: int
    hardware_s: float
    wall_s: float
    skipped: tuple[CoinSkipped, ...] = ()


class Runner:
    """Scans trays with one rig.

    Parameters
    ----------
    station, camera
        Connected.
    store
        Where frames go.
    bundle
        How frames are calibrated; None to keep raw frames alone.
    on_event
        Told what happens, one event at a time, from two threads: return soon, or the rig waits.
    limits
        When a frame is good enough.
    policy
        What is done about what goes wrong.
    may_go_on
        Asked before each coin is lifted, and after each failure: a reason, as a sentence, ends the run.
    """

    def __init__(
        self,
        station: Station,
        camera: Camera,
        store: Store,
        bundle: Bundle | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
        limits: Limits | None = None,
        policy: Policy | None = None,
        may_go_on: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._station = station
        self._camera = camera
        self._store = store
        self._bundle = bundle
        self._listener = on_event
        self._limits = limits or Limits()
        self._policy = policy or Policy()
        self._may_go_on = may_go_on
        self._listening = threading.RLock()
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask a run to stop after the present shot and put the coin back. From any thread."""
        self._stop.set()

    def run(self, session: Session) -> Summary:
        """Do everything of a session that is not done yet.

        Raises
        ------
        PlanError
            If the rig has not what the plan or the tray needs.
        ScanStopped
            If it was asked to stop, or may not go on: then with that reason.
        HandlingError
            If a coin is not where it should be, or the policy says to stop.
        DeviceError
            If a device failed and could not be brought back; the rig stands still.
        StoreError, CalibrationError
            If frames cannot be kept; the coin was put back.
        """
        started = time.monotonic()
        self._stop.clear()
        missing = self._store.sessions.missing_shots(session.id)
        self._check_possible(session, missing)
        worker = FrameWorker(self._store, session.id, self._camera.identity, self._bundle, self._limits, self._tell)
        scale = self._bundle.mm_per_pixel if self._bundle else None
        scan = Scan(
            self._station,
            self._camera,
            self._store,
            session,
            worker,
            self._policy,
            scale,
            self._tell,
            self._check_stop,
            self._may_go_on,
        )
        with _first_interrupt(self.stop), worker:
            scan.run()
        if not self._store.sessions.missing_shots(session.id):
            self._store.sessions.finish(session.id)
        frames = self._store.frames.find(session.id, good=None)
        good = {frame.shot_id for frame in frames if frame.is_good}
        return Summary(
            frames=len(good),
            retakes=sum(frame.attempt > 1 for frame in frames),
            quarantined=len({frame.shot_id for frame in frames} - good),
            hardware_s=scan.hardware_s,
            wall_s=time.monotonic() - started,
            skipped=tuple(scan.skipped),
        )

    def _check_stop(self, done: int, shots: int) -> None:
        if self._stop.is_set():
            self._tell(Stopping())
            raise ScanStopped(
                f"Stopped as asked after {done} of {shots} shots; every frame is kept and the coin is put back into "
                "its slot. The same command goes on from here."
            )

    def _check_possible(self, session: Session, missing: list[Shot]) -> None:
        slots, lights = self._station.slots, self._station.light_names
        tray = session.frozen_tray()
        if tray.slots and max(tray.slots) > slots:
            raise PlanError(f"Tray {tray.id} has a slot {max(tray.slots)}, the rig has {slots}. Correct the tray file.")
        for light in dict.fromkeys(shot.light for shot in missing):
            if light not in lights:
                raise PlanError(
                    f"The plan asks for light {light}; rig.yaml has {', '.join(lights)}. Correct one of them."
                )
            if self._bundle is not None and light not in self._bundle.flats:
                raise PlanError(f"Light {light} is not in calibration {self._bundle.id}. Run `rig calibrate` again.")
        if any(shot.tilt_deg != 0 for shot in missing):
            raise PlanError(
                "The plan asks for a tilted camera, and this rig's is fixed. Set `tilt_deg: [0]` in the plan."
            )

    def _tell(self, event: Event) -> None:
        with self._listening:
            self._listener(event)


@contextmanager
def _first_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask to stop; the second one does what it always does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    def ask(number: int, frame: FrameType | None) -> None:
        restore()
        stop()

    for number in former:
        signal.signal(number, ask)
    try:
        yield
    finally:
        restore()
