"""What changes the LEDs of a WLED while it reports that all is well, and builds that cannot show a light."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rig.clock import ScaledClock
from rig.devices import Light
from rig.errors import DeviceError
from rig.lights.light import LightConfig
from rig.lights.wled import WledConfig, WledLightbox
from rig.lights.wled_emulator import WledEmulator
from rig.lights.wled_strip import CCT, RGB, WHITE, Segment
from rig.twin.faults import Glitch
from rig.twin.world import World
from tests.rig.wires import Wire

EAST = Light("east", ((-30.0, 30.0),))
ALL = Light("all", ((0.0, 360.0),))


class LightboxBench:
    """A lightbox: its driver, its controller, and what truly burns."""

    def __init__(self, world: World, config: dict[str, Any], options: dict[str, Any]) -> None:
        self.world = world
        self.controller = WledEmulator(world, 60, **options)
        world.emulators["lightbox"] = self.controller
        self.lightbox = WledLightbox(WledConfig(**{"answer_s": 0.3, "boot_s": 1.0} | config), world.clock)

    def is_east(self) -> bool:
        """Whether the lamp in the east burns as it should, and no other."""
        burning = [(lamp.azimuth_deg, lamp.intensity) for lamp in self.world.scene().lamps]
        return burning == [(pytest.approx(0), pytest.approx(1))]

    def send(self, message: dict[str, Any]) -> None:
        """What somebody's app sends."""
        self.controller.feed(json.dumps(message).encode() + b"\n")


@pytest.fixture
def make(world: World, clock: ScaledClock) -> Iterator[Callable[..., LightboxBench]]:
    made: list[LightboxBench] = []

    def build(connect: bool = True, config: dict[str, Any] | None = None, **options: Any) -> LightboxBench:
        made.append(LightboxBench(world, config or {}, options))
        if connect:
            made[-1].lightbox.connect()
        return made[-1]

    yield build
    for bench in made:
        bench.lightbox.close()


# Left behind by an app


@pytest.mark.parametrize("light", [EAST, ALL])
def test_segments_that_an_app_deleted_leave_gaps_in_the_numbers(
    make: Callable[..., LightboxBench], light: Light
) -> None:
    bench = make()
    bench.controller.strip.segments = [Segment(0, 20), Segment(20, 0), Segment(30, 0), Segment(40, 60)]
    bench.lightbox.show(light)
    assert sum(lamp.intensity for lamp in bench.world.scene().lamps) == pytest.approx(6 if light is ALL else 1)
    bench.lightbox.show(EAST)
    assert bench.is_east()


@pytest.mark.parametrize(
    "left",
    [
        {"grp": 2, "spc": 1},
        {"spc": 3},
        {"of": 7},
        {"mi": True, "grp": 3, "spc": 2},
        {"rev": True, "spc": 2},
        {"bri": 40},
        {"frz": True},
        {"fx": 9},
        {"sel": False},
    ],
)
def test_how_a_segment_was_laid_out_before_does_not_matter(
    make: Callable[..., LightboxBench], left: dict[str, Any]
) -> None:
    bench = make()
    bench.lightbox.show(EAST)
    for number in range(3):
        bench.send({"seg": {"id": number, **left}})
    bench.lightbox.show(EAST)
    assert bench.is_east()


def test_a_night_light_is_switched_off(make: Callable[..., LightboxBench]) -> None:
    bench = make()
    bench.send({"on": True, "bri": 255, "nl": {"on": True, "dur": 1, "tbri": 0}})
    bench.lightbox.show(EAST)
    for _ in range(100):
        bench.world.clock.sleep(1.0)
        bench.controller.poll()
    assert bench.is_east()


def test_a_playlist_ends(make: Callable[..., LightboxBench]) -> None:
    bench = make()
    bench.controller.playlist = 3
    bench.lightbox.show(EAST)
    assert bench.controller.playlist == -1


