"""`rig models verifier`: what tells one coin from two of one die is fitted again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.matching.relation import Verifier
from tests.pipeline.conftest import Rig


@pytest.mark.slow
def test_a_verifier_is_fitted_on_made_coins_and_photographs(rig: Rig, photographs: Path, tmp_path: Path) -> None:
    card = tmp_path / "card.json"
    few = ("--dies", 2, "--coins", 3, "--sides", 2)
    ran = rig("models", "verifier", card, "--photographs", photographs, *few, "--json", timeout_s=900)
    assert ran.code == 0, ran.err
    assert ran.json["pairs"] >= 88 and 0 <= ran.json["mistaken"] <= ran.json["missed"] + 0.5
    assert ran.json["searches"] >= 20 and ran.json["misnamed"] <= ran.json["matched"]
    assert set(json.loads(card.read_text())["evidence"]) == {"base", "for", "against"}
    fitted = Verifier.from_card(json.loads(card.read_text()))
    assert fitted.held[0] > fitted.held[3]
    again = rig("models", "verifier", card, "--photographs", photographs)
    assert again.code == 2 and "is not written over" in again.err


def test_photographs_that_are_no_folder_are_reported(rig: Rig, tmp_path: Path) -> None:
    ran = rig("models", "verifier", tmp_path / "card.json", "--photographs", tmp_path / "none")
    assert ran.code == 2 and "is not a folder" in ran.err
