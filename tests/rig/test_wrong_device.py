"""A port or a kind mistaken for another: the error names who is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rig.arms.uarm_emulator import UarmEmulator
from rig.errors import NoAnswerError
from rig.turntables.fluidnc_emulator import FluidNcEmulator
from rig.turntables.grbl_emulator import GrblEmulator
from rig.turntables.marlin_emulator import MarlinEmulator
from rig.twin.faults import Glitch
from tests.rig.benches import DriverBench

RESETS: dict[str, Any] = {"resets_on_open": True}


@pytest.mark.parametrize(
    ("kind", "there", "options", "name"),
    [
        ("grbl", MarlinEmulator, {}, r"it says 'Marlin 2\.1"),
        ("grbl", UarmEmulator, {}, "it says 'device name : SwiftPro'"),
        ("marlin", GrblEmulator, RESETS, r"it says .Grbl 1\.1h"),
        ("marlin", FluidNcEmulator, {}, r"it says .\[MSG:INFO: FluidNC v4"),
        ("uarm", GrblEmulator, RESETS, r"it says .Grbl 1\.1h"),
        ("roarm", MarlinEmulator, {}, r"it says 'Marlin 2\.1"),
        ("wled", MarlinEmulator, {}, r"it says 'Marlin 2\.1"),
    ],
)
def test_who_is_there_is_named(
    bench_of: Callable[..., DriverBench], kind: str, there: Callable[..., Any], options: dict[str, Any], name: str
) -> None:
    bench = bench_of(kind, connect=False, answer_s=0.1, boot_s=0.5)
    bench.world.emulators[bench.role] = there(bench.world, **options)
    with pytest.raises(NoAnswerError, match=name):
        bench.device.connect()


def test_noise_is_not_quoted(bench_of: Callable[..., DriverBench]) -> None:
    """Another baud rate."""
    noise = Glitch(device="turntable", what="replaced", messages=1000, data="\x80\xfe\x07~x\n")
    bench = bench_of("grbl", noise, connect=False, answer_s=0.1, boot_s=0.3)
    with pytest.raises(NoAnswerError, match=r"no answer to a reset within 0\.3 s\. Check"):
        bench.device.connect()
