"""`rig train`: an embedder of one's own, by a recipe. Without one it is the recipe of the starter."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from models.batches import TrainingCoin
from models.embedder import Embedder
from models.evaluation import Sample, evaluate, split
from models.probability import fit
from models.training import Step, TrainingConfig, train
from pipeline.dataset import open_dataset
from pipeline.documents import read_document
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.training_coins import (
    Progress,
    coins_of,
    fitting_searches,
    labelled_pictures,
    photograph_searches,
    photographed_coins,
    procedural_coins,
)

STARTER_RECIPE = Path(__file__).parents[1] / "models" / "recipes" / "starter.yaml"
_TURNS_TO_VALIDATE = 24  # every 15 degrees finds nearly as many as the full search, in two thirds of its time


def _there(path: Path) -> Path:
    """A path with its ``$VARIABLES`` put in."""
    expanded = os.path.expandvars(path)
    if "$" in expanded:
        raise ValueError(f"{path} names a variable that is not set. Set it, or write the path itself.")
    if not Path(expanded).exists():
        raise ValueError(f"{expanded} does not exist.")
    return Path(expanded)


Existing = Annotated[Path, AfterValidator(_there)]


class Labelled(BaseModel):
    """A part of the coins of a label file: the first ``share`` in an order drawn with ``seed``, or the rest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: Existing = Field(description="columns file, coin, type, session, as `rig import` takes them")
    share: float = Field(default=1.0, gt=0.0, le=1.0)
    seed: int = 0
    rest: bool = False

    def read(self, progress: Progress) -> list[Sample]:
        """Normalised pictures of these coins."""
        return labelled_pictures(self.labels, self.share, self.seed, rest=self.rest, progress=progress)


class Data(BaseModel):
    """What to train and to fit on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    procedural_coins: int = Field(default=240, ge=0)
    photographs: tuple[Existing, ...] = Field(default=(), description="folders of one photograph a coin side")
    labelled: Labelled | None = None
    fitting_coins: int = Field(default=70, ge=4, description="procedural coins that the probability is fitted on")


class Recipe(TrainingConfig):
    """Everything that `rig train` needs to know.

    ``real`` are the coins whose figure decides which step is kept, and how sure one photograph of a coin makes.
    """

    data: Data = Data()
    real: Labelled | None = None


def train_embedder(
    lab: Lab,
    config: Path | None,
    *,
    dataset: str | None = None,
    name: str | None = None,
    drawing: Progress,
    training: Callable[[Step], None],
    fitting: Progress,
) -> Path:
    """Train an embedder, fit its probability on other coins, and write both to ``models/<name>`` of the lab.

    Broken off, the same call goes on at the last saved step.

    Parameters
    ----------
    config
        YAML with the fields of `Recipe`; None for the starter's recipe.
    dataset
        A dataset of the lab, whose training coins are trained on too, and whose validation coins decide which step is
        kept where the recipe names no others.
    name
        Of the model, in the place of the recipe's.
    drawing, training, fitting
        Told how far each stage is.

    Raises
    ------
    UsageError
        If the lab has a model of that name already.
    LabError
        If coins would both train and decide which step is kept.
    """
    recipe = read_document(config or STARTER_RECIPE, Recipe)
    recipe = recipe.model_copy(update={"name": name or recipe.name})
    folder = lab.folder / "models" / recipe.name
    if folder.exists():
        raise UsageError(f"{folder} exists already and is not written over. Give the recipe another name.")
    coins, real = gather(recipe, drawing)
    taught: dict[str, str] = {}
    if dataset is not None:
        opened = open_dataset(lab, dataset)
        coins += opened.training_coins()
        validation = opened.samples("validation")
        real = real or (validation if split(validation)[1] else [])
        taught = {"dataset": opened.id, "dataset_title": opened.title}
    unfinished = folder.with_name(f"{recipe.name}.unfinished")
    embedder = train(
        recipe,
        coins,
        lambda step, _: training(step),
        state=unfinished,
        real_figure=(lambda now: evaluate(now, real, turns=_TURNS_TO_VALIDATE).rank1) if real else None,
    )
    probability = fit(fitting_searches(embedder, recipe.data.fitting_coins, fitting))
    if real:
        probability = replace(probability, single=fit(photograph_searches(embedder, real)))
    card = {**embedder.card, "training": {**embedder.card["training"], **taught}}
    fitted = Embedder(embedder.network, {**card, "probability": probability.as_card()})
    fitted.save(unfinished / "result")
    (unfinished / "result").rename(folder)
    shutil.rmtree(unfinished)
    return folder


def gather(recipe: Recipe, progress: Progress) -> tuple[list[TrainingCoin], list[Sample]]:
    """The coins a recipe trains on, and the pictures that decide which step is kept.

    Raises
    ------
    LabError
        If a coin would be both.
    """
    coins = procedural_coins(recipe.data.procedural_coins, progress) if recipe.data.procedural_coins else []
    for folder in recipe.data.photographs:
        coins += photographed_coins(folder, progress)
    labelled = recipe.data.labelled.read(progress) if recipe.data.labelled else []
    real = recipe.real.read(progress) if recipe.real else []
    shared = {sample.coin for sample in labelled} & {sample.coin for sample in real}
    if shared:
        raise LabError(
            f"coin {min(shared)} would train and decide which step is kept. "
            "Give `data: labelled:` and `real:` shares of one order that do not overlap."
        )
    return coins + coins_of(labelled), real
