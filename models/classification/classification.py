"""Which type is this? Training a classifier, and how well it does with how few images.

Coins, never images, are divided: what a classifier is judged on shows coins it has not seen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import load_file, save_file
from torch import nn

from calibration.durable_files import parse_json, replacing, write_atomically
from calibration.image import Image
from models.classification.heads import Tuning, TypeClassifier
from models.embedding.backbones import CROP_PX, WeightsError, build, freeze_statistics, pretrained
from models.embedding.embedder import to_tensor
from models.embedding.forward import bf16_pays
from models.evaluation.measures import interval_over_coins
from models.matching.rotation import turn_crop

WEIGHTS_FILE, CARD_FILE = "classifier.safetensors", "classifier.json"


class ClassificationError(Exception):
    """The images given cannot be classified."""


class ClassificationConfig(BaseModel):
    """How to train a classifier of types."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str = "vit_b_16"
    tuning: Tuning = "full"
    picture_px: int = Field(default=CROP_PX, ge=32, le=CROP_PX, description="vit_b_16 takes 224 only")
    steps: int = Field(default=400, ge=1)
    batch: int = Field(default=24, ge=2)
    learning_rate: float = Field(default=3e-5, gt=0.0, description="of the backbone")
    head_learning_rate: float = Field(default=1e-3, gt=0.0)
    weight_decay: float = Field(default=1e-4, ge=0.0)
    turn_deg: float = Field(default=15.0, ge=0.0, le=180.0, description="images are turned by up to this, either way")
    pretrained: bool = Field(default=True, description="start from ImageNet weights")
    seed: int = 0


@dataclass(frozen=True)
class TypeSample:
    """A normalised crop, the type it shows, and the coin, by which images are divided."""

    crop: Image
    type: str
    coin: str


@dataclass(frozen=True)
class Point:
    """What came of a share of the training coins: accuracy over unseen coins, and its 95 % interval over these.

    ``chance`` is the accuracy of guessing: one over the number of types.
    """

    share: float
    coins: int
    pictures: int
    accuracy: float
    interval95: tuple[float, float]
    chance: float


