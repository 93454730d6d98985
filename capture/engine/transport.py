"""Moving coins, with a journal: each handling is written down before it begins and after it ended.

So a run that was killed or failed leaves a trail, and the next one knows where to look. States of a coin, and the lines
of the journal between them::

    in its slot --"lifting"--> --"on plate"--> on the plate --"returning"--> --"returned"--> in its slot
                                                |        ^
                                                +--------+ "turning over", "on plate"

A coin that a failure left on the plate is looked at before anything else is done with it. One that is not, or cannot be
told to be, the one of its slot is not photographed; it goes back into the slot it was lifted from, lying as it came up,
and is skipped. For that it does not matter which coin it is, only that it is laid on none:

- the run that lifted it knows the slot to be empty, since it has taken the coin out itself;
- after a kill somebody may have been there, so suction feels first whether the slot still is. If it is not, or the arm
  feels nothing, whatever lies on the plate stays there and the run ends.

A coin that is neither on the arm, nor on the plate, nor in the flip station is looked for in its slot. If that is empty
the coin is skipped as missing: it was lost on its way, or there never was one.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TypeVar

from capture.engine.coin_check import Arrivals, Sight
from capture.engine.policy import Policy, Then
from capture.store import Store, StoreError
from capture.store.journal_lines import (
    CoinLine,
    CoinMove,
    CoinSkipped,
    LaidOnPlate,
    Lifting,
    Returned,
    Returning,
    SkipReason,
    TurningOver,
)
from capture.store.records import Session
from rig.errors import GripError, NothingThereError
from rig.sides import SIDES, Side
from rig.station import Station

log = logging.getLogger(__name__)

AS_FOUND: Side = "obverse"  # how coins lie in the tray
L = TypeVar("L", bound=CoinLine)
LOST = " It may have fallen off the arm when that failed: look on the table and under the tray's other coins."


class HandlingError(Exception):
    """A coin is not where it should be, and a person has to see to it."""


class CoinRefused(Exception):  # noqa: N818 - a finding, not a failure
    """What came out of a slot is not the one coin that should; it lies there again, if there is one.

    Parameters
    ----------
    skipped
        What was found.
    then
        What the policy says.
    """

    def __init__(self, skipped: CoinSkipped, then: Then) -> None:
        super().__init__(skipped.why)
        self.skipped = skipped
        self.then = then


@dataclass(frozen=True)
class OnPlate:
    """The coin on the plate, which side is up, and the name of this laying-down (`Frame.placement`)."""

    slot: int
    coin: str
    side: Side
    placement: str


def coin_out(store: Store) -> CoinMove | None:
    """The journal's last line of a coin that is on its way; None if all lie in their slots as they were found."""
    last = store.journal.last(CoinLine)
    if not isinstance(last, CoinMove) or (isinstance(last, Returned) and not _may_lie_wrong(last)):
        return None
    return last


def _may_lie_wrong(last: Returned) -> bool:
    """Whether a coin that hung on the arm was only just let go into its slot, and may lie the wrong way up."""
    return last.found == "arm" and last.side != AS_FOUND


