"""`rig models verifier`: fit what tells one coin from two of one die (`models.matching.relation`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibration.durable_files import write_atomically
from models.matching.registration import NOT_REGISTERED
from models.matching.relation import SideComparison, Verifier
from pipeline.errors import UsageError
from pipeline.learning.coin_pairs import Pair, made_pairs, photographed_pairs
from pipeline.model_in_use import STARTER, open_model
from pipeline.reporter import Reporter

_FOLDS = 5


@dataclass(frozen=True)
class FittedVerifier:
    """A card that was written, how many pairs it was fitted on, and its errors on pairs left out.

    Attributes
    ----------
    missed, mistaken
        Shares of the pairs of one coin taken for two, and of one die or type taken for one coin.
    """

    path: Path
    pairs: int
    missed: float
    mistaken: float

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {"card": str(self.path), "pairs": self.pairs, "missed": self.missed, "mistaken": self.mistaken}


def fit_verifier(path: Path, photographs: Path, dies: int, sides: int, reporter: Reporter) -> FittedVerifier:
    """Fit the verifier on made and photographed coins, and write its card.

    Parameters
    ----------
    photographs
        A folder of photographs of real coins, one of each side.
    dies, sides
        How many dies of made coins, and how many photographs, are compared with others.

    Raises
    ------
    UsageError
        If the card exists already, or the photographs are no folder.
    DrawerError
        If the folder holds no photographs, or one that cannot be read.
    """
    if path.exists():
        raise UsageError(f"{path} exists already and is not written over. Name another file.")
    if not photographs.is_dir():
        raise UsageError(f"{photographs} is not a folder. Name the folder that holds the photographs of the coins.")
    with reporter.progress("Comparing photographs") as progress:
        photographed = photographed_pairs(photographs, open_model(None, STARTER), sides, progress)
    with reporter.progress("Comparing made coins") as progress:
        made = made_pairs(dies, progress)
    card = make_card([*made, *photographed])
    write_atomically(path, json.dumps(card, indent=1))
    return FittedVerifier(path, **card["figures"])


def make_card(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Fit a verifier, and judge it on pairs left out."""
    missed, mistaken = judge_left_out(pairs)
    figures = {"pairs": len(pairs), "missed": round(missed, 4), "mistaken": round(mistaken, 4)}
    return {**Verifier.fit(pairs).as_card(), "figures": figures}


def judge_left_out(pairs: Sequence[Pair]) -> tuple[float, float]:
    """Shares of the pairs of one coin taken for two, and of others taken for one coin, each by a fit without them.

    Pairs that are left out together come one after the other: of one die, or of one photograph.
    """
    fold = np.arange(len(pairs)) * _FOLDS // max(1, len(pairs))
    left_out = [Verifier.fit([pair for pair, own in zip(pairs, fold, strict=True) if own != n]) for n in range(_FOLDS)]
    ratios = np.array(
        [
            SideComparison(NOT_REGISTERED, left_out[own].likelihoods(evidence)).log_ratio
            for own, (_, evidence) in zip(fold, pairs, strict=True)
        ]
    )
    is_one = np.array([relation == "same coin" for relation, _ in pairs])
    return float((ratios[is_one] < 0).mean()), float((ratios[~is_one] >= 0).mean())
