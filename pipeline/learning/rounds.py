"""`rig models improve`: one turn of the loop, from newly labelled frames to a better model in use or a refusal.

    frames that no version of the dataset has
        -> its next version -> a model named after it -> compared with the one in use on the frozen test coins
        -> in use, if significantly better -> a line of the journal, which tables and plots are made of

Each step leaves behind what the next one begins with, so that a round which was interrupted resumes where it was: the
newest version whose model the journal does not say was promoted or refused is the round under way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from calibration.durable_files import make_folder, parse_json
from capture.store import Store
from capture.store.journal_lines import Judgement, ModelFigures, ModelJudged, ModelPromoted
from models.embedding.embedder import CARD_FILE
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.learning.compare import judging_samples, promote_model
from pipeline.learning.dataset import Dataset, latest
from pipeline.learning.dataset_build import build_dataset, sources_to_come
from pipeline.learning.train import train_embedder
from pipeline.model_in_use import name_in_use, put_in_use
from pipeline.reporter import Reporter
from pipeline.reports import plots
from pipeline.reports.pages import write_drawing
from pipeline.wording import count

GAIN = 0.02  # in Rank-1, that a round should be able to show


@dataclass(frozen=True)
class Figures:
    """What a model reached on the test coins: Rank-1 with its 95 % interval over coins, and mAP, 0 to 1."""

    model: str
    rank1: float
    rank1_interval95: tuple[float, float]
    map: float


@dataclass(frozen=True)
class Round:
    """A model that was judged on a dataset's test coins, as the journal has it.

    ``test_set`` is the hash of the test coins' crops: only figures of one test set can be compared across rounds.
    ``coins_for_gain`` is how many test coins it takes to detect a gain of `GAIN` (`Judgement.coins_for`).
    """

    at: str
    dataset: str
    version: int
    dataset_id: str
    trained_coins: int
    trained_frames: int
    test_set: str
    test_coins: int
    queries: int
    before: Figures
    after: Figures
    difference: float
    interval95: tuple[float, float]
    verdict: str
    promoted: bool
    forced: bool
    coins_for_gain: int

    @classmethod
    def of(cls, dataset: str, line: ModelJudged, judgement: Judgement) -> Round:
        """What a line of the journal says."""
        return cls(
            at=line.at,
            dataset=dataset,
            version=judgement.version,
            dataset_id=judgement.dataset_id,
            trained_coins=judgement.trained_coins,
            trained_frames=judgement.trained_frames,
            test_set=judgement.test_set,
            test_coins=judgement.test_coins,
            queries=judgement.queries,
            before=_figures(line.instead_of, judgement.before),
            after=_figures(line.model, judgement.after),
            difference=judgement.difference,
            interval95=judgement.interval95,
            verdict=judgement.verdict,
            promoted=isinstance(line, ModelPromoted),
            forced=isinstance(line, ModelPromoted) and line.forced,
            coins_for_gain=judgement.coins_for(GAIN),
        )

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return asdict(self)


@dataclass(frozen=True)
class PlannedRound:
    """What a round would do: resume a version, or build one from frames and coins that none has."""

    dataset: str
    version: int
    resumes: bool
    new_frames: int
    new_coins: int
    model: str
    in_use: str

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "dataset": self.dataset,
            "version": self.version,
            "goes_on": self.resumes,
            "new_frames": self.new_frames,
            "new_coins": self.new_coins,
            "model": self.model,
            "in_use": self.in_use,
        }


@dataclass(frozen=True)
class FinishedRound:
    """What `improve_model` came to; no round where nothing was new."""

    dataset: str
    round: Round | None

    @property
    def is_refused(self) -> bool:
        """Whether the new model was refused."""
        return self.round is not None and not self.round.promoted

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {"round": self.round.as_json() if self.round else None}


@dataclass(frozen=True)
class Rounds:
    """All rounds of a dataset, the oldest first, and where they are drawn; not before the first."""

    dataset: str
    rounds: tuple[Round, ...]
    plot: Path | None

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {"rounds": [each.as_json() for each in self.rounds], "plot": str(self.plot) if self.plot else None}


def improve_model(lab: Lab, name: str, recipe: Path | None, reporter: Reporter) -> FinishedRound:
    """Finish a dataset's round under way, or begin one if there are new frames.

    Parameters
    ----------
    recipe
        As `rig train` takes it; None for the starter's.

    Raises
    ------
    LabError
        If the dataset cannot be built, its test coins cannot judge, another model has the round's name, or another
        process is at a round of this lab.
    """
    with _lock_rounds(lab):
        return FinishedRound(name, _improve(lab, name, recipe, reporter))


def _improve(lab: Lab, name: str, recipe: Path | None, reporter: Reporter) -> Round | None:
    dataset = _take_version(lab, name, reporter)
    if dataset is None:
        return None
    judging_samples(dataset)  # or it would only be refused after hours of training
    model, title = model_of(dataset), f"{name}/{dataset.folder.name}"
    folder = lab.folder / "models" / model
    if not folder.exists():
        reporter.report(f"Training {model} on {count(len(dataset.coins('train')), 'coin')} of {dataset.title}.")
        train_embedder(lab, recipe, reporter, dataset=title, name=model)
    _check_made_of(folder, dataset)
    reporter.report(f"Comparing {model} with {name_in_use(lab)} on {count(len(dataset.coins('test')), 'test coin')}.")
    promote_model(lab, model, title, reporter, force=False)
    return read_rounds(lab, name)[-1]


def plan_round(lab: Lab, name: str) -> PlannedRound:
    """Work out what `improve_model` would do; nothing is changed."""
    dataset = latest(lab, name)
    with Store.open(lab.store, writing=False) as store:
        resumes = dataset is not None and not _is_over(store, dataset)
    new = sources_to_come(lab, name)
    version = 1 if dataset is None else int(dataset.manifest["version"]) + (not resumes)
    coins = {source.coin for source in new}
    return PlannedRound(name, version, resumes, len(new), len(coins), f"{name}-v{version}", name_in_use(lab))


def read_rounds(lab: Lab, name: str) -> list[Round]:
    """All rounds of a dataset, the oldest first; also those that were gone through by hand."""
    with Store.open(lab.store, writing=False) as store:
        lines = [line for line in store.journal.lines(ModelJudged) if line.dataset == name]
    return [Round.of(name, line, line.judgement) for line in lines if line.judgement is not None]


def draw_rounds(lab: Lab, name: str) -> Rounds:
    """Read all rounds of a dataset, and draw Rank-1 with its interval as ``results/rounds-<name>.svg``."""
    judged = read_rounds(lab, name)
    plot = _draw(lab, name, judged) if judged else None
    return Rounds(name, tuple(judged), plot)


def _draw(lab: Lab, name: str, judged: Sequence[Round]) -> Path:
    labels = [f"{each.after.model}\n{count(each.trained_coins, 'coin')}" for each in judged]
    series = {
        "in use before": [(each.before.rank1, *each.before.rank1_interval95) for each in judged],
        "new model": [(each.after.rank1, *each.after.rank1_interval95) for each in judged],
    }
    svg = plots.draw_intervals(f"{name}: Rank-1 on the test coins", "Rank-1", labels, series)
    return write_drawing(lab.folder / "results" / f"rounds-{name}.svg", svg)


def model_of(dataset: Dataset) -> str:
    """Name of the model that a round trains on this version."""
    return f"{dataset.manifest['name']}-{dataset.folder.name}"


@contextmanager
def _lock_rounds(lab: Lab) -> Iterator[None]:
    """Keep other processes from this lab's rounds; the hold goes with the process, however that ends."""
    path = lab.folder / "models" / "improve.lock"
    make_folder(path.parent)
    try:
        lock = FileLock(path, timeout=0).acquire()
    except Timeout as error:
        raise LabError(
            f"another process is working on a round of {lab.folder}. Wait until it is done, or stop it and run "
            "the same command again to resume."
        ) from error
    with lock:
        yield


