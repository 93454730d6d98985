"""Searching the augmentation's numbers on a small set of real pairs, by Optuna's Tree-structured Parzen Estimator
(Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011).

A trial is a short training. Trials are kept in an SQLite file as they finish; the same search resumes where it was, and
ends as it would have without a break. The first trial is the augmentation that the search begins from, so that what it
finds can be compared with it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from calibration.durable_files import canonical_json, make_folder
from models.training.augmentation import Augmentation
from models.training.config import with_current_names

SPACE: dict[str, tuple[float, float]] = {  # what `tuned` is made of, and how far it may go
    "brightness": (0.0, 80.0),
    "contrast": (0.0, 1.0),
    "blur_px": (0.0, 4.0),
    "turn_deg": (0.0, 20.0),
    "shift": (0.0, 0.1),
    "bilinear": (0.0, 0.8),
    "perspective": (0.0, 0.1),
}
_RANDOM_TRIALS = 8  # before the estimator has enough to go by
_ENOUGH = 4  # trials to say which numbers mattered
_STUDY = "augmentation"


class TuningError(Exception):
    """The search cannot continue."""


@dataclass(frozen=True)
class TrialFigures:
    """What a short training reached on the real pairs, 0 to 1. The search goes by ``map``, which is smoother."""

    map: float
    rank1: float


@dataclass(frozen=True)
class Trial:
    """A finished trial: its numbers, and what they reached."""

    number: int
    numbers: dict[str, float]
    reached: TrialFigures


@dataclass(frozen=True)
class AugmentationSearch:
    """A search that can be interrupted and resumed.

    Attributes
    ----------
    storage
        SQLite file of its trials.
    start
        What is tried first; what is not in `SPACE` stays as it is here.
    about
        What else a trial depends on (recipe, steps): a file holds trials of one kind only.
    """

    storage: Path
    start: Augmentation
    about: Mapping[str, Any]
    seed: int = 0

    def run(
        self,
        trials: int,
        objective: Callable[[Augmentation], TrialFigures],
        on_trial: Callable[[Trial], None] | None = None,
    ) -> list[Trial]:
        """Search until there are so many trials in all; those that are there already are resumed from.

        Returns
        -------
        list[Trial]
            All finished trials, the best first.

        Raises
        ------
        TuningError
            If the file is damaged, or of another search.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            study = self._open()
            while (done := len(_finished(study))) < trials:
                trial = self._run_trial(study, done, objective)
                if on_trial is not None:
                    on_trial(trial)
            return sorted(_trials(study), key=lambda trial: -trial.reached.map)
        except (SQLAlchemyError, sqlite3.Error, optuna.exceptions.StorageInternalError) as error:
            raise TuningError(f"{self.storage} is damaged ({error}). Delete it to start over.") from error

    def _run_trial(self, study: optuna.Study, number: int, objective: Callable[[Augmentation], TrialFigures]) -> Trial:
        # A sampler of its own for every trial: what it draws depends on the finished trials, not on breaks between.
        drawn = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        study.sampler = optuna.samplers.TPESampler(seed=drawn, n_startup_trials=_RANDOM_TRIALS)
        if number == 0:
            study.enqueue_trial({name: getattr(self.start, name) for name in SPACE})
        trial = study.ask()
        numbers = {name: _rounded(trial.suggest_float(name, *SPACE[name])) for name in SPACE}
        try:
            reached = objective(self.start.model_copy(update=numbers))
        except BaseException:
            study.tell(trial, state=TrialState.FAIL)
            raise
        trial.set_user_attr("rank1", reached.rank1)
        study.tell(trial, reached.map)
        return Trial(number, numbers, reached)

    def _open(self) -> optuna.Study:
        about = {**self.about, "start": self.start.model_dump(mode="json"), "seed": self.seed}
        make_folder(self.storage.parent)
        study = optuna.create_study(
            study_name=_STUDY, storage=_url(self.storage), direction="maximize", load_if_exists=True
        )
        described = canonical_json(about)
        if with_current_names(json.loads(study.user_attrs.get("about", described))) != json.loads(described):
            raise TuningError(
                f"{self.storage} holds trials of another recipe, or with other steps. Give the recipe another name, or "
                f"delete {self.storage.parent}."
            )
        study.set_user_attr("about", described)
        for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(left.number, state=TrialState.FAIL)  # its process was killed
        return study


def importances(storage: Path) -> dict[str, float]:
    """How much each number mattered, shares that sum to 1, the most important first; empty with too few trials.

    By PED-ANOVA (Watanabe et al., IJCAI 2023): how far the numbers of the best quarter of the trials are from those of
    all.
    """
    study = optuna.load_study(study_name=_STUDY, storage=_url(storage))
    if len(_finished(study)) < _ENOUGH:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def _url(storage: Path) -> str:
    return f"sqlite:///{storage.resolve()}"


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _trials(study: optuna.Study) -> list[Trial]:
    return [
        Trial(
            number,
            {name: _rounded(trial.params[name]) for name in SPACE},
            TrialFigures(float(trial.value or 0.0), float(trial.user_attrs["rank1"])),
        )
        for number, trial in enumerate(_finished(study))
    ]


def _rounded(number: float) -> float:
    """As it will be written in a recipe: what was tried is what is found there."""
    return float(f"{number:.3g}")
