"""Options of the tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=2, help="how often tests/kills kills a command at a random point")
    parser.addoption("--first-chain", type=int, default=0, help="of the kills in tests/kills, to repeat a failed one")
