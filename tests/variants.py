"""Variants of one test: some always run, the others with `make test-all`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def usually(kept: Collection[Any], every: Iterable[Any]) -> list[Any]:
    """All values for `pytest.mark.parametrize`; those that are not kept are slow."""
    return [value if value in kept else pytest.param(value, marks=pytest.mark.slow) for value in every]
