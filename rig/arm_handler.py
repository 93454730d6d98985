"""An arm with a suction cup as a coin handler: the errands between tray, plate and flip station, in coordinates."""

from __future__ import annotations

import itertools
import logging
import math
from typing import Any

from rig.bench import BenchLayout, PointMm
from rig.clock import Clock
from rig.devices import Identity
from rig.errors import DeviceError, GripError, NothingThereError
from rig.safety import Interlock

log = logging.getLogger(__name__)

# A coin is let go this far above where it will lie, so that the cup does not press it down.
LET_GO_MM = 1.0
GRIP_TRIES = 2


class ArmHandler:
    """See `rig.devices.Handler`; slots are checked by who calls.

    Parameters
    ----------
    arm
        The arm's driver.
    bench
        Where everything stands.
    interlock
        Knows where the cup is, and is asked before it moves; the station asks it before the plate turns.
    clock
        What the flip station's chute is waited on.
    """

    def __init__(self, arm: Any, bench: BenchLayout, interlock: Interlock, clock: Clock) -> None:
        self._arm = arm
        self._bench = bench
        self._interlock = interlock
        self._clock = clock
        self._has_moved = False
        # Where the coin that is under way goes if its errand is interrupted.
        self._refuge_mm: PointMm | None = None

    def connect(self) -> Identity:
        """Connect the arm; nothing moves."""
        self._has_moved = False
        identity: Identity = self._arm.connect()
        return identity

    def close(self) -> None:
        """Let go of the arm's port."""
        self._arm.close()

    def stop(self) -> None:
        """Stop the arm at once."""
        self._arm.stop()

    def park(self) -> None:
        """Lift the arm and bring it to rest beside the plate."""
        self._go_over(self._bench.rest_mm)

    def holds_coin(self) -> bool:
        """Whether something hangs on the cup, as the arm senses it."""
        return bool(self._arm.holds())

    def load(self, slot: int) -> None:
        """Bring the coin of a slot onto the plate."""
        place_mm = self._bench.tray.position_mm(slot)
        self._refuge_mm = place_mm
        self._pick(place_mm, f"slot {slot}")
        self._place(self._bench.plate_mm)
        self.park()

    def unload(self, slot: int) -> None:
        """Bring the coin from the plate, or the one that hangs on the arm, into a slot."""
        place_mm = self._bench.tray.position_mm(slot)
        self._refuge_mm = place_mm
        if not self.holds_coin():
            self._pick(self._bench.plate_mm, "the plate")
        self._place(place_mm)
        self.park()

    def let_go_into(self, slot: int) -> None:
        """Let go over a slot of a coin that may hang on the cup unnoticed; harmless where there is none."""
        if self._arm.may_hold():
            place_mm = self._bench.tray.position_mm(slot)
            self._go_over(place_mm)
            self._let_go(place_mm)
            self.park()

    def feels_empty(self, slot: int) -> bool:
        """Whether suction finds nothing in a slot. Always false for an arm that does not feel what it holds."""
        place_mm = self._bench.tray.position_mm(slot)
        self._refuge_mm = place_mm
        self._go_over(place_mm)
        for _ in range(GRIP_TRIES):
            self._go(place_mm)
            try:
                self._arm.grip()
            except NothingThereError:
                self._lift()
            else:
                self._arm.release()
                self.park()
                return False
        self.park()
        return True

    def flip(self) -> None:
        """Turn the coin on the plate over, by way of the flip station."""
        self._refuge_mm = self._bench.plate_mm
        self._pick(self._bench.plate_mm, "the plate")
        self._place(self._bench.flip.drop_mm)
        self._clock.sleep(self._bench.flip.slide_s)
        self.fetch_from_flip_station()

    def fetch_from_flip_station(self) -> None:
        """Bring the coin that lies turned over in the flip station onto the plate."""
        self._refuge_mm = self._bench.plate_mm
        self._pick(self._bench.flip.pick_mm, "the flip station")
        self._place(self._bench.plate_mm)
        self.park()

    def make_safe(self) -> None:
        """Out of the way, a coin back where it came from, the pump off. An arm that failed does not move any more."""
        if not self._has_moved:
            return
        if not self._interlock.hands_off:
            if self._interlock.cup_mm is None:
                self.home()  # it was interrupted in mid-move: its sensors know where it is
            if self._arm.holds() and self._refuge_mm is not None:
                self._place(self._refuge_mm)
        self._arm.stop_idle_pump()
        if self._arm.holds():
            log.warning("a coin may hang on the arm, and its pump runs: keep its power on, or hold your hand under it.")
        if not self._interlock.hands_off:
            self.park()

    def load_s(self) -> float:
        """Time to bring a coin one way (s)."""
        bench = self._bench
        slot_mm = bench.tray.position_mm((bench.tray.count + 1) // 2)
        return self._trip_s(bench.rest_mm, slot_mm, bench.plate_mm, bench.rest_mm)

    def flip_s(self) -> float:
        """Time to turn a coin over (s)."""
        bench = self._bench
        return bench.flip.slide_s + self._trip_s(
            bench.rest_mm, bench.plate_mm, bench.flip.drop_mm, bench.flip.pick_mm, bench.plate_mm, bench.rest_mm
        )

    def _trip_s(self, *stops: PointMm) -> float:
        """From stop to stop at the safe height, down and up again at all but the ends, with the pump's time."""
        across = sum(self._arm.estimate_s(math.dist(here[:2], there[:2])) for here, there in itertools.pairwise(stops))
        down = sum(2 * self._arm.estimate_s(self._bench.safe_z_mm - stop[2]) + 0.2 for stop in stops[1:-1])
        return float(across + down)

    def _pick(self, place_mm: PointMm, name: str) -> None:
        """Take up the coin at a place, and make sure it comes along."""
        self._go_over(place_mm)
        for attempt in range(1, GRIP_TRIES + 1):
            self._go(place_mm)
            try:
                self._arm.grip()
                break
            except NothingThereError as error:
                self._lift()
                if attempt == GRIP_TRIES:
                    raise NothingThereError(*_lost(f"there is no coin to take up from {name}")) from error
        self._lift()
        if not self._arm.holds():
            self._arm.release()
            raise GripError(*_lost(f"the coin from {name} did not stay on the cup"))

    def _place(self, place_mm: PointMm) -> None:
        """Let the coin go at a place, if it is still there."""
        self._go_over(place_mm)
        if not self._arm.holds():
            self._arm.release()
            self.park()
            raise GripError(*_lost("the coin fell off the cup on the way"))
        self._let_go(place_mm)

    def _let_go(self, place_mm: PointMm) -> None:
        x_mm, y_mm, z_mm = place_mm
        self._go((x_mm, y_mm, z_mm + LET_GO_MM))
        self._arm.release()
        self._lift()

    def home(self) -> None:
        """Find the reference position, upwards and out of the plate's way; a coin that hangs on the arm stays there."""
        self._has_moved = True
        try:
            self._arm.home()
            self._interlock.cup_mm = self._arm.position_mm()
        except DeviceError:
            self._interlock.hands_off = True
            raise
        self._go_over(self._bench.rest_mm)

    def _go_over(self, place_mm: PointMm) -> None:
        """Up, then across at a safe height."""
        self._lift()
        x_mm, y_mm, z_mm = place_mm
        self._go((x_mm, y_mm, max(z_mm, self._bench.safe_z_mm)))

    def _lift(self) -> None:
        here = self._interlock.cup_mm
        if here is not None and here[2] < self._bench.safe_z_mm:
            self._go((here[0], here[1], self._bench.safe_z_mm))

    def _go(self, target_mm: PointMm) -> None:
        with self._interlock.moving(target_mm):
            self._has_moved = True
            self._arm.move_to(*target_mm)


def _lost(what: str) -> tuple[str, str, str]:
    return "arm", f"{what}.", "Look for the coin, put it back into its slot, then run the same command again."
