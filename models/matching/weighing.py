"""What the surface of a candidate says, weighed: ln of how many times as probable it is of the coin itself.

The fine surface in register gives likelihoods (`models.matching.relation`), fitted pair by pair. Beside what the search
found already they say less than they would alone, for the coin less than against it. How much less is fitted on
searches: each has one answer, one of its candidates or none, and the weights are those under which the right answers
are most probable, given what the search gave beforehand (a conditional logit with the choice of none; McFadden 1974),
and given what the weights were before: the searches are for few coins, of which a few more or less would decide.

How many points agree does not count by itself. Points of the design agree on every coin that has it: beside the
surface, which knows their number too, they named more coins that were not in the catalogue (docs/results.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

LIMIT = math.log(100.0)  # verifying makes a candidate at most so many times as probable
TERMS = ("base", "for", "against")
_KEY = "evidence"  # on the card
_MOST_BY_SURFACE = 8.0  # ln
_BEFORE, _SPREAD = (-0.56, 0.47, 0.61), 0.2  # by 358 searches, when the surface was compared by statistics alone


@dataclass(frozen=True)
class Compared:
    """A search whose answer is known, of which the first candidates were compared with the query.

    Attributes
    ----------
    chances
        (N,): their probabilities by the search.
    surface
        (N,): ln of what the surface says for one coin.
    left
        The probability that it is none of these.
    right
        The place of the coin among them; None if it is none of them.
    """

    chances: Values
    surface: Values
    left: float
    right: int | None


@dataclass(frozen=True)
class Weights:
    """What each of `TERMS` counts: always, and for each unit of ln that the surface says for the coin and against."""

    terms: Values

    def log_ratios(self, surface: Values) -> Values:
        """ln of how many times as probable it is that the surface says this (N,) of the coin as of another one.

        It is within `LIMIT`.
        """
        return np.clip(_terms(surface) @ self.terms, -LIMIT, LIMIT)

    @classmethod
    def fit(cls, searches: Sequence[Compared]) -> Weights:
        """Fit on searches whose answer is known.

        Raises
        ------
        ValueError
            If all of them have the coin among the candidates, or none has.
        """
        if {search.right is not None for search in searches} != {True, False}:
            raise ValueError("fitting weights takes searches for coins that are there, and for coins that are not.")
        rows = [(_terms(each.surface), np.log(np.maximum(each.chances, 1e-9)), each) for each in searches]
        before = np.array(_BEFORE)
        weights, stiff = before.copy(), np.eye(len(TERMS)) / _SPREAD**2
        for _ in range(50):  # Newton's method
            slope, curve = stiff @ (weights - before), stiff.copy()
            for terms, prior, search in rows:
                logits = np.append(prior + terms @ weights, math.log(max(search.left, 1e-9)))
                chances = np.exp(logits - np.logaddexp.reduce(logits))[:-1]
                mean = chances @ terms
                slope = slope + mean - (terms[search.right] if search.right is not None else 0.0)
                curve = curve + (terms.T * chances) @ terms - np.outer(mean, mean)
            step = np.linalg.solve(curve, slope)
            weights -= step * min(1.0, 2.0 / float(np.abs(step).max() + 1e-12))
            if float(np.abs(step).max()) < 1e-8:
                break
        return cls(weights)

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Weights:
        """Read them off a verifier's card; KeyError, TypeError or ValueError if that has none of this kind."""
        return cls(np.array([float(card[_KEY][name]) for name in TERMS]))

    def as_card(self) -> dict[str, Any]:
        """As plain data for the card."""
        return {_KEY: {name: round(float(value), 6) for name, value in zip(TERMS, self.terms, strict=True)}}


def _terms(surface: Values) -> Values:
    """(N, TERMS), of N candidates."""
    found = np.clip(surface, -_MOST_BY_SURFACE, _MOST_BY_SURFACE)
    return np.stack([np.ones(len(found)), np.maximum(found, 0.0), np.minimum(found, 0.0)], axis=1)
