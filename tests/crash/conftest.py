"""The labs that lose power."""

from __future__ import annotations

import pytest

from tests.pipeline.conftest import made_lab, photographs, scanned  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def states(pytestconfig: pytest.Config) -> int:
    """How many states to find a lab in were asked for."""
    return int(pytestconfig.getoption("--states"))
