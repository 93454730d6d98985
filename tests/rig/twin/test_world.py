from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import serial
from pydantic import TypeAdapter, ValidationError

from rig.bench import BenchLayout, SlotGrid
from rig.clock import ScaledClock
from rig.errors import DeviceError
from rig.twin import world as twin_world
from rig.twin.faults import Fault, FrozenFrame, Unplugged
from rig.twin.lab import make_world
from rig.twin.ring import lamps
from rig.twin.scene import BoardPose
from rig.twin.world import World
from tests.rig.wires import CONFIG


def test_coins_lie_obverse_up_off_centre_at_any_rotation(world: World) -> None:
    world.fill({slot: f"coin {slot}" for slot in range(1, 21)})
    coins = world.coins
    assert {coin.side for coin in coins} == {"obverse"}
    assert len({round(coin.rotation_deg) for coin in coins}) > 10
    assert all(0 < abs(coin.x_mm) + abs(coin.y_mm) < 8 for coin in coins)


def test_a_seed_gives_the_same_world(world_with: Callable[..., World]) -> None:
    tray = {1: "first", 5: "fifth"}
    worlds = [world_with(seed=seed) for seed in (4, 4, 5)]
    for made in worlds:
        made.fill(tray)
    assert worlds[0].coins == worlds[1].coins != worlds[2].coins
    assert worlds[0].plate_deg() == worlds[1].plate_deg() != worlds[2].plate_deg()


def test_a_tray_that_is_there_is_left_and_another_replaces_it(world_with: Callable[..., World], tmp_path: Path) -> None:
    path = tmp_path / "twin" / "world.json"
    world_with(seed=1, state_path=path).fill({1: "first"})
    again = world_with(seed=2, state_path=path)
    before = again.coins
    again.fill({1: "first"})
    assert again.coins == before
    again.fill({1: "first", 2: "second"})
    assert [coin.coin for coin in again.coins] == ["first", "second"]
    assert [file.name for file in path.parent.iterdir()] == ["world.json"]


def test_what_truly_lies_in_a_tray_is_not_what_its_file_says(world_with: Callable[..., World]) -> None:
    contents = {"4": {1: "second", 2: "first", 3: None, 5: ["fifth", "sixth"]}}
    world = world_with(contents=contents)
    tray = {1: "first", 2: "second", 3: "third", 5: "fifth"}
    world.fill(tray, "4")
    lies = [(coin.coin, coin.slot) for coin in world.coins]
    assert lies == [("second", 1), ("first", 2), ("fifth", 5), ("sixth", 5)]
    world.fill(tray, "3")
    assert [(coin.coin, coin.slot) for coin in world.coins] == [(name, slot) for slot, name in tray.items()]


def test_two_coins_that_share_a_slot_come_up_and_go_back_together(world_with: Callable[..., World]) -> None:
    world = world_with(contents={"4": {1: ["first", "second"]}})
    world.fill({1: "first"}, "4")
    x_mm, y_mm, z_mm = world.bench.tray.position_mm(1)

    def move(to_mm: tuple[float, float, float], on: bool) -> set[tuple[str, int | None]]:
        world.carry(to_mm, 1000.0, 1e6, world.clock.now())
        world.clock.sleep(10.0)
        world.suck(on)
        assert world.cup_holds() is on
        return {(coin.place, coin.slot) for coin in world.coins}

    assert move((x_mm, y_mm, z_mm), True) == {("cup", None)}
    assert move(world.bench.plate_mm, False) == {("plate", None)}
    assert len(world.scene().coins) == 2
    assert move(world.bench.plate_mm, True) == {("cup", None)}
    assert move((x_mm, y_mm, z_mm), False) == {("slot", 1)}


def test_a_slot_beyond_the_tray_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="slot 21 is not on the tray"):
        world.fill({21: "lost"})


def test_a_damaged_state_says_what_to_do(clock: ScaledClock, tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    path.write_text("{")
    with pytest.raises(DeviceError, match=r"world\.json is damaged, as after a power cut\. Delete it"):
        make_world(CONFIG, clock, state_path=path)


def test_targets_are_laid_and_taken_away(world: World) -> None:
    world.show_target("charuco", BoardPose(rotation_deg=10))
    assert (world.scene().target, world.scene().board.rotation_deg) == ("charuco", 10)
    world.show_target("coins")
    assert (world.scene().target, world.scene().board) == ("coins", BoardPose())


def test_a_frozen_camera_repeats_itself_so_many_times(world_with: Callable[..., World]) -> None:
    world = world_with(FrozenFrame(after_frames=2, frames=2))
    assert [world.frame_is_frozen() for _ in range(6)] == [False, False, True, True, False, False]


def test_ports_lead_nowhere_without_a_world() -> None:
    twin_world.use(None)
    with pytest.raises(serial.SerialException, match="no twin world is in use"):
        serial.serial_for_url("twin://turntable")


def test_ports_fail_as_real_ones_do(world_with: Callable[..., World]) -> None:
    world = world_with()
    with pytest.raises(serial.SerialException, match="no such device"):
        serial.serial_for_url("twin://teapot")
    port = serial.serial_for_url("twin://turntable", timeout=0)
    with pytest.raises(serial.SerialException, match="already open"):
        port.open()
    assert port.read(10) == b""
    port.reset_input_buffer()
    world.faults.append(Unplugged(device="turntable"))
    with pytest.raises(serial.SerialException, match="disconnected"):
        port.read(1)
    port.close()
    with pytest.raises(serial.PortNotOpenError):
        port.write(b"?")


def test_faults_are_distinguished_by_kind() -> None:
    faults = TypeAdapter(list[Fault]).validate_python(
        [{"kind": "jam"}, {"kind": "lost bytes", "device": "arm", "rate": 1}]
    )
    assert [fault.kind for fault in faults] == ["jam", "lost bytes"]
    with pytest.raises(ValidationError, match="expected tags"):
        TypeAdapter(Fault).validate_python({"kind": "gremlins"})


@pytest.mark.parametrize(("slot", "where"), [(1, (115, 105)), (5, (235, 105)), (6, (115, 135)), (20, (235, 195))])
def test_slots_run_row_by_row(slot: int, where: tuple[float, float]) -> None:
    assert BenchLayout().tray.position_mm(slot) == (*where, 10)
    assert SlotGrid(columns=10, rows=2).count == 20


@pytest.mark.parametrize("count", [6, 24, 60, 144])
def test_a_full_ring_is_six_lamps_of_full_power(count: int) -> None:
    found = lamps([(1.0, 5000)] * count, led0_azimuth_deg=0, elevation_deg=30)
    assert len(found) == 6
    assert sum(lamp.intensity for lamp in found) == pytest.approx(6)


def test_a_run_across_the_first_led_is_one_lamp() -> None:
    ring = [(0.5, 5000)] * 3 + [(0.0, 0)] * 30 + [(0.5, 5000)] * 3
    (lamp,) = lamps(ring, led0_azimuth_deg=5, elevation_deg=30)
    assert lamp.azimuth_deg == pytest.approx(0)
    assert lamp.intensity == pytest.approx(0.5)
    assert lamps([], 0, 30) == ()
