"""From score to probability: how sure is it that a candidate is the same coin?

A score alone says little: it depends on the light, the print and the network. What counts is how far a candidate
stands out from the others. A logistic regression on three such numbers is fitted once per embedder, on coins that are
in no test set; its few parameters live on the model's card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.matching.fusion import ScoredCoin

Verdict = Literal["match", "possible", "same die", "not in catalogue"]
MATCH_PROBABILITY = 0.9
POSSIBLE_PROBABILITY = 0.3
FEATURE_NAMES = ("lead", "standing", "weakest side's lead")
_RIDGE = 1e-4
_PRIOR_COUNT = 8  # impostors of the fitting added to a search's own: all there is in a catalogue of a few coins
_CATALOGUES = 4  # smaller catalogues that each search is imagined in, when fitting
_LEFT_OUT = 2  # the most similar impostors may be die-mates: they do not widen the spread


_FORMER_KEY = "strangers"  # of ``impostors``, on cards written by 0.1.0


@dataclass(frozen=True)
class Probability:
    """Fitted parameters: ``p = 1 / (1 + exp(-(intercept + weights . (features - mean) / std)))``.

    ``impostors`` are mean and spread of the scores of other coins, as seen when fitting. ``single``, where it exists,
    speaks for coins seen in one search alone, such as one photograph: these score otherwise than a scan of both sides.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    impostors: tuple[float, float]
    single: Probability | None = None

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Probability:
        """Read the parameters off a model's card.

        Raises
        ------
        KeyError
            If the card has none: this embedder was never fitted.
        """
        return cls._from_plain(card["probability"])

    @classmethod
    def _from_plain(cls, plain: Mapping[str, Any]) -> Probability:
        usual, spread = plain.get("impostors") or plain[_FORMER_KEY]
        single = cls._from_plain(plain["single"]) if "single" in plain else None
        mean, std, weights = (tuple(plain[key]) for key in ("mean", "std", "weights"))
        return cls(mean, std, weights, float(plain["intercept"]), (usual, spread), single)

    def as_card(self) -> dict[str, Any]:
        """As plain data for the card."""
        plain: dict[str, Any] = {
            "features": list(FEATURE_NAMES),
            "mean": list(self.mean),
            "std": list(self.std),
            "weights": list(self.weights),
            "intercept": self.intercept,
            "impostors": list(self.impostors),
        }
        return plain if self.single is None else {**plain, "single": self.single.as_card()}

    def of(self, candidates: Sequence[ScoredCoin]) -> list[float]:
        """Probability of each candidate, in their order; the sum is at most 1, since a coin is one coin."""
        if not candidates:
            return []
        each = self._chances(candidates, len(candidates))
        return [float(p) for p in each / max(1.0, float(each.sum()))]

    def of_first(self, candidates: Sequence[ScoredCoin]) -> float:
        """Probability of the first candidate by itself, the others being its rivals."""
        return float(self._chances(candidates, 1)[0])

    def _chances(self, candidates: Sequence[ScoredCoin], count: int) -> npt.NDArray[np.float64]:
        if self.single is not None and all(len(candidate.side_scores) <= 1 for candidate in candidates):
            return self.single._chances(candidates, count)
        standardised = (evidence(candidates, self.impostors, count) - np.array(self.mean)) / np.array(self.std)
        return _logistic(standardised @ np.array(self.weights) + self.intercept)


