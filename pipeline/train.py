"""`rig train`: an embedder of one's own. Without a config it is the recipe of the starter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from models.embedder import Embedder
from models.probability import fit
from models.training import Step, TrainingConfig, train
from pipeline.documents import read_document
from pipeline.errors import UsageError
from pipeline.lab import Lab
from pipeline.training_coins import Progress, fitting_searches, training_coins


def train_embedder(
    lab: Lab,
    config: Path | None,
    coins: int,
    fitting_coins: int,
    *,
    drawing: Progress,
    training: Callable[[Step], None],
    fitting: Progress,
) -> Path:
    """Train an embedder, fit its probability on other coins, and write both to ``models/<name>`` of the lab.

    Parameters
    ----------
    config
        YAML with the fields of `models.training.TrainingConfig`; None for the starter's recipe.
    coins
        How many procedural coins to train on.
    fitting_coins
        How many others to fit the probability on.
    drawing, training, fitting
        Told how far each stage is.

    Raises
    ------
    UsageError
        If the lab has a model of that name already.
    """
    recipe = read_document(config, TrainingConfig) if config else TrainingConfig()
    folder = lab.folder / "models" / recipe.name
    if folder.exists():
        raise UsageError(f"{folder} exists already and is not written over. Give the recipe another name.")
    embedder = train(recipe, training_coins(coins, drawing), lambda step, _: training(step))
    searches = fitting_searches(embedder, fitting_coins, fitting)
    fitted = Embedder(embedder.network, {**embedder.card, "probability": fit(searches).as_card()})
    fitted.save(folder)
    return folder
