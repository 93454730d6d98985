"""Finding a coin that a failure, or the end of the last run, left on its way.

It is examined before anything else is done with it. One that is not the coin of its slot goes back into the slot it was
lifted from; for that it does not matter which coin it is, only that it is laid on none:

- the run that lifted it knows the slot to be empty, since it has taken the coin out itself;
- after a kill somebody may have been there, so suction feels first whether the slot still is. If it is not, or the arm
  feels nothing, whatever lies on the plate stays there and the run ends.

A coin that is neither on the arm, nor on the plate, nor in the flip station is looked for in its slot. If that is empty
the coin is skipped as missing: it was lost on its way, or there never was one.
"""

from __future__ import annotations

from typing import Literal

from capture.engine.coin_check import CoinCheck
from capture.engine.context import ScanContext
from capture.engine.errors import TransportError
from capture.engine.transport import AS_FOUND, CoinTransport, OnPlate, other_side
from capture.store import Store
from capture.store.journal_lines import CoinLine, CoinMove, LaidOnPlate, Returned, TurningOver
from rig.errors import GripError
from rig.sides import Side


def coin_out(store: Store) -> CoinMove | None:
    """The journal's last line of a coin that is on its way; None if all lie in their slots as they were found."""
    last = store.journal.last(CoinLine)
    if not isinstance(last, CoinMove) or (isinstance(last, Returned) and not _may_lie_wrong(last)):
        return None
    return last


def take_up_stray(context: ScanContext, transport: CoinTransport, coin_check: CoinCheck) -> OnPlate | None:
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
    TransportError
        If a person has to see to it.
    """
    transport.on_plate = None
    last = coin_out(context.store)
    if last is None:
        return None
    if context.tray.slots.get(last.slot) != last.coin:
        by_hand = Returned(slot=last.slot, coin=last.coin, side=AS_FOUND, found="by hand")
        context.store.journal.log(by_hand, last.session_id)
        raise TransportError(
            f"Coin {last.coin} of slot {last.slot} was out of its tray when another scan ended. See that it is back in "
            "its slot, obverse up, then run the same command again."
        )
    _StrayCoin(context, transport, coin_check, last).find()
    return transport.on_plate


def _may_lie_wrong(last: Returned) -> bool:
    """Whether a coin that hung on the arm was only just let go into its slot, and may lie the wrong way up."""
    return last.found == "arm" and last.side != AS_FOUND


class _StrayCoin:
    """A coin that the journal last saw on its way."""

    def __init__(self, context: ScanContext, transport: CoinTransport, coin_check: CoinCheck, last: CoinMove) -> None:
        self._context = context
        self._station = context.station
        self._transport = transport
        self._coin_check = coin_check
        self._last = last
        self._slot, self._coin = last.slot, last.coin

    def find(self) -> None:
        """Look wherever it may be: in its slot the wrong way up, on the arm, on the plate, in the flip station."""
        last = self._last
        if isinstance(last, Returned):
            self._transport.load(self._slot, self._coin)  # to see how it lies, and to turn it back
        elif self._station.holds_coin():
            self._return_from_arm()
        elif not self._coin_check.plate_is_free():
            self._take_up_from_plate()
        elif not (isinstance(last, TurningOver) and self._fetch_from_flip_station(other_side(last.side))):
            self._station.let_go_into(self._slot)  # an arm without a sense of its own may have it still
            self._log_return(last.side, "nowhere else")

    def _return_from_arm(self) -> None:
        self._station.unload(self._slot)
        side = None if isinstance(self._last, TurningOver) else self._last.side
        if _may_lie_wrong(self._log_return(side, "arm")):
            self._transport.load(self._slot, self._coin)

    def _take_up_from_plate(self) -> None:
        last = self._last
        up = self._require_side_up(last.side or AS_FOUND, None if isinstance(last, TurningOver) else last.side)
        is_as_left = isinstance(last, LaidOnPlate) and (last.session_id, up) == (self._context.session.id, last.side)
        if is_as_left and self._transport.on_plate is None:
            self._transport.on_plate = OnPlate(self._slot, self._coin, up, str(last.number))
        else:
            self._lay_down(up)

    def _fetch_from_flip_station(self, up: Side) -> bool:
        """Bring it from the flip station, if it is there."""
        try:
            self._station.fetch_from_flip_station()
        except GripError:
            return False  # where it is cannot be known from here: if not in its slot, loading it will fail and say so
        # an arm without a sense of its own may have carried it, not turned, all along
        self._lay_down(self._require_side_up(up, up))
        return True

    def _lay_down(self, up: Side) -> None:
        on_plate = self._transport.on_plate
        if on_plate is None or on_plate.side != up:
            self._transport.lay_down(self._slot, self._coin, up)

    def _require_side_up(self, last_up: Side, expected: Side | None) -> Side:
        """Which side of the coin on the plate is up, if it is that coin, as its earlier frames show it."""
        transport, slot, coin = self._transport, self._slot, self._coin
        compare = self._context.policy.compare_coins or expected is None
        here = OnPlate(slot, coin, last_up, "")
        transport.on_plate = here if transport.lifted == coin else None
        sight = self._coin_check.examine(coin, compare=compare)
        if sight.coins == 1 and sight.side is None and sight.compared:
            transport.on_plate = here
            sight = transport.show_unseen_side(coin, expected, sight)
        side = sight.side or (expected if not sight.compared else None)
        if sight.coins == 1 and side is not None and sight.other_size is None:
            return side
        lies = transport.on_plate or here
        transport.on_plate = None
        if sight.coins and (transport.lifted == coin or self._station.feels_empty(slot)):
            transport.on_plate = lies
            transport.put_back()
            raise transport.not_the_one(slot, coin, sight)
        self._log_return(AS_FOUND, "by hand")
        raise TransportError(
            f"What lies on the plate cannot be recognised as coin {coin}, or which side is up, and slot {slot} may not "
            f"be empty. Put it where it belongs, and coin {coin} into slot {slot}, obverse up, then run the same "
            "command again."
        )

    def _log_return(self, side: Side | None, found: Literal["arm", "nowhere else", "by hand"]) -> Returned:
        return self._transport.log(Returned(slot=self._slot, coin=self._coin, side=side, found=found))