def _take_version(lab: Lab, name: str, reporter: Reporter) -> Dataset | None:
    """The version that the round is about: the one under way, else the next, which is built, else None."""
    dataset = latest(lab, name)
    if dataset is not None:
        _finish_promotion(lab, model_of(dataset))
        with Store.open(lab.store, writing=False) as store:
            is_over = _is_over(store, dataset)
        if not is_over:
            reporter.report(f"Resuming the round of {dataset.title}.")
            return dataset
        if not sources_to_come(lab, name):
            return None
    built = build_dataset(lab, name, reporter)
    return built.dataset if built.is_new else None


def _is_over(store: Store, dataset: Dataset) -> bool:
    """Whether the version's model was promoted or refused, or put in use by force."""
    return any(
        line.model == model_of(dataset)
        and (
            (line.judgement is not None and line.judgement.dataset_id == dataset.id)
            or (isinstance(line, ModelPromoted) and line.forced)
        )
        for line in store.journal.lines(ModelJudged)
    )


def _finish_promotion(lab: Lab, model: str) -> None:
    """Put a model in use that the journal says was promoted last: a kill may have come between the two."""
    with Store.open(lab.store, writing=False) as store:
        last = store.journal.last(ModelPromoted)
    if last is not None and last.model == model != name_in_use(lab):
        put_in_use(lab, model, last.id)


def _check_made_of(folder: Path, dataset: Dataset) -> None:
    try:
        training = parse_json((folder / CARD_FILE).read_bytes())["training"]
        made_of = training["dataset"]
    except (OSError, ValueError, KeyError, TypeError):
        made_of = None
    if made_of != dataset.id:
        raise LabError(
            f"{folder} was not trained on {dataset.title}, but has the name of the model that this round makes. "
            "Rename that folder, then run the same command again."
        )


def _figures(model: str, figures: ModelFigures) -> Figures:
    return Figures(model, figures.rank1, figures.rank1_interval95, figures.map)
