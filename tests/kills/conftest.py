"""A small calibrated lab to kill in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.pipeline.conftest import made_lab, photographs  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def fast_lab(made_lab: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """The calibrated lab, its twin as fast as it goes, never to be changed."""
    folder = Path(shutil.copytree(made_lab, tmp_path_factory.mktemp("fast") / "lab"))
    document = folder / "rig.yaml"
    document.write_text(document.read_text().replace("speed: 25 ", "speed: 1000 "))
    return folder


@pytest.fixture
def own_lab(fast_lab: Path, tmp_path: Path) -> Path:
    """A lab of one's own: nothing scanned yet."""
    return Path(shutil.copytree(fast_lab, tmp_path / "lab"))


@pytest.fixture(scope="session")
def kills(pytestconfig: pytest.Config) -> int:
    """How many kills were asked for."""
    return int(pytestconfig.getoption("--kills"))


@pytest.fixture(scope="session")
def first_chain(pytestconfig: pytest.Config) -> int:
    """The number of the first chain of kills."""
    return int(pytestconfig.getoption("--first-chain"))
