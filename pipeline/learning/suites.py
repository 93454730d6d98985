"""`rig evaluate --suite`: the published tables, row by row, with our figure beside each or what is missing for it.

A published figure stands here only if its source printed it; their accuracies are not defined there, ours are: for the
poster Rank-1 across sessions, one gallery image per coin side, all of them candidates; for types accuracy over coins
never trained on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from capture.store import Store
from models.embedding.embedder import CARD_FILE, Embedder
from models.evaluation.evaluation import EvaluationError, evaluate
from models.evaluation.samples import leave_out_copies
from pipeline.lab import Lab
from pipeline.learning.evaluate import imported_samples
from pipeline.learning.low_data import result_path
from pipeline.model_in_use import open_model
from pipeline.reporter import Reporter
from pipeline.wording import count

Suite = Literal["poster", "rrc60"]
POSTER = "sawhill-poster"
RRC60 = "rrc60"


@dataclass(frozen=True)
class PublishedRow:
    """One line of a published table.

    ``published`` is in per cent, None where no source at hand prints it. The lab's model that would answer for it is
    called `model`, and trained from ``backbone`` with the augmentation of this ``kind``.
    """

    name: str
    published: float | None
    backbone: str
    kind: str

    @property
    def model(self) -> str:
        """Name of the lab's model."""
        return f"poster-{self.backbone}-{self.kind}"

    @property
    def recipe(self) -> str:
        """What makes it."""
        return (
            f"`rig train CONFIG`, in CONFIG `name: {self.model}`, `backbone: {self.backbone}`, "
            f"`augmentation: {{kind: {self.kind}}}` and the training images; from ImageNet weights in $RIG_WEIGHTS "
            "or torchvision's download"
        )


@dataclass(frozen=True)
class Answered:
    """A row with our figure in per cent, or what it needs."""

    name: str
    published: float | None
    ours: float | None
    needs: str | None


@dataclass(frozen=True)
class SuiteResult:
    """A published table, answered row by row."""

    rows: tuple[Answered, ...]

    def as_json(self) -> list[dict[str, Any]]:
        """As plain data (docs/json.md)."""
        return [asdict(row) for row in self.rows]


POSTER_ROWS = (
    PublishedRow("ResNet50 truncated, tuned augmentation", 95.48, "resnet50", "tuned"),
    PublishedRow("ResNet50 truncated, standard augmentation", None, "resnet50", "standard"),
    PublishedRow("ResNet50 base, tuned augmentation", 73.75, "resnet50-base", "tuned"),
    PublishedRow("ResNet50 base, standard augmentation", None, "resnet50-base", "standard"),
    PublishedRow("ConvNeXt, tuned augmentation", 85.40, "convnext_base", "tuned"),
    PublishedRow("ConvNeXt, standard augmentation", None, "convnext_base", "standard"),
    PublishedRow("Inception, tuned augmentation", 35.22, "inception_v3", "tuned"),
    PublishedRow("Inception, standard augmentation", None, "inception_v3", "standard"),
)
TYPE_ROWS = (
    ("ViT-B/16, full fine-tuning, 80 % of the images", 99.10, "vit_b_16", "full", 0.8),
    ("ViT-B/16, full fine-tuning, 20 %", None, "vit_b_16", "full", 0.2),
    ("ViT-B/16, full fine-tuning, 10 %", None, "vit_b_16", "full", 0.1),
    ("ViT-B/16, full fine-tuning, 5 %", None, "vit_b_16", "full", 0.05),
    ("InceptionV3, 80 %", None, "inception_v3", "full", 0.8),
    ("InceptionV3 + squeeze-and-excitation, 80 %", 96.58, "inception_v3_se", "full", 0.8),
)
_TRAINING_SHARE = 0.8  # of all images; the others test


def run_suite(lab: Lab, suite: Suite, reporter: Reporter) -> SuiteResult:
    """Answer every row of a suite as far as data and models are there."""
    if suite == "rrc60":
        return SuiteResult(tuple(_type_row(lab, *row) for row in TYPE_ROWS))
    return SuiteResult(tuple(_poster_row(lab, row, reporter) for row in POSTER_ROWS))


def _poster_row(lab: Lab, row: PublishedRow, reporter: Reporter) -> Answered:
    def needs(what: str) -> Answered:
        return Answered(row.name, row.published, None, f"needs {what}")

    with Store.open(lab.store) as store:
        card_path = lab.folder / "models" / row.model / CARD_FILE
        model = "" if card_path.is_file() else f"the model {row.model}: {row.recipe}"
        if not store.sessions.find("import", POSTER):
            return needs(
                "the poster's photographs of nine Sawhill coins: ask the COIN Research Group, James Madison "
                f"University, put them into a folder {POSTER}, then `rig import {POSTER} --labels CSV` with the "
                "columns file, coin, side and session" + (f"; and {model}" if model else "")
            )
        if model:
            return needs(model)
        embedder = open_model(lab, row.model)
        backbone, kind = _made_of(embedder)
        if (backbone, kind) != (row.backbone, row.kind):
            return needs(
                f"another model {row.model}: the one there was trained from {backbone} with "
                f"{kind or 'no named'} augmentation. Delete {card_path.parent}, then {row.recipe}"
            )
        try:
            samples, copies = leave_out_copies(imported_samples(lab, store, POSTER))
            if copies:
                reporter.report(f"{row.name}: {count(len(copies), 'image')} left out, as copies of others.")
            with reporter.progress(row.name) as progress:
                result = evaluate(embedder, samples, on_progress=progress)
        except EvaluationError as error:
            return needs(f"other photographs in {POSTER}: {error}")
    return Answered(row.name, row.published, 100.0 * result.any_type_rank1, None)


def _made_of(embedder: Embedder) -> tuple[str, str | None]:
    """The backbone a model was trained from, and the kind of augmentation, None where it had no name."""
    training = embedder.card.get("training")
    config = training.get("config", {}) if isinstance(training, dict) else {}
    return str(embedder.card["backbone"]), config.get("augmentation", {}).get("kind")


def _type_row(lab: Lab, name: str, published: float | None, network: str, tuning: str, share: float) -> Answered:
    path = result_path(lab, RRC60, network, tuning)
    accuracy = _accuracy(path, share) if path.is_file() else None
    if accuracy is not None:
        return Answered(name, published, 100.0 * accuracy, None)
    shares = ",".join(f"{row[-1] / _TRAINING_SHARE:g}" for row in TYPE_ROWS if row[2:4] == (network, tuning))
    return Answered(
        name,
        published,
        None,
        f"needs RRC-60 (github.com/siinem/RRC-60 says where, about 4 GB) in a lab of its own: `rig import {RRC60} "
        f"--labels CSV` with the columns file, coin and type, `rig dataset build {RRC60} "
        f"--test {1 - _TRAINING_SHARE:g} --validation 0`; and ImageNet weights of {network.removesuffix('_se')} (in "
        f"$RIG_WEIGHTS, or downloaded); then `rig types --dataset {RRC60} --network {network} --tuning {tuning} "
        f"--shares {shares}`",
    )


def _accuracy(path: Path, share: float) -> float | None:
    """What a kept curve says for a share of all images, to a tenth of it; nothing if it was trained from scratch."""
    kept = json.loads(path.read_text())
    if not kept["config"]["pretrained"]:
        return None
    images = kept["training_pictures"] + kept["test_pictures"]
    near = [point for point in kept["points"] if abs(point["pictures"] / images - share) <= 0.1 * share]
    return float(near[0]["accuracy"]) if near else None
