"""Carries a session out: every shot of it once, and every coin back in its slot.

It knows no hardware names and no file names; `capture.engine.state` draws the phases it goes through. While the rig
moves, a `FrameWorker` checks, calibrates and keeps what was exposed. What is left to do is asked of the store, shot by
shot, so that a run may end anywhere, and how it ended does not matter to the next.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass

from capture.engine.coin_check import CoinCheck
from capture.engine.coin_shots import CoinShots, check_stop
from capture.engine.context import ScanContext
from capture.engine.counts import FrameCounts, count_frames
from capture.engine.errors import CoinRefused, PlanError, ScanStopped, TransportError
from capture.engine.events import (
    CoinFinished,
    CoinFound,
    CoinPhotographed,
    CoinStarted,
    Recovered,
    ScanStarted,
)
from capture.engine.expose import Exposer
from capture.engine.frame_pipeline import FrameWorker
from capture.engine.plan_check import find_obstacles
from capture.engine.recovery import recover_rig
from capture.engine.state import Phase, RunState, TrayCoin, coins_of
from capture.engine.stray_coin import coin_out, take_up_stray
from capture.engine.transport import CoinTransport
from capture.store.journal_lines import CoinSkipped, DeviceFailed, DeviceRecovered
from rig.errors import DeviceError


@dataclass(frozen=True)
class Summary:
    """What a run came to. ``hardware_s`` is motion, settling and exposure, ``wall_s`` everything.

    Coins that were skipped miss shots still: the next run of the session tries them again.
    """

    frames: FrameCounts
    hardware_s: float
    wall_s: float
    skipped: tuple[CoinSkipped, ...] = ()


def run_scan(context: ScanContext) -> Summary:
    """Do everything of a session that is not done yet.

    Raises
    ------
    PlanError
        If the rig has not what the plan or the tray needs.
    ScanStopped
        If it was asked to stop, or found a reason to end: then with that reason.
    TransportError
        If a coin is not where it should be, or the policy says to stop.
    DeviceError
        If a device failed and could not be recovered; the rig stands still.
    StoreError, CalibrationError
        If frames cannot be kept; the coin was put back.
    """
    started_s = time.monotonic()
    store, session = context.store, context.session
    shots = store.sessions.shots(session.id)
    settled = store.sessions.settled_shots(session.id)
    missing = [shot for shot in shots if shot.id not in settled]
    for obstacle in find_obstacles(missing, context.tray, context.station, context.bundle):
        raise PlanError(str(obstacle))
    state = RunState(shots, missing, coins_of(context.tray.coins.items()), store.sessions.attempts(session.id))
    with FrameWorker(context) as worker:
        _Run(context, state, worker).execute()
    state.settle(store.sessions.settled_shots(session.id))
    if not state.missing:
        store.sessions.finish(session.id)
    return Summary(
        frames=count_frames(store.frames.find(session.id, good=None)),
        hardware_s=state.hardware_s,
        wall_s=time.monotonic() - started_s,
        skipped=tuple(state.skipped),
    )


class _Run:
    """Leads one run through its phases.

    Each method that is named after a phase does what it is about, and returns the phase that follows.
    """

    def __init__(self, context: ScanContext, state: RunState, worker: FrameWorker) -> None:
        self._context = context
        self._state = state
        self._worker = worker
        self._station = context.station
        self._policy = context.policy
        exposer = Exposer(context)
        self._coin_check = CoinCheck(context, exposer)
        self._transport = CoinTransport(context, self._coin_check)
        self._shots = CoinShots(context, state, worker, exposer, self._transport)

    def execute(self) -> None:
        """Do everything that is not done yet."""
        state, session = self._state, self._context.session
        self._context.emit(ScanStarted(session.id, len(state.numbers), len(state.shots), state.done_before))
        while state.phase is not Phase.DONE:
            try:
                state.phase = self._do(state.phase)
            except DeviceError as problem:
                state.phase = Phase.RECOVERING
                state.phase = self._recover(problem)

    def _do(self, phase: Phase) -> Phase:
        """Do a phase; whatever goes wrong beside the rig, no coin stays out of its slot."""
        try:
            return self._do_or_skip(phase)
        except (DeviceError, TransportError):
            raise  # the rig is not to be trusted any more: nothing moves
        except Exception:
            with self._hardware():
                self._transport.put_back_in_any_case()
            raise

    def _do_or_skip(self, phase: Phase) -> Phase:
        """Do a phase; a coin that is refused is put back, if it still lies on the plate, and passed over."""
        phases = {
            Phase.HOMING: self._home,
            Phase.LOCATING: self._locate,
            Phase.CHOOSING: self._choose,
            Phase.LOADING: self._load,
            Phase.EXPOSING: self._expose,
            Phase.RETURNING: self._return,
            Phase.GIVING_UP: self._give_up,
        }
        try:
            return phases[phase]()
        except CoinRefused as refused:
            with self._hardware():
                self._transport.put_back_in_any_case()
            self._skip(refused.skipped)
            return Phase.CHOOSING

    # --- phases -----------------------------------------------------------------------------------------------------

    def _home(self) -> Phase:
        with self._hardware():
            self._station.home()
        return Phase.LOCATING

    def _locate(self) -> Phase:
        """See to the coin that was out of its slot when a device failed, or the last run ended."""
        with self._hardware():
            found = take_up_stray(self._context, self._transport, self._coin_check)
        if found is not None:
            self._context.emit(CoinFound(found.slot, found.coin, found.side))
            reason = self._context.find_reason_to_end()
            if reason is not None or found.coin not in [coin.name for coin in self._state.to_do()]:
                with self._hardware():
                    self._transport.put_back()
            if reason is not None:
                raise ScanStopped(reason)
        return Phase.CHOOSING

    def _choose(self) -> Phase:
        """Begin the next coin, or continue with the one on the plate."""
        state, here = self._state, self._transport.on_plate
        to_do = state.to_do()
        if not to_do:
            return Phase.DONE
        coin = next((each for each in to_do if here is not None and each.name == here.coin), to_do[0])
        if here is None and coin.name not in state.given_up:
            check_stop(self._context, self._state)
            self._check_reason()
        is_new, shots = state.begin(coin, self._station.clock.now()), state.shots_of(coin)
        if coin.name in state.given_up:
            return Phase.GIVING_UP
        if is_new:
            number, coins = state.numbers[coin.name], len(state.numbers)
            self._context.emit(CoinStarted(coin.slot, coin.name, number, coins, len(shots)))
        if here is not None:
            return Phase.EXPOSING
        if not shots and not self._transport.may_be_lost(coin.name):
            return self._finish(coin)  # a device failed when it lay in its slot again
        return Phase.LOADING

    def _load(self) -> Phase:
        coin = self._coin()
        with self._hardware():
            self._transport.load(coin.slot, coin.name)
        return Phase.EXPOSING

    def _expose(self) -> Phase:
        coin = self._coin()
        self._shots.take_all(coin)
        self._context.emit(CoinPhotographed(coin.slot, coin.name))
        return Phase.RETURNING

    def _return(self) -> Phase:
        coin = self._coin()
        with self._hardware():
            self._transport.put_back()
        return self._finish(coin)

    def _give_up(self) -> Phase:
        """Put a coin back at which devices failed too often, and pass it over."""
        coin = self._coin()
        with self._hardware():
            if self._transport.on_plate is None and self._transport.may_be_lost(coin.name):
                self._transport.load(coin.slot, coin.name)  # whether it is in its slot is known by taking it up
            if self._transport.on_plate is not None:
                self._transport.put_back()
        problem, times = self._state.given_up[coin.name], self._state.failures[coin.name]
        why = f"{problem.device} failed {times} times, the last time so: {problem.problem}"
        self._skip(CoinSkipped(slot=coin.slot, coin=coin.name, reason="device", why=why))
        return Phase.CHOOSING

    def _recover(self, problem: DeviceError) -> Phase:
        """Bring the rig back, or raise the problem; a coin that takes too many recoveries is given up."""
        context, state, coin = self._context, self._state, self._state.under_way
        journal, session_id = context.store.journal, context.session.id
        device, what = problem.device, problem.problem
        journal.log(DeviceFailed(device=device, problem=what, remedy=problem.remedy, coin=coin), session_id)
        self._worker.start_over()
        state.settle(context.store.sessions.settled_shots(session_id))
        if coin_out(context.store) is None:
            self._check_reason()
        state.failures[coin] += 1
        limit = self._policy.recoveries_per_coin
        if state.failures[coin] > (2 * limit + 1 if coin in state.given_up else limit):
            if coin is None or coin in state.given_up or self._policy.device == "stop":
                raise problem
            state.given_up[coin] = problem  # it is only put back from now on, with as many recoveries again
        with self._hardware():
            attempt = recover_rig(context, problem)
        recovered = DeviceRecovered(device=device, problem=what, attempt=attempt.number, pause_s=attempt.pause_s)
        journal.log(recovered, session_id)
        context.emit(Recovered(problem, attempt.number))
        return Phase.LOCATING

    # --- steps ------------------------------------------------------------------------------------------------------

    def _finish(self, coin: TrayCoin) -> Phase:
        self._state.finish(coin)
        frames = self._context.store.frames.find(self._context.session.id, coin.name, good=None)
        self._context.emit(CoinFinished(coin.slot, coin.name, count_frames(frames)))
        return Phase.CHOOSING

    def _skip(self, skipped: CoinSkipped) -> None:
        """Pass a coin over that is in its slot or not to be had; give the tray up, or stop, if the policy says so."""
        self._note(skipped)
        then = self._policy.then_for(skipped.reason)
        if then == "stop":
            raise TransportError(f"Slot {skipped.slot}, coin {skipped.coin}: {skipped.why}")
        if then == "skip tray" or self._state.skips_in_a_row >= self._policy.device_skips_in_a_row:
            why = f"Given up after coin {skipped.coin}: {skipped.why}"
            for coin in self._state.to_do():
                self._note(CoinSkipped(slot=coin.slot, coin=coin.name, reason="not begun", why=why))

    def _note(self, skipped: CoinSkipped) -> None:
        line = self._context.store.journal.log(skipped, self._context.session.id)
        self._state.skip(line)
        self._context.emit(line)

    def _coin(self) -> TrayCoin:
        coin = self._state.coin
        assert coin is not None, "a coin is chosen before anything is done with one"
        return coin

    def _check_reason(self) -> None:
        reason = self._context.find_reason_to_end()
        if reason is not None:
            raise ScanStopped(reason)

    def _hardware(self) -> AbstractContextManager[None]:
        return self._state.hardware(self._station.clock)
