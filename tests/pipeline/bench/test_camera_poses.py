"""`rig jog --camera --tilts`: what it starts from."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from tests.pipeline.loop import run

ON_ARM = "  camera_arm: {arm: {kind: dobot, home_mm: [328, 2, 66]}}\n"


@pytest.fixture
def lab(lab: Path) -> Path:
    """A lab whose camera hangs on an arm that was taught nothing."""
    rig_yaml = lab / "rig.yaml"
    rig_yaml.write_text(rig_yaml.read_text().replace("station:\n", "station:\n" + ON_ARM))
    return lab


def test_the_pose_straight_down_comes_first(lab: Path) -> None:
    with pytest.raises(UsageError, match="0 degrees comes first"):
        run("jog", "--camera", "--tilts", 15, "--lab", lab)
