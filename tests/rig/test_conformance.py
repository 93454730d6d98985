"""What every driver has to do, each against its emulated controller, over ``twin://`` and over a real terminal."""

from __future__ import annotations

import functools
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.devices import Light
from rig.errors import AlarmError, DeviceError, EnvelopeError
from rig.registry import STATION
from rig.station import StationConfig
from rig.twin import world as twin_world
from rig.twin.lab import make_world
from rig.twin.world import World
from tests.rig import driving
from tests.rig.benches import DEFAULTS, PATIENCE, ROLE, DriverBench
from tests.rig.pty_harness import Cable
from tests.variants import usually

KINDS = list(PATIENCE)
MOVING = [kind for kind in KINDS if ROLE[kind] != "lightbox"]
EAST = Light("east", ((-30.0, 30.0),))
UNHURRIED = {"answer_s": 2.0}  # a program of its own has a computer to share
LONGEST_S = 60.0

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")


@pytest.fixture(params=usually(("pty",), ("twin", "pty")))
def make(
    request: pytest.FixtureRequest, tmp_path: Path, bench_of: Callable[..., DriverBench]
) -> Callable[..., DriverBench]:
    """Makes a bench that is not connected: ``make("marlin", endless=False)``."""
    return functools.partial(bench_of, connect=False, cable_in=tmp_path if request.param == "pty" else None)


def use(bench: DriverBench, there: bool) -> None:
    """One thing that the device does, and back."""
    match bench.role:
        case "turntable":
            bench.device.rotate_to(170.0 if there else 0.0)
        case "arm":
            bench.device.move_to(*((240.0, 120.0, 100.0) if there else (200.0, -120.0, 100.0)))
        case "lightbox":
            bench.device.show(EAST)


def where(bench: DriverBench) -> tuple[float, ...]:
    """Where the moving part truly is."""
    return (bench.world.plate_deg(),) if bench.role == "turntable" else bench.world.cup_mm()


def test_every_registered_driver_is_here() -> None:
    registered = {kind for registry in STATION for kind in registry.drivers}
    assert {kind for kind in registered if kind != "manual"} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_it_connects_and_says_what_it_is(make: Callable[..., DriverBench], kind: str) -> None:
    bench = make(kind)
    identity = bench.device.connect()
    assert (identity.kind, identity.port) == (kind, bench.link.port)
    assert identity.firmware
    bench.device.close()
    bench.device.close()
    assert bench.device.connect() == identity


@pytest.mark.parametrize("kind", [kind for kind in KINDS if ROLE[kind] == "turntable"])
def test_a_turntable_turns_and_reads_its_angle_back(make: Callable[..., DriverBench], kind: str) -> None:
    bench = make(kind)
    bench.device.connect()
    bench.device.home()
    for angle_deg in (90.0, 30.0, 350.0, 0.0, 180.0):
        assert bench.device.rotate_to(angle_deg) == pytest.approx(angle_deg, abs=0.05)
        assert bench.world.plate_deg() % 360 == pytest.approx(angle_deg, abs=0.05)
        assert bench.device.angle_deg() == pytest.approx(angle_deg, abs=0.05)
        assert bench.world.scene().plate_speed_deg_s == 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if ROLE[kind] == "arm"])
def test_an_arm_moves_and_reads_its_position_back(make: Callable[..., DriverBench], kind: str) -> None:
    bench = make(kind)
    bench.device.connect()
    bench.device.home()
    for point in ((240.0, 120.0, 100.0), (240.0, 120.0, 30.0), (200.0, -120.0, 90.0)):
        bench.device.move_to(*point)
        assert math.dist(bench.world.cup_mm(), point) <= bench.device.config.tolerance_mm
        assert bench.device.position_mm() == pytest.approx(bench.world.cup_mm(), abs=0.5)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if ROLE[kind] == "arm"])
def test_an_arm_takes_a_coin_up_and_lets_it_go(make: Callable[..., DriverBench], kind: str) -> None:
    bench = make(kind)
    bench.device.connect()
    bench.device.home()
    assert not bench.device.holds()
    x_mm, y_mm, z_mm = bench.config.bench.tray.position_mm(1)
    bench.device.move_to(x_mm, y_mm, 90.0)
    bench.device.move_to(x_mm, y_mm, z_mm)
    bench.device.grip()
    bench.device.move_to(x_mm, y_mm, 90.0)
    assert bench.device.holds()
    assert bench.world.coins[0].place == "cup"
    bench.device.move_to(x_mm, y_mm, z_mm + 1)
    bench.device.release()
    assert not bench.device.holds()
    assert bench.world.coins[0].place == "slot"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if ROLE[kind] == "lightbox"])
def test_a_lightbox_shows_a_light_and_goes_dark(make: Callable[..., DriverBench], kind: str) -> None:
    bench = make(kind)
    bench.device.connect()
    assert bench.world.scene().lamps == ()
    for azimuth_deg in (0.0, 120.0, 240.0):
        bench.device.show(Light("sector", ((azimuth_deg - 30, azimuth_deg + 30),), 0.5))
        (lamp,) = bench.world.scene().lamps
        assert lamp.azimuth_deg == pytest.approx(azimuth_deg)
        assert lamp.intensity == pytest.approx(0.5, abs=0.01)
    bench.device.dark()
    assert bench.world.scene().lamps == ()


@pytest.mark.parametrize("kind", MOVING)
def test_nothing_moves_before_homing(make: Callable[..., DriverBench], kind: str) -> None:
    bench = make(kind)
    bench.device.connect()
    sent = bench.sent()
    with pytest.raises(AlarmError, match="not homed"):
        use(bench, there=True)
    assert bench.sent() == sent