class Classifier:
    """A trained network and the names of its types."""

    def __init__(self, network: TypeClassifier, config: ClassificationConfig, types: Sequence[str]) -> None:
        self.network = network.eval()
        self.config = config
        self.types = tuple(types)

    def probabilities(self, crops: Sequence[Image]) -> npt.NDArray[np.float32]:
        """(N, types), each row summing to 1."""
        rows = []
        with torch.inference_mode():
            for start in range(0, len(crops), self.config.batch):
                scores = _scores(self.network, crops[start : start + self.config.batch], self.config)
                rows.append(torch.softmax(scores, dim=1).numpy())
        return np.concatenate(rows) if rows else np.zeros((0, len(self.types)), np.float32)

    def save(self, folder: Path) -> None:
        """Write weights and card into a folder."""
        with replacing(folder / WEIGHTS_FILE) as draft:
            save_file({key: value.contiguous() for key, value in self.network.state_dict().items()}, draft)
        card = {"config": self.config.model_dump(), "types": list(self.types)}
        write_atomically(folder / CARD_FILE, json.dumps(card, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Classifier:
        """Read a classifier; to the bit what was saved.

        Raises
        ------
        WeightsError
            If the folder holds none, or a damaged one.
        """
        try:
            card = parse_json((folder / CARD_FILE).read_bytes())
            config = ClassificationConfig.model_validate(card["config"])
            network = TypeClassifier(config.network, len(card["types"]))
            network.load_state_dict(load_file(folder / WEIGHTS_FILE))
            return cls(network, config, card["types"])
        except Exception as error:  # of damaged files torch and safetensors raise what they like
            raise WeightsError(
                f"the classifier in {folder} is damaged: its card and weights are not what was saved. Copy or train it "
                "again."
            ) from error


def train_classifier(
    config: ClassificationConfig,
    images: Sequence[TypeSample],
    on_step: Callable[[int, int, float], None] | None = None,
) -> Classifier:
    """Train a classifier.

    Parameters
    ----------
    on_step
        Called with (step, steps, loss).

    Raises
    ------
    ClassificationError
        If there are fewer than two types.
    """
    types = sorted({image.type for image in images})
    if len(types) < 2:
        raise ClassificationError(f"classifying takes images of at least two types; {len(types)} given.")
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    network = TypeClassifier(config.network, len(types), pretrained if config.pretrained else build)
    tuned = network.tune(config.tuning)
    new = [*network.head.parameters(), *network.weigh.parameters()]
    groups: list[dict[str, Any]] = [{"params": new, "lr": config.head_learning_rate}]
    if tuned:
        groups.append({"params": tuned, "lr": config.learning_rate})
    optimiser = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)
    truth = np.array([types.index(image.type) for image in images])
    for step in range(config.steps):
        network.train()
        if config.tuning != "full" or config.pretrained:
            freeze_statistics(network)
        chosen = rng.choice(len(images), config.batch, replace=len(images) < config.batch)
        crops = [turn_crop(images[n].crop, float(rng.uniform(-1, 1)) * config.turn_deg) for n in chosen]
        loss = nn.functional.cross_entropy(_scores(network, crops, config), torch.from_numpy(truth[chosen]))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if on_step is not None:
            on_step(step + 1, config.steps, float(loss.detach()))
    return Classifier(network, config, types)


def low_data_curve(
    config: ClassificationConfig,
    training: Sequence[TypeSample],
    test: Sequence[TypeSample],
    shares: Sequence[float],
    on_point: Callable[[Point, Classifier], None] | None = None,
) -> list[Point]:
    """Accuracy on the coins of ``test`` by share of the training coins used, at least one coin of each type.

    Parameters
    ----------
    on_point
        Called with each point and the classifier it is of.

    Raises
    ------
    ClassificationError
        If a coin is in both, or a type of ``test`` is not trained.
    """
    shared = {image.coin for image in training} & {image.coin for image in test}
    if shared:
        raise ClassificationError(f"coin {min(shared)} is both trained and tested on. Divide by coin.")
    unknown = {image.type for image in test} - {image.type for image in training}
    if unknown:
        raise ClassificationError(f"type {min(unknown)} is tested but never trained. Leave it out, or add coins of it.")
    points = []
    for share in shares:
        some = _share_of_coins(training, share, config.seed)
        classifier = train_classifier(config, some)
        found = classifier.probabilities([image.crop for image in test]).argmax(axis=1)
        right = np.array([classifier.types[number] == image.type for number, image in zip(found, test, strict=True)])
        coins = [image.coin for image in test]
        point = Point(
            share,
            len({image.coin for image in some}),
            len(some),
            float(right.mean()),
            interval_over_coins(right, coins, config.seed),
            1.0 / len(classifier.types),
        )
        points.append(point)
        if on_point is not None:
            on_point(point, classifier)
    return points


def _share_of_coins(images: Sequence[TypeSample], share: float, seed: int) -> list[TypeSample]:
    """The images of a share of each type's coins; a larger share contains every smaller one."""
    kept: set[str] = set()
    for type_ in sorted({image.type for image in images}):
        coins = sorted({image.coin for image in images if image.type == type_})
        order = np.random.default_rng([seed, len(coins)]).permutation(len(coins))
        kept |= {coins[n] for n in order[: max(1, round(share * len(coins)))]}
    return [image for image in images if image.coin in kept]


def _scores(network: TypeClassifier, crops: Sequence[Image], config: ClassificationConfig) -> torch.Tensor:
    """(N, types), not normalised, in float32; computed in bfloat16 where that pays."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16_pays()):
        scores: torch.Tensor = network(image_batch(crops, config))
    return scores.float()


def image_batch(crops: Sequence[Image], config: ClassificationConfig) -> torch.Tensor:
    """Crops as a classifier takes them, (N, 3, ``picture_px``, ``picture_px``)."""
    size = (config.picture_px, config.picture_px)
    if config.picture_px != CROP_PX:
        crops = [np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8) for crop in crops]
    return to_tensor(crops)
