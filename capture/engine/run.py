"""One run over a session, from homing to the last coin; `capture.engine.runner` has its states and how it may end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from capture.cameras import Camera
from capture.engine.coin_check import Arrivals
from capture.engine.events import (
    CoinFinished,
    CoinFound,
    CoinStarted,
    Event,
    Recovered,
    ScanStarted,
    ShotTaken,
)
from capture.engine.expose import Exposer
from capture.engine.frame_pipeline import Astray, Exposure, FrameWorker
from capture.engine.policy import Policy, Then
from capture.engine.recovery import Recovery
from capture.engine.transport import CoinRefused, Handling, HandlingError, coin_out
from capture.plan import Shot
from capture.store import Store
from capture.store.journal_lines import CoinSkipped, DeviceFailed, DeviceRecovered
from capture.store.records import Session
from rig.errors import AlarmError, DeviceError
from rig.station import Station


class ScanStopped(Exception):  # noqa: N818 - nothing went wrong
    """The scan was asked to stop, and did: every frame taken is kept, every coin lies in its slot."""


class Scan:
    """One run over one session; parameters as of `capture.engine.runner.Runner`.

    Parameters
    ----------
    check_stop
        Raises `ScanStopped` if the run is to end: told how many shots are done, of how many.
    may_go_on
        As of the runner.

    Attributes
    ----------
    hardware_s
        What motion, settling and exposure took so far.
    skipped
        Coins that were passed over so far.
    """

    def __init__(
        self,
        station: Station,
        camera: Camera,
        store: Store,
        session: Session,
        worker: FrameWorker,
        policy: Policy,
        mm_per_pixel: float | None,
        tell: Callable[[Event], None],
        check_stop: Callable[[int, int], None],
        may_go_on: Callable[[], str | None],
    ) -> None:
        self._station, self._store, self._session = station, store, session
        self._worker = worker
        self._policy = policy
        self._tell = tell
        self._ask_stop, self._may_go_on = check_stop, may_go_on
        self.hardware_s = 0.0
        self.skipped: list[CoinSkipped] = []
        self._plan = session.frozen_plan()
        self._exposer = Exposer(station, camera)
        self._recovery = Recovery(station, camera, policy.patience)
        arrivals = Arrivals(station, store, self._plan, self._exposer.look, mm_per_pixel)
        self._handling = Handling(station, store, session, arrivals, policy)
        self._attempts = store.sessions.attempts(session.id)
        self._shots = len(store.sessions.shots(session.id))
        self._missing = store.sessions.missing_shots(session.id)
        self._done = self._shots - len(self._missing)
        self._taken: set[str] = set()
        self._under_way: str | None = None  # a coin that was begun and is not back in its slot
        self._begun_s = 0.0  # when it was
        self._failures: Counter[str | None] = Counter()  # of devices, by the coin under way
        self._given_up: dict[str, DeviceError] = {}  # coins that only have to be put back, and why
        self._in_a_row = 0  # coins skipped because of devices
        self._numbers = {coin: number for number, (_, coin) in enumerate(self._to_do(), 1)}

    def run(self) -> None:
        """Do everything that is not done yet."""
        self._tell(ScanStarted(self._session.id, len(self._numbers), self._shots, self._done))
        is_homed = False
        while True:
            try:
                if not is_homed:
                    with self._hardware():
                        self._station.home()
                    is_homed = True
                self._go_on()
                return
            except DeviceError as problem:
                self._recover(problem)
                is_homed = True

    # --- failures ---------------------------------------------------------------------------------------------------

    def _recover(self, problem: DeviceError) -> None:
        """Bring the rig back, or raise the problem; a coin that takes too many recoveries is given up."""
        coin = self._under_way
        journal = self._store.journal
        journal.log(
            DeviceFailed(device=problem.device, problem=problem.problem, remedy=problem.remedy, coin=coin),
            self._session.id,
        )
        self._worker.start_over()
        if coin_out(self._store) is None:
            self._check_reason()
        self._failures[coin] += 1
        limit = self._policy.recoveries_per_coin
        if self._failures[coin] > (2 * limit + 1 if coin in self._given_up else limit):
            self._give_up(coin, problem)
        with self._hardware():
            attempt = self._recovery.recover(problem)
        journal.log(
            DeviceRecovered(
                device=problem.device, problem=problem.problem, attempt=attempt.number, pause_s=attempt.pause_s
            ),
            self._session.id,
        )
        self._tell(Recovered(problem, attempt.number))

    def _give_up(self, coin: str | None, problem: DeviceError) -> None:
        """Only put a coin back from now on, with as many recoveries again; raise the problem if that is no way out."""
        if coin is None or coin in self._given_up or self._policy.device == "stop":
            raise problem
        self._given_up[coin] = problem

    def _skip(self, skipped: CoinSkipped, then: Then) -> None:
        """Pass a coin over that is in its slot or not to be had; give the tray up, or stop, if the policy says so."""
        self._note(skipped)
        self._under_way = None
        is_by_device = skipped.reason in ("device", "time")
        self._in_a_row = self._in_a_row + 1 if is_by_device else 0
        if then == "stop":
            raise HandlingError(f"Slot {skipped.slot}, coin {skipped.coin}: {skipped.why}")
        if is_by_device and self._in_a_row >= self._policy.device_skips_in_a_row:
            then = "skip tray"
        if then == "skip tray":
            for slot, coin in self._to_do():
                why = f"Given up after coin {skipped.coin}: {skipped.why}"
                self._note(CoinSkipped(slot=slot, coin=coin, reason="not begun", why=why))

    def _note(self, skipped: CoinSkipped) -> None:
        line = self._store.journal.log(skipped, self._session.id)
        self.skipped.append(line)
        self._tell(line)

    # --- coins ------------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Do everything that is not done yet, whatever was before; the rig is homed. No coin stays out of its slot."""
        try:
            self._take_up()
            self._scan_coins()
        except (DeviceError, HandlingError):
            raise  # the rig is not to be trusted any more: nothing moves
        except Exception:
            with self._hardware():
                self._handling.put_back_in_any_case()
            raise

    def _take_up(self) -> None:
        """See to the coin that was out of its slot when a device failed, or the last run ended."""
        try:
            with self._hardware():
                found = self._handling.take_up()
        except CoinRefused as refused:
            self._skip(refused.skipped, refused.then)
            found = None
        self._missing = self._store.sessions.missing_shots(self._session.id)
        if found is not None:
            self._tell(CoinFound(found.slot, found.coin, found.side))
            reason = self._may_go_on()
            if reason is not None or found.coin not in dict(self._to_do()).values():
                with self._hardware():
                    self._handling.put_back()
            if reason is not None:
                raise ScanStopped(reason)

    def _scan_coins(self) -> None:
        while to_do := self._to_do():
            here = self._handling.on_plate
            slot, coin = next((each for each in to_do if here is not None and each[1] == here.coin), to_do[0])
            shots = [shot for shot in self._missing if shot.coin == coin]
            if coin in self._given_up:
                self._put_given_up_back(slot, coin)
                continue
            if here is None:
                self._check_stop()
                self._check_reason()
            if coin != self._under_way:
                self._under_way, self._begun_s = coin, self._station.clock.now()
                self._tell(CoinStarted(slot, coin, self._numbers[coin], len(self._numbers), len(shots)))
            try:
                self._scan_coin(slot, coin, shots)
            except CoinRefused as refused:
                with self._hardware():
                    self._handling.put_back_in_any_case()  # one that takes too long lies on the plate
                self._skip(refused.skipped, refused.then)
                continue
            self._under_way, self._in_a_row = None, 0
            self._missing = [shot for shot in self._missing if shot.coin != coin]
            self._tell(self._finished(slot, coin))

    def _to_do(self) -> list[tuple[int, str]]:
        """Slot and coin, of coins that miss shots or were not brought back when a device failed, less those skipped."""
        coins = {shot.coin for shot in self._missing} | {self._under_way}
        coins -= {each.coin for each in self.skipped}
        return [(slot, coin) for slot, coin in self._session.frozen_tray().coins.items() if coin in coins]

    def _put_given_up_back(self, slot: int, coin: str) -> None:
        try:
            with self._hardware():
                if self._handling.on_plate is None and self._handling.may_be_lost(coin):
                    self._handling.load(slot, coin)  # whether it is in its slot is known by taking it up
                if self._handling.on_plate is not None:
                    self._handling.put_back()
        except CoinRefused as refused:
            self._skip(refused.skipped, refused.then)
            return
        problem = self._given_up[coin]
        why = f"{problem.device} failed {self._failures[coin]} times, the last time so: {problem.problem}"
        self._skip(CoinSkipped(slot=slot, coin=coin, reason="device", why=why), self._policy.device)

    def _scan_coin(self, slot: int, coin: str, shots: list[Shot]) -> None:
        if self._handling.on_plate is None:
            if not shots and not self._handling.may_be_lost(coin):
                return  # a device failed when it lay in its slot again
            with self._hardware():
                self._handling.load(slot, coin)
        self._scan_sides(slot, coin, shots)
        with self._hardware():
            self._handling.put_back()

    def _scan_sides(self, slot: int, coin: str, shots: list[Shot]) -> None:
        on_plate = self._handling.on_plate
        up = on_plate.side if on_plate else None
        for side in sorted(self._plan.sides, key=lambda side: side != up):
            pending = [shot for shot in shots if shot.side == side]
            if not pending:
                continue
            with self._hardware():
                self._handling.turn_to(side)
            self._exposer.forget()
            while pending:
                left = pending
                while left and self._worker.astray is None:
                    self._check_stop()
                    self._check_time(slot, coin)
                    self._expose(left[0])
                    left = left[1:]
                pending = [*self._worker.finish(), *left]
                if self._worker.astray is not None:
                    raise _astray(self._worker.astray)

    def _expose(self, shot: Shot) -> None:
        on_plate = self._handling.on_plate
        if on_plate is None or (on_plate.coin, on_plate.side) != (shot.coin, shot.side):
            raise HandlingError(f"The plate does not show the {shot.side} of coin {shot.coin}. Give the command again.")
        with self._hardware():
            taken = self._exposer.take(shot)
        attempt = self._attempts.get(shot.id, 0) + 1
        self._attempts[shot.id] = attempt
        self._taken.add(shot.id)
        may_retake = attempt <= self._plan.retakes
        self._worker.add(
            Exposure(shot, attempt, on_plate.placement, taken.turntable_read_deg, taken.picture, may_retake)
        )
        self._tell(ShotTaken(shot, attempt, self._done + len(self._taken), self._shots, self.hardware_s))

    def _finished(self, slot: int, coin: str) -> CoinFinished:
        frames = self._store.frames.find(self._session.id, coin, good=None)
        good = {frame.shot_id for frame in frames if frame.is_good}
        return CoinFinished(
            slot=slot,
            coin=coin,
            frames=len(good),
            retakes=sum(frame.attempt > 1 for frame in frames),
            quarantined=len({frame.shot_id for frame in frames} - good),
        )

    # --- ends -------------------------------------------------------------------------------------------------------

    def _check_stop(self) -> None:
        self._ask_stop(self._done + len(self._taken), self._shots)

    def _check_time(self, slot: int, coin: str) -> None:
        minutes = (self._station.clock.now() - self._begun_s) / 60.0
        if minutes > self._policy.coin_minutes:
            why = f"It was not done after {minutes:.0f} minutes."
            raise CoinRefused(CoinSkipped(slot=slot, coin=coin, reason="time", why=why), self._policy.device)

    def _check_reason(self) -> None:
        reason = self._may_go_on()
        if reason is not None:
            raise ScanStopped(reason)

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
