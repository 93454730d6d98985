"""`rig evaluate --suite`: the published tables, row by row, with our figure beside each or what is missing for it.

A published figure stands here only if its source printed it; their accuracies are not defined there, ours are: Rank-1
by `models.evaluation.PROTOCOL` for the poster, accuracy over coins never trained on for types.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from capture.store import Store
from models.embedder import CARD_FILE
from models.evaluation import EvaluationError, evaluate
from pipeline.catalogue import Progress
from pipeline.evaluate import imported_samples
from pipeline.lab import Lab
from pipeline.low_data import result_path
from pipeline.service import open_model

Suite = Literal["poster", "rrc60"]
POSTER = "sawhill-poster"
RRC60 = "rrc60"


@dataclass(frozen=True)
class Row:
    """One line of a published table.

    ``published`` is in per cent, None where no source at hand prints it. ``model`` is the lab's model that would answer
    for it, ``recipe`` the lines of a training config that make it.
    """

    name: str
    published: float | None
    model: str
    recipe: str


@dataclass(frozen=True)
class Answered:
    """A row with our figure in per cent, or what it needs."""

    name: str
    published: float | None
    ours: float | None
    needs: str | None


def _poster(network: str, backbone: str, augmentation: str, published: float | None) -> Row:
    model = f"poster-{backbone}-{augmentation}"
    recipe = f"`name: {model}`, `backbone: {backbone}`, the {augmentation} augmentation"
    return Row(f"{network}, {augmentation} augmentation", published, model, recipe)


POSTER_ROWS = (
    _poster("ResNet50 truncated", "resnet50", "tuned", 95.48),
    _poster("ResNet50 truncated", "resnet50", "standard", None),
    _poster("ResNet50 base", "resnet50-base", "tuned", 73.75),
    _poster("ResNet50 base", "resnet50-base", "standard", None),
    _poster("ConvNeXt", "convnext_base", "tuned", 85.40),
    _poster("ConvNeXt", "convnext_base", "standard", None),
    _poster("Inception", "inception_v3", "tuned", 35.22),
    _poster("Inception", "inception_v3", "standard", None),
)
TYPE_ROWS = (
    ("ViT-B/16, full fine-tuning, 80 % of the pictures", 99.10, "vit_b_16", "full", 0.8),
    ("ViT-B/16, full fine-tuning, 20 %", None, "vit_b_16", "full", 0.2),
    ("ViT-B/16, full fine-tuning, 10 %", None, "vit_b_16", "full", 0.1),
    ("ViT-B/16, full fine-tuning, 5 %", None, "vit_b_16", "full", 0.05),
    ("InceptionV3", None, "inception_v3", "full", 0.8),
    ("InceptionV3 + squeeze-and-excitation", 96.58, "inception_v3_se", "full", 0.8),
)


def run_suite(lab: Lab, suite: Suite, progress: Callable[[str], Progress]) -> list[Answered]:
    """Answer every row of a suite as far as data and models are there.

    Parameters
    ----------
    progress
        Makes a progress bar for a row.
    """
    if suite == "rrc60":
        return [_type_row(lab, *row) for row in TYPE_ROWS]
    return [_poster_row(lab, row, progress) for row in POSTER_ROWS]


def _poster_row(lab: Lab, row: Row, progress: Callable[[str], Progress]) -> Answered:
    with Store.open(lab.store) as store:
        if not store.sessions("import", POSTER):
            return Answered(
                row.name,
                row.published,
                None,
                f"needs the poster's photographs of nine Sawhill coins: ask the COIN Research Group, James Madison "
                f"University, put them into a folder {POSTER}, then `rig import {POSTER} --labels CSV`",
            )
        if not (lab.folder / "models" / row.model / CARD_FILE).is_file():
            return Answered(
                row.name,
                row.published,
                None,
                f"needs the model {row.model}: `rig train CONFIG` with {row.recipe}, from ImageNet weights in "
                "$RIG_WEIGHTS or torchvision's download",
            )
        try:
            samples = imported_samples(lab, store, POSTER)
            result = evaluate(open_model(lab, row.model), samples, on_progress=progress(row.name))
        except EvaluationError as error:
            return Answered(row.name, row.published, None, f"needs other photographs: {error}")
    return Answered(row.name, row.published, 100.0 * result.rank1, None)


def _type_row(lab: Lab, name: str, published: float | None, network: str, tuning: str, share: float) -> Answered:
    path = result_path(lab, RRC60, network, tuning)
    if path.is_file():
        shown = _accuracy(path, share)
        if shown is not None:
            return Answered(name, published, 100.0 * shown, None)
    plain = network.removesuffix("_se")
    return Answered(
        name,
        published,
        None,
        f"needs RRC-60 (github.com/siinem/RRC-60 says where, about 4 GB; `rig import {RRC60} --labels CSV` with types, "
        f"`rig dataset build {RRC60}`) and ImageNet weights of {plain} (in $RIG_WEIGHTS, or downloaded), then "
        f"`rig types --dataset {RRC60} --network {network} --tuning {tuning} --shares {share:g}`",
    )


def _accuracy(path: Path, share: float) -> float | None:
    points = json.loads(path.read_text())["points"]
    return next((float(point["accuracy"]) for point in points if abs(point["share"] - share) < 1e-9), None)
