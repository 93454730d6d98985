"""Moving coins, with a journal: each handling is written down before it begins and after it ended.

So a run that was killed or failed leaves a trail, and the next one knows where to look. States of a coin, and the lines
of the journal between them::

    in its slot --"lifting"--> --"on plate"--> on the plate --"returning"--> --"returned"--> in its slot
                                                |        ^
                                                +--------+ "turning over", "on plate"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from calibration.image import Image
from calibration.outline import find_coins
from capture.plan import SIDES, Side
from capture.recognise import SAME_SIDE, agreement
from capture.records import Event, Frame, Session
from capture.store import Store
from rig.errors import GripError
from rig.station import Station

KINDS = ("lifting", "on plate", "turning over", "returning", "returned")
AS_FOUND: Side = "obverse"  # how coins lie in the tray

Look = Callable[[str, int, float], Image]
"""Takes a picture of the plate: light, exposure (us), gain."""


class HandlingError(Exception):
    """A coin is not where it should be, and a person has to see to it."""


@dataclass(frozen=True)
class OnPlate:
    """The coin on the plate, which side is up, and the name of this laying-down (`Frame.placement`)."""

    slot: int
    coin: str
    side: Side
    placement: str


class Handling:
    """Coins between tray and plate, for one session.

    Attributes
    ----------
    on_plate
        What lies on the plate; None if it is free.
    """

    def __init__(self, station: Station, store: Store, session: Session, look: Look) -> None:
        self.on_plate: OnPlate | None = None
        self._station = station
        self._store = store
        self._session = session
        self._look = look

    def load(self, slot: int, coin: str) -> None:
        """Bring a coin from its slot onto the plate."""
        last = self._store.last_event(("returned",), self._session.id, coin)
        self._log("lifting", slot, coin, AS_FOUND)
        self._station.load(slot)
        # after a mishap, better look
        side = self._side_up(slot, coin, last.detail["side"]) if last and "found" in last.detail else AS_FOUND
        self._laid_down(slot, coin, side)

    def turn_to(self, side: Side) -> None:
        """Turn the coin over, if the side is not up already."""
        here = self._here()
        if here.side != side:
            self._log("turning over", here.slot, here.coin, here.side)
            self._station.flip()
            self._laid_down(here.slot, here.coin, side)

    def put_back(self) -> None:
        """Bring the coin back into its slot, lying as it was found."""
        self.turn_to(AS_FOUND)
        here = self._here()
        self._log("returning", here.slot, here.coin, here.side)
        self._station.unload(here.slot)
        self._log("returned", here.slot, here.coin, here.side)
        self.on_plate = None

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
        HandlingError
            If a person has to see to it.
        """
        self.on_plate = None
        last = self._store.last_event(KINDS)
        if last is None or last.kind == "returned":
            return None
        slot, coin, side = last.detail["slot"], last.detail["coin"], last.detail["side"]
        if self._session.frozen_tray().slots.get(slot) != coin:
            self._returned_by_hand(last)
            raise HandlingError(
                f"Coin {coin} of slot {slot} was out of its tray when another scan ended. See that it is back in its "
                "slot, obverse up; then give the same command again."
            )
        was_turning = last.kind == "turning over"
        if self._station.holds_coin():
            self._station.unload(slot)
            self._log("returned", slot, coin, None if was_turning else side, found="arm")
            if was_turning or side != AS_FOUND:
                self.load(slot, coin)  # to see how it lies, and to turn it back
            return self.on_plate
        plan = self._session.frozen_plan()
        if find_coins(self._look(plan.lights[0], plan.exposure_us, plan.gain)):
            up = self._side_up(slot, coin, None if was_turning else side)
            if (last.kind, last.session_id, up) == ("on plate", self._session.id, side):
                self.on_plate = OnPlate(slot, coin, up, str(last.id))
            else:
                self._laid_down(slot, coin, up)
            return self.on_plate
        if was_turning:
            try:
                self._station.fetch_from_flip_station()
            except GripError:
                pass  # it cannot be told from here where it is: if not in its slot, loading it will fail and say so
            else:  # look, since an arm without a sense of its own may have carried it, not turned, all along
                self._laid_down(slot, coin, self._side_up(slot, coin, _other(side)))
                return self.on_plate
        self._log("returned", slot, coin, side, found="nowhere else")
        return None

    def _side_up(self, slot: int, coin: str, expected: Side | None) -> Side:
        """Which side of the coin on the plate is up: the expected one, unless pictures of it say otherwise."""
        agreements: dict[Side, float] = {}
        for side in SIDES:
            frame = self._known_frame(coin, side)
            if frame is not None:
                picture = self._look(str(frame.light), int(frame.exposure_us or 0), float(frame.gain or 1.0))
                agreements[side] = agreement(picture, self._store.image(frame.sha256))
        likely = max(agreements, key=lambda side: agreements[side], default=None)
        if likely is not None and agreements[likely] >= SAME_SIDE:
            return likely
        if expected is not None and expected not in agreements:
            return expected  # nothing speaks against it
        if len(agreements) == 1 and likely is not None:
            return _other(likely)
        self._log("returned", slot, coin, AS_FOUND, found="by hand")
        raise HandlingError(
            f"What lies on the plate cannot be told to be coin {coin}, or which side is up. Put it where it belongs, "
            f"and coin {coin} into slot {slot}, obverse up; then give the same command again."
        )

    def _known_frame(self, coin: str, side: Side) -> Frame | None:
        """The latest good frame of a coin side, of this session if there is one."""
        for session_id in (self._session.id, None):
            for frame in reversed(self._store.frames(session_id, coin, side)):
                if frame.shot_id is not None and frame.light in self._station.light_names:
                    return frame
        return None

    def _returned_by_hand(self, last: Event) -> None:
        detail = {**last.detail, "side": AS_FOUND, "found": "by hand"}
        self._store.log("returned", last.session_id, **detail)

    def _here(self) -> OnPlate:
        if self.on_plate is None:
            raise HandlingError("There is no coin on the plate. Give the command again.")
        return self.on_plate

    def _laid_down(self, slot: int, coin: str, side: Side) -> None:
        event = self._log("on plate", slot, coin, side)
        self.on_plate = OnPlate(slot, coin, side, str(event.id))

    def _log(self, kind: str, slot: int, coin: str, side: Side | None, **more: str) -> Event:
        return self._store.log(kind, self._session.id, slot=slot, coin=coin, side=side, **more)


def _other(side: Side) -> Side:
    return SIDES[1 - SIDES.index(side)]
