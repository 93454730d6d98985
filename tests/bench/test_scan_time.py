"""How long a scan takes over what the devices alone need: motion, settling and exposure on their own clock.

The twin runs in real time, so that both are seconds of the same clock. Nothing is asserted of the ratio: it is printed,
to be held against the one of another day or machine.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from tests.pipeline.conftest import Rig


@pytest.mark.bench
@pytest.mark.parametrize("mode", ["photograph only", "photograph and identify"])
def test_wall_time_over_hardware_time(rig: Rig, bench_lab: Path, mode: str) -> None:
    more = ["--no-identify"] if mode == "photograph only" else []
    ran = rig("scan", "--tray", 1, "--realtime", "--lab", bench_lab, "--json", *more)
    assert ran.code == 0, ran.err
    frames = sum(coin["frames"] for coin in ran.json["coins"])
    table = Table("scan in real time", "frames", "wall (s)", "hardware (s)", "wall / hardware")
    wall_s, hardware_s = ran.json["wall_s"], ran.json["hardware_s"]
    table.add_row(mode, str(frames), f"{wall_s:.1f}", f"{hardware_s:.1f}", f"{wall_s / hardware_s:.3f}")
    Console(width=100).print(table)
