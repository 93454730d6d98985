"""What fits on a terminal: 60 columns cut no word, and piped output says how long it will take."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.fitted_table import Column, FittedTable
from tests.pipeline.conftest import COINS, Rig

NARROW, USUAL = "60", "80"


@pytest.mark.parametrize("columns", [NARROW, USUAL])
def test_a_dry_run_is_short_and_cuts_no_word(rig: Rig, lab: Path, columns: str) -> None:
    ran = rig("scan", "--tray", 1, "--dry-run", "--lab", lab, COLUMNS=columns)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert len(lines) <= 8
    for coin in COINS[:3]:
        assert any(coin in line and line.replace(coin, "").count("3") >= 2 for line in lines), (
            "three shots of each side"
        )
    assert "turntable at 0 degrees, tilt 0 degrees, under 3 lights (az060, az180, az300)" in ran.out
    assert "18 shots of 3 coins." in ran.out


@pytest.mark.parametrize("terminal", [pytest.param("dumb", marks=pytest.mark.slow), "xterm"])
def test_a_scan_into_a_pipe_prints_lines_with_the_time_left_then_a_table(
    rig: Rig, short_lab: Path, terminal: str
) -> None:
    ran = rig("scan", "--tray", 1, "--no-identify", "--lab", short_lab, COLUMNS=NARROW, TERM=terminal)
    assert ran.code == 0, ran.err
    assert "\x1b" not in ran.out + ran.err
    begun = [line for line in ran.err.splitlines() if line.startswith("Slot ") and "4 shots" in line]
    assert [line.split(", about ")[-1].endswith(" left.") for line in begun[1:]] == [True]
    for coin in COINS[:2]:
        assert any(coin in line and line.rstrip().endswith("0") for line in ran.out.splitlines()), "whole, in a row"
    for word in ("Slot", "Frames", "Retakes", "Report:"):
        assert word in ran.out
    assert "coin 1 of 2" in ran.err
    assert "s on the twin (real devices: about " in ran.out


@pytest.mark.parametrize("columns", [60, 80])
def test_a_long_name_takes_several_lines_and_hides_no_column(columns: int) -> None:
    name, short = "Sawhill Collection, purchase of 1987, number 412 (formerly Hess)", "2024.1.11"
    table = FittedTable(
        (Column("Slot", is_number=True), Column("Coin"), Column("Frames", is_number=True),
         Column("Retakes", is_number=True, rank=2)),
        [("1", name, "48", "3"), ("2", short, "48", "0"), ("3", "x" * 70, "48", "12")],
    )  # fmt: skip
    shown = io.StringIO()
    Console(file=shown, width=columns).print(table)
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= columns
    assert "Retakes" in lines[0] and any(line.split()[-1] == "12" for line in lines[1:])
    assert all(any(word in line for line in lines) for word in (*name.split(), short)), "no word is cut that fits"
