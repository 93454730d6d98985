"""What every driver has to do, each against its emulated controller, over ``twin://`` and over a real terminal."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from benches import PATIENCE, ROLE, Bench

from rig.devices import Light
from rig.errors import AlarmError, DeviceError, EnvelopeError
from rig.registry import ARMS, LIGHTBOXES, TURNTABLES
from rig.twin import world as twin_world

KINDS = list(PATIENCE)
MOVING = [kind for kind in KINDS if ROLE[kind] != "lightbox"]
EAST = Light("east", ((-30.0, 30.0),))

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")


@pytest.fixture(params=["twin", "pty"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Makes a bench: ``make("marlin", endless=False)``."""
    made: list[Bench] = []

    def build(kind: str, **options: Any) -> Bench:
        made.append(Bench(kind, cable_in=tmp_path if request.param == "pty" else None, **options))
        return made[-1]

    yield build
    for bench in made:
        bench.close()
    twin_world.use(None)


def use(bench: Bench, there: bool) -> None:
    """One thing that the device does, and back."""
    match bench.role:
        case "turntable":
            bench.device.rotate_to(170.0 if there else 0.0)
        case "arm":
            bench.device.move_to(*((240.0, 120.0, 100.0) if there else (200.0, -120.0, 100.0)))
        case "lightbox":
            bench.device.show(EAST)


def where(bench: Bench) -> tuple[float, ...]:
    """Where the moving part truly is."""
    return (bench.world.plate_deg(),) if bench.role == "turntable" else bench.world.cup_mm()


def test_every_registered_driver_is_here() -> None:
    registered = {*TURNTABLES, *ARMS, *LIGHTBOXES}
    assert {kind for kind in registered if kind != "manual"} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_it_connects_and_says_what_it_is(make: Callable[..., Bench], kind: str) -> None:
    bench = make(kind)
    identity = bench.device.connect()
    assert (identity.kind, identity.port) == (kind, bench.link.port)
    assert identity.firmware
    bench.device.close()
    bench.device.close()
    assert bench.device.connect() == identity


@pytest.mark.parametrize("kind", [kind for kind in KINDS if ROLE[kind] == "turntable"])
def test_a_turntable_turns_and_reads_its_angle_back(make: Callable[..., Bench], kind: str) -> None:
    bench = make(kind)
    bench.device.connect()
    bench.device.home()
    for angle_deg in (90.0, 30.0, 350.0, 0.0, 180.0):
        assert bench.device.rotate_to(angle_deg) == pytest.approx(angle_deg, abs=0.05)
        assert bench.world.plate_deg() % 360 == pytest.approx(angle_deg, abs=0.05)
        assert bench.device.angle_deg() == pytest.approx(angle_deg, abs=0.05)
        assert bench.world.scene().plate_speed_deg_s == 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if ROLE[kind] == "arm"])
def test_an_arm_moves_and_reads_its_position_back(make: Callable[..., Bench], kind: str) -> None:
    bench = make(kind)
    bench.device.connect()
    bench.device.home()
    for point in ((240.0, 120.0, 100.0), (240.0, 120.0, 30.0), (200.0, -120.0, 90.0)):
        bench.device.move_to(*point)
        assert math.dist(bench.world.cup_mm(), point) <= bench.device.config.tolerance_mm
        assert bench.device.position_mm() == pytest.approx(bench.world.cup_mm(), abs=0.5)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if ROLE[kind] == "arm"])
def test_an_arm_takes_a_coin_up_and_lets_it_go(make: Callable[..., Bench], kind: str) -> None:
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
def test_a_lightbox_shows_a_light_and_goes_dark(make: Callable[..., Bench], kind: str) -> None:
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
def test_nothing_moves_before_homing(make: Callable[..., Bench], kind: str) -> None:
    bench = make(kind)
    bench.device.connect()
    sent = bench.sent()
    with pytest.raises(AlarmError, match="not homed"):
        use(bench, there=True)
    assert bench.sent() == sent


@pytest.mark.parametrize("kind", MOVING)
def test_stopped_in_motion_from_another_thread(make: Callable[..., Bench], kind: str) -> None:
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
    bench.clock.sleep(0.2)  # the rest of a step that was under way
    stopped = where(bench)
    bench.clock.sleep(5.0)
    assert where(bench) == stopped
    with pytest.raises(AlarmError):
        use(bench, there=True)
    bench.device.home()
    use(bench, there=False)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if ROLE[kind] == "lightbox"])
def test_stopped_it_is_dark(make: Callable[..., Bench], kind: str) -> None:
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
def test_out_of_its_range_is_refused_before_a_byte_is_sent(make: Callable[..., Bench], kind: str) -> None:
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


class Interrupted(BaseException):
    """What the command line makes of Ctrl-C and SIGTERM."""


@pytest.fixture
def signals() -> Iterator[None]:
    def interrupt(number: int, _: FrameType | None) -> None:
        raise Interrupted(number)

    former = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, None], ids=["SIGINT", "SIGTERM", "exception"])
def test_however_it_ends_it_is_safe(
    make: Callable[..., Bench], kind: str, end: signal.Signals | None, signals: None
) -> None:
    bench = make(kind)
    bench.world.fill({1: "first"})
    done = threading.Event()

    def interrupt() -> None:
        """In the midst of the third thing that moves from now on."""
        began = sum(bench.world.moves.values())
        while sum(bench.world.moves.values()) < began + 3 and not done.wait(0.0005):
            pass
        if end is not None and not done.is_set():
            os.kill(os.getpid(), end)

    with pytest.raises(Interrupted if end is not None else RuntimeError), bench.station as station:
        station.home()
        station.show("all")
        assert bench.world.scene().lamps
        thread = threading.Thread(target=interrupt)
        thread.start()
        while True:
            station.load(1)
            if end is None:
                raise RuntimeError
            station.rotate_to(90)
            station.rotate_to(0)
            station.flip()
            station.unload(1)
    done.set()
    thread.join()
    scene = bench.world.scene()
    assert scene.lamps == ()
    assert scene.plate_speed_deg_s == 0
    assert math.dist(bench.world.cup_mm(), bench.config.bench.rest_mm) <= 6
    assert bench.world.coins[0].place in ("slot", "plate", "flip")
    assert not bench.world.suction
