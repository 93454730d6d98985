"""An arm that holds the camera: it goes to what it was taught, and nowhere near plate, walls or the other arm."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from rig.clock import ScaledClock
from rig.errors import AlarmError, DeviceError, EnvelopeError
from rig.station import Station, StationConfig
from rig.twin import world as twin_world
from rig.twin.faults import Brownout, Jam
from rig.twin.lab import make_world
from rig.twin.world import World
from tests.rig.camera_arms import with_camera_arm

SERVO_DEG = 1.9  # a uArm's has steps of 1.8 degrees, and cuts what is between
QUICK = StationConfig.model_validate(
    {
        "turntable": {"answer_s": 0.3, "boot_s": 1.0, "homing_s": 2.0},
        "arm": {"answer_s": 0.3, "boot_s": 1.0, "move_s": 2.0},
        "lightbox": {"answer_s": 0.3, "boot_s": 1.0},
    }
)


@pytest.fixture
def kind() -> str:
    return "uarm"


@pytest.fixture
def config(kind: str) -> StationConfig:
    return with_camera_arm(QUICK, kind)


@pytest.fixture
def world(config: StationConfig) -> Iterator[World]:
    made = make_world(config, ScaledClock(math.inf), seed=1)
    made.fill({1: "first"})
    yield made
    twin_world.use(None)


@pytest.fixture
def station(config: StationConfig, world: World) -> Iterator[Station]:
    with Station(config, world.clock) as made:
        yield made


@pytest.mark.parametrize("kind", ["uarm", "dobot", "roarm"])
def test_every_arm_holds_the_camera_where_it_was_taught(station: Station, world: World) -> None:
    station.home()
    for tilt_deg in (40.0, 20.0, 0.0):
        assert station.tilt_to(tilt_deg) == pytest.approx(tilt_deg, abs=0.1)
        pose = world.camera_pose()
        assert pose.tilt_deg == pytest.approx(tilt_deg, abs=SERVO_DEG)
        assert pose.lens_mm is not None
        swung_mm = (0.0, -250 * math.sin(math.radians(tilt_deg)), 250 * math.cos(math.radians(tilt_deg)))
        assert math.dist(pose.lens_mm, swung_mm) < 1.5, "it bends a little, and its lens is turned by that servo"
        assert math.dist(pose.lens_mm, swung_mm) > 1e-3


def test_nothing_it_was_not_taught_and_nothing_near_plate_or_walls(station: Station, world: World) -> None:
    with pytest.raises(AlarmError, match="not homed"):
        station.tilt_to(20.0)
    station.home()
    before = world.moves["camera_arm"]
    with pytest.raises(EnvelopeError, match="jog --camera"):
        station.tilt_to(30.0)
    x_mm, y_mm, z_mm = station.config.camera_arm.plate_mm
    with pytest.raises(EnvelopeError, match="its room in the lightbox"):
        station.move_camera((x_mm, y_mm + 150.0, z_mm + 250.0), 90.0)
    with pytest.raises(EnvelopeError, match="of the plate"):
        station.move_camera((x_mm - 40.0, 0.0, -110.0), 90.0)
    with pytest.raises(EnvelopeError, match="servo at its end"):
        station.move_camera(station.camera_arm.end_mm, 200.0)
    assert world.moves["camera_arm"] == before


def test_the_other_arm_and_the_camera_keep_out_of_each_other_s_way(station: Station, world: World) -> None:
    station.home()
    x_mm, y_mm, _ = station.bench.plate_mm
    station.tilt_to(40.0)
    with pytest.raises(EnvelopeError, match="while the camera is tilted"):
        station.move_cup((x_mm, y_mm, station.bench.safe_z_mm))
    station.load(1)
    assert world.camera_pose().tilt_deg == pytest.approx(0.0, abs=SERVO_DEG)
    station.move_cup((x_mm, y_mm, station.bench.safe_z_mm))
    with pytest.raises(EnvelopeError, match="while the arm is over the plate"):
        station.tilt_to(40.0)


def test_an_arm_that_was_taught_nothing_homes_and_lets_nobody_near(world: World, config: StationConfig) -> None:
    untaught = config.model_copy(update={"camera_arm": config.camera_arm.model_copy(update={"poses": ()})})
    with Station(untaught, world.clock) as station:
        station.home()
        with pytest.raises(EnvelopeError, match="jog --camera"):
            station.load(1)
        assert [coin.place for coin in world.coins] == ["slot"]


@pytest.mark.parametrize("fault", [Jam, Brownout])
def test_an_arm_with_sensors_finds_out_by_itself(
    station: Station, world: World, fault: type[Jam] | type[Brownout]
) -> None:
    station.home()
    world.faults.append(fault(device="camera_arm", after_moves=world.moves["camera_arm"]))
    with pytest.raises(DeviceError, match="camera arm"):
        station.tilt_to(40.0)
    with pytest.raises(AlarmError, match="not homed"):
        station.tilt_to(0.0)
    world.repair()
    station.home()
    assert world.camera_pose().tilt_deg == pytest.approx(0.0, abs=SERVO_DEG)


def test_two_things_cannot_tilt_one_camera(config: StationConfig) -> None:
    values = config.model_dump()
    values["turntable"]["tilt"] = {"axis": "Y"}
    with pytest.raises(ValueError, match="keep one of the two"):
        StationConfig.model_validate(values)
    values = config.model_dump()
    values["camera_arm"]["arm"] = {"kind": "manual"}
    with pytest.raises(ValueError, match="hold no camera still"):
        StationConfig.model_validate(values)
