"""A small calibrated lab to kill in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.pipeline.conftest import made_lab, photographs  # noqa: F401 - fixtures


@pytest.fixture
def own_lab(made_lab: Path, tmp_path: Path) -> Path:  # noqa: F811
    """A lab of one's own: nothing scanned yet."""
    return Path(shutil.copytree(made_lab, tmp_path / "lab"))


@pytest.fixture(scope="session")
def kills(pytestconfig: pytest.Config) -> int:
    """How many kills were asked for."""
    return int(pytestconfig.getoption("--kills"))


@pytest.fixture(scope="session")
def first_chain(pytestconfig: pytest.Config) -> int:
    """The number of the first chain of kills."""
    return int(pytestconfig.getoption("--first-chain"))
