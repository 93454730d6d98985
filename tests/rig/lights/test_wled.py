from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rig.clock import ScaledClock
from rig.devices import Light
from rig.errors import DeviceError, NotConnectedError
from rig.lights import wled
from rig.lights.light import LightConfig
from rig.lights.wled import WledConfig, WledLightbox
from rig.lights.wled_emulator import BAUD_RATES
from rig.link import SerialLink
from rig.twin.faults import DeadLamp, LostBytes, Unplugged
from rig.twin.world import World
from tests.rig.wires import CONFIG, Wire


@pytest.fixture
def lightbox(world: World, clock: ScaledClock) -> Iterator[WledLightbox]:
    made = WledLightbox(CONFIG.lightbox, clock)
    made.connect()
    yield made
    made.close()


def sector(first_deg: float, last_deg: float, intensity: float = 1.0, kelvin: int = 5004) -> Light:
    return Light("test", ((first_deg, last_deg),), intensity, kelvin)


# The driver


def test_it_connects_and_goes_dark(lightbox: WledLightbox, world: World) -> None:
    assert world.scene().lamps == ()


def test_it_says_what_it_is(world: World, clock: ScaledClock) -> None:
    identity = WledLightbox(CONFIG.lightbox, clock).connect()
    assert (identity.kind, identity.port, identity.firmware) == ("wled", "twin://lightbox", "WLED 0.15.0")


def test_as_soon_as_it_says_that_it_listens_it_is_asked_again(
    world: World, clock: ScaledClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wled, "ASK_AGAIN_S", 20.0)  # what it was asked while it started is lost
    config = CONFIG.lightbox.model_copy(update={"answer_s": 20.0, "boot_s": 10.0})
    assert WledLightbox(config, clock).connect().kind == "wled"


@pytest.mark.parametrize("azimuth_deg", [0, 60, 120, 180, 240, 300])
def test_a_sector_is_one_lamp_where_it_should_be(lightbox: WledLightbox, world: World, azimuth_deg: int) -> None:
    lightbox.show(sector(azimuth_deg - 30, azimuth_deg + 30, 0.5))
    (lamp,) = world.scene().lamps
    assert lamp.azimuth_deg == pytest.approx(azimuth_deg)
    assert lamp.elevation_deg == 35
    assert lamp.intensity == pytest.approx(0.5, abs=0.01)
    assert lamp.colour_temperature_k == pytest.approx(5004, abs=32)


def test_each_light_replaces_the_one_before(lightbox: WledLightbox, world: World) -> None:
    lightbox.show(Light("two", ((0, 30), (90, 120), (200, 210))))
    assert len(world.scene().lamps) == 3
    lightbox.show(sector(0, 360))
    assert sum(lamp.intensity for lamp in world.scene().lamps) == pytest.approx(6)
    lightbox.show(sector(170, 190))
    assert [lamp.azimuth_deg for lamp in world.scene().lamps] == pytest.approx([180])
    lightbox.dark()
    assert world.scene().lamps == ()


def test_another_number_of_leds_is_refused(world: World, clock: ScaledClock) -> None:
    with pytest.raises(DeviceError, match=r"it has 60 LEDs, rig\.yaml says 48"):
        WledLightbox(WledConfig(leds=48), clock).connect()


@pytest.mark.parametrize("sectors", [[], [[30, -30]], [[10, 10]], [[0, 361]]])
def test_a_light_without_extent_is_refused(sectors: list[list[float]]) -> None:
    with pytest.raises(ValidationError, match="sector"):
        LightConfig.model_validate({"sectors_deg": sectors})


# When things go wrong


@pytest.mark.parametrize("seed", range(3))
def test_lost_bytes_are_made_good(world_with: Callable[..., World], clock: ScaledClock, seed: int) -> None:
    world = world_with(LostBytes(device="lightbox", rate=0.0002), seed=seed)
    lightbox = WledLightbox(CONFIG.lightbox, clock)
    lightbox.connect()
    for azimuth_deg in (0, 60, 120, 180):
        lightbox.show(sector(azimuth_deg - 30, azimuth_deg + 30))
        assert [lamp.azimuth_deg for lamp in world.scene().lamps] == pytest.approx([azimuth_deg])


