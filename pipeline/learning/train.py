"""`rig train`: an embedder of one's own, by a recipe. Without one it is the recipe of the starter.

Started by torchrun, every process draws the same coins and trains on its part of each batch; the first one alone
judges, saves and reports.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from calibration.durable_files import install_folder
from models.embedding.embedder import Embedder
from models.evaluation.evaluation import evaluate
from models.matching.probability import fit
from models.training import processes
from models.training.log import LOG_FOLDER
from models.training.training import Step, train
from pipeline.documents import read_document
from pipeline.errors import UsageError
from pipeline.lab import Lab, check_name
from pipeline.learning.recipe import STARTER_RECIPE, Recipe, gather_with_dataset
from pipeline.learning.training_coins import fitting_searches, photograph_searches
from pipeline.reporter import Reporter, SilentReporter

TURNS_TO_VALIDATE = 24  # every 15 degrees finds nearly as many as the full search, in two thirds of its time


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes
    ----------
    folder
        The model, with its curves (`models.training.log.LOG_FOLDER`).
    last
        Its last step; None if they were all taken before the run was interrupted.
    real
        The figure of the kept step on the recipe's real coins, where it names some.
    """

    folder: Path
    last: Step | None
    real: float | None

    def as_json(self) -> dict[str, object]:
        """As plain data (docs/json.md)."""
        return {
            "model": str(self.folder),
            "tensorboard": str(self.folder / LOG_FOLDER),
            "step": self.last.step if self.last else None,
            "loss": self.last.loss if self.last else None,
            "retrieved": self.last.retrieved if self.last else None,
            "busy": self.last.busy if self.last else None,
            "real_rank1": self.real,
        }


@processes.joined()
def train_embedder(
    lab: Lab, config: Path | None, reporter: Reporter, *, dataset: str | None = None, name: str | None = None
) -> Trained | None:
    """Train an embedder, calibrate its probability on other coins, and write both to ``models/<name>`` of the lab.

    If interrupted, the same call resumes at the last saved step. Of several processes all but the first return None.

    Parameters
    ----------
    config
        YAML with the fields of `Recipe`; None for the starter's recipe.
    dataset
        A dataset of the lab, whose training coins are trained on too, and whose validation coins decide which step is
        kept where the recipe names no others.
    name
        Of the model, in the place of the recipe's.

    Raises
    ------
    UsageError
        If the lab has a model of that name already.
    LabError
        If coins would both train and decide which step is kept, or a test coin of the dataset either.
    """
    recipe = read_document(config or STARTER_RECIPE, Recipe)
    recipe = recipe.model_copy(update={"name": check_name(name or recipe.name, "model")})
    folder = lab.folder / "models" / recipe.name
    if folder.exists():
        raise UsageError(f"{folder} exists already and is not written over. Give the recipe another name.")
    reporter = reporter if processes.is_first() else SilentReporter()
    with reporter.progress("Drawing coins") as progress:
        coins, real, trained_on = gather_with_dataset(lab, recipe, dataset, progress)
    unfinished = folder.with_name(f"{recipe.name}.unfinished")
    last: Step | None = None
    with reporter.progress("Training") as progress:

        def report(step: Step) -> None:
            nonlocal last
            last = step
            progress(step.step, step.steps)
            real_coins = "" if step.real is None else f"; of the real coins {step.real:.1%} come first"
            reporter.report(
                f"step {step.step}: loss {step.loss:.3f}, {step.retrieved:.1%} of the images found their partner"
                f"{real_coins}"
            )

        embedder = train(
            recipe,
            coins,
            report,
            state=unfinished,
            real_figure=(lambda now: evaluate(now, real, turns=TURNS_TO_VALIDATE).rank1) if real else None,
        )
    if not processes.is_first():
        return None
    with reporter.progress("Calibrating the probability") as progress:
        probability = fit(fitting_searches(embedder, recipe.data.fitting_coins, progress))
    if real:
        probability = replace(probability, single=fit(photograph_searches(embedder, real)))
    training = embedder.card["training"]
    card = {**embedder.card, "training": {**training, "code": code_version(), **trained_on}}
    fitted = Embedder(embedder.network, {**card, "probability": probability.as_card()})
    fitted.save(unfinished / "result")
    shutil.copytree(unfinished / LOG_FOLDER, unfinished / "result" / LOG_FOLDER, dirs_exist_ok=True)
    install_folder(unfinished / "result", folder)
    shutil.rmtree(unfinished)
    reached = max((figure for _, figure in training.get("real_figures", [])), default=None)
    return Trained(folder, last, reached)


def code_version() -> str:
    """The version that is installed, and of a checkout the commit, with a mark if files differ from it."""
    version, checkout = importlib.metadata.version("coinlab"), Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return version
    asked = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        commit = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # no git, or not ours to read
        return version
    return f"{version} ({commit})"
