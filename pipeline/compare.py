"""`rig models`: what there is, which of two is better, and which is in use.

A model goes into service only if it finds more of the frozen test coins than the one in use, surely: the 95 % interval
of the difference, bootstrapped over coins on the same queries, lies above zero.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from capture.store import Store
from models.backbones import WeightsError
from models.embedder import CARD_FILE, STARTER_DIR, Embedder
from models.evaluation import Evaluation, evaluate
from models.measures import interval_over_coins
from pipeline.catalogue import Progress
from pipeline.dataset import open_dataset
from pipeline.errors import LabError, UsageError
from pipeline.identify import embed_catalogue, load_index
from pipeline.lab import Lab
from pipeline.options import IN_USE
from pipeline.service import name_in_use, open_model, put_in_use, trained_models

Verdict = Literal["better", "worse", "no sure difference"]


@dataclass(frozen=True)
class Listed:
    """A model and where it comes from. ``id`` is None where its weights cannot be read."""

    name: str
    id: str | None
    backbone: str
    lineage: str
    figures: str
    card: dict[str, Any]
    is_in_use: bool

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {"model": self.name, "id": self.id, "in_use": self.is_in_use, "card": self.card}


@dataclass(frozen=True)
class Comparison:
    """Two models on the same pictures. ``difference`` is second minus first, in Rank-1."""

    first_name: str
    second_name: str
    first: Evaluation
    second: Evaluation
    data: str
    difference: float
    interval95: tuple[float, float]

    @property
    def verdict(self) -> Verdict:
        """What the interval says of the second."""
        low, high = self.interval95
        return "better" if low > 0.0 else "worse" if high < 0.0 else "no sure difference"

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "data": self.data,
            "first": {"model": self.first_name, **self.first.as_dict()},
            "second": {"model": self.second_name, **self.second.as_dict()},
            "difference": self.difference,
            "interval95": list(self.interval95),
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class Promotion:
    """What came of `promote`; no comparison where none was asked for."""

    model: str
    is_promoted: bool
    is_forced: bool
    entries: int
    comparison: Comparison | None

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "model": self.model,
            "promoted": self.is_promoted,
            "forced": self.is_forced,
            "entries": self.entries,
            "comparison": self.comparison.as_dict() if self.comparison else None,
        }


def list_models(lab: Lab) -> list[Listed]:
    """The starter and the lab's own models."""
    in_use = name_in_use(lab)
    listed = []
    for folder in [STARTER_DIR, *trained_models(lab)]:
        name = "starter" if folder == STARTER_DIR else folder.name
        card: dict[str, Any] = {}
        try:
            card = json.loads((folder / CARD_FILE).read_text())
            model_id: str | None = Embedder.load(folder).id
        except (WeightsError, ValueError):
            model_id = None
        lineage, figures = _lineage(card), _figures(card) if model_id else "damaged: copy or train it again"
        listed.append(Listed(name, model_id, str(card.get("backbone", "")), lineage, figures, card, name == in_use))
    return listed


def compare_models(lab: Lab, first: str, second: str, dataset: str, progress: Progress) -> Comparison:
    """Hold the second model against the first on a dataset's frozen test coins.

    Raises
    ------
    LabError
        If there is no such dataset.
    """
    opened = open_dataset(lab, dataset)
    one, other = open_model(lab, first), open_model(lab, second)
    samples = opened.samples("test")
    results = [
        evaluate(embedder, samples, on_progress=lambda done, of, part=part: progress(done + part * of, 2 * of))  # type: ignore[misc]
        for part, embedder in enumerate((one, other))
    ]
    hits = [np.array([outcome.rank == 1 for outcome in result.outcomes], np.float64) for result in results]
    gained = hits[1] - hits[0]
    specimens = {sample.name: sample.specimen for sample in samples}
    coins = [specimens[outcome.name] for outcome in results[0].outcomes]  # both sides of a coin together
    names = [name_in_use(lab) if name == IN_USE else name for name in (first, second)]
    data = f"test coins of {opened.title} ({opened.id})"
    return Comparison(
        names[0], names[1], results[0], results[1], data, float(gained.mean()), interval_over_coins(gained, coins)
    )


def promote_model(
    lab: Lab, model: str, dataset: str | None, progress: Progress, embedding: Progress, *, force: bool
) -> Promotion:
    """Put a model in service if it is better than the one in use, or by force.

    Its embeddings and index of the catalogue are made beside the old ones; what `--model` means changes last, at once.

    Raises
    ------
    UsageError
        If no dataset is named to judge by, and it is not forced.
    LabError
        If the model was never fitted to say how sure it is, or is in use already.
    """
    if dataset is None and not force:
        raise UsageError("name the dataset whose test coins judge: `--dataset NAME`, or use --force.")
    in_use = name_in_use(lab)
    if model in (in_use, IN_USE):
        raise LabError(f"{in_use} is in use already. `rig models list` shows the others.")
    own = lab.folder / "models" / model / CARD_FILE
    if model != "starter" and not own.is_file():
        raise LabError(f"{lab.folder} has no model {model}: {own.parent} is not there. Train it, or copy it there.")
    embedder = open_model(lab, model)
    if "probability" not in embedder.card:
        raise LabError(f"model {model} was never fitted to say how sure it is, and cannot be used. Train it anew.")
    comparison = compare_models(lab, in_use, model, dataset, progress) if dataset is not None else None
    is_better = comparison is not None and comparison.verdict == "better"
    detail: dict[str, Any] = {"model": model, "id": embedder.id, "instead_of": in_use, "dataset": dataset}
    if comparison is not None:
        detail |= {"difference": comparison.difference, "interval95": list(comparison.interval95)}
    with Store.open(lab.store) as store:
        if not (is_better or force):
            store.journal.log("model refused", **detail)
            return Promotion(model, False, False, 0, comparison)
        store.catalogue.add_model(embedder.id, embedder.name, embedder.card)
        embed_catalogue(store, embedder, embedding)
        index = load_index(lab, store, embedder)
        put_in_use(lab, model, embedder.id)
        store.journal.log("model promoted", **detail, forced=not is_better)
    return Promotion(model, True, not is_better, len(index), comparison)


def _lineage(card: dict[str, Any]) -> str:
    training = card.get("training")
    if not isinstance(training, dict):
        return str(training or "")
    made_of = str(training.get("dataset_title") or "the recipe's coins")
    return f"{made_of}, {training.get('coin_sides', '?')} coin sides, {training.get('pictures', '?')} pictures"


def _figures(card: dict[str, Any]) -> str:
    figures = card.get("figures")
    return ", ".join(f"{key} {value}" for key, value in figures.items()) if isinstance(figures, dict) else ""