def test_a_dead_lamp_is_reported_as_burning(world_with: Callable[..., World], clock: ScaledClock) -> None:
    """Why the lit lamp is verified optically as well."""
    world = world_with(DeadLamp(first=5, last=14))
    lightbox = WledLightbox(CONFIG.lightbox, clock)
    lightbox.connect()
    lightbox.show(sector(30, 90))
    assert world.scene().lamps == ()


def test_a_pulled_cable_is_reported(world_with: Callable[..., World], clock: ScaledClock) -> None:
    world = world_with(Unplugged(device="lightbox", after_messages=6))
    lightbox = WledLightbox(CONFIG.lightbox, clock)
    with pytest.raises(NotConnectedError, match="lightbox on twin://lightbox"):
        lightbox.connect()
        for _ in range(5):
            lightbox.show(sector(0, 60))
    world.repair()
    lightbox.connect()
    lightbox.show(sector(0, 60))


@given(
    noise=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["state", "info", "on", "bri", "seg", "col"]), inner, max_size=4)
                ),
            ).map(lambda value: json.dumps({"state": {"on": True, "bri": 255, "seg": value}, "info": {}}).encode()),
        ),
        max_size=5,
    )
)
def test_any_bytes_raise_nothing_but_device_errors(noise: list[bytes]) -> None:
    link = SerialLink("loop://", 115200, "lightbox")
    link.open()
    link.send(b"\n".join(noise) + b"\n")
    lightbox = WledLightbox(WledConfig(answer_s=0.004), ScaledClock(math.inf), link)
    try:
        lightbox.show(sector(0, 60))
    except DeviceError:
        pass
    finally:
        link.close()


# The controller, against WLED's source


def test_it_comes_up_glowing(world: World) -> None:
    Wire(world, "lightbox")
    assert sum(lamp.intensity for lamp in world.scene().lamps) == pytest.approx(6 * 128 / 255)


def test_it_answers_only_when_asked(world: World) -> None:
    wire = Wire(world, "lightbox")
    assert wire.say(b'{"bri":10}') == ""
    answer = json.loads(wire.say(b'{"v":true}', 0.2))
    assert answer["state"]["bri"] == 10
    assert answer["info"]["leds"]["count"] == 60
    assert len(json.dumps(answer)) > 1400  # 2 kB once there are three segments
    assert wire.say(b"v") == "WLED 2412100\r\n"


def test_wrong_and_cut_messages_are_dropped_without_an_answer(world: World) -> None:
    wire = Wire(world, "lightbox")
    for message in (b'{"on":false,', b'{"on":fals}', b"}}}", b'{"seg":{"id":99,"stop":5}}', b'{"seg":[3,null]}'):
        assert wire.say(message, 0.5) == ""
    assert json.loads(wire.say(b'{"v":true}', 0.2))["state"]["on"] is True


def test_switched_off_it_keeps_its_brightness(world: World) -> None:
    wire = Wire(world, "lightbox")
    wire.say(b'{"on":true,"bri":77}')
    state = json.loads(wire.say(b'{"on":false,"v":true}', 0.2))["state"]
    assert (state["on"], state["bri"]) == (False, 77)
    assert json.loads(wire.say(b'{"on":true,"v":true}', 0.2))["state"]["on"] is True


@given(noise=st.binary(max_size=200).filter(lambda noise: not set(noise) & set(BAUD_RATES)))
def test_no_bytes_break_the_controller(world: World, noise: bytes) -> None:
    wire = Wire(world, "lightbox")
    wire.say(noise, 0.5)
    assert '"state"' in wire.say(b'{"v":true}', 0.2)
