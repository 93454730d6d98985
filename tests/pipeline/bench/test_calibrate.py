"""What `rig calibrate` measures of the plate reaches the check of every frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from calibration.bundle import latest, load, save
from pipeline.lab import open_lab
from pipeline.scanning.calibration import frame_limits
from tests.pipeline.conftest import Rig


def with_quality(lab: Path, quality: str) -> None:
    with (lab / "rig.yaml").open("a") as file:
        file.write(f"quality: {quality}\n")


@pytest.mark.slow  # by default the shared lab is calibrated
def test_calibrating_measures_the_zero_of_the_ring(rig: Rig, lab: Path) -> None:
    ran = rig("calibrate", "--lab", lab, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["ring_zero_deg"] == pytest.approx(0.0, abs=0.2), "the twin's ring stands with its plate"
    assert "ring stands at" in ran.err
    bundle = latest(lab / "calibrations")
    assert bundle is not None and bundle.ring_zero_deg == ran.json["ring_zero_deg"]


def test_the_measured_zero_is_kept_and_used_unless_rig_yaml_gives_one(lab: Path) -> None:
    bundle = latest(lab / "calibrations")
    assert bundle is not None
    turned = replace(bundle, ring_zero_deg=-87.25)
    assert turned.id != bundle.id
    assert load(save(turned, lab / "calibrations")).ring_zero_deg == -87.25
    assert frame_limits(open_lab(lab), turned).ring_zero_deg == -87.25
    without = replace(bundle, ring_zero_deg=None)
    assert load(save(without, lab / "calibrations")).id == without.id, "a bundle made before rings were measured"
    assert frame_limits(open_lab(lab), without).ring_zero_deg == 0
    with_quality(lab, "{ring_zero_deg: 12, min_sharpness: 0.06}")
    limits = frame_limits(open_lab(lab), turned)
    assert (limits.ring_zero_deg, limits.min_sharpness) == (12, 0.06)


def test_a_board_of_another_size_than_rig_yaml_says_is_found_out_by_the_ring(rig: Rig, lab: Path) -> None:
    before = sorted((lab / "calibrations").iterdir())
    with (lab / "rig.yaml").open("a") as file:
        file.write("board: {square_mm: 4.0, marker_mm: 2.96}\n")
    ran = rig("calibrate", "--lab", lab)
    assert ran.code == 1 and "measure the squares of the board" in ran.err and "the ring on the plate" in ran.err
    assert sorted((lab / "calibrations").iterdir()) == before


@pytest.mark.slow
def test_a_wrong_zero_is_held_against_every_frame(rig: Rig, lab: Path) -> None:
    with_quality(lab, "{ring_zero_deg: 90}")
    (lab / "plans" / "default.yaml").write_text(
        "sides: [obverse]\nlights: [az060]\nturntable_deg: [0]\ntilt_deg: [0]\nretakes: 0\n"
    )
    ran = rig("scan", "--tray", 1, "--no-identify", "--lab", lab, "--json")
    assert ran.code != 0 and "wrong angle" in ran.err


def test_a_slip_in_quality_names_its_line(rig: Rig, lab: Path) -> None:
    with_quality(lab, "{min_sharpnes: 0.06}")
    ran = rig("scan", "--tray", 1, "--dry-run", "--lab", lab)
    assert ran.code == 1 and "rig.yaml, line" in ran.err and "min_sharpness" in ran.err