def test_a_map_that_renumbers_the_leds_is_taken_back(make: Callable[..., LightboxBench]) -> None:
    """Every segment reads as it should while the lamp opposite burns."""
    bench = make()
    north = Light("north", ((60.0, 120.0),))
    bench.send({"ledmap": 1})
    bench.lightbox.show(north)
    assert [lamp.azimuth_deg for lamp in bench.world.scene().lamps] == [pytest.approx(90)]


def test_a_change_between_setting_and_reading_back_is_set_right(make: Callable[..., LightboxBench]) -> None:
    """Another WLED sends its state by UDP, or somebody presses a button."""
    bench = make()
    set_state, meddling = bench.controller._set_state, [{"bri": 12, "seg": {"id": 0, "on": True}}]

    def meddled(root: dict[str, Any]) -> bool:
        wants_answer = set_state(root)
        if "seg" in root and meddling:
            set_state(meddling.pop())
        return wants_answer

    bench.controller._set_state = meddled  # type: ignore[method-assign]
    bench.lightbox.show(EAST)
    assert bench.is_east() and not meddling


# What cannot be helped, and is reported


def test_a_matrix_is_named(make: Callable[..., LightboxBench]) -> None:
    bench = make(connect=False)
    bench.controller.matrix = (10, 6)
    with pytest.raises(DeviceError, match=r"a matrix of 10 by 6, not as a ring\. Switch 2D off"):
        bench.lightbox.connect()


def test_live_data_is_reported_with_its_source(make: Callable[..., LightboxBench]) -> None:
    bench = make()
    bench.controller.stream = "E1.31"
    with pytest.raises(DeviceError, match=r"shows live data \(E1\.31\).*Stop what sends live data"):
        bench.lightbox.show(EAST)
    with pytest.raises(DeviceError, match=r"live data"):
        bench.lightbox.dark()
    bench.controller.stream = ""
    bench.lightbox.show(EAST)
    assert bench.is_east()


def test_the_power_limiter_is_reported_where_it_dims(make: Callable[..., LightboxBench]) -> None:
    bench = make(limit_ma=850)  # as it comes
    bench.lightbox.show(EAST)
    assert bench.is_east()
    with pytest.raises(DeviceError, match=r"power limiter dims the light: it allows 850 mA\. Raise"):
        bench.lightbox.show(ALL)
    assert sum(lamp.intensity for lamp in bench.world.scene().lamps) < 2


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        ({"bri": 128}, r"it reports bri 128, and was asked for 255\..*limits its brightness"),
        ({"pl": 4}, "playlist 4 runs.*Stop the playlist"),
        ({"seg": []}, "number of segments 0"),
    ],
)
def test_what_differs_is_named(make: Callable[..., LightboxBench], shown: dict[str, Any], message: str) -> None:
    bench = make()
    state = bench.controller._state
    bench.controller._state = lambda: {**state(), **shown}  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match=message):
        bench.lightbox.show(EAST)


# Builds and LEDs that cannot show it


def test_a_build_with_one_segment_names_the_light_that_needs_more(make: Callable[..., LightboxBench]) -> None:
    with pytest.raises(DeviceError, match=r"its build allows 1 segments, and light 'az000' needs more"):
        make(most_segments=1)
    all_round = {"all": LightConfig(sectors_deg=((0.0, 360.0),))}
    make(most_segments=1, config={"lights": all_round}).lightbox.show(ALL)


def test_leds_without_adjustable_white_may_have_one_colour_temperature(make: Callable[..., LightboxBench]) -> None:
    make(capabilities=RGB).lightbox.show(EAST)
    two = {
        "warm": LightConfig(sectors_deg=((0.0, 60.0),), colour_temperature_k=3000),
        "cold": LightConfig(sectors_deg=((0.0, 60.0),), colour_temperature_k=6000),
    }
    with pytest.raises(DeviceError, match=r"one colour temperature, .* \[3000, 6000\] K"):
        make(capabilities=RGB, config={"lights": two})
    make(capabilities=RGB | CCT, config={"lights": two})