class Handling:
    """Coins between tray and plate, for one session.

    Attributes
    ----------
    on_plate
        What lies on the plate; None if it is free.
    """

    def __init__(self, station: Station, store: Store, session: Session, arrivals: Arrivals, policy: Policy) -> None:
        self.on_plate: OnPlate | None = None
        self._station = station
        self._store = store
        self._session = session
        self._arrivals = arrivals
        self._policy = policy
        self._lifted: str | None = None  # the coin that this run took out of its slot last
        self._journal_may_fail = False
        self._journal_failed = False

    def may_be_lost(self, coin: str) -> bool:
        """Whether a coin that was on its way was found nowhere: it should be in its slot."""
        last = self._store.journal.last(Returned, session_id=self._session.id, coin=coin)
        return last is not None and last.found == "nowhere else"

    def load(self, slot: int, coin: str) -> None:
        """Bring a coin from its slot onto the plate, and see that it is the one.

        Raises
        ------
        CoinRefused
            If it is not, or there is none.
        HandlingError
            If something lies on the plate already.
        """
        if not self._arrivals.plate_is_free():
            raise HandlingError(
                "Something lies on the plate, and the journal knows of no coin there. Put it where it belongs; then "
                "give the same command again."
            )
        last = self._store.journal.last(Returned, session_id=self._session.id, coin=coin)
        lost = LOST if self.may_be_lost(coin) else ""
        expected: Side | None = last.side if last and last.found else AS_FOUND
        self._log(Lifting(slot=slot, coin=coin, side=expected))
        self._lift(slot, coin, lost)
        self._laid_down(slot, coin, expected or AS_FOUND)
        sight = self._examine(coin, expected)
        if sight.coins == 0:
            self.on_plate = None
            why = f"Nothing came to lie on the plate: slot {slot} is empty, or its coin fell on the way.{lost}"
            raise self._refused(slot, coin, "empty slot", why, self._policy.empty_slot.then, sight)
        side = sight.side or expected
        if side is None or sight.coins > 1 or _why_not(sight) is not None:
            self.put_back()
            raise self._not_the_one(slot, coin, sight)
        if self._here().side != side:
            self._laid_down(slot, coin, side)

    def turn_to(self, side: Side) -> None:
        """Turn the coin over, if the side is not up already."""
        here = self._here()
        if here.side != side:
            self._log(TurningOver(slot=here.slot, coin=here.coin, side=here.side))
            self._station.flip()
            self._laid_down(here.slot, here.coin, side)

    def put_back(self) -> None:
        """Bring the coin back into its slot, lying as it was found."""
        self.turn_to(AS_FOUND)
        here = self._here()
        self._log(Returning(slot=here.slot, coin=here.coin, side=here.side))
        self._station.unload(here.slot)
        self.on_plate = None
        self._log(Returned(slot=here.slot, coin=here.coin, side=here.side))

    def put_back_in_any_case(self) -> None:
        """`put_back`, even if the disk is full or broken; the next run then finds the plate free and goes on."""
        self._journal_may_fail = True
        try:
            if self.on_plate is not None:
                self.put_back()
        finally:
            self._journal_may_fail = self._journal_failed = False

    def take_up(self) -> OnPlate | None:
        """See to the coin that the last run, or this one before a device failed, left on its way, if there is one.

        Where it lies on the plate, or turned over in the flip station, it is taken up from there. One that hangs on the
        arm is first brought back into its slot.

        Returns
        -------
        OnPlate or None
            The coin on the plate; None if the plate is free.

        Raises
        ------
        CoinRefused
            If it is not the coin that it should be; it was put back into the slot that it came from.
        HandlingError
            If a person has to see to it.
        """
        self.on_plate = None
        last = coin_out(self._store)
        if last is None:
            return None
        slot, coin, side = last.slot, last.coin, last.side
        if self._session.frozen_tray().slots.get(slot) != coin:
            self._store.journal.log(Returned(slot=slot, coin=coin, side=AS_FOUND, found="by hand"), last.session_id)
            raise HandlingError(
                f"Coin {coin} of slot {slot} was out of its tray when another scan ended. See that it is back in its "
                "slot, obverse up; then give the same command again."
            )
        if isinstance(last, Returned):
            self.load(slot, coin)  # to see how it lies, and to turn it back
            return self.on_plate
        was_turning = isinstance(last, TurningOver)
        if self._station.holds_coin():
            self._station.unload(slot)
            lies_with = None if was_turning else side
            returned = self._log(Returned(slot=slot, coin=coin, side=lies_with, found="arm"))
            if _may_lie_wrong(returned):
                self.load(slot, coin)
            return self.on_plate
        if not self._arrivals.plate_is_free():
            up = self._side_up(slot, coin, side or AS_FOUND, None if was_turning else side)
            is_as_left = isinstance(last, LaidOnPlate) and (last.session_id, up) == (self._session.id, side)
            if is_as_left and self.on_plate is None:
                self.on_plate = OnPlate(slot, coin, up, str(last.number))
            elif self.on_plate is None or self.on_plate.side != up:
                self._laid_down(slot, coin, up)
            return self.on_plate
        if isinstance(last, TurningOver):
            try:
                self._station.fetch_from_flip_station()
            except GripError:
                pass  # it cannot be told from here where it is: if not in its slot, loading it will fail and say so
            else:  # look, since an arm without a sense of its own may have carried it, not turned, all along
                up = self._side_up(slot, coin, _other(last.side), _other(last.side))
                if self.on_plate is None or self.on_plate.side != up:
                    self._laid_down(slot, coin, up)
                return self.on_plate
        self._station.let_go_into(slot)  # an arm without a sense of its own may have it still
        self._log(Returned(slot=slot, coin=coin, side=side, found="nowhere else"))
        return None

    def _lift(self, slot: int, coin: str, lost: str) -> None:
        """Bring whatever is in the slot onto the plate, tried as often as the policy says."""
        self._lifted = coin
        remedy = self._policy.empty_slot
        for attempt in range(remedy.attempts + 1):
            try:
                self._station.load(slot)
                return
            except NothingThereError:
                self._station.park()
                if attempt < remedy.attempts:
                    self._station.clock.sleep(remedy.pause_s * 2**attempt)
        why = f"Suction found no coin in slot {slot}.{lost}"
        raise self._refused(slot, coin, "empty slot", why, remedy.then, Sight(0))

    def _examine(self, coin: str, expected: Side | None) -> Sight:
        """What was laid down, looked at again, as often as the policy says, where it is not what it should be."""
        attempt = 0
        while True:
            sight = self._arrivals.examine(coin, compare=self._policy.compare_coins)
            sight = self._turned_over(coin, expected, sight)
            if sight.coins == 1 and _why_not(sight) is None:
                return sight
            remedy = {0: self._policy.empty_slot, 1: self._policy.wrong_coin}.get(sight.coins, self._policy.two_coins)
            if attempt >= remedy.attempts:
                return sight
            self._station.clock.sleep(remedy.pause_s * 2**attempt)
            attempt += 1

    def _turned_over(self, coin: str, expected: Side | None, sight: Sight) -> Sight:
        """The other side of a coin, where only that was ever photographed; else what was seen already."""
        unseen = [side for side in SIDES if side not in sight.compared]
        if sight.coins != 1 or sight.side or sight.other_size or len(unseen) != 1 or expected in sight.compared:
            return sight
        self.turn_to(_other(self._here().side))
        return self._arrivals.examine(coin)

    def _side_up(self, slot: int, coin: str, last_up: Side, expected: Side | None) -> Side:
        """Which side of the coin on the plate is up, if it is that coin, as earlier pictures of it have it."""
        compare = self._policy.compare_coins or expected is None
        here = OnPlate(slot, coin, last_up, "")
        self.on_plate = here if self._lifted == coin else None
        sight = self._arrivals.examine(coin, compare=compare)
        if sight.coins == 1 and sight.side is None and sight.compared:
            self.on_plate = here
            sight = self._turned_over(coin, expected, sight)
        side = sight.side or (expected if not sight.compared else None)
        if sight.coins == 1 and side is not None and sight.other_size is None:
            return side
        lies = self.on_plate or here
        self.on_plate = None
        if sight.coins and (self._lifted == coin or self._station.feels_empty(slot)):
            self.on_plate = lies
            self.put_back()
            raise self._not_the_one(slot, coin, sight)
        self._log(Returned(slot=slot, coin=coin, side=AS_FOUND, found="by hand"))
        raise HandlingError(
            f"What lies on the plate cannot be told to be coin {coin}, or which side is up, and slot {slot} may not be "
            f"empty. Put it where it belongs, and coin {coin} into slot {slot}, obverse up; then give the same command "
            "again."
        )

    def _not_the_one(self, slot: int, coin: str, sight: Sight) -> CoinRefused:
        """Why what was put back again was not photographed."""
        policy, why_not = self._policy, _why_not(sight)
        if sight.coins > 1:
            return self._refused(slot, coin, "two coins", "More than one coin came up.", policy.two_coins.then, sight)
        if why_not is not None:
            return self._refused(slot, coin, "wrong coin", why_not, policy.wrong_coin.then, sight)
        why = "A device failed while it was turned over, and nothing tells which side is up. Lay it obverse up."
        return self._refused(slot, coin, "device", why, policy.device, sight)

    def _refused(self, slot: int, coin: str, reason: SkipReason, why: str, then: Then, sight: Sight) -> CoinRefused:
        looks_like = None
        if reason == "wrong coin":
            others = [other for other in self._session.frozen_tray().coins.values() if other != coin]
            looks_like = self._arrivals.looks_like(sight, others)
        skipped = CoinSkipped(
            slot=slot, coin=coin, reason=reason, why=why, looks_like=looks_like, diameter_mm=sight.diameter_mm
        )
        return CoinRefused(skipped, then)

    def _here(self) -> OnPlate:
        if self.on_plate is None:
            raise HandlingError("There is no coin on the plate. Give the command again.")
        return self.on_plate

    def _laid_down(self, slot: int, coin: str, side: Side) -> None:
        self.on_plate = OnPlate(slot, coin, side, "")  # it lies there, whether that can be written down or not
        line = self._log(LaidOnPlate(slot=slot, coin=coin, side=side))
        self.on_plate = OnPlate(slot, coin, side, str(line.number))

    def _log(self, line: L) -> L:
        if not self._journal_failed:
            try:
                return self._store.journal.log(line, self._session.id)
            except StoreError as error:
                if not self._journal_may_fail:
                    raise
                self._journal_failed = True  # each try may take half a minute
                log.warning("not in the journal: coin %s, %s. %s", line.coin, line.kind, error)
        return line


def _other(side: Side) -> Side:
    return SIDES[1 - SIDES.index(side)]


def _why_not(sight: Sight) -> str | None:
    """Why what lies on the plate is not the expected coin; None if nothing says so."""
    if sight.other_size is not None:
        return sight.other_size
    if sight.compared and sight.side is None:
        return "It does not look like earlier pictures of that coin."
    return None
