"""Moving coins, with a journal: each move is written down before it begins and after it ended.

So a run that was killed or failed leaves a trail, and the next one knows where to look. States of a coin, and the lines
of the journal between them::

    in its slot --"lifting"--> --"on plate"--> on the plate --"returning"--> --"returned"--> in its slot
                                                |        ^
                                                +--------+ "turning over", "on plate"

A coin that is not, or cannot be recognised as, the one of its slot is not photographed: it goes back into the slot that
it was lifted from, lying as it came up, and is skipped. Where a coin is that a failure left on its way is found out by
`capture.engine.stray_coin`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TypeVar

from capture.engine.coin_check import CoinCheck, Sight
from capture.engine.context import ScanContext
from capture.engine.errors import CoinRefused, TransportError
from capture.store import StoreError
from capture.store.journal_lines import (
    CoinLine,
    CoinSkipped,
    LaidOnPlate,
    Lifting,
    Returned,
    Returning,
    SkipReason,
    TurningOver,
)
from rig.errors import NothingThereError
from rig.sides import SIDES, Side

log = logging.getLogger(__name__)

AS_FOUND: Side = "obverse"  # how coins lie in the tray
LOST = " It may have fallen off the arm when that failed: look on the table and under the tray's other coins."

L = TypeVar("L", bound=CoinLine)


@dataclass(frozen=True)
class OnPlate:
    """The coin on the plate, which side is up, and the name of this placement (`Frame.placement`)."""

    slot: int
    coin: str
    side: Side
    placement: str


class CoinTransport:
    """Coins between tray and plate, for one session.

    Attributes
    ----------
    on_plate
        What lies on the plate; None if it is free.
    lifted
        The coin that this run took out of its slot last.
    """

    def __init__(self, context: ScanContext, coin_check: CoinCheck) -> None:
        self.on_plate: OnPlate | None = None
        self.lifted: str | None = None
        self._context = context
        self._station = context.station
        self._policy = context.policy
        self._coin_check = coin_check
        self._journal_may_fail = False
        self._journal_failed = False

    def may_be_lost(self, coin: str) -> bool:
        """Whether a coin that was on its way was found nowhere: it should be in its slot."""
        last = self._last_return(coin)
        return last is not None and last.found == "nowhere else"

    def load(self, slot: int, coin: str) -> None:
        """Bring a coin from its slot onto the plate, and see that it is the one.

        Raises
        ------
        CoinRefused
            If it is not, or there is none.
        TransportError
            If something lies on the plate already.
        """
        if not self._coin_check.plate_is_free():
            raise TransportError(
                "Something lies on the plate, and the journal knows of no coin there. Put it where it belongs, then "
                "run the same command again."
            )
        last = self._last_return(coin)
        lost = LOST if self.may_be_lost(coin) else ""
        expected: Side | None = last.side if last and last.found else AS_FOUND
        self.log(Lifting(slot=slot, coin=coin, side=expected))
        self._lift(slot, coin, lost)
        self.lay_down(slot, coin, expected or AS_FOUND)
        sight = self._examine(coin, expected)
        if sight.coins == 0:
            self.on_plate = None
            why = f"Nothing came to lie on the plate: slot {slot} is empty, or its coin fell on the way.{lost}"
            raise self._refused(slot, coin, "empty slot", why, sight)
        side = sight.side or expected
        if side is None or sight.coins > 1 or sight.mismatch is not None:
            self.put_back()
            raise self.not_the_one(slot, coin, sight)
        if self._here().side != side:
            self.lay_down(slot, coin, side)

    def turn_to(self, side: Side) -> None:
        """Turn the coin over, if the side is not up already."""
        here = self._here()
        if here.side != side:
            self.log(TurningOver(slot=here.slot, coin=here.coin, side=here.side))
            self._station.flip()
            self.lay_down(here.slot, here.coin, side)

    def put_back(self) -> None:
        """Bring the coin back into its slot, lying as it was found."""
        self.turn_to(AS_FOUND)
        here = self._here()
        self.log(Returning(slot=here.slot, coin=here.coin, side=here.side))
        self._station.unload(here.slot)
        self.on_plate = None
        self.log(Returned(slot=here.slot, coin=here.coin, side=here.side))

    def put_back_in_any_case(self) -> None:
        """`put_back`, if a coin is on the plate, and even if the disk is full or broken.

        The journal may then lack lines: the next run finds the plate free, and continues.
        """
        self._journal_may_fail = True
        try:
            if self.on_plate is not None:
                self.put_back()
        finally:
            self._journal_may_fail = self._journal_failed = False

    def lay_down(self, slot: int, coin: str, side: Side) -> None:
        """Note that a coin lies on the plate, with this side up."""
        self.on_plate = OnPlate(slot, coin, side, "")  # it lies there, whether that can be written down or not
        line = self.log(LaidOnPlate(slot=slot, coin=coin, side=side))
        self.on_plate = OnPlate(slot, coin, side, str(line.number))

    def show_unseen_side(self, coin: str, expected: Side | None, sight: Sight) -> Sight:
        """Turn a coin of which only the other side was ever photographed; else return what was seen already."""
        unseen = [side for side in SIDES if side not in sight.compared]
        if sight.coins != 1 or sight.side or sight.other_size or len(unseen) != 1 or expected in sight.compared:
            return sight
        self.turn_to(other_side(self._here().side))
        return self._coin_check.examine(coin)

    def not_the_one(self, slot: int, coin: str, sight: Sight) -> CoinRefused:
        """Why what was put back again was not photographed."""
        if sight.coins > 1:
            return self._refused(slot, coin, "two coins", "More than one coin came up.", sight)
        if sight.mismatch is not None:
            return self._refused(slot, coin, "wrong coin", sight.mismatch, sight)
        why = "A device failed while it was turned over, and nothing shows which side is up. Lay it obverse up."
        return self._refused(slot, coin, "device", why, sight)

    def log(self, line: L) -> L:
        """Write a line of the journal, and return it with its number; see `put_back_in_any_case`."""
        if not self._journal_failed:
            try:
                return self._context.store.journal.log(line, self._context.session.id)
            except StoreError as error:
                if not self._journal_may_fail:
                    raise
                self._journal_failed = True  # each try may take half a minute
                log.warning("not in the journal: coin %s, %s. %s", line.coin, line.kind, error)
        return line

    def _lift(self, slot: int, coin: str, lost: str) -> None:
        """Bring whatever is in the slot onto the plate, tried as often as the policy says."""
        self.lifted = coin
        remedy = self._policy.empty_slot
        for attempt in range(remedy.attempts + 1):
            try:
                self._station.load(slot)
                return
            except NothingThereError:
                self._station.park()
                if attempt < remedy.attempts:
                    self._station.clock.sleep(remedy.pause_s * 2**attempt)
        raise self._refused(slot, coin, "empty slot", f"Suction found no coin in slot {slot}.{lost}", Sight(0))

    def _examine(self, coin: str, expected: Side | None) -> Sight:
        """Examine what was laid down, as often as the policy says where it is not what it should be."""
        attempt = 0
        while True:
            sight = self._coin_check.examine(coin, compare=self._policy.compare_coins)
            sight = self.show_unseen_side(coin, expected, sight)
            if sight.coins == 1 and sight.mismatch is None:
                return sight
            remedy = {0: self._policy.empty_slot, 1: self._policy.wrong_coin}.get(sight.coins, self._policy.two_coins)
            if attempt >= remedy.attempts:
                return sight
            self._station.clock.sleep(remedy.pause_s * 2**attempt)
            attempt += 1

    def _refused(self, slot: int, coin: str, reason: SkipReason, why: str, sight: Sight) -> CoinRefused:
        looks_like = None
        if reason == "wrong coin":
            others = [other for other in self._context.tray.coins.values() if other != coin]
            looks_like = self._coin_check.find_lookalike(sight, others)
        size_mm = sight.diameter_mm
        return CoinRefused(
            CoinSkipped(slot=slot, coin=coin, reason=reason, why=why, looks_like=looks_like, diameter_mm=size_mm)
        )

    def _last_return(self, coin: str) -> Returned | None:
        return self._context.store.journal.last(Returned, session_id=self._context.session.id, coin=coin)

    def _here(self) -> OnPlate:
        if self.on_plate is None:
            raise TransportError("There is no coin on the plate. Run the same command again.")
        return self.on_plate


def other_side(side: Side) -> Side:
    """The side that is down when this one is up."""
    return SIDES[1 - SIDES.index(side)]