@pytest.mark.parametrize(
    ("capabilities", "white", "message"),
    [
        (WHITE, (255, 255, 255), r"its LEDs have no colours\..*\[0, 0, 0, 255\]"),
        (RGB, (0, 0, 0, 255), r"its LEDs have no white\..*\[255, 255, 255\]"),
    ],
)
def test_white_that_the_leds_do_not_have_is_refused(
    make: Callable[..., LightboxBench], capabilities: int, white: tuple[int, ...], message: str
) -> None:
    with pytest.raises(DeviceError, match=message):
        make(capabilities=capabilities, config={"white": white})


def test_leds_with_a_white_of_their_own_are_lit_by_it(make: Callable[..., LightboxBench]) -> None:
    bench = make(capabilities=RGB | WHITE | CCT, config={"white": (0, 0, 0, 255)})
    bench.lightbox.show(EAST)
    assert bench.is_east()


# Answers, and a stop


def test_late_answers_of_the_start_are_not_taken_for_others(make: Callable[..., LightboxBench]) -> None:
    bench = make(connect=False, config={"answer_s": 0.1})
    bench.world.faults.append(Glitch(device="lightbox", what="slow", messages=4, seconds=0.25))
    bench.lightbox.connect()
    for light in (EAST, ALL, EAST):
        count = bench.world.wires["lightbox"].count("sent")
        bench.world.faults.append(Glitch(device="lightbox", what="silent", way="sent", after_messages=count))
        bench.lightbox.show(light)
        assert len(bench.world.scene().lamps) == (1 if light is EAST else 6)


def test_a_stop_is_heard_behind_half_a_message(make: Callable[..., LightboxBench]) -> None:
    bench = make()
    bench.lightbox.show(EAST)
    bench.controller.feed(b'{"seg":[{"id":')
    bench.lightbox.stop()
    bench.controller.poll()
    assert bench.world.scene().lamps == ()


def test_it_says_what_it_is_set_to(make: Callable[..., LightboxBench]) -> None:
    bench = make(connect=False, limit_ma=850)
    settings = bench.lightbox.connect().settings
    assert (settings["count"], settings["maxseg"], settings["lc"]) == ("60", "32", "5")


# The controller, against WLED's source


def test_what_is_left_of_a_damaged_message_is_taken_for_commands(world: World) -> None:
    wire = Wire(world, "lightbox")
    answers = wire.say(b'{"on":tru,"col":1,"v":true}', 0.5)
    assert answers.startswith("[") and answers.endswith("]\r\nWLED 2412100\r\n")


def test_what_comes_while_it_starts_is_answered_late(world: World) -> None:
    emulator = world.emulators["lightbox"]
    emulator.reset()
    for _ in range(5):
        emulator.poll()
        world.clock.sleep(0.1)
    emulator.feed(b'{"v":true}\n' * 2)
    assert emulator.poll() == b""
    answers = b""
    for _ in range(20):
        world.clock.sleep(0.1)
        answers += emulator.poll()
    assert answers.count(b'{"state"') == 2


@pytest.mark.parametrize(
    ("segment", "leds"),
    [
        (Segment(0, 6), [0, 1, 2, 3, 4, 5]),
        (Segment(0, 6, grouping=1, spacing=1), [0, 2, 4]),
        (Segment(0, 6, grouping=2, spacing=1), [0, 1, 3, 4]),
        (Segment(10, 16, offset=4), [10, 11, 12, 13, 14, 15]),
        (Segment(0, 6, spacing=1, offset=1), [1, 3, 5]),
        (Segment(0, 6, spacing=1, reverse=True), [1, 3, 5]),
        (Segment(0, 6, mirror=True), [0, 1, 2, 3, 4, 5]),
        (Segment(0, 6, spacing=2, mirror=True), [0, 5]),
    ],
)
def test_a_segment_paints_these_leds(segment: Segment, leds: list[int]) -> None:
    assert sorted(set(segment.leds())) == leds
