from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rig.clock import ScaledClock
from rig.errors import AlarmError, DeviceError, EnvelopeError, GripError, NotConnectedError
from rig.station import Station, StationConfig
from rig.twin.faults import Brownout, DeadPump, Glitch, Jam, Unplugged
from rig.twin.lab import make_world
from rig.twin.world import World
from tests.rig.wires import CONFIG


def places(world: World) -> dict[str, str]:
    return {coin.coin: f"slot {coin.slot}" if coin.slot else coin.place for coin in world.coins}


ALL_IN_SLOTS = {"first": "slot 1", "second": "slot 2", "last": "slot 20"}


def is_safe(world: World) -> bool:
    return world.scene().lamps == () and world.cup_mm() == CONFIG.bench.rest_mm


# The main errand


@pytest.mark.parametrize(("slot", "name"), [(1, "first"), (20, "last")])
def test_a_coin_goes_to_the_plate_and_back_into_its_slot(station: Station, world: World, slot: int, name: str) -> None:
    station.load(slot)
    (coin,) = world.scene().coins
    assert (coin.coin, coin.side) == (name, "obverse")
    assert math.hypot(coin.x_mm, coin.y_mm) < 5
    assert world.cup_mm() == CONFIG.bench.rest_mm  # out of the camera's sight
    station.unload(slot)
    assert places(world) == ALL_IN_SLOTS


def test_the_coin_turns_with_the_plate(station: Station, world: World) -> None:
    station.load(1)
    assert station.rotate_to(0) == pytest.approx(0)
    before = world.scene()
    assert station.rotate_to(90) == pytest.approx(90)
    after = world.scene()
    assert (before.plate_angle_deg, after.plate_angle_deg) == pytest.approx((0, 90))
    assert before.coins == after.coins


def test_it_is_turned_over_by_the_flip_station(station: Station, world: World) -> None:
    station.load(1)
    for side in ("reverse", "obverse", "reverse"):
        station.flip()
        assert [coin.side for coin in world.scene().coins] == [side]
    station.unload(1)
    assert places(world) == ALL_IN_SLOTS


def test_many_turns_and_flips_never_lose_a_coin(station: Station, world: World) -> None:
    station.load(2)
    for turn in range(12):
        station.rotate_to(37.0 * turn)
        station.flip()
    station.unload(2)
    assert places(world) == ALL_IN_SLOTS


def test_lights_go_by_name(station: Station, world: World) -> None:
    assert station.light_names == ["az000", "az060", "az120", "az180", "az240", "az300", "all"]
    station.show("az120")
    assert [lamp.azimuth_deg for lamp in world.scene().lamps] == pytest.approx([120])
    station.dark()
    assert world.scene().lamps == ()
    with pytest.raises(EnvelopeError, match=r"no light 'az121'\. Lights in rig\.yaml: az000, az060"):
        station.show("az121")


def test_estimates_are_near_the_truth(station: Station, world: World, clock: ScaledClock) -> None:
    world.fill({8: "middle"})
    station.rotate_to(0)
    began = clock.now()
    station.load(8)
    station.flip()
    for angle_deg in (90, 180, 270):
        station.rotate_to(angle_deg)
        station.show("az000")
    station.unload(8)
    taken_s = clock.now() - began
    assert station.estimate_s(loads=1, flips=1, turns_deg=[90] * 3, lights=3) == pytest.approx(taken_s, rel=0.1)


def test_an_estimate_needs_no_connection() -> None:
    assert Station(StationConfig(), ScaledClock()).estimate_s(loads=6, flips=12, turns_deg=[90] * 48, lights=288) > 60


# What it refuses


def test_nothing_moves_before_homing(world: World, clock: ScaledClock) -> None:
    with Station(CONFIG, clock) as station:
        for errand in (lambda: station.rotate_to(90), lambda: station.load(1), station.flip, station.park):
            with pytest.raises(AlarmError, match="not homed"):
                errand()


@pytest.mark.parametrize("slot", [0, 21])
def test_a_slot_that_does_not_exist_is_refused(station: Station, slot: int) -> None:
    assert station.slots == 20
    with pytest.raises(EnvelopeError, match=f"slot {slot} is not on the tray: it has slots 1 to 20"):
        station.load(slot)


