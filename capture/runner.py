"""Carries a session out: every shot of it once, and every coin back in its slot.

It knows no hardware names and no file names. States of a run::

    home -> take up what was left on its way -> for each coin: load -> for each side: turn over -> expose all
     ^          -> wait for the frames -> expose again what failed -> ... -> put back
     |
     +-- connect anew <-- a device fails, wherever that is

While the rig moves on, a `FrameWorker` checks, calibrates and keeps what was exposed. What is left to do is asked of
the store, shot by shot, so that a run may end anywhere, and how it ended does not matter to the next:

- asked to stop (Ctrl-C once, SIGTERM, `Runner.stop`): the coin is put back, then `ScanStopped`;
- disk, calibration or the like fails: the coin is put back, then the error;
- a device fails, and connecting and homing the rig anew does not help (see `capture.recovery`), or Ctrl-C twice:
  nothing is moved any more, the coin stays where the journal says;
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
from calibration.image import Image
from capture.cameras import Camera
from capture.events import CoinFinished, CoinFound, CoinStarted, Event, Recovered, ScanStarted, ShotTaken, Stopping
from capture.frames import Astray, Exposure, FrameWorker
from capture.handling import Handling, HandlingError
from capture.plan import Plan, Shot
from capture.quality import Limits
from capture.records import Session
from capture.recovery import Patience, Recovery
from capture.store import Store
from rig.errors import AlarmError, DeviceError, NoAnswerError
from rig.station import Station

LOOKS = 5  # pictures that may be the same one before the camera counts as failed


class PlanError(Exception):
    """The rig cannot do what the plan asks; nothing was moved."""


class ScanStopped(Exception):  # noqa: N818 - nothing went wrong
    """The scan was asked to stop, and did: every frame taken is kept, every coin lies in its slot."""


@dataclass(frozen=True)
class Summary:
    """What a run came to. ``hardware_s`` is motion, settling and exposure, ``wall_s`` everything."""

    frames: int
    retakes: int
    quarantined: int
    hardware_s: float
    wall_s: float


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
    patience
        How often a rig that failed is brought back.
    """

    def __init__(
        self,
        station: Station,
        camera: Camera,
        store: Store,
        bundle: Bundle | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
        limits: Limits | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._station = station
        self._camera = camera
        self._store = store
        self._bundle = bundle
        self._listener = on_event
        self._limits = limits or Limits()
        self._patience = patience or Patience()
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
            If it was asked to stop.
        HandlingError
            If a coin is not where it should be.
        DeviceError
            If a device failed and could not be brought back; the rig stands still.
        StoreError, CalibrationError
            If frames cannot be kept; the coin was put back.
        """
        started = time.monotonic()
        self._stop.clear()
        missing = self._store.missing_shots(session.id)
        self._check_possible(session, missing)
        worker = FrameWorker(self._store, session.id, self._camera.identity, self._bundle, self._limits, self._tell)
        recovery = Recovery(self._station, self._camera, self._patience)
        run = _Run(self._station, self._camera, self._store, session, worker, recovery, self._stop, self._tell)
        with _first_interrupt(self.stop), worker:
            run.run()
        self._store.finish_session(session.id)
        frames = self._store.frames(session.id, good=None)
        good = {frame.shot_id for frame in frames if frame.quarantine_reason is None}
        return Summary(
            frames=len(good),
            retakes=sum(frame.attempt > 1 for frame in frames),
            quarantined=len({frame.shot_id for frame in frames} - good),
            hardware_s=run.hardware_s,
            wall_s=time.monotonic() - started,
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


class _Run:
    """One run over one session."""

    def __init__(
        self,
        station: Station,
        camera: Camera,
        store: Store,
        session: Session,
        worker: FrameWorker,
        recovery: Recovery,
        stop: threading.Event,
        tell: Callable[[Event], None],
    ) -> None:
        self._station, self._camera, self._store = station, camera, store
        self._session = session
        self._worker = worker
        self._recovery = recovery
        self._stop = stop
        self._tell = tell
        self.hardware_s = 0.0
        self._plan: Plan = session.frozen_plan()
        self._handling = Handling(station, store, session, self._look)
        self._attempts = self._store.attempts(session.id)
        self._shots = len(self._store.shots(session.id))
        self._missing = self._store.missing_shots(session.id)
        self._done = self._shots - len(self._missing)
        self._taken: set[str] = set()
        self._under_way: str | None = None  # a coin that was begun and is not back in its slot
        self._numbers = {coin: number for number, (_, coin) in enumerate(self._to_do(), 1)}
        self._light: str | None = None
        self._angle: tuple[float, float] | None = None  # commanded and read back
        self._exposure: tuple[int, float] | None = None

    def run(self) -> None:
        self._tell(ScanStarted(self._session.id, len(self._numbers), self._shots, self._done))
        with self._hardware():
            self._station.home()
        while True:
            try:
                self._go_on()
                return
            except DeviceError as problem:
                self._recover(problem)

    def _recover(self, problem: DeviceError) -> None:
        """Bring the rig back, or raise the problem."""
        self._worker.start_over()
        with self._hardware():
            attempt = self._recovery.recover(problem, len(self._store.frames(self._session.id)))
        self._tell(Recovered(problem, attempt))

    def _go_on(self) -> None:
        """Do everything that is not done yet, whatever was before; the rig is homed."""
        with self._hardware():
            found = self._handling.take_up()
        self._missing = self._store.missing_shots(self._session.id)
        to_do = self._to_do()
        if found is not None:
            self._tell(CoinFound(found.slot, found.coin, found.side))
            to_do.sort(key=lambda each: each[1] != found.coin)  # stable: that coin first, the others as they were
            if found.coin not in dict(to_do).values():
                with self._hardware():
                    self._handling.put_back()
        for slot, coin in to_do:
            shots = [shot for shot in self._missing if shot.coin == coin]
            if self._handling.on_plate is None:
                self._check_stop()
            if coin != self._under_way:
                self._under_way = coin
                self._tell(CoinStarted(slot, coin, self._numbers[coin], len(self._numbers), len(shots)))
            self._scan_coin(slot, coin, shots)
            self._under_way = None
            self._tell(self._finished(slot, coin))

    def _to_do(self) -> list[tuple[int, str]]:
        """Slot and coin, of coins that miss shots or were not brought back when a device failed."""
        coins = {shot.coin for shot in self._missing} | {self._under_way}
        return [(slot, coin) for slot, coin in self._session.frozen_tray().coins.items() if coin in coins]

    def _scan_coin(self, slot: int, coin: str, shots: list[Shot]) -> None:
        if self._handling.on_plate is None:
            if not shots:
                return  # a device failed when it lay in its slot again
            with self._hardware():
                self._handling.load(slot, coin)
        try:
            self._scan_sides(shots)
        except (DeviceError, HandlingError):
            raise  # the rig is not to be trusted any more: nothing moves
        except Exception:
            with self._hardware():
                self._handling.put_back()
            raise
        with self._hardware():
            self._handling.put_back()

    def _scan_sides(self, shots: list[Shot]) -> None:
        on_plate = self._handling.on_plate
        up = on_plate.side if on_plate else None
        for side in sorted(self._plan.sides, key=lambda side: side != up):
            pending = [shot for shot in shots if shot.side == side]
            if not pending:
                continue
            with self._hardware():
                self._handling.turn_to(side)
            self._forget_settings()
            while pending:
                left = pending
                while left and self._worker.astray is None:
                    self._check_stop()
                    self._expose(left[0])
                    left = left[1:]
                pending = [*self._worker.finish(), *left]
                if self._worker.astray is not None:
                    raise _astray(self._worker.astray)

    def _forget_settings(self) -> None:
        """Apply every setting again."""
        self._light = self._angle = self._exposure = None

    def _expose(self, shot: Shot) -> None:
        on_plate = self._handling.on_plate
        if on_plate is None or (on_plate.coin, on_plate.side) != (shot.coin, shot.side):
            raise HandlingError(f"The plate does not show the {shot.side} of coin {shot.coin}. Give the command again.")
        with self._hardware():
            if self._angle is None or self._angle[0] != shot.turntable_deg:
                self._angle = (shot.turntable_deg, self._station.rotate_to(shot.turntable_deg))
            if self._light != shot.light:
                self._station.show(shot.light)
                self._light = shot.light
            if self._exposure != (shot.exposure_us, shot.gain):
                self._camera.configure(shot.exposure_us, shot.gain)
                self._exposure = (shot.exposure_us, shot.gain)
            picture = self._camera.grab()
        attempt = self._attempts.get(shot.id, 0) + 1
        self._attempts[shot.id] = attempt
        self._taken.add(shot.id)
        may_retake = attempt <= self._plan.retakes
        self._worker.add(Exposure(shot, attempt, on_plate.placement, self._angle[1], picture, may_retake))
        self._tell(ShotTaken(shot, attempt, self._done + len(self._taken), self._shots, self.hardware_s))

    def _look(self, light: str, exposure_us: int, gain: float) -> Image:
        """Take a picture that is certainly a fresh one: two exposures never agree to the last bit."""
        self._station.show(light)
        self._camera.configure(exposure_us, gain)
        earlier = self._camera.grab().image
        for _ in range(LOOKS):
            picture = self._camera.grab().image
            if (picture != earlier).any():
                return picture
        raise NoAnswerError("camera", "it hands out the same picture again and again.", "Plug it out and in again.")

    def _finished(self, slot: int, coin: str) -> CoinFinished:
        frames = self._store.frames(self._session.id, coin, good=None)
        good = {frame.shot_id for frame in frames if frame.quarantine_reason is None}
        return CoinFinished(
            slot=slot,
            coin=coin,
            frames=len(good),
            retakes=sum(frame.attempt > 1 for frame in frames),
            quarantined=len({frame.shot_id for frame in frames} - good),
        )

    def _check_stop(self) -> None:
        if self._stop.is_set():
            self._tell(Stopping())
            raise ScanStopped(
                f"Stopped as asked after {self._done + len(self._taken)} of {self._shots} shots; every frame is kept "
                "and the coin is put back into its slot. The same command goes on from here."
            )

    @contextmanager
    def _hardware(self) -> Iterator[None]:
        """Counts hardware time."""
        before = self._station.clock.now()
        try:
            yield
        finally:
            self.hardware_s += self._station.clock.now() - before


def _astray(astray: Astray) -> AlarmError:
    return AlarmError(
        "turntable",
        f"it says that it stands at {astray.commanded_deg:g} degrees, and the ring on the plate shows "
        f"{astray.seen_deg:.1f}.",
        "Turn the plate by hand, power off: it must run freely. Check its motor's cable and the set screw.",
    )


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
