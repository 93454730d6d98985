"""Searching the augmentation's numbers: it resumes where it was, and finds what is better."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.training.augmentation import Augmentation
from models.training.tuning import SPACE, AugmentationSearch, Trial, TrialFigures, TuningError, importances

START = Augmentation(kind="tuned", brightness=70.0, shift=0.09)
ABOUT = {"steps": 10}


def best_without_shift(augmentation: Augmentation) -> TrialFigures:
    """Like a training that suffers from shift and a little from brightness."""
    map_ = 1.0 - 8.0 * augmentation.shift - 0.001 * augmentation.brightness
    return TrialFigures(map_, map_ / 2)


def test_it_starts_from_the_recipe_and_finds_better(tmp_path: Path) -> None:
    seen: list[Trial] = []
    found = AugmentationSearch(tmp_path / "t.db", START, ABOUT).run(14, best_without_shift, seen.append)
    assert [trial.number for trial in seen] == list(range(14)) and len(found) == 14
    assert seen[0].numbers == {name: getattr(START, name) for name in SPACE}
    assert found[0].numbers["shift"] < 0.02 and found[0].reached.map > seen[0].reached.map
    assert [trial.reached.map for trial in found] == sorted((t.reached.map for t in found), reverse=True)
    mattered = importances(tmp_path / "t.db")
    assert set(mattered) == set(SPACE) and sum(mattered.values()) == pytest.approx(1.0)
    assert next(iter(mattered)) == "shift"


def test_interrupted_it_resumes_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = AugmentationSearch(tmp_path / "whole.db", START, ABOUT, 5).run(10, best_without_shift)
    calls = 0

    def interrupts(augmentation: Augmentation) -> TrialFigures:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return best_without_shift(augmentation)

    with pytest.raises(KeyboardInterrupt):
        AugmentationSearch(tmp_path / "interrupted.db", START, ABOUT, 5).run(10, interrupts)
    later: list[Trial] = []
    found = AugmentationSearch(tmp_path / "interrupted.db", START, ABOUT, 5).run(10, best_without_shift, later.append)
    assert [trial.number for trial in later] == list(range(3, 10))
    assert found == whole
    assert AugmentationSearch(tmp_path / "interrupted.db", START, ABOUT, 5).run(10, interrupts) == whole, (
        "all are there already"
    )


def test_one_trial_says_nothing_of_importance(tmp_path: Path) -> None:
    AugmentationSearch(tmp_path / "t.db", START, ABOUT).run(1, best_without_shift)
    assert importances(tmp_path / "t.db") == {}


def test_trials_of_another_recipe_or_a_damaged_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    AugmentationSearch(path, START, ABOUT).run(1, best_without_shift)
    with pytest.raises(TuningError, match="another recipe"):
        AugmentationSearch(path, START, {"steps": 11}).run(2, best_without_shift)
    path.write_bytes(b"no database" * 200)
    with pytest.raises(TuningError, match="damaged"):
        AugmentationSearch(path, START, ABOUT).run(2, best_without_shift)
