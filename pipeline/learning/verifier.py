"""`rig models verifier`: fit what tells one coin from two of one die (`models.matching.relation`), and how much each
kind of evidence counts (`models.matching.weighing`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibration.durable_files import write_atomically
from models.matching.probability import MATCH_PROBABILITY, Probability
from models.matching.registration import NOT_REGISTERED
from models.matching.relation import SideComparison, Verifier
from models.matching.surface import Evidence
from models.matching.weighing import Compared, Weights
from pipeline.errors import UsageError
from pipeline.learning.coin_pairs import Pair, made_pairs
from pipeline.learning.coin_searches import Searched, labelled_searches, made_searches, photographed_searches
from pipeline.model_in_use import STARTER, open_model
from pipeline.reporter import Reporter

_FOLDS = 5


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
    """How many dies and coins are made, photographed sides lit again, and labelled photographs searched for."""

    dies: int
    coins: int
    sides: int
    labelled: int


def fit_verifier(
    path: Path, photographs: Path, labels: Path | None, amounts: Amounts, reporter: Reporter
) -> FittedVerifier:
    """Fit the verifier on made, photographed and labelled coins, and write its card.

    Parameters
    ----------
    photographs
        A folder of photographs of real coins, one of each side.
    labels
        A label file (the columns of `rig import`) of real coins photographed again; None for none.

    Raises
    ------
    UsageError
        If the card exists already, or the photographs are no folder.
    LabError
        If the label file or an image of it cannot be used.
    DrawerError
        If the folder holds no photographs, or one that cannot be read.
    """
    if path.exists():
        raise UsageError(f"{path} exists already and is not written over. Name another file.")
    if not photographs.is_dir():
        raise UsageError(f"{photographs} is not a folder. Name the folder that holds the photographs of the coins.")
    embedder, real = open_model(None, STARTER), list[Searched]()
    if labels is not None:
        with reporter.progress("Comparing labelled photographs") as progress:
            real += labelled_searches(labels, amounts.labelled, embedder, progress)
    with reporter.progress("Comparing photographs") as progress:
        real += photographed_searches(photographs, amounts.sides, embedder, progress)
    with reporter.progress("Searching for made coins") as progress:
        searched = made_searches(amounts.coins, embedder, progress)
    with reporter.progress("Comparing made coins") as progress:
        pairs = made_pairs(amounts.dies, progress)
    card = make_card(pairs, real, searched, Probability.from_card(embedder.card))
    write_atomically(path, json.dumps(card, indent=1))
    return FittedVerifier(path, **card["figures"])


def make_card(
    made: Sequence[Pair], real: Sequence[Searched], searched: Sequence[Searched], probability: Probability
) -> dict[str, Any]:
    """Fit a verifier and the weights of its evidence, and judge both on what was left out.

    Parameters
    ----------
    made
        Pairs of made coins; those of one die one after the other, since they are left out together.
    real
        Searches for real coins, whose pairs are fitted on too; those of a coin are left out together.
    searched
        Searches for made coins, of other dies.
    """
    coins = sorted({each.coin for each in real})
    of_pair = np.arange(len(made)) * _FOLDS // max(1, len(made))
    of_search = [coins.index(each.coin) % _FOLDS for each in real]
    left_out = []
    for fold in range(_FOLDS):
        pairs = [pair for pair, own in zip(made, of_pair, strict=True) if own != fold]
        pairs += [pair for each, own in zip(real, of_search, strict=True) if own != fold for pair in each.pairs()]
        left_out.append(Verifier.fit(pairs))
    every = [*made, *(pair for each in real for pair in each.pairs())]
    verifier = Verifier.fit(every)
    judged = [
        (relation, ask(left_out[fold], evidence)) for (relation, evidence), fold in zip(made, of_pair, strict=True)
    ]
    judged += [
        (relation, ask(left_out[fold], evidence))
        for each, fold in zip(real, of_search, strict=True)
        for relation, evidence in each.pairs()
    ]
    by_verifier = [
        *zip(real, [left_out[fold] for fold in of_search], strict=True),
        *((each, verifier) for each in searched),
    ]
    compared, fold_of = list[Compared](), list[int]()
    for number, (search, judge) in enumerate(by_verifier):
        surface = {each.coin: ask(judge, each.evidence) for each in search.compared}
        compared += [search.weighed(probability, surface, is_there=is_there) for is_there in (True, False)]
        fold_of += [of_search[number] if number < len(real) else number % _FOLDS] * 2
    figures = {
        "pairs": len(every),
        "searches": len(compared),
        **_errors(judged),
        **_judge_searches(compared, fold_of),
    }
    return {**verifier.as_card(), **Weights.fit(compared).as_card(), "figures": figures}


def ask(verifier: Verifier, evidence: Evidence | None) -> float:
    """ln of how much more likely the evidence is of one coin than of two."""
    return SideComparison(NOT_REGISTERED, verifier.likelihoods(evidence)).log_ratio


def _errors(judged: Sequence[tuple[str, float]]) -> Mapping[str, float]:
    ratios = np.array([ratio for _, ratio in judged])
    is_one = np.array([relation == "same coin" for relation, _ in judged])
    missed, mistaken = (ratios[is_one] < 0).mean(), (ratios[~is_one] >= 0).mean()
    return {"missed": round(float(missed), 4), "mistaken": round(float(mistaken), 4)}


def _judge_searches(compared: Sequence[Compared], fold_of: Sequence[int]) -> Mapping[str, float]:
    """How many searches end in a match, each by weights fitted without its fold."""
    matched, misnamed = list[bool](), list[bool]()
    for fold in range(_FOLDS):
        weights = Weights.fit([each for each, own in zip(compared, fold_of, strict=True) if own != fold])
        for place, (each, own) in enumerate(zip(compared, fold_of, strict=True)):
            if own == fold:
                odds = each.chances * np.exp(weights.log_ratios(each.surface))
                chances = odds / (odds.sum() + each.left)
                best = int(chances.argmax()) if len(chances) else None
                is_named = best is not None and bool(chances[best] >= MATCH_PROBABILITY)
                if place % 2 == 0:  # with its coin in the catalogue
                    matched.append(is_named and best == each.right)
                else:
                    misnamed.append(is_named)
    return {"matched": round(float(np.mean(matched)), 4), "misnamed": round(float(np.mean(misnamed)), 4)}
