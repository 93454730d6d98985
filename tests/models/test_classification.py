"""Types are told apart, the better the more coins there were to learn from; heads and tuning do what they say."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from model_coins import crop_of

from models.backbones import WeightsError
from models.classification import (
    CARD_FILE,
    ClassificationConfig,
    ClassificationError,
    Classifier,
    TypePicture,
    low_data_curve,
    train_classifier,
)
from models.heads import Tuning, TypeClassifier

SMALL = ClassificationConfig(
    network="mobilenet_v3_small", picture_px=48, steps=12, batch=6, learning_rate=1e-3, pretrained=False
)


def pictures(coins: range) -> list[TypePicture]:
    """Coins of three types, told by bars over the relief that is their own."""
    made = []
    for coin in coins:
        for type_ in range(3):
            crop = crop_of(300 * type_ + coin).copy()
            for bar in range(type_ + 1):
                cv2.line(crop, (50, 60 + 45 * bar), (174, 60 + 45 * bar), (255, 255, 255), 16)
            made.append(TypePicture(crop, f"type {type_}", f"{type_}.{coin}"))
    return made


def test_a_classifier_learns_and_is_loaded_to_the_bit(tmp_path: Path) -> None:
    losses: list[float] = []
    trained = train_classifier(SMALL, pictures(range(3)), lambda _step, _of, loss: losses.append(loss))
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    crops = [picture.crop for picture in pictures(range(4, 6))]
    trained.save(tmp_path / "types")
    loaded = Classifier.load(tmp_path / "types")
    assert np.array_equal(trained.probabilities(crops), loaded.probabilities(crops))
    assert loaded.types == ("type 0", "type 1", "type 2")
    (tmp_path / "types" / CARD_FILE).write_text("{}")
    with pytest.raises(WeightsError, match="classifier"):
        Classifier.load(tmp_path / "types")


def test_the_curve_is_over_coins_never_seen() -> None:
    told = []
    quick = SMALL.model_copy(update={"steps": 2})
    points = low_data_curve(quick, pictures(range(5)), pictures(range(10, 12)), [1.0, 0.2], told.append)
    assert points == told
    assert [point.coins for point in points] == [15, 3]
    assert all(0.0 <= point.interval95[0] <= point.accuracy <= point.interval95[1] <= 1.0 for point in points)
    with pytest.raises(ClassificationError, match="both"):
        low_data_curve(SMALL, pictures(range(3)), pictures(range(2, 4)), [1.0])
    with pytest.raises(ClassificationError, match="two types"):
        train_classifier(SMALL, pictures(range(2))[:1])


@pytest.mark.parametrize("tuning", ["baseline", "partial", "full"])
def test_only_what_is_tuned_changes(tuning: Tuning) -> None:
    torch.manual_seed(0)
    network = TypeClassifier("resnet18", 3)
    tuned = network.tune(tuning)
    names = {name.split(".")[1] for name, p in network.named_parameters() if p.requires_grad and "backbone" in name}
    assert names == {"baseline": set(), "partial": {"6", "7"}, "full": {"0", "1", "4", "5", "6", "7"}}[tuning]
    assert (len(tuned) == 0) == (tuning == "baseline")
    assert network.head.weight.requires_grad


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_b_16", "inception_v3", "inception_v3_se"])
@pytest.mark.parametrize("tuning", ["baseline", "partial", "full"])
def test_the_networks_of_the_literature_take_a_step(name: str, tuning: Tuning) -> None:
    config = ClassificationConfig(
        network=name, tuning=tuning, steps=6, batch=4, learning_rate=1e-4, head_learning_rate=2e-4, pretrained=False
    )
    losses: list[float] = []
    few = pictures(range(1))
    classifier = train_classifier(config, [*few, few[0]], lambda _step, _of, loss: losses.append(loss))
    assert min(losses[3:]) < losses[0]
    assert classifier.probabilities([few[0].crop]).sum() == pytest.approx(1.0, abs=1e-5)
