"""`rig models list`: which models there are, what each was made of, what it reached, and which is in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from calibration.durable_files import parse_json
from models.embedding.backbones import WeightsError
from models.embedding.embedder import CARD_FILE, STARTER_DIR, Embedder
from pipeline.lab import Lab
from pipeline.model_in_use import STARTER, name_in_use, trained_models


@dataclass(frozen=True)
class ListedModel:
    """A model and where it comes from. ``id`` is None where its weights cannot be read."""

    name: str
    id: str | None
    lineage: str
    figures: str
    card: dict[str, Any]
    is_in_use: bool

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {"model": self.name, "id": self.id, "in_use": self.is_in_use, "card": self.card}


@dataclass(frozen=True)
class ModelList:
    """The models of a lab."""

    models: tuple[ListedModel, ...]

    def as_json(self) -> list[dict[str, Any]]:
        """As plain data (docs/json.md)."""
        return [each.as_json() for each in self.models]


def list_models(lab: Lab) -> ModelList:
    """The starter and the lab's own models."""
    in_use = name_in_use(lab)
    listed = []
    for folder in [STARTER_DIR, *trained_models(lab)]:
        name = STARTER if folder == STARTER_DIR else folder.name
        card: dict[str, Any] = {}
        try:
            read = parse_json((folder / CARD_FILE).read_bytes())
            card = read if isinstance(read, dict) else {}
            model_id: str | None = Embedder.load(folder).id
        except (WeightsError, OSError, ValueError):
            model_id = None
        figures = _figures(card) if model_id else "damaged: copy or train it again"
        lineage = _lineage(card) if model_id else "nobody can tell"
        listed.append(ListedModel(name, model_id, lineage, figures, card, name == in_use))
    return ModelList(tuple(listed))


def _lineage(card: dict[str, Any]) -> str:
    """Weights it began with, what it was trained on, for how long, by which code."""
    training = card.get("training")
    if not isinstance(training, dict):
        return str(training or "")
    config = training.get("config", {})
    title, made_of = training.get("dataset_title", "a dataset"), training.get("dataset")
    dataset = f"{title} ({made_of})" if made_of else "the recipe's coins"
    facts = [
        f"{card.get('backbone', '?')} (ImageNet)",
        f"{dataset}: {training.get('coin_sides', '?')} coin sides, {training.get('pictures', '?')} images",
        f"{training.get('kept_step', config.get('steps', '?'))} steps, seed {config.get('seed', '?')}",
    ]
    return "; ".join([*facts, *([str(training["code"])] if "code" in training else [])])


def _figures(card: dict[str, Any]) -> str:
    """What it reached where it was judged."""
    figures = card.get("figures")
    if not isinstance(figures, dict):
        return "not judged"
    if "rank1" not in figures:
        return ", ".join(f"{key} {value}" for key, value in figures.items())
    low, high = figures["rank1_interval95"]
    return f"Rank-1 {figures['rank1']:.1%} ({low:.1%} to {high:.1%}), {figures['data']}"
