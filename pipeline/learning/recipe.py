"""What `rig train` and `rig tune` read: a recipe, and the images that it names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from models.evaluation.samples import Sample
from models.training.batches import TrainingCoin
from models.training.config import TrainingConfig
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.learning.dataset import open_dataset
from pipeline.learning.rti import rti_coin
from pipeline.learning.training_coins import (
    coins_of,
    labelled_samples,
    photographed_coins,
    procedural_coins,
)
from pipeline.reporter import Progress

STARTER_RECIPE = Path(__file__).parents[2] / "models" / "recipes" / "starter.yaml"


def expanded(path: Path) -> Path:
    """A path of a recipe with its ``$VARIABLES`` put in."""
    return Path(os.path.expandvars(path))


def _there(path: Path) -> Path:
    """A path that leads somewhere, left as it is written: a model's card is read on other machines."""
    if "$" in str(expanded(path)):
        raise ValueError(f"{path} names a variable that is not set. Set it, or write the path itself.")
    if not expanded(path).exists():
        raise ValueError(f"{expanded(path)} does not exist.")
    return path


Existing = Annotated[Path, AfterValidator(_there)]


class LabelledCoins(BaseModel):
    """A part of the coins of a label file: the first ``share`` in an order drawn with ``seed``, or the rest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: Existing = Field(description="columns file, coin, type, session, as `rig import` takes them")
    share: float = Field(default=1.0, gt=0.0, le=1.0)
    seed: int = 0
    rest: bool = False

    def read(self, progress: Progress) -> list[Sample]:
        """Normalised samples of these coins."""
        return labelled_samples(expanded(self.labels), self.share, self.seed, rest=self.rest, progress=progress)


class Data(BaseModel):
    """What to train and to fit on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    procedural_coins: int = Field(default=240, ge=0)
    photographs: tuple[Existing, ...] = Field(default=(), description="folders of one photograph a coin side")
    rti: tuple[Existing, ...] = Field(default=(), description="folders of coins measured by RTI")
    labelled: LabelledCoins | None = None
    fitting_coins: int = Field(default=70, ge=4, description="procedural coins that the probability is fitted on")


class Recipe(TrainingConfig):
    """Everything that `rig train` needs to know.

    ``real`` are the coins whose figure decides which step is kept, and how sure one photograph of a coin makes.
    """

    data: Data = Data()
    real: LabelledCoins | None = None


def gather(recipe: Recipe, progress: Progress) -> tuple[list[TrainingCoin], list[Sample]]:
    """The coins a recipe trains on, and the samples that decide which step is kept.

    Raises
    ------
    LabError
        If a coin would be both.
    """
    coins = procedural_coins(recipe.data.procedural_coins, progress) if recipe.data.procedural_coins else []
    for folder in recipe.data.photographs:
        coins += photographed_coins(expanded(folder), progress)
    coins += [rti_coin(expanded(folder)) for folder in recipe.data.rti]
    labelled = recipe.data.labelled.read(progress) if recipe.data.labelled else []
    real = recipe.real.read(progress) if recipe.real else []
    shared = {sample.coin for sample in labelled} & {sample.coin for sample in real}
    if shared:
        raise LabError(
            f"coin {min(shared)} would train and decide which step is kept. "
            "Give `data: labelled:` and `real:` shares of one order that do not overlap."
        )
    return coins + coins_of(labelled), real


def gather_with_dataset(
    lab: Lab, recipe: Recipe, dataset: str | None, progress: Progress
) -> tuple[list[TrainingCoin], list[Sample], dict[str, str]]:
    """`gather`, and a dataset's coins: those that train do so too, its validation coins judge where no others do.

    Returns
    -------
    tuple
        The coins, the samples that judge, and what the model's card says of the dataset.

    Raises
    ------
    LabError
        If a coin would train and judge, or a test coin of the dataset would do either.
    """
    coins, real = gather(recipe, progress)
    if dataset is None:
        return coins, real, {}
    opened = open_dataset(lab, dataset)
    judging = {*(coin.label for coin in coins), *(sample.coin for sample in real)} & set(opened.coins("test"))
    if judging:
        raise LabError(
            f"coin {min(judging)} of the recipe is a test coin of {opened.title}, and would train or decide which "
            "step is kept. Leave `data: labelled:` and `real:` out: the dataset has coins for both."
        )
    real = real or opened.choosing_samples()
    return coins + opened.training_coins(), real, {"dataset": opened.id, "dataset_title": opened.title}