def test_an_empty_slot_is_reported_and_leaves_everything_safe(station: Station, world: World) -> None:
    with pytest.raises(GripError, match=r"no coin to take up from slot 7\. Look for the coin"):
        station.load(7)
    station.load(1)
    station.unload(1)
    assert places(world) == ALL_IN_SLOTS


def test_suction_feels_whether_a_slot_is_empty_and_leaves_what_lies_there(station: Station, world: World) -> None:
    before = places(world)
    assert [station.feels_empty(slot) for slot in (1, 7)] == [False, True]
    assert places(world) == before
    assert is_safe(world)


def test_a_bench_out_of_reach_is_refused_when_it_is_read() -> None:
    with pytest.raises(ValidationError, match=r"bench: slot 5 at .* outside the envelope"):
        StationConfig.model_validate({"bench": {"tray": {"pitch_mm": 60}}})
    with pytest.raises(ValidationError, match="rest_mm must be at or above safe_z_mm"):
        StationConfig.model_validate({"bench": {"rest_mm": [130, -160, 20]}})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"turntable": {"kind": "lazy susan"}}, "kind"),
        ({"turntable": {"prot": "/dev/ttyUSB0"}}, "prot"),
        ({"arm": {"speed_mm_s": -1}}, "greater than 0"),
        ({"lightbox": {"lights": {}}}, "at least 1"),
    ],
)
def test_a_wrong_rig_yaml_is_refused(config: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        StationConfig.model_validate(config)


# However it is left


def test_left_in_peace_it_is_safe(world: World, clock: ScaledClock) -> None:
    with Station(CONFIG, clock) as station:
        assert [identity.kind for identity in station.identities] == ["wled", "grbl", "uarm"]
        station.home()
        station.show("all")
    assert is_safe(world)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_left_by_any_exception_it_is_safe(world: World, clock: ScaledClock, failure: type[BaseException]) -> None:
    with pytest.raises(failure), Station(CONFIG, clock) as station:
        station.home()
        station.load(1)
        station.show("all")
        raise failure
    assert is_safe(world)
    assert places(world)["first"] == "plate"


class Interrupting(ScaledClock):
    """Presses Ctrl-C at a moment of hardware time, once."""

    def __init__(self, at_s: float) -> None:
        super().__init__(math.inf)
        self.at_s = at_s

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.now() > self.at_s:
            self.at_s = math.inf
            raise KeyboardInterrupt


@pytest.mark.parametrize("after_s", [1.0 * n for n in range(1, 50, 2)])
def test_ctrl_c_at_any_moment_parks_and_drops_nothing(after_s: float) -> None:
    clock = Interrupting(math.inf)
    world = make_world(CONFIG, clock, seed=2)
    world.fill({1: "first", 2: "second", 20: "last"})
    with pytest.raises(KeyboardInterrupt), Station(CONFIG, clock) as station:
        station.home()
        clock.at_s = clock.now() + after_s
        while True:
            station.load(1)
            station.rotate_to(120)
            station.rotate_to(240)
            station.flip()
            station.unload(1)
    assert is_safe(world)
    assert world.scene().plate_speed_deg_s == 0
    assert places(world)["first"] in ("slot 1", "plate", "flip")
    assert not world.suction


def test_stopped_from_elsewhere_nothing_moves_any_more(station: Station, world: World) -> None:
    station.show("all")
    station.stop()
    assert world.scene().lamps == ()
    where = world.cup_mm()
    for errand in (lambda: station.rotate_to(90), lambda: station.load(1), station.park):
        with pytest.raises(AlarmError):
            errand()
    station.make_safe()
    assert world.cup_mm() == where
    station.home()
    station.load(1)
    assert places(world)["first"] == "plate"


# When things go wrong


def test_a_missing_device_leaves_the_others_unconnected(world_with: Callable[..., World], clock: ScaledClock) -> None:
    world = world_with(Unplugged(device="arm"))
    with pytest.raises(NotConnectedError, match="arm on twin://arm"):
        Station(CONFIG, clock).__enter__()
    assert world.scene().lamps == ()


def test_a_blocked_arm_is_left_as_it_stands(world_with: Callable[..., World], clock: ScaledClock) -> None:
    world = world_with(Jam(device="arm", after_moves=6))
    world.fill({1: "first"})
    with pytest.raises(DeviceError, match="Remove what is in its way"), Station(CONFIG, clock) as station:
        station.home()
        station.load(1)
    assert world.scene().lamps == ()
    assert world.cup_mm() != CONFIG.bench.rest_mm


def test_a_brownout_of_the_arm_says_where_to_look(world_with: Callable[..., World], clock: ScaledClock) -> None:
    world = world_with(Brownout(device="arm", after_moves=5))
    world.fill({1: "first"})
    with pytest.raises(AlarmError, match="what the cup held has fallen"), Station(CONFIG, clock) as station:
        station.home()
        station.load(1)
    assert places(world) == {"first": "table"}
    world.fill({1: "first"})  # whoever mounts the tray again puts it back
    with Station(CONFIG, clock) as station:
        station.home()
        station.load(1)
    assert places(world) == {"first": "plate"}


@pytest.mark.parametrize("moment", range(1, 30, 2))
def test_killed_at_any_moment_no_coin_is_lost(tmp_path: Path, moment: int) -> None:
    """The next process finds the coin in its slot, on the plate, on the arm or in the flip station."""
    state = tmp_path / "world.json"
    clock = Interrupting(math.inf)
    make_world(CONFIG, clock, seed=3, state_path=state).fill({1: "first"})
    station = Station(CONFIG, clock)
    station.connect()
    station.home()
    clock.at_s = clock.now() + moment
    with pytest.raises(KeyboardInterrupt):  # stands for the kill: nothing is tidied up, and this world is dropped
        while True:
            station.load(1)
            station.flip()
            station.unload(1)
    world = make_world(CONFIG, ScaledClock(math.inf), seed=3, state_path=state)
    world.fill({1: "first"})
    with Station(CONFIG, world.clock) as station:
        station.home()
        (place,) = places(world).values()
        assert place in ("slot 1", "plate", "cup", "flip")
        assert station.holds_coin() == (place == "cup")
        if place == "flip":
            station.fetch_from_flip_station()
        if place != "slot 1":
            station.unload(1)
    assert places(world) == {"first": "slot 1"}


# No exit path leaves a pump running


def silence_the_pump_s_answers(world: World) -> None:
    """From the next grip on, the answers about the pump are lost, as often as they are asked for."""
    after = world.wires["arm"].count("answered")
    world.faults.append(Glitch(device="arm", what="silent", after_messages=after + 1, messages=3))


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("way", ["empty slot", "dead pump", "no answer", "Ctrl-C", "stopped"])
def test_no_way_out_leaves_a_pump_running(
    world: World, clock: ScaledClock, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    with contextlib.suppress(DeviceError, KeyboardInterrupt), Station(CONFIG, clock) as station:
        station.home()
        arm: Any = station.arm
        match way:
            case "dead pump":
                world.faults.append(DeadPump())
            case "no answer":
                suck = arm._suck
                monkeypatch.setattr(arm, "_suck", lambda on: (silence_the_pump_s_answers(world), suck(on)))
            case "Ctrl-C":
                monkeypatch.setattr(arm, "_takes_hold", interrupt)
            case "stopped":
                monkeypatch.setattr(arm, "_takes_hold", lambda: (station.stop(), arm.holds()))
        station.load(7 if way == "empty slot" else 1)
    assert not world.suction
    assert places(world) == ALL_IN_SLOTS


def test_a_pump_that_does_not_run_is_no_empty_slot(world: World, clock: ScaledClock) -> None:
    with Station(CONFIG, clock) as station:
        station.home()
        world.faults.append(DeadPump())
        with pytest.raises(DeviceError, match="the pump does not run") as caught:
            station.load(1)
        assert not isinstance(caught.value, GripError)
        with pytest.raises(DeviceError, match="the pump does not run"):
            station.feels_empty(1)
