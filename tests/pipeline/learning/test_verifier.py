"""`rig models verifier`: what tells one coin from two of one die is fitted again."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from models.matching.verification import Verification
from tests.pipeline.conftest import Rig
from tests.processes import Command


@pytest.mark.slow
def test_a_verifier_is_fitted_on_made_coins_and_photographs_and_an_interrupted_fit_goes_on(
    rig: Rig, photographs: Path, tmp_path: Path
) -> None:
    folder, few = tmp_path / "fitted", ("--dies", 10, "--coins", 3, "--sides", 3, "--steps", 30)
    first = Command("models", "verifier", folder, "--photographs", photographs, *few)
    while not list((folder / "pairs").glob("*.npz")):
        assert first.poll() is None, first.err
        time.sleep(0.1)
    first.kill()
    first.wait()
    begun = {path: path.stat().st_mtime_ns for path in (folder / "pairs").glob("*.npz")}
    assert begun and not (folder / "card.json").exists()
    other = rig("models", "verifier", folder, "--photographs", photographs, *few, "--labelled", 5)
    assert other.code == 2 and "was begun with other options" in other.err
    ran = rig("models", "verifier", folder, "--photographs", photographs, *few, "--json", timeout_s=900)
    assert ran.code == 0, ran.err
    assert begun == {path: path.stat().st_mtime_ns for path in begun}
    assert ran.json["pairs"] >= 440 and 0 <= ran.json["mistaken"] <= ran.json["missed"] + 0.5
    assert ran.json["searches"] >= 10 and ran.json["misnamed"] <= ran.json["matched"]
    assert set(json.loads((folder / "card.json").read_text())["evidence"]) == {"base", "for", "against"}
    fitted = Verification.load(folder).verifier
    assert fitted.held[0] > fitted.held[3]
    again = rig("models", "verifier", folder, "--photographs", photographs)
    assert again.code == 2 and "is not written over" in again.err


def test_photographs_that_are_no_folder_are_reported(rig: Rig, tmp_path: Path) -> None:
    ran = rig("models", "verifier", tmp_path / "fitted", "--photographs", tmp_path / "none")
    assert ran.code == 2 and "is not a folder" in ran.err