def evidence(candidates: Sequence[ScoredCoin], impostors: tuple[float, float], count: int) -> npt.NDArray[np.float64]:
    """(count, 3), of the first candidates: lead over the best other, standing among the others, weakest side's lead.

    The standing is the distance from the others' mean in units of their spread, where a few `impostors` (mean and
    spread of scores) count as if they had been candidates. Coins from one die lead together on that die's side only.
    """
    scores = np.array([candidate.score for candidate in candidates], np.float64)
    sides = np.array([candidate.side_scores or (candidate.score,) for candidate in candidates], np.float64)
    usual, spread = impostors
    rows = np.zeros((count, len(FEATURE_NAMES)))
    for place, score in enumerate(scores[:count]):
        others = np.sort(np.delete(scores, place))
        rest = others[: max(0, len(others) - _LEFT_OUT)]
        total = len(rest) + _PRIOR_COUNT
        mean = (rest.sum() + _PRIOR_COUNT * usual) / total
        square = (((rest - mean) ** 2).sum() + _PRIOR_COUNT * spread**2) / total
        best_other = np.delete(sides, place, axis=0).max(axis=0, initial=mean)
        rows[place] = (
            score - float(others.max(initial=mean)),
            (score - mean) / np.sqrt(square),
            float((sides[place] - best_other).min()),
        )
    return rows


def verdict(probability: float | None) -> Verdict:
    """Word for the best candidate's probability; None when there is no candidate."""
    if probability is None or probability < POSSIBLE_PROBABILITY:
        return "not in catalogue"
    return "match" if probability >= MATCH_PROBABILITY else "possible"


def fit(searches: Sequence[tuple[Sequence[ScoredCoin], str | None]], top: int = 5, seed: int = 0) -> Probability:
    """Fit on searches whose answer is known.

    Each search is learned from as it is and as it would have been in other catalogues (see `_as_in_other_catalogues`).

    Parameters
    ----------
    searches
        ScoredCoins, best first, and the right coin (None: it is not in the catalogue).
    top
        How many candidates of each search are learned from.

    Raises
    ------
    ValueError
        If no search has a right answer, so that there is nothing to tell apart.
    """
    wrong = [candidate.score for candidates, coin in searches for candidate in candidates if candidate.coin != coin]
    impostors = (float(np.mean(wrong)), float(np.std(wrong))) if wrong else (0.0, 1.0)
    rng = np.random.default_rng(seed)
    rows, truths = [], []
    for candidates, coin in searches:
        for catalogue in _as_in_other_catalogues(candidates, coin, rng):
            rows.append(evidence(catalogue, impostors, min(top, len(catalogue))))
            truths += [candidate.coin == coin for candidate in catalogue[:top]]
    if not any(truths) or all(truths):
        raise ValueError("fitting a probability takes coins that are in the catalogue and coins that are not.")
    x = np.concatenate(rows)
    y = np.array(truths, np.float64)
    mean, std = x.mean(axis=0), x.std(axis=0) + 1e-9
    design = np.column_stack([(x - mean) / std, np.ones(len(x))])
    theta = np.zeros(design.shape[1])
    for _ in range(50):  # Newton's method; the ridge keeps separable data from running away
        p = _logistic(design @ theta)
        gradient = design.T @ (p - y) / len(y) + _RIDGE * theta
        hessian = (design.T * (p * (1 - p))) @ design / len(y) + _RIDGE * np.eye(len(theta))
        step = np.linalg.solve(hessian, gradient)
        theta -= step
        if float(np.abs(step).max()) < 1e-8:
            break
    weights, intercept = tuple(theta[:-1].tolist()), float(theta[-1])
    return Probability(tuple(mean.tolist()), tuple(std.tolist()), weights, intercept, impostors)


def _as_in_other_catalogues(
    candidates: Sequence[ScoredCoin], coin: str | None, rng: np.random.Generator
) -> list[list[ScoredCoin]]:
    """The same search in some smaller catalogues, each with and without the right coin."""
    right = [candidate for candidate in candidates if candidate.coin == coin]
    others = [candidate for candidate in candidates if candidate.coin != coin]
    made: list[list[ScoredCoin]] = []
    for _ in range(_CATALOGUES):
        share = rng.uniform(0.1, 1.0)
        some = [candidate for candidate in others if rng.random() < share]
        if some:
            made.append(some)
        if some and right:
            made.append(sorted([*right, *some], key=lambda candidate: -candidate.score))
    return made


def _logistic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -40.0, 40.0))))