@pytest.mark.parametrize("kind", MOVING)
def test_stopped_in_motion_from_another_thread(make: Callable[..., DriverBench], kind: str) -> None:
    bench = make(kind, speed=20.0)
    bench.device.connect()
    bench.device.home()
    caught: list[Exception] = []

    def move() -> None:
        try:
            for turn in range(100):
                use(bench, there=turn % 2 == 0)
        except DeviceError as error:
            caught.append(error)

    before = where(bench)
    thread = threading.Thread(target=move)
    thread.start()
    while thread.is_alive() and math.dist(where(bench), before) < 10:
        pass
    bench.device.stop()
    thread.join(20)
    assert isinstance(caught[0], AlarmError)
    if bench.cable:
        bench.cable.wait_until_heard()
    bench.clock.sleep(0.2)  # the rest of a step that was under way
    stopped = where(bench)
    bench.clock.sleep(5.0)
    assert where(bench) == stopped
    with pytest.raises(AlarmError):
        use(bench, there=True)
    bench.device.home()
    use(bench, there=False)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if ROLE[kind] == "lightbox"])
def test_stopped_it_is_dark(make: Callable[..., DriverBench], kind: str) -> None:
    bench = make(kind)
    bench.device.connect()
    bench.device.show(EAST)
    thread = threading.Thread(target=bench.device.stop)
    thread.start()
    thread.join()
    for _ in range(100):
        bench.clock.sleep(0.01)
        if not bench.world.scene().lamps:
            break
        threading.Event().wait(0.01)
    assert bench.world.scene().lamps == ()
    bench.device.show(EAST)
    assert len(bench.world.scene().lamps) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_out_of_its_range_is_refused_before_a_byte_is_sent(make: Callable[..., DriverBench], kind: str) -> None:
    options = {"endless": False, "range_deg": (0.0, 180.0)} if ROLE[kind] == "turntable" else {}
    bench = make(kind, **options)
    bench.station.connect()
    bench.station.home()
    sent = bench.sent()
    match bench.role:
        case "turntable":
            wishes = [lambda: bench.station.rotate_to(270), lambda: bench.device.rotate_to(-1)]
        case "arm":
            wishes = [lambda: bench.station.unload(21), lambda: bench.device.move_to(600.0, 0.0, 90.0)]
        case _:
            wishes = [lambda: bench.station.show("no such light")]
    for wish in wishes:
        with pytest.raises(EnvelopeError):
            wish()
    assert bench.sent() == sent
    bench.station.park()  # and nothing is the worse for it
    use(bench, there=True)
    bench.station.close()


# However the program ends


@pytest.fixture
def world_on_cables(tmp_path: Path) -> Iterator[Callable[[str], tuple[StationConfig, World]]]:
    """Makes a world whose every controller is on a terminal of its own, with a driver of one kind in its place."""
    cables: list[Cable] = []

    def build(kind: str) -> tuple[StationConfig, World]:
        kinds = DEFAULTS | {ROLE[kind]: kind}
        config = StationConfig.model_validate(
            {
                role: {"kind": name, **PATIENCE[name], **UNHURRIED, "port": str(tmp_path / f"tty-{role}")}
                for role, name in kinds.items()
            }
        )
        world = make_world(config, driving.FastClock(), seed=1)
        world.fill({1: "first", 2: "second", 20: "last"})
        cables.extend(Cable(world, role, tmp_path) for role in kinds)
        return config, world

    yield build
    for cable in cables:
        cable.pull_out()
    twin_world.use(None)


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        pytest.param(
            end, kind, id=f"{name}-{kind}", marks=() if end is signal.SIGTERM or is_usual else pytest.mark.slow
        )
        for kind, is_usual in ((kind, kind in ("uarm", "wled")) for kind in KINDS)
        for name, end in (("SIGINT", signal.SIGINT), ("SIGTERM", signal.SIGTERM), ("exception", None))
    ],
)
def test_however_its_program_ends_it_is_safe(
    world_on_cables: Callable[[str], tuple[StationConfig, World]], kind: str, end: signal.Signals | None
) -> None:
    config, world = world_on_cables(kind)
    process = driving.start(config, fails=end is None)
    if end is not None:
        underway = {
            signal.SIGINT: lambda: world.moves["turntable"] > 0,  # it seeks its switch
            signal.SIGTERM: lambda: world.coins[0].place == "cup",  # it carries a coin
        }
        assert come_true(underway[end])
        os.kill(process.pid or 0, end)
    process.join(LONGEST_S)
    assert process.exitcode == (1 if end is None else driving.INTERRUPTED)
    # The controllers still have to hear what was sent last: the program is not there to wait for them.
    assert come_true(lambda: world.scene().lamps == () and world.scene().plate_speed_deg_s == 0 and not world.suction)
    moves = dict(world.moves)
    world.clock.sleep(10.0)
    assert world.moves == moves, "something keeps moving"
    assert math.dist(world.cup_mm(), config.bench.rest_mm) <= 6
    assert world.coins[0].place in ("slot", "plate", "flip")


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_in_mid_work_leaves_it_safe(kind: str) -> None:
    bench = DriverBench(kind)
    with pytest.raises(RuntimeError), bench.station as station:
        station.home()
        station.show("all")
        station.load(1)
        raise RuntimeError("something that nobody thought of")
    assert bench.world.scene().lamps == () and not bench.world.suction
    assert math.dist(bench.world.cup_mm(), bench.config.bench.rest_mm) <= 6
    twin_world.use(None)


def come_true(condition: Callable[[], bool]) -> bool:
    """Wait until it is so, and say whether it came to be."""
    until_s = time.monotonic() + LONGEST_S
    while not condition():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.001)
    return True
