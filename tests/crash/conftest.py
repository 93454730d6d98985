"""The labs that lose power."""

from __future__ import annotations

import pytest

from tests.pipeline.conftest import made_lab, photographs, scanned  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def states(pytestconfig: pytest.Config) -> range:
    """The numbers of the states to find a lab in."""
    first = int(pytestconfig.getoption("--first-state"))
    return range(first, first + int(pytestconfig.getoption("--states")))
