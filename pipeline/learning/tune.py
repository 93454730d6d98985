"""`rig tune`: the augmentation's numbers that find real coins best, by a search of many short trainings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from calibration.durable_files import write_atomically
from models.evaluation.evaluation import evaluate
from models.training.augmentation import Augmentation
from models.training.training import train
from models.training.tuning import AugmentationSearch, Trial, TrialFigures, importances
from pipeline.documents import read_document
from pipeline.errors import UsageError
from pipeline.lab import Lab, check_name
from pipeline.learning.recipe import STARTER_RECIPE, Recipe, gather_with_dataset
from pipeline.learning.train import TURNS_TO_VALIDATE
from pipeline.reporter import Reporter
from pipeline.reports.tuning_page import write_tuning_page
from pipeline.wording import count

STORAGE_FILE, TUNED_FILE = "trials.db", "tuned.yaml"


@dataclass(frozen=True)
class Tuned:
    """What a search came to.

    Attributes
    ----------
    trials
        All finished ones, the best first.
    importances
        How much each number mattered (`models.training.tuning.importances`).
    recipe
        The recipe with the best numbers, for `rig train`.
    page
        The trials, drawn.
    """

    trials: list[Trial]
    importances: dict[str, float]
    recipe: Path
    page: Path

    @property
    def best(self) -> Trial:
        """The trial that reached most."""
        return self.trials[0]

    @property
    def first(self) -> Trial:
        """The augmentation that the search began with."""
        return min(self.trials, key=lambda trial: trial.number)

    def as_json(self) -> dict[str, object]:
        """As plain data (docs/json.md)."""
        return {
            "trials": len(self.trials),
            "best": asdict(self.best),
            "first": asdict(self.first),
            "importances": self.importances,
            "recipe": str(self.recipe),
            "page": str(self.page),
        }


def tune_augmentation(
    lab: Lab, config: Path | None, reporter: Reporter, *, trials: int, steps: int, dataset: str | None = None
) -> Tuned:
    """Search until there are ``trials`` in all, and write the best recipe and the page of the search.

    If interrupted, the same call resumes: finished trials are kept in ``tuning/<recipe>`` of the lab.

    Parameters
    ----------
    config
        YAML with the fields of `Recipe`; its augmentation is tried first. None for the starter's.
    steps
        Of each training.
    dataset
        As `rig train --from` takes it.

    Raises
    ------
    UsageError
        If no real coins are named.
    LabError
        If a coin would both train and judge.
    """
    path = config or STARTER_RECIPE
    recipe = read_document(path, Recipe)
    if recipe.real is None and dataset is None:
        raise UsageError(
            f"{path} names no real coins to judge by. Add `real:` with a label file of coins that are photographed "
            "twice or more, or name a dataset by --from."
        )
    with reporter.progress("Drawing coins") as progress:
        coins, real, _ = gather_with_dataset(lab, recipe, dataset, progress)
    if not real:
        raise UsageError(f"dataset {dataset} has no validation coins seen in two sessions to judge by. Add `real:`.")
    short = recipe.model_copy(update={"steps": steps, "warm_up_steps": min(recipe.warm_up_steps, steps // 4)})

    def objective(augmentation: Augmentation) -> TrialFigures:
        embedder = train(short.model_copy(update={"augmentation": augmentation}), coins)
        judged = evaluate(embedder, real, turns=TURNS_TO_VALIDATE)
        return TrialFigures(judged.map, judged.rank1)

    def report(trial: Trial) -> None:
        reached = trial.reached
        reporter.report(f"trial {trial.number + 1} of {trials}: mAP {reached.map:.4f}, Rank-1 {reached.rank1:.1%}")

    folder = lab.folder / "tuning" / check_name(recipe.name, "recipe")
    about = short.model_dump(mode="json", exclude={"name", "augmentation"}) | {"dataset": dataset}
    search = AugmentationSearch(folder / STORAGE_FILE, recipe.augmentation, about, recipe.seed)
    found = search.run(trials, objective, report)
    mattered = importances(folder / STORAGE_FILE)
    page = write_tuning_page(lab, recipe.name, found, mattered, steps, len({sample.coin for sample in real}))
    return Tuned(found, mattered, _write_recipe(folder / TUNED_FILE, path, recipe, found, steps), page)


def _write_recipe(tuned: Path, original: Path, recipe: Recipe, found: list[Trial], steps: int) -> Path:
    """The recipe as it was written, with the best augmentation and a name of its own."""
    best = found[0]
    document = yaml.safe_load(original.read_text("utf-8")) or {}
    document["name"] = f"{recipe.name}-tuned"
    document["augmentation"] = recipe.augmentation.model_copy(update=best.numbers).model_dump(exclude_none=True)
    head = (
        f"# The best of {count(len(found), 'trial')} of {count(steps, 'step')} by `rig tune`: "
        f"mAP {best.reached.map:.4f}, Rank-1 {best.reached.rank1:.1%} on the real coins.\n"
    )
    return write_atomically(tuned, head + yaml.safe_dump(document, sort_keys=False))
