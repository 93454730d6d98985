"""Every balance over its wire: what it weighs, what it refuses, and what a bad line does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rig.balances.balance_emulators import MOST_G
from rig.clock import ScaledClock
from rig.errors import DeviceError, NoAnswerError, NotConnectedError
from rig.registry import BALANCES
from rig.station import StationConfig
from rig.twin import world as twin_world
from rig.twin.faults import Draught, Glitch, Unplugged
from rig.twin.lab import make_world
from rig.twin.world import World
from tests.capture.engine.bench import DRAWER
from tests.variants import usually

EVERY_BALANCE = pytest.mark.parametrize("kind", BALANCES.drivers)
COIN = "2024.1.1"

Make = Callable[..., tuple[Any, World]]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Any] = []

    def build(kind: str, *faults: Any) -> tuple[Any, World]:
        clock = ScaledClock(math.inf)
        config = StationConfig.model_validate({"balance": {"kind": kind, "answer_s": 0.2, "stable_s": 4.0}})
        world = make_world(config, clock, faults=faults, drawer=DRAWER)
        made.append(BALANCES.make(config.balance, clock))
        made[-1].connect()
        return made[-1], world

    yield build
    for balance in made:
        balance.close()
    twin_world.use(None)


@EVERY_BALANCE
def test_it_zeroes_and_weighs_to_the_last_digit(make: Make, kind: str) -> None:
    balance, world = make(kind)
    world.lay_on_pan(None)
    balance.zero()
    world.lay_on_pan(COIN)
    weight = balance.weigh()
    assert weight.is_stable
    assert weight.grams == pytest.approx(DRAWER.side_texture(COIN, "obverse").mass_g, abs=0.0006)
    balance.zero()  # a coin left on the pan is the zero
    world.lay_on_pan(None)
    assert balance.weigh().grams == pytest.approx(-weight.grams, abs=0.0011)


@EVERY_BALANCE
def test_a_weight_that_never_stands_is_marked(make: Make, kind: str) -> None:
    balance, world = make(kind)
    world.faults.append(Draught())
    world.lay_on_pan(COIN)
    assert not balance.weigh().is_stable
    with pytest.raises(DeviceError, match=r"not at rest|cannot be zeroed"):
        balance.zero()


@EVERY_BALANCE
def test_overload_is_reported(make: Make, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    balance, world = make(kind)
    monkeypatch.setattr(world, "pan", lambda: (MOST_G + 1, -math.inf))
    with pytest.raises(DeviceError, match=r"too much|says 'Error'"):
        balance.weigh()


GLITCHES: tuple[dict[str, Any], ...] = (
    {"what": "lost byte", "at": 3},
    {"what": "duplicated"},
    {"what": "lost byte", "at": -7},
    {"what": "lost byte", "at": -8},
    {"what": "lost byte", "way": "sent"},
    {"what": "silent"},
    {"what": "garbage"},
    {"what": "split"},
)


@EVERY_BALANCE
@pytest.mark.parametrize("glitch", usually(GLITCHES[:2], GLITCHES))
def test_a_damaged_line_never_becomes_another_weight(make: Make, kind: str, glitch: dict[str, Any]) -> None:
    balance, world = make(kind)
    world.lay_on_pan(COIN)
    right = balance.weigh().grams
    wire = world.wires["balance"]
    way = glitch.get("way", "answered")
    world.faults.append(Glitch(device="balance", after_messages=wire.count(way), seconds=0.02, **glitch))
    assert balance.weigh().grams == right


@EVERY_BALANCE
def test_a_cable_that_is_pulled(make: Make, kind: str) -> None:
    balance, world = make(kind)
    world.faults.append(Unplugged(device="balance"))
    with pytest.raises(NotConnectedError):
        balance.weigh()


def test_another_device_at_the_port_is_named(make: Make) -> None:
    _, world = make("sics")
    world.emulators["balance"] = world.emulators["turntable"]
    config = StationConfig.model_validate({"balance": {"kind": "sics", "answer_s": 0.2}})
    other = BALANCES.make(config.balance, world.clock)
    with pytest.raises(NoAnswerError, match="balance on twin://balance"):
        other.connect()
    other.close()


@pytest.mark.parametrize(
    ("kind", "line", "grams", "is_stable"),
    [
        ("sics", "S S     100.00 g", 100.0, True),
        ("sics", "S D      -3.1 g", -3.1, False),
        ("sics", "SI ?       18.5 kg", 18500.0, False),
        ("sbi", "+   123.56 g  ", 123.56, True),
        ("sbi", "N     +  123.5[6] g  ", 123.56, True),
        ("sbi", "-    0.0123   ", -0.0123, False),
        ("kern", "         0.345 g  ", 0.345, True),
        ("kern", "M -      1.20", -1.2, False),
    ],
)
def test_lines_of_the_manuals(
    make: Make, monkeypatch: pytest.MonkeyPatch, kind: str, line: str, grams: float, is_stable: bool
) -> None:
    balance, world = make(kind)

    def says(data: bytes) -> None:
        world.emulators["balance"].say(line + "\r\n")

    monkeypatch.setattr(world.emulators["balance"], "received", says)
    reading = balance._read()
    assert (reading.grams, reading.is_stable) == (pytest.approx(grams), is_stable)
