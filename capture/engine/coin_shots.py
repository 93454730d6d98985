"""Taking every shot of the coin on the plate."""

from __future__ import annotations

import math
from collections.abc import Sequence

from calibration.camera_pose import seen_square
from calibration.plate import camera_tilt_deg, plate_angle_deg
from capture.engine.camera_arm import beside_its_pose
from capture.engine.context import ScanContext
from capture.engine.errors import CoinRefused, ScanStopped, TransportError
from capture.engine.events import ShotTaken, Stopping
from capture.engine.expose import Exposer
from capture.engine.frame_pipeline import AngleMismatch, Exposure, FrameWorker
from capture.engine.order import by_side_up, order_shots
from capture.engine.state import RunState, TrayCoin
from capture.engine.transport import AS_FOUND, CoinTransport
from capture.plan import Shot
from capture.quality import tilt_error_deg
from capture.store.journal_lines import CoinSkipped
from capture.wording import count
from rig.errors import AlarmError
from rig.sides import EDGE, Side


class CoinShots:
    """Exposes shots, hands them to the frame worker, and takes those again that it finds wanting."""

    def __init__(
        self,
        context: ScanContext,
        state: RunState,
        worker: FrameWorker,
        exposer: Exposer,
        transport: CoinTransport,
    ) -> None:
        self._context = context
        self._state = state
        self._worker = worker
        self._exposer = exposer
        self._transport = transport

    def take_all(self, coin: TrayCoin) -> None:
        """Take every shot that a coin misses, the side that is up first, until none is to be taken again.

        The edge is photographed with the side that is up last. The coin is turned over while the last frames of a side
        are still being checked, at the end too, when it lies as it came out of its slot. It is turned back in the rare
        case that one of them failed.

        Raises
        ------
        ScanStopped
            If somebody asked to stop.
        CoinRefused
            If it takes longer than the policy allows.
        AlarmError
            If plate or camera do not stand where the turntable reports.
        """
        pending = self._state.shots_of(coin)
        while pending:
            on_plate = self._transport.on_plate
            for side, shots in by_side_up(pending, on_plate.side if on_plate else AS_FOUND):
                self._take_all_with(coin, side, shots)
            self._turn_to(AS_FOUND)
            pending = self._worker.finish()
            self._check_mismatch()

    def _take_all_with(self, coin: TrayCoin, side: Side, shots: Sequence[Shot]) -> None:
        """Take the shots that need this side up; whether their frames are good is known later."""
        self._turn_to(side)
        self._exposer.forget()
        for shot in order_shots(shots, self._context.station, self._exposer.setting):
            self._check_mismatch()
            check_stop(self._context, self._state)
            self._check_time(coin)
            self._take(shot)
        self._tilt_back()

    def _tilt_back(self) -> None:
        """Tilt the camera out of the arm's way, and see by the ring that it went: its motor only counts.

        Without a calibration the ring does not show the tilt: the station tilts the camera back before the arm comes.
        """
        station, context = self._context.station, self._context
        tilted_deg = station.tilt_deg or 0.0
        if context.bundle is None or station.tilt_for_errand(tilted_deg) == tilted_deg:
            return
        if station.taught_square_px(0.0) is not None:
            self._see_arm_out_of_the_way()
            return
        with self._state.hardware(station.clock):
            image = self._exposer.take_fresh(context.plan.lights[0], context.plan.exposure_us, context.plan.gain)
        plate = plate_angle_deg(image, context.bundle.lens, context.limits.ring)
        if plate is None:
            return
        seen_deg = camera_tilt_deg(plate, context.bundle.lens)
        if tilt_error_deg(seen_deg, 0.0) > context.limits.max_tilt_error_deg:
            self._worker.finish()
            raise _slipped(AngleMismatch(seen_deg, 0.0, is_tilt=True))

    def _see_arm_out_of_the_way(self) -> None:
        """See the ring from the pose for 0 degrees, under whichever light shows it: else the other arm stays away."""
        station, plan, limits = self._context.station, self._context.plan, self._context.limits
        with self._state.hardware(station.clock):
            for light in plan.lights:
                image = self._exposer.take_fresh(light, plan.exposure_us, plan.gain)  # raises if it is elsewhere
                if seen_square(image, limits.ring) is not None:
                    return
        self._worker.finish()
        raise beside_its_pose(0.0, math.inf)

    def _turn_to(self, side: Side) -> None:
        with self._state.hardware(self._context.station.clock):
            self._transport.turn_to(side)

    def _check_mismatch(self) -> None:
        if self._worker.angle_mismatch is not None:
            self._worker.finish()
            raise _slipped(self._worker.angle_mismatch)

    def _take(self, shot: Shot) -> None:
        on_plate, state = self._transport.on_plate, self._state
        if on_plate is None or on_plate.coin != shot.coin or shot.side not in (on_plate.side, EDGE):
            raise TransportError(
                f"The plate does not show the {shot.side} of coin {shot.coin}. Run the same command again."
            )
        with state.hardware(self._context.station.clock):
            taken = self._exposer.take(shot)
        attempt = state.count(shot)
        may_retake = attempt <= self._context.plan.retakes
        self._worker.add(Exposure(shot, attempt, on_plate.placement, taken, may_retake))
        self._context.emit(ShotTaken(shot, attempt, state.done_shots, len(state.shots), state.hardware_s))

    def _check_time(self, coin: TrayCoin) -> None:
        minutes = (self._context.station.clock.now() - self._state.begun_s) / 60.0
        if minutes > self._context.policy.coin_minutes:
            why = f"It was not done after {minutes:.0f} minutes."
            raise CoinRefused(CoinSkipped(slot=coin.slot, coin=coin.name, reason="time", why=why))


def check_stop(context: ScanContext, state: RunState) -> None:
    """End the run if somebody asked to stop.

    Raises
    ------
    ScanStopped
        Then.
    """
    if context.stop.is_set():
        context.emit(Stopping())
        raise ScanStopped(
            f"Stopped on request after {state.done_shots} of {count(len(state.shots), 'shot')}. Every frame is kept, "
            "and the coin is back in its slot. Run the same command again to resume."
        )


def _slipped(mismatch: AngleMismatch) -> AlarmError:
    if mismatch.shift_mm is not None:
        return beside_its_pose(mismatch.commanded_deg, mismatch.shift_mm)
    if mismatch.is_tilt:
        return AlarmError(
            "turntable",
            f"it reports that the camera is tilted by {mismatch.commanded_deg:g} degrees, and the ring on the plate "
            f"shows {mismatch.seen_deg:.1f}.",
            "Move the camera by hand, power off: it must swing freely. Check its motor's cable and the set screw.",
        )
    return AlarmError(
        "turntable",
        f"it reports that it stands at {mismatch.commanded_deg:g} degrees, and the ring on the plate shows "
        f"{mismatch.seen_deg:.1f}.",
        "Turn the plate by hand, power off: it must run freely. Check its motor's cable and the set screw.",
    )
