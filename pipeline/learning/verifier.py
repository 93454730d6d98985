"""`rig models verifier`: fit what tells one coin from two of one die (`models.matching.relation`), and how much each
kind of evidence counts (`models.matching.weighing`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from calibration.durable_files import make_folder, write_atomically
from models.matching.probability import MATCH_PROBABILITY
from models.matching.registration import NOT_REGISTERED
from models.matching.relation import (
    RELATIONS,
    Regression,
    SideComparison,
    Values,
    Verifier,
    evidence,
    shares_held,
)
from models.matching.surface_network import SurfaceNetwork
from models.matching.verification import CARD_FILE, NETWORK_FILE
from models.matching.weighing import Compared, Weights
from models.training.surface_training import SurfacePair, train_network
from pipeline.errors import UsageError
from pipeline.learning.coin_pairs import made_pairs, relit_pairs
from pipeline.learning.coin_searches import labelled_searches, made_searches
from pipeline.learning.kept_pairs import Candidates, ComparedPair, Unit, in_groups
from pipeline.model_in_use import STARTER, open_model
from pipeline.reporter import Reporter

Numbers = list[Values | None]
"""What `evidence` gives of each pair of a unit."""

_ABOUT_FILE = "options.json"
_FOLDS = 5
_HELD_OUT = 0.2  # of the groups: network and statistics are not fitted on them


@dataclass(frozen=True)
class FittedVerifier:
    """A card that was written, what it was fitted on, and its errors on what was left out.

    Attributes
    ----------
    missed, mistaken
        Shares of the pairs of one coin taken for two, and of one die or type taken for one coin.
    matched, misnamed
        Shares of the searches whose coin is a match, and of those without their coin in which another is.
    """

    path: Path
    pairs: int
    searches: int
    missed: float
    mistaken: float
    matched: float
    misnamed: float

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "card": str(self.path),
            "pairs": self.pairs,
            "searches": self.searches,
            "missed": self.missed,
            "mistaken": self.mistaken,
            "matched": self.matched,
            "misnamed": self.misnamed,
        }


@dataclass(frozen=True)
class Amounts:
    """How many dies and coins are made, photographed sides lit again, labelled photographs searched for, and steps."""

    dies: int
    coins: int
    sides: int
    labelled: int
    steps: int


def fit_verifier(
    folder: Path, photographs: Path, labels: Path | None, amounts: Amounts, reporter: Reporter
) -> FittedVerifier:
    """Fit the verifier on made, photographed and labelled coins, and write its network and its card.

    What is compared is kept in ``pairs`` of the folder: interrupted, the same call resumes.

    Parameters
    ----------
    photographs
        A folder of photographs of real coins, one of each side.
    labels
        A label file (the columns of `rig import`) of real coins photographed again; None for none.

    Raises
    ------
    UsageError
        If there is a card already or another fit was begun there, or the photographs are no folder.
    LabError
        If the label file or an image of it cannot be used.
    DrawerError
        If the folder holds no photographs, or one that cannot be read.
    """
    path = folder / CARD_FILE
    if path.exists():
        raise UsageError(f"{path} exists already and is not written over. Name another folder.")
    if not photographs.is_dir():
        raise UsageError(f"{photographs} is not a folder. Name the folder that holds the photographs of the coins.")
    _begin(folder, {**asdict(amounts), "photographs": str(photographs), "labels": labels and str(labels)})
    embedder, pairs, units = open_model(None, STARTER), folder / "pairs", list[Unit]()
    if labels is not None:
        with reporter.progress("Comparing labelled photographs") as progress:
            units += labelled_searches(labels, amounts.labelled, embedder, pairs, progress)
    with reporter.progress("Comparing photographs") as progress:
        units += relit_pairs(photographs, amounts.sides, embedder, pairs, progress)
    with reporter.progress("Searching for made coins") as progress:
        units += made_searches(amounts.coins, embedder, pairs, progress)
    with reporter.progress("Comparing made coins") as progress:
        units += made_pairs(amounts.dies, pairs, progress)
    if not (folder / NETWORK_FILE).exists():
        with reporter.progress("Training") as progress:
            train_network(trained_on(units), amounts.steps, 0, progress).save(folder / NETWORK_FILE)
    with reporter.step("Weighing what it says"):
        verifier, weights, figures = fit(units, SurfaceNetwork.load(folder / NETWORK_FILE))
    write_atomically(path, json.dumps({**verifier.as_card(), **weights.as_card(), "figures": figures}, indent=1))
    return FittedVerifier(path, **figures)


def _begin(folder: Path, about: Mapping[str, Any]) -> None:
    """Note what is fitted there: of other amounts, other coins would be left out, which the network may have seen."""
    path = make_folder(folder) / _ABOUT_FILE
    if not path.exists():
        write_atomically(path, json.dumps(about, indent=1))
    elif json.loads(path.read_bytes()) != about:
        raise UsageError(f"{path} was begun with other options. Repeat those, or name another folder.")


def trained_on(units: Sequence[Unit]) -> list[SurfacePair]:
    """What the network is trained on."""
    return [
        SurfacePair(pair.overlay.laid, _relation_of(unit, pair), unit.source)
        for unit in _parted(units)[0]
        for pair in unit.pairs
        if pair.overlay is not None
    ]


def fit(units: Sequence[Unit], network: SurfaceNetwork) -> tuple[Verifier, Weights, dict[str, Any]]:
    """Fit what remains of a verifier, and the weights of its evidence, and judge both on what was left out."""
    seen, unseen = _parted(units)
    statistics = Regression.fit(
        [(pair.relation, pair.overlay.statistics) for unit in seen for pair in unit.pairs if pair.overlay is not None],
        squared=True,
    )
    known = [
        [None if pair.overlay is None else evidence(network, statistics, pair.overlay) for pair in unit.pairs]
        for unit in unseen
    ]
    held = shares_held([(pair.relation, pair.overlay is not None) for unit in units for pair in unit.pairs])
    verifier = Verifier(network, statistics, _weigh_both(unseen, known), held)
    folds = {group: place % _FOLDS for place, group in enumerate(in_groups(unseen, 4))}
    left_out = [replace(verifier, both=_weigh_both(*_but(fold, folds, unseen, known))) for fold in range(_FOLDS)]
    surfaces = [
        [_log_ratio(left_out[folds[unit.group]], numbers) for numbers in of_unit]
        for unit, of_unit in zip(unseen, known, strict=True)
    ]
    compared = [
        (folds[unit.group], is_there, _as_compared(search, of_unit))
        for unit, of_unit in zip(unseen, surfaces, strict=True)
        for search, is_there in zip(unit.searches, (True, False), strict=False)
    ]
    figures = {
        "pairs": sum(len(unit.pairs) for unit in units),
        "searches": len(compared),
        **_errors(unseen, surfaces),
        **_judge_searches(compared),
    }
    return verifier, Weights.fit([each for _, _, each in compared]), figures


def _parted(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
    """Units that network and statistics are fitted on, and others, on which is fitted how much each counts.

    Searches for made coins are among the others.
    """
    groups = in_groups([unit for unit in units if not _is_asked(unit)], 3)
    others = set(groups[: max(_FOLDS, round(_HELD_OUT * len(groups)))])
    seen = [unit for unit in units if unit.group not in others and not _is_asked(unit)]
    return seen, [unit for unit in units if unit.group in others or _is_asked(unit)]


def _is_asked(unit: Unit) -> bool:
    """Whether it is a search for a made coin: its coins are used for nothing else."""
    return unit.source == "made" and bool(unit.searches)


def _relation_of(unit: Unit, pair: ComparedPair) -> int | None:
    """What the network learns: of real coins that are two no die is known."""
    place = RELATIONS.index(pair.relation)
    return place if place == 0 or (unit.source == "made" and not unit.searches) else None


def _but(
    fold: int, folds: Mapping[str, int], units: Sequence[Unit], known: Sequence[Numbers]
) -> tuple[list[Unit], list[Numbers]]:
    left = [place for place, unit in enumerate(units) if folds[unit.group] != fold]
    return [units[place] for place in left], [known[place] for place in left]


def _weigh_both(units: Sequence[Unit], known: Sequence[Numbers]) -> Regression:
    pairs = [
        (pair.relation, numbers)
        for unit, of_unit in zip(units, known, strict=True)
        for pair, numbers in zip(unit.pairs, of_unit, strict=True)
        if numbers is not None
    ]
    return Regression.fit(pairs, squared=False)


def _log_ratio(verifier: Verifier, numbers: Values | None) -> float:
    """ln of how much more likely the evidence is of one coin than of two."""
    return SideComparison(NOT_REGISTERED, verifier.weigh(numbers)).log_ratio


def _as_compared(search: Candidates, surface: Sequence[float]) -> Compared:
    return Compared(
        np.array(search.chances), np.array([surface[place] for place in search.places]), search.left, search.right
    )


def _errors(units: Sequence[Unit], surfaces: Sequence[Sequence[float]]) -> Mapping[str, float]:
    judged = [
        (pair.relation == "same coin", ratio)
        for unit, of_unit in zip(units, surfaces, strict=True)
        for pair, ratio in zip(unit.pairs, of_unit, strict=True)
    ]
    is_one, ratios = np.array([each for each, _ in judged]), np.array([ratio for _, ratio in judged])
    missed, mistaken = (ratios[is_one] < 0).mean(), (ratios[~is_one] >= 0).mean()
    return {"missed": round(float(missed), 4), "mistaken": round(float(mistaken), 4)}


def _judge_searches(compared: Sequence[tuple[int, bool, Compared]]) -> Mapping[str, float]:
    """How many searches end in a match, each by weights fitted without its fold."""
    matched, misnamed = list[bool](), list[bool]()
    for fold in range(_FOLDS):
        weights = Weights.fit([each for own, _, each in compared if own != fold])
        for own, is_there, each in compared:
            if own == fold:
                odds = each.chances * np.exp(weights.log_ratios(each.surface))
                chances = odds / (odds.sum() + each.left)
                best = int(chances.argmax()) if len(chances) else None
                is_named = best is not None and bool(chances[best] >= MATCH_PROBABILITY)
                if is_there:
                    matched.append(is_named and best == each.right)
                else:
                    misnamed.append(is_named)
    return {"matched": round(float(np.mean(matched)), 4), "misnamed": round(float(np.mean(misnamed)), 4)}
