"""A station without an arm and without a lightbox that listens: a technician does both, on the twin."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import pytest

from rig.clock import ScaledClock
from rig.errors import AlarmError, EnvelopeError, GripError
from rig.station import Station, StationConfig
from rig.twin import world as twin_world
from rig.twin.lab import make_world
from rig.twin.world import World

BY_HAND = StationConfig.model_validate({"arm": {"kind": "manual"}, "lightbox": {"kind": "manual"}})


class Hands:
    """A technician at the twin's bench."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[str] = []

    def __call__(self, request: str) -> bool:
        self.asked.append(request)
        coins = self.world.state.coins
        slot = next((int(number) for number in re.findall(r"slot (\d+)", request)), None)
        if "into slot" in request or "Turn the coin" in request:
            coin = next((coin for coin in coins if coin.place == "plate"), None)
            if coin is None:
                return False
            if slot is None:
                coin.side = "reverse" if coin.side == "obverse" else "obverse"
            else:
                coin.place, coin.slot = "slot", slot
        elif slot is not None:
            coin = next((coin for coin in coins if coin.slot == slot), None)
            if coin is None:
                return False
            coin.place, coin.slot = "plate", None
        elif request.startswith("Switch on"):
            self.world.leds = [(1.0, 5000)]
        return True


@pytest.fixture
def world() -> Iterator[World]:
    made = make_world(BY_HAND, ScaledClock(math.inf), seed=1)
    made.fill({1: "first", 2: "second"})
    yield made
    twin_world.use(None)


@pytest.fixture
def hands(world: World) -> Hands:
    return Hands(world)


def test_a_whole_round(world: World, hands: Hands) -> None:
    with Station(BY_HAND, world.clock, hands) as station:
        assert [identity.kind for identity in station.identities] == ["manual", "grbl", "manual"]
        station.home()
        station.load(2)
        assert [coin.coin for coin in world.scene().coins] == ["second"]
        station.show("az060")
        assert station.rotate_to(90) == pytest.approx(90)
        station.flip()
        assert [coin.side for coin in world.scene().coins] == ["reverse"]
        station.flip()
        station.unload(2)
        assert world.scene().coins == ()
        assert not station.holds_coin()
    assert len(hands.asked) == 6  # home, load, light, two flips, unload: parking and going dark ask nothing


def test_before_homing_nothing_turns(world: World, hands: Hands) -> None:
    with Station(BY_HAND, world.clock, hands) as station, pytest.raises(AlarmError, match="not homed"):
        station.rotate_to(90)


def test_an_empty_slot_and_one_that_is_not_there(world: World, hands: Hands) -> None:
    with Station(BY_HAND, world.clock, hands) as station:
        station.home()
        with pytest.raises(GripError, match="slot 7"):
            station.load(7)
        with pytest.raises(EnvelopeError, match="slot 21 is not on the tray"):
            station.load(21)


def test_the_time_it_takes(world: World) -> None:
    station = Station(BY_HAND, world.clock)
    assert station.estimate_s(loads=1, flips=2, lights=3) == pytest.approx(4 * 12 + 3 * 8)
