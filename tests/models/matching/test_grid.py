"""Comparing grids cell by cell, and turning crops."""

from __future__ import annotations

import numpy as np
import pytest

from models.embedding.embedder import Embedder
from models.matching.grid import compare
from models.matching.rotation import search_rotation, turn_crop, turned_crops
from tests.models.model_coins import crop_of


def test_a_crop_compared_with_itself_scores_one(plain: Embedder) -> None:
    grid = plain.embed([crop_of(1), crop_of(2)]).grid
    scores = compare(grid, grid)
    assert np.diag(scores) == pytest.approx(1.0, abs=1e-3)
    assert scores[0, 1] < scores[0, 0]


def test_turning_is_counter_clockwise() -> None:
    crop = crop_of(2, noise=0.0)
    quarter = turn_crop(crop, 90.0)
    assert np.abs(quarter.astype(int) - np.rot90(crop).astype(int)).mean() < 2


def test_the_rotation_search_finds_the_turn_of_each(plain: Embedder) -> None:
    still = plain.embed([turn_crop(crop_of(2), 40.0), turn_crop(crop_of(2), 200.0)])
    found = search_rotation(plain.embed(turned_crops(crop_of(2))).grid, still.grid)
    assert found.turns_deg.tolist() == [40.0, 200.0]
    assert found.scores.min() > 0.95
