"""What a recipe trains on, out of files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from calibration.image import Image, encode_jpeg
from models.embedding.embedder import Embedder
from pipeline.errors import LabError
from pipeline.learning.recipe import Data, LabelledCoins, Recipe, gather
from pipeline.learning.training_coins import coins_of, labelled_samples, photograph_searches, procedural_coins


def quiet(done: int, of: int) -> None:
    """Progress that nobody looks at."""


def photograph(number: int, noise: int = 0) -> Image:
    """A coin of its own pattern on white."""
    rng = np.random.default_rng(number)
    page = np.full((200, 200, 3), 250, np.uint8)
    cv2.circle(page, (100, 100), 80, (110, 100, 90), cv2.FILLED)
    for _ in range(12):
        ends = rng.integers(60, 140, (2, 2))
        cv2.line(page, ends[0].tolist(), ends[1].tolist(), (190, 180, 160), 4)
    return np.asarray(cv2.convertScaleAbs(page, alpha=1.0, beta=-noise), np.uint8)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Ten coins of two types, each photographed in two sessions."""
    lines = ["file,coin,type,session"]
    for coin in range(10):
        for session in range(2):
            name = f"{coin}-{session}.jpg"
            (tmp_path / name).write_bytes(encode_jpeg(photograph(coin, 12 * session)))
            lines.append(f"{name},c{coin},type {coin % 2},{session}")
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_share_and_the_rest_are_all_coins_and_no_coin_is_in_both(labels: Path) -> None:
    first = labelled_samples(labels, 0.6, 7, rest=False, progress=quiet)
    rest = labelled_samples(labels, 0.6, 7, rest=True, progress=quiet)
    one, other = ({sample.coin for sample in part} for part in (first, rest))
    assert (len(one), len(other)) == (6, 4) and not one & other
    assert len(first) == 12 and all(sample.crop.shape == (224, 224, 3) for sample in first)
    assert one != {sample.coin for sample in labelled_samples(labels, 0.6, 8, rest=False, progress=quiet)}
    coins = coins_of(first)
    assert {coin.label for coin in coins} == one
    assert all(len(coin.crops) == 2 and not coin.is_aligned and coin.group.startswith("type") for coin in coins)


@pytest.mark.slow
def test_a_coin_cannot_train_and_decide(labels: Path) -> None:
    half = LabelledCoins(labels=labels, share=0.5, seed=1)
    data = Data(procedural_coins=0, labelled=half)
    with pytest.raises(LabError, match="would train and decide"):
        gather(Recipe(data=data, real=half), quiet)
    coins, real = gather(Recipe(data=data, real=half.model_copy(update={"rest": True})), quiet)
    assert not {coin.label for coin in coins} & {sample.coin for sample in real}


def test_one_photograph_a_side_is_read_with_both_sides(tmp_path: Path) -> None:
    both = np.concatenate([photograph(1), photograph(2)], axis=1)
    (tmp_path / "rome.jpg").write_bytes(encode_jpeg(both))
    coins, real = gather(Recipe(data=Data(procedural_coins=0, photographs=(tmp_path,))), quiet)
    assert [coin.label.split(" ", 1)[1] for coin in coins] == ["rome obverse", "rome reverse"]
    assert all(len(coin.crops) == 1 for coin in coins) and real == []


@pytest.mark.slow
def test_procedural_coins_come_with_their_relief() -> None:
    obverse, reverse = procedural_coins(1, quiet)
    assert obverse.label.endswith("obverse") and obverse.group != reverse.group
    assert obverse.relief is not None and len(obverse.crops) == len(reverse.crops) > 4


@pytest.mark.slow
def test_each_photograph_is_searched_among_its_type(labels: Path) -> None:
    samples = labelled_samples(labels, 1.0, 0, rest=False, progress=quiet)
    searches = photograph_searches(Embedder.load("starter"), [s for s in samples if s.type == "type 0"][:6])
    assert len(searches) == 3
    for candidates, coin in searches:
        assert len(candidates) == 3 and candidates[0].coin == coin
        assert candidates[0].side_scores == (candidates[0].score,)


def test_a_path_that_is_not_there_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    with pytest.raises(ValidationError, match="variable that is not set"):
        Data(photographs=(Path("$NO_SUCH_VARIABLE/coins"),))
    with pytest.raises(ValidationError, match="does not exist"):
        LabelledCoins(labels=Path("/nowhere/labels.csv"))
