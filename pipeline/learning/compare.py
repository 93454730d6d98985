"""`rig models compare` and `promote`: which of two models is better, and which is in use.

A model is put in use only if it finds significantly more of the frozen test coins than the one in use: the 95 %
interval of the difference, bootstrapped over coins on the same queries, lies above zero.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from calibration.durable_files import write_atomically
from capture.store import Store
from capture.store.journal_lines import Judgement, ModelFigures, ModelPromoted, ModelRefused
from models.embedding.embedder import CARD_FILE, Embedder
from models.evaluation.evaluation import Evaluation, evaluate
from models.evaluation.measures import interval_over_coins
from models.evaluation.samples import Sample, split
from pipeline.collection.catalogue_index import build_index
from pipeline.errors import LabError, UsageError
from pipeline.lab import IN_USE, Lab, check_name
from pipeline.learning.dataset import Dataset, every_version, open_dataset
from pipeline.model_in_use import STARTER, name_in_use, open_model, put_in_use
from pipeline.reporter import Reporter

Verdict = Literal["better", "worse", "no sure difference"]


@dataclass(frozen=True)
class Comparison:
    """Two models on a dataset's test coins. ``difference`` is second minus first, in Rank-1."""

    first_name: str
    second_name: str
    first: Evaluation
    second: Evaluation
    dataset: Dataset
    difference: float
    interval95: tuple[float, float]

    @property
    def data(self) -> str:
        """On what the models were judged."""
        return f"test coins of {self.dataset.title} ({self.dataset.id})"

    @property
    def verdict(self) -> Verdict:
        """What the interval means for the second."""
        low, high = self.interval95
        return "better" if low > 0.0 else "worse" if high < 0.0 else "no sure difference"

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
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

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "model": self.model,
            "promoted": self.is_promoted,
            "forced": self.is_forced,
            "entries": self.entries,
            "comparison": self.comparison.as_json() if self.comparison else None,
        }


def compare_models(lab: Lab, first: str, second: str, dataset: str, reporter: Reporter) -> Comparison:
    """Compare the second model with the first on a dataset's frozen test coins.

    Raises
    ------
    LabError
        If there is no such dataset, its test coins cannot judge, or a model was trained on one of them.
    """
    opened = open_dataset(lab, dataset)
    samples = judging_samples(opened)
    one, other = open_model(lab, first), open_model(lab, second)
    for embedder in (one, other):
        _refuse_trained_on(lab, embedder, opened)
    results = []
    for embedder in (one, other):
        with reporter.progress(f"Evaluating {embedder.name}") as progress:
            results.append(evaluate(embedder, samples, on_progress=progress))
    hits = [np.array([outcome.rank == 1 for outcome in result.outcomes], np.float64) for result in results]
    gained = hits[1] - hits[0]
    specimens = {sample.name: sample.specimen for sample in samples}
    coins = [specimens[outcome.name] for outcome in results[0].outcomes]  # both sides of a coin together
    names = [name_in_use(lab) if name == IN_USE else name for name in (first, second)]
    interval95 = interval_over_coins(gained, coins)
    return Comparison(names[0], names[1], results[0], results[1], opened, float(gained.mean()), interval95)


def judging_samples(dataset: Dataset) -> list[Sample]:
    """The samples of a dataset's test coins.

    Raises
    ------
    LabError
        If no model can be judged on them.
    """
    samples = dataset.samples("test")
    gallery, queries, _ = split(samples)
    if not queries or len(gallery) < 2:
        raise LabError(
            f"the test coins of {dataset.title} cannot judge a model: it takes two, one of them photographed on two "
            "occasions (another session or placement). Import more, then build a dataset of another name."
        )
    return samples


def promote_model(lab: Lab, model: str, dataset: str | None, reporter: Reporter, *, force: bool) -> Promotion:
    """Put a model in use if it is better than the one in use, or by force.

    Its embeddings and index of the catalogue are made beside the old ones; what `--model` means changes last, at once.

    Raises
    ------
    UsageError
        If no dataset is named to judge by, and it is not forced.
    LabError
        If the model has no calibrated probability, or is in use already.
    """
    if dataset is None and not force:
        raise UsageError("name the dataset whose test coins judge it: `--dataset NAME`, or use --force.")
    in_use = name_in_use(lab)
    if model in (in_use, IN_USE):
        raise LabError(f"{in_use} is in use already. `{lab.command('rig models list')}` shows the others.")
    own = lab.folder / "models" / check_name(model, "model") / CARD_FILE
    if model != STARTER and not own.is_file():
        raise LabError(f"{lab.folder} has no model {model}: {own.parent} does not exist. Train it, or copy it there.")
    embedder = open_model(lab, model)
    if "probability" not in embedder.card:
        raise LabError(f"model {model} has no calibrated probability, so it cannot be used. Train it with `rig train`.")
    comparison = compare_models(lab, in_use, model, dataset, reporter) if dataset is not None else None
    is_better = comparison is not None and comparison.verdict == "better"
    if comparison is not None and own.is_file():
        embedder.card = _write_on_card(own, comparison)
    what: dict[str, Any] = {
        "model": model,
        "id": embedder.id,
        "instead_of": in_use,
        "dataset": comparison.dataset.manifest["name"] if comparison is not None else None,
        "judgement": _judgement(comparison) if comparison is not None else None,
    }
    with Store.open(lab.store) as store:
        if not (is_better or force):
            store.journal.log(ModelRefused(**what))
            return Promotion(model, False, False, 0, comparison)
        with reporter.progress("Embedding the catalogue") as progress:
            index = build_index(lab, embedder, progress, reporter).index
        store.journal.log(ModelPromoted(**what, forced=not is_better))
        put_in_use(lab, model, embedder.id)
    return Promotion(model, True, not is_better, len(index), comparison)


def _judgement(comparison: Comparison) -> Judgement:
    dataset = comparison.dataset
    return Judgement(
        version=dataset.manifest["version"],
        dataset_id=dataset.id,
        test_set=dataset.manifest["files"]["test.npy"],
        trained_coins=len(dataset.coins("train")),
        trained_frames=len(dataset.rows("train")),
        test_coins=len(dataset.coins("test")),
        queries=comparison.first.queries,
        before=_figures_of(comparison.first),
        after=_figures_of(comparison.second),
        difference=comparison.difference,
        interval95=comparison.interval95,
        verdict=comparison.verdict,
    )


def _figures_of(result: Evaluation) -> ModelFigures:
    return ModelFigures(rank1=result.rank1, rank1_interval95=result.rank1_interval95, map=result.map)


def _write_on_card(path: Path, comparison: Comparison) -> dict[str, Any]:
    """Write what a model reached on its card, at once or not at all."""
    figures = {"data": comparison.data, **_figures_of(comparison.second).model_dump(mode="json")}
    card: dict[str, Any] = {**json.loads(path.read_text()), "figures": figures}
    write_atomically(path, json.dumps(card, indent=2) + "\n")
    return card


def _refuse_trained_on(lab: Lab, embedder: Embedder, judge: Dataset) -> None:
    """Refuse to judge a model on coins that it was trained on, as part of another dataset."""
    training = embedder.card.get("training")
    made_of = training.get("dataset") if isinstance(training, dict) else None
    for dataset in every_version(lab) if made_of else []:
        trained_on = {*dataset.coins("train"), *dataset.coins("validation")} & set(judge.coins("test"))
        if trained_on and dataset.id == made_of:
            raise LabError(
                f"{embedder.name} was trained on {len(trained_on)} of the test coins of {judge.title}, such as "
                f"{min(trained_on)}: they are part of {dataset.title}. Judge it on the test coins of that one."
            )
