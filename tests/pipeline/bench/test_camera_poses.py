"""`rig jog --camera --tilts`: the arm finds the poses of other tilts by the ring, and a scan then uses them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.lab import open_lab
from rig.twin import world as twin_world
from tests.pipeline.conftest import COINS
from tests.pipeline.loop import run

ON_ARM = "  camera_arm: {arm: {kind: dobot, home_mm: [328, 2, 66]}}\n"
STRAIGHT_DOWN = "arm: dobot\nposes:\n- {tilt_deg: 0, end_mm: [330, 0, 70], wrist_deg: 0}\n"


@pytest.fixture
def lab(lab: Path) -> Path:
    """A lab whose camera hangs on an arm that was taught nothing."""
    rig_yaml = lab / "rig.yaml"
    rig_yaml.write_text(rig_yaml.read_text().replace("station:\n", "station:\n" + ON_ARM))
    return lab


def test_the_pose_straight_down_comes_first(lab: Path) -> None:
    with pytest.raises(UsageError, match="0 degrees comes first"):
        run("jog", "--camera", "--tilts", 15, "--lab", lab)


@pytest.mark.slow
def test_tilts_are_found_by_the_ring_and_scanned(lab: Path) -> None:
    (lab / "camera_poses.yaml").write_text(STRAIGHT_DOWN)
    ran = run("jog", "--camera", "--tilts", "15,25", "--lab", lab)
    assert "15 degrees: x" in ran.out + ran.err
    holder = open_lab(lab).rig.station.camera_arm
    assert holder is not None and [pose.tilt_deg for pose in holder.poses] == [0.0, 15.0, 25.0]
    for pose in holder.poses[1:]:
        assert pose.wrist_deg == pytest.approx(pose.tilt_deg, abs=1.5)
        assert pose.square_px is not None
    truly_deg = twin_world.current().camera_pose().tilt_deg
    assert truly_deg == pytest.approx(25.0, abs=1.0)
    (lab / "plans" / "default.yaml").write_text(
        "sides: [obverse]\nlights: [az060]\nturntable_deg: [0]\ntilt_deg: [0, 15, 25]\n"
    )
    (lab / "trays" / "1.yaml").write_text(f"slots:\n  1: {COINS[0]}\n")
    assert run("scan", "--tray", 1, "--no-identify", "--lab", lab).code == 0
