"""Training and its augmentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_coins import crop_of
from pydantic import ValidationError

from calibration.image import encode_jpeg
from calibration.outline import GREY_MEAN
from models.augmentation import Augmentation
from models.embedder import Embedder
from models.training import Step, TrainingCoin, TrainingConfig, TrainingError, read_folder, train

SMALL = TrainingConfig(
    name="small",
    backbone="mobilenet_v3_small",
    channels=16,
    steps=24,
    coins_per_batch=6,
    learning_rate=2e-3,
    warm_up_steps=2,
)


def some_coins(count: int) -> list[TrainingCoin]:
    return [
        TrainingCoin(str(n), f"type {n % 3}", (crop_of(n), crop_of(n, 200.0), crop_of(n, 300.0))) for n in range(count)
    ]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), turn_deg=st.floats(0, 360))
def test_changed_crops_stay_normalised(seed: int, turn_deg: float) -> None:
    changed = Augmentation(halftone=0.5, coarse=0.5, hide=0.5).apply(crop_of(1), turn_deg, np.random.default_rng(seed))
    assert changed.shape == (224, 224, 3) and changed.dtype == np.uint8
    assert (changed[0, 0] == round(GREY_MEAN)).all()
    y, x = np.mgrid[:224, :224] - 111.5
    assert changed[np.hypot(x, y) < 100].mean() == pytest.approx(GREY_MEAN, abs=14)


def test_without_strength_nothing_changes_but_the_turn() -> None:
    still = Augmentation(
        turn_deg=0, shift=0, scale=0, gradient=0, gamma=0, blur_px=0, noise=0, flatten=0, halftone=0, coarse=0, hide=0
    )
    crop = crop_of(1)
    same = still.apply(crop, 0.0, np.random.default_rng(0))
    assert np.abs(same.astype(int) - crop.astype(int)).mean() < 3


def test_training_lowers_the_loss(random_weights: Path) -> None:
    steps: list[Step] = []
    train(SMALL, some_coins(9), lambda step, _: steps.append(step), every=8)
    assert [step.step for step in steps] == [8, 16, 24]
    assert steps[-1].loss < steps[0].loss


def test_the_same_seed_gives_the_same_embedder(random_weights: Path, tmp_path: Path) -> None:
    short = SMALL.model_copy(update={"steps": 3})
    one, two = (train(short, some_coins(7)) for _ in range(2))
    assert one.id == two.id
    assert train(short.model_copy(update={"seed": 1}), some_coins(7)).id != one.id
    one.save(tmp_path / "one")
    assert Embedder.load(tmp_path / "one").id == one.id
    assert one.card["training"]["coin_sides"] == 7


def test_pictures_are_read_with_and_without_types(tmp_path: Path) -> None:
    for name in ("type 1/coin a", "type 1/coin b", "coin c"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "frame.jpg").write_bytes(encode_jpeg(_on_white(crop_of(1))))
    (tmp_path / "coin c" / "empty.png").write_bytes(encode_jpeg(np.full((200, 200, 3), 255, np.uint8)))
    (tmp_path / "notes.txt").write_text("not a picture")
    coins = {coin.label: coin for coin in read_folder(tmp_path)}
    assert {label: coin.group for label, coin in coins.items()} == {
        "coin a": "type 1",
        "coin b": "type 1",
        "coin c": "",
    }
    assert len(coins["coin c"].crops) == 1


def test_too_few_coins_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="at least two"):
        read_folder(tmp_path)
    with pytest.raises(TrainingError, match="at least two"):
        train(SMALL, some_coins(1))


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="learning_rat"):
        TrainingConfig.model_validate({"learning_rat": 1e-3})
    with pytest.raises(ValidationError, match="steps"):
        TrainingConfig(steps=0)


def _on_white(crop: np.ndarray) -> np.ndarray:
    page = np.full((300, 300, 3), 255, np.uint8)
    y, x = np.mgrid[:224, :224] - 111.5
    inside = np.hypot(x, y) <= 107
    page[38:262, 38:262][inside] = crop[inside] // 2 + 20
    return page
