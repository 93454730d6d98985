"""Types are distinguished, the better the more coins there were to learn from; heads and tuning do what they say."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from models.classification.classification import (
    CARD_FILE,
    ClassificationConfig,
    ClassificationError,
    Classifier,
    TypeSample,
    low_data_curve,
    train_classifier,
)
from models.classification.heads import Tuning, TypeClassifier
from models.classification.type_explanation import explain_type
from models.embedding.backbones import WeightsError
from models.explanation.last_map import ExplanationError
from tests.models.model_coins import crop_of

SMALL = ClassificationConfig(
    network="mobilenet_v3_small", picture_px=48, steps=12, batch=6, learning_rate=1e-3, pretrained=False
)


def images(coins: range) -> list[TypeSample]:
    """Coins of three types, distinguished by bars over their own relief."""
    made = []
    for coin in coins:
        for type_ in range(3):
            crop = crop_of(300 * type_ + coin).copy()
            for bar in range(type_ + 1):
                cv2.line(crop, (50, 60 + 45 * bar), (174, 60 + 45 * bar), (255, 255, 255), 16)
            made.append(TypeSample(crop, f"type {type_}", f"{type_}.{coin}"))
    return made


def is_kept_and_explained(trained: Classifier, folder: Path) -> None:
    """Saved, loaded to the bit, and its explanation the same before and after."""
    crops = [image.crop for image in images(range(4, 6))]
    trained.save(folder)
    loaded = Classifier.load(folder)
    assert loaded.types == trained.types
    found = trained.probabilities(crops)
    assert np.array_equal(found, loaded.probabilities(crops))
    assert found.sum(axis=1) == pytest.approx(np.ones(len(crops)), abs=1e-5)
    seen = explain_type(loaded, crops[0])
    assert seen.shape == (224, 224) and seen[0, 0] == 0.0
    if trained.config.tuning == "full":  # what is drawn at random and stays so says nothing, deep down
        assert seen.max() > 0.0
    assert np.array_equal(seen, explain_type(trained, crops[0]))


def test_a_classifier_learns_and_is_loaded_to_the_bit(tmp_path: Path) -> None:
    losses: list[float] = []
    trained = train_classifier(SMALL, images(range(3)), lambda _step, _of, loss: losses.append(loss))
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert trained.types == ("type 0", "type 1", "type 2")
    is_kept_and_explained(trained, tmp_path / "types")
    (tmp_path / "types" / CARD_FILE).write_text("{}")
    with pytest.raises(WeightsError, match="classifier"):
        Classifier.load(tmp_path / "types")


def test_a_network_that_sees_one_cell_says_that_it_cannot_be_explained() -> None:
    config = SMALL.model_copy(update={"picture_px": 32, "steps": 1})
    with pytest.raises(ExplanationError, match="32 px"):
        explain_type(train_classifier(config, images(range(2))), crop_of(1))


def test_the_curve_is_over_coins_never_seen() -> None:
    found = []
    quick = SMALL.model_copy(update={"steps": 2})
    points = low_data_curve(
        quick, images(range(5)), images(range(10, 12)), [1.0, 0.2], lambda *each: found.append(each)
    )
    assert points == [point for point, _ in found]
    assert all(len(classifier.types) == 3 for _, classifier in found) and points[0].chance == pytest.approx(1 / 3)
    assert [point.coins for point in points] == [15, 3]
    assert all(0.0 <= point.interval95[0] <= point.accuracy <= point.interval95[1] <= 1.0 for point in points)
    with pytest.raises(ClassificationError, match="both"):
        low_data_curve(SMALL, images(range(3)), images(range(2, 4)), [1.0])
    with pytest.raises(ClassificationError, match="two types"):
        train_classifier(SMALL, images(range(2))[:1])


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
def test_the_networks_of_the_literature_go_the_whole_way(name: str, tuning: Tuning, tmp_path: Path) -> None:
    """They learn one batch of four images: within six steps its loss is below that of the first."""
    config = ClassificationConfig(
        network=name, tuning=tuning, steps=6, batch=4, learning_rate=1e-4, head_learning_rate=2e-4, pretrained=False
    )
    losses: list[float] = []
    few = images(range(1))
    classifier = train_classifier(config, [*few, few[0]], lambda _step, _of, loss: losses.append(loss))
    assert min(losses[3:]) < losses[0]
    is_kept_and_explained(classifier, tmp_path)
