"""`rig measure --coin`: what coins of the store measure, where it is kept, and what it says of its own doubts."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from calibration.coin_shape import ANGLES, CoinShape, axis_hours, die_axis_deg, turn_between
from tests.pipeline.conftest import Rig, Scanned


def shape(radii: np.ndarray, turn_deg: float, *, mirrored: bool) -> CoinShape:
    """An outline turned counter-clockwise, as it is or seen from behind."""
    angles = np.arange(ANGLES) * 2 * np.pi / ANGLES
    asked = angles - np.radians(turn_deg)
    seen = np.interp((np.pi - asked if mirrored else asked) % (2 * np.pi), angles, radii, period=2 * np.pi)
    outline = seen[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return CoinShape(outline, (0.0, 0.0), 20.0, 19.0, 21.0, 314.0)


@pytest.mark.parametrize(("axis", "hours"), [(0, 12.0), (180, 6.0), (95, 3.2), (270, 9.0)])
def test_the_die_axis_is_read_from_two_outlines_that_lie_anyhow(axis: float, hours: float) -> None:
    angles = np.arange(ANGLES) * 2 * np.pi / ANGLES
    radii = 10 + 0.3 * np.cos(2 * angles + 1) + 0.2 * np.cos(3 * angles) + 0.1 * np.cos(5 * angles + 2)
    # Turned over about its vertical axis, the reverse's top points `axis` clockwise from 12 h.
    obverse, reverse = shape(radii, 40, mirrored=False), shape(radii, -70, mirrored=True)
    turn = turn_between(obverse, reverse)
    assert turn is not None
    found = die_axis_deg(turn, 90 + 40, 90 - 70 - axis)
    assert abs((found - axis + 180) % 360 - 180) < 0.2 and axis_hours(found) == hours


def test_a_round_coin_has_no_die_axis() -> None:
    noise = np.random.default_rng(1).normal(0, 0.01, (2, ANGLES))
    assert turn_between(shape(10 + noise[0], 0, mirrored=False), shape(10 + noise[1], 0, mirrored=True)) is None


@pytest.mark.slow
def test_coins_of_the_store_are_measured_and_exported(rig: Rig, scanned: Scanned, tmp_path: Path) -> None:
    lab = Path(shutil.copytree(scanned.lab, tmp_path / "lab"))
    ran = rig("measure", "--tray", 1, "--lab", lab, "--json")
    assert ran.code == 0, ran.err
    assert len(ran.json["coins"]) == 3
    for coin in ran.json["coins"]:
        assert coin["diameter_min_mm"] <= coin["diameter_mm"] <= coin["diameter_max_mm"]
        assert set(coin["outlines"]) == {"obverse", "reverse"}
    # The twin strikes its coins head to foot or head to head; the dies were turned by some degrees.
    axes = [coin["axis_deg"] for coin in ran.json["coins"] if coin["axis_deg"] is not None]
    assert len(axes) >= 2 and all(abs((axis + 90) % 180 - 90) < 25 for axis in axes), axes
    assert rig("store", "export", tmp_path / "out", "--tray", 1, "--no-bag", "--lab", lab).code == 0
    with (tmp_path / "out" / "coins.csv").open() as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    for coin in ran.json["coins"]:
        assert float(rows[coin["coin"]]["diameter_measured_mm"]) == coin["diameter_mm"]
    unknown = rig("measure", "--coin", "nobody", "--lab", lab)
    assert unknown.code == 1 and "no frame matches coin nobody" in unknown.err
    both = rig("measure", "x.png", "--coin", "1994.1", "--lab", lab)
    assert both.code == 2 and "give no IMAGES" in both.err


@pytest.mark.slow
def test_the_relief_of_a_coin_of_the_store_is_measured_by_the_calibrations_lamps(rig: Rig, tiny_lab: Path) -> None:
    plan = "sides: [obverse]\nlights: [az000, az060, az120, az180, az240, az300]\nturntable_deg: [0]\n"
    (tiny_lab / "plans" / "default.yaml").write_text(plan)
    assert rig("scan", "--tray", 1, "--no-identify", "--lab", tiny_lab).code == 0
    ran = rig("relief", "--coin", "1994.1", "--out", "relief", "--lab", tiny_lab, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["lights"] == 6 and ran.json["height_unit"] == "mm" and ran.json["residual"] < 0.1
    low, high = ran.json["height_range"]
    assert 0.1 < high - low < 5
    other = rig("relief", "--coin", "1994.1", "--side", "reverse", "--out", "other", "--lab", tiny_lab)
    assert other.code == 1 and "no calibrated frame of the reverse" in other.err
