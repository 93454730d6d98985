"""`rig models improve`: one turn of the loop, from newly labelled frames to a better model in use or a refusal.

    frames that no version of the dataset has
        -> its next version -> a model named after it -> held against the one in use on the frozen test coins
        -> in use, if surely better -> a line of the journal, which tables and plots are made of

Each step leaves behind what the next one begins with, so that a round which was broken off goes on where it was: the
newest version whose model the journal does not say was promoted or refused is the round under way.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from capture.store import Store
from capture.store.journal_lines import Judgement, ModelFigures, ModelJudged, ModelPromoted
from models.embedding.embedder import CARD_FILE
from models.training.training import Step
from pipeline.collection.catalogue import Progress
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.learning.compare import judging_samples, promote_model
from pipeline.learning.dataset import Dataset, latest
from pipeline.learning.dataset_build import build_dataset, frames_to_come
from pipeline.learning.train import train_embedder
from pipeline.model_in_use import name_in_use, put_in_use
from pipeline.reports import plots
from pipeline.reports.pages import write_drawing


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

    ``test_set`` is the hash of the test coins' pictures: only figures of one test set can be compared across rounds.
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
        )

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Outlook:
    """What a round would do: go on with a version, or build one of frames and coins that none has."""

    dataset: str
    version: int
    goes_on: bool
    new_frames: int
    new_coins: int
    model: str
    in_use: str

    @property
    def is_something_to_do(self) -> bool:
        """Whether there would be a round at all."""
        return self.goes_on or self.new_frames > 0


@dataclass(frozen=True)
class Watch:
    """Who is told how far each step of a round is."""

    tell: Callable[[str], None]
    building: Progress
    drawing: Progress
    training: Callable[[Step], None]
    fitting: Progress
    comparing: Progress
    embedding: Progress


def improve(lab: Lab, name: str, recipe: Path | None, watch: Watch) -> Round | None:
    """Take a dataset's round under way to its end, or begin one if there are new frames; None if there are none.

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
    with _alone(lab):
        return _improve(lab, name, recipe, watch)


def _improve(lab: Lab, name: str, recipe: Path | None, watch: Watch) -> Round | None:
    dataset = _version(lab, name, watch)
    if dataset is None:
        return None
    judging_samples(dataset)  # or it would be told after hours of training
    model, title = model_of(dataset), f"{name}/{dataset.folder.name}"
    folder = lab.folder / "models" / model
    if not folder.exists():
        watch.tell(f"Training {model} on {len(dataset.coins('train'))} coins of {dataset.title}.")
        train_embedder(
            *(lab, recipe),
            dataset=title,
            name=model,
            drawing=watch.drawing,
            training=watch.training,
            fitting=watch.fitting,
        )
    _check_made_of(folder, dataset)
    watch.tell(f"Judging {model} against {name_in_use(lab)} on {len(dataset.coins('test'))} test coins.")
    promote_model(lab, model, title, watch.comparing, watch.embedding, force=False)
    return rounds(lab, name)[-1]


def outlook(lab: Lab, name: str) -> Outlook:
    """What `improve` would do; nothing is changed."""
    dataset = latest(lab, name)
    with Store.open(lab.store, writing=False) as store:
        goes_on = dataset is not None and not _is_over(store, dataset)
    new = frames_to_come(lab, name)
    version = 1 if dataset is None else int(dataset.manifest["version"]) + (not goes_on)
    coins = {frame.coin_id for frame in new}
    return Outlook(name, version, goes_on, len(new), len(coins), f"{name}-v{version}", name_in_use(lab))


def rounds(lab: Lab, name: str) -> list[Round]:
    """All rounds of a dataset, the oldest first; also those that were gone through by hand."""
    with Store.open(lab.store, writing=False) as store:
        lines = [line for line in store.journal.lines(ModelJudged) if line.dataset == name]
    return [Round.of(name, line, line.judgement) for line in lines if line.judgement is not None]


def draw_rounds(lab: Lab, name: str, judged: list[Round]) -> Path:
    """Draw Rank-1 with its interval, round by round, as ``results/rounds-<name>.svg``."""
    labels = [f"{each.after.model}\n{each.trained_coins} coins" for each in judged]
    series = {
        "in use before": [(each.before.rank1, *each.before.rank1_interval95) for each in judged],
        "new model": [(each.after.rank1, *each.after.rank1_interval95) for each in judged],
    }
    svg = plots.intervals(f"{name}: Rank-1 on the test coins", "Rank-1", labels, series)
    return write_drawing(lab.folder / "results" / f"rounds-{name}.svg", svg)


def model_of(dataset: Dataset) -> str:
    """Name of the model that a round trains on this version."""
    return f"{dataset.manifest['name']}-{dataset.folder.name}"


@contextmanager
def _alone(lab: Lab) -> Iterator[None]:
    """Keep other processes from this lab's rounds; the hold goes with the process, however that ends."""
    path = lab.folder / "models" / "improve.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LabError(
                f"another process is at a round of {lab.folder} already. Wait until it is done, or stop it: "
                "the same command goes on from there."
            ) from error
        yield


def _version(lab: Lab, name: str, watch: Watch) -> Dataset | None:
    """The version that the round is about: the one under way, else the next, else None."""
    dataset = latest(lab, name)
    if dataset is not None:
        _swap_to_the_end(lab, model_of(dataset))
        with Store.open(lab.store, writing=False) as store:
            is_over = _is_over(store, dataset)
        if not is_over:
            watch.tell(f"The round of {dataset.title} goes on.")
            return dataset
        if not frames_to_come(lab, name):
            return None
    built = build_dataset(lab, name, watch.building)
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


def _swap_to_the_end(lab: Lab, model: str) -> None:
    """Put a model in use that the journal says was promoted last: a kill may have come between the two."""
    with Store.open(lab.store, writing=False) as store:
        last = store.journal.last(ModelPromoted)
    if last is not None and last.model == model != name_in_use(lab):
        put_in_use(lab, model, last.id)


def _check_made_of(folder: Path, dataset: Dataset) -> None:
    try:
        training = json.loads((folder / CARD_FILE).read_text())["training"]
        made_of = training["dataset"]
    except (OSError, ValueError, KeyError, TypeError):
        made_of = None
    if made_of != dataset.id:
        raise LabError(
            f"{folder} was not trained on {dataset.title}, and has the name of the model that this round makes. "
            "Give that folder another name, then give the same command again."
        )


def _figures(model: str, figures: ModelFigures) -> Figures:
    return Figures(model, figures.rank1, figures.rank1_interval95, figures.map)
