"""A lab to measure on: the full camera and the default plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.conftest import Rig, photographs, rig  # noqa: F401 - fixtures


@pytest.fixture
def bench_lab(rig: Rig, photographs: Path, tmp_path: Path) -> Path:  # noqa: F811
    """One tray of two coins, calibrated, its catalogue embedded."""
    folder = tmp_path / "lab"
    for args in (("init", "--coins", photographs, "--tray-size", 2), ("calibrate",), ("catalogue", "build")):
        ran = rig(*args, "--lab", folder)
        assert ran.code == 0, ran.err
    return folder
