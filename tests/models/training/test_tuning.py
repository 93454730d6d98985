"""Searching the augmentation's numbers: goes on where it was, and finds what is better."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.training.augmentation import Augmentation
from models.training.tuning import SPACE, Reached, Trial, TuningError, importances, search

START = Augmentation(kind="tuned", brightness=70.0, shift=0.09)
ABOUT = {"steps": 10}


def best_without_shift(augmentation: Augmentation) -> Reached:
    """Like a training that suffers from shift and a little from brightness."""
    map_ = 1.0 - 8.0 * augmentation.shift - 0.001 * augmentation.brightness
    return Reached(map_, map_ / 2)


def test_it_begins_where_told_and_finds_better(tmp_path: Path) -> None:
    told: list[Trial] = []
    found = search(tmp_path / "t.db", 14, START, best_without_shift, about=ABOUT, on_trial=told.append)
    assert [trial.number for trial in told] == list(range(14)) and len(found) == 14
    assert told[0].numbers == {name: getattr(START, name) for name in SPACE}
    assert found[0].numbers["shift"] < 0.02 and found[0].reached.map > told[0].reached.map
    assert [trial.reached.map for trial in found] == sorted((t.reached.map for t in found), reverse=True)
    mattered = importances(tmp_path / "t.db")
    assert set(mattered) == set(SPACE) and sum(mattered.values()) == pytest.approx(1.0)
    assert next(iter(mattered)) == "shift"


def test_broken_off_it_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = search(tmp_path / "whole.db", 10, START, best_without_shift, about=ABOUT, seed=5)
    calls = 0

    def breaks(augmentation: Augmentation) -> Reached:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return best_without_shift(augmentation)

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "broken.db", 10, START, breaks, about=ABOUT, seed=5)
    later: list[Trial] = []
    found = search(tmp_path / "broken.db", 10, START, best_without_shift, about=ABOUT, seed=5, on_trial=later.append)
    assert [trial.number for trial in later] == list(range(3, 10))
    assert found == whole
    assert search(tmp_path / "broken.db", 10, START, breaks, about=ABOUT, seed=5) == whole, "all are there already"


def test_one_trial_says_nothing_of_importance(tmp_path: Path) -> None:
    search(tmp_path / "t.db", 1, START, best_without_shift, about=ABOUT)
    assert importances(tmp_path / "t.db") == {}


def test_trials_of_another_recipe_or_a_damaged_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    search(path, 1, START, best_without_shift, about=ABOUT)
    with pytest.raises(TuningError, match="another recipe"):
        search(path, 2, START, best_without_shift, about={"steps": 11})
    path.write_bytes(b"no database" * 200)
    with pytest.raises(TuningError, match="damaged"):
        search(path, 2, START, best_without_shift, about=ABOUT)
