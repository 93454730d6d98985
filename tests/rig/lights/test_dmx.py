from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from rig.devices import Light
from rig.errors import DeviceError, NoAnswerError
from rig.lights import dmx
from rig.lights.dmx import DmxConfig
from tests.rig.benches import DriverBench

EAST = Light("east", ((-30.0, 30.0),))


@pytest.fixture
def make(bench_of: Callable[..., DriverBench]) -> Callable[..., DriverBench]:
    return functools.partial(bench_of, "dmx", connect=False, answer_s=0.1)


def levels(bench: DriverBench) -> bytes:
    return bench.world.emulators["lightbox"]._levels  # type: ignore[attr-defined,no-any-return]


def test_it_says_its_firmware_and_serial_number(make: Callable[..., DriverBench]) -> None:
    assert make().device.connect().firmware == "DMX USB Pro 1.44, serial 12345678"


def test_a_light_is_levels_on_channels(make: Callable[..., DriverBench]) -> None:
    four = {"lamps": [[1, 2], [5], [9], [13]], "always": {20: 200}, "led0_azimuth_deg": 0}
    bench = make(**four, lights={"all": {"sectors_deg": [[0, 360]]}})
    bench.device.connect()
    bench.device.show(Light("two", ((-10, 100),), 0.5))
    assert {channel: level for channel, level in enumerate(levels(bench)) if level} == {1: 128, 2: 128, 5: 128, 20: 200}
    bench.device.dark()
    assert not any(levels(bench))


def test_only_the_request_that_leaves_the_output_on_is_used_while_lamps_burn(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.device.connect()
    bench.link.recent.clear()
    bench.device.show(EAST)
    labels = [line.split(r"~\x")[1][:2] for line in bench.link.recent if " >> " in line]
    assert set(labels) == {"06", "03"}


def test_lamps_stay_lit_when_the_port_closes(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.device.connect()
    bench.device.show(EAST)
    bench.device.close()
    assert len(bench.world.scene().lamps) == 1
    bench.device.connect()
    assert bench.world.scene().lamps == ()


def test_a_light_without_a_lamp_is_refused(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.device.connect()
    with pytest.raises(DeviceError, match="no lamp stands in the sectors of light 'gap'"):
        bench.device.show(Light("gap", ((1.0, 2.0),)))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"lamps": [[0]]}, "channels go from 1 to 512"),
        ({"lamps": [[1], [1]]}, "used twice"),
        ({"always": {600: 1}}, "channels go from 1 to 512"),
        ({"always": {30: 256}}, "levels go from 0 to 255"),
        ({"lights": {"warm": {"sectors_deg": [[0, 60]], "colour_temperature_k": 3000}}}, "fixed at 5000 K"),
        ({"lights": {"gap": {"sectors_deg": [[1, 2]]}}}, "no lamp stands in the sectors of light 'gap'"),
    ],
)
def test_a_wrong_config_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DmxConfig.model_validate(config)


def test_firmware_that_cannot_send_is_reported(
    make: Callable[..., DriverBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make()
    monkeypatch.setattr("rig.lights.dmx_emulator.FIRMWARE", (1, 3))
    with pytest.raises(DeviceError, match="RDM sniffer firmware"):
        bench.device.connect()


# The widget, against its specification


@pytest.mark.parametrize(
    "message",
    [
        dmx.message(6, bytes(513))[:-1] + b"\x00",  # without its end mark
        dmx.message(6, bytes(24)),  # fewer than 24 channels
        dmx.message(99, b"?"),  # unknown
        b"\x7e\x06\xff\xff",  # longer than a message can be
    ],
)
def test_what_is_wrong_is_dropped_without_a_word(make: Callable[..., DriverBench], message: bytes) -> None:
    bench = make()
    bench.device.connect()
    bench.device.show(EAST)
    before = levels(bench)
    emulator = bench.world.emulators["lightbox"]
    emulator.feed(message + bytes(700))
    assert emulator.poll() == b""
    assert levels(bench) == before
    bench.device.dark()


def test_a_widget_that_swallows_everything_is_reported(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.device.connect()
    bench.world.emulators["lightbox"].received = lambda data: None  # type: ignore[method-assign]
    with pytest.raises(NoAnswerError, match=r"lightbox on twin://lightbox: no answer to 'get widget parameters'"):
        bench.device.show(EAST)
