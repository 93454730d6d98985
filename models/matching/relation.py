"""What two coins have in common, as their surface in register shows it: one coin, one die, one type, or nothing.

Two ways of comparing them are put together: statistics of how well they correlate (`models.matching.surface`), and a
network (`models.matching.surface_network`). Each is fitted by `rig models verifier` on made coins of one die, each
struck, worn and scratched in its own way, and on real coins photographed again; what both say is weighed by a
regression on coins that neither has seen. It gives likelihoods, not probabilities: how probable it is to see this if
the two are one coin, and so on. What is probable beforehand, the search says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from calibration.image import Image
from models.matching.registration import Registration, register_crops
from models.matching.surface import STATISTICS, Overlay, compare_surfaces
from models.matching.surface_network import JUDGED, SurfaceNetwork, judge_places, mean_of_places

Relation = Literal["same coin", "same die", "same type", "other"]
RELATIONS: tuple[Relation, ...] = get_args(Relation)
Values = npt.NDArray[np.float64]
Likelihoods = npt.NDArray[np.float64]
"""(RELATIONS,) natural logarithms, of each relation, but for a constant that all have."""

EVIDENCE = 3 + JUDGED

_RIDGE = 5e-4  # by the loss of pairs left out, five-fold
_MOST_SPREADS = 3.0  # from the mean: what is further from what it was fitted on is taken for that
_MOST_BY_ONE = 6.0  # ln
_HELD_BY_OTHERS = 0.01  # share of coins that have nothing in common, where none were compared
_UNLIKE = np.log((0.2, 0.5, 0.3))  # a coin that resembles the query and is another: of its die, of its type, of neither


@dataclass(frozen=True)
class SideComparison:
    """A side of a coin laid on an entry, and how likely what that shows is for each relation of the two."""

    registration: Registration
    likelihoods: Likelihoods

    @property
    def log_ratio(self) -> float:
        """How much more likely this is of one coin than of two, which may have the die or the type in common."""
        return float(self.likelihoods[0] - _log_sum(self.likelihoods[1:] + _UNLIKE))

    @property
    def shares(self) -> dict[Relation, float]:
        """The likelihoods as shares of their sum."""
        each = np.exp(self.likelihoods - _log_sum(self.likelihoods))
        return dict(zip(RELATIONS, each.tolist(), strict=True))


@dataclass(frozen=True)
class Regression:
    """A multinomial logistic regression on some numbers.

    Attributes
    ----------
    mean, std
        (N,), what the numbers are standardised by.
    weights
        (N + 1 or 2 * N + 1, 3): of one coin, one die and one type, all as frequent; of the numbers, of their squares
        where what says most lies in between, and the intercept.
    """

    mean: Values
    std: Values
    weights: Values

    def likelihoods(self, numbers: Values) -> Values:
        """(3,) ln of how likely these numbers are in each relation."""
        is_squared = len(self.weights) > len(self.mean) + 1
        found: Values = _terms(numbers[None], self.mean, self.std, squared=is_squared)[0] @ self.weights
        return found - _log_sum(found)

    @classmethod
    def fit(cls, known: Sequence[tuple[Relation, Values]], *, squared: bool) -> Regression:
        """Fit on numbers of pairs whose relation is known; every relation counts as much as any other.

        Raises
        ------
        ValueError
            If one coin, one die or one type is not among them.
        """
        pairs = [(relation, numbers) for relation, numbers in known if relation != "other"]
        truth = np.array([[own == relation for relation in RELATIONS[:3]] for own, _ in pairs], np.float64)
        if len(pairs) == 0 or not truth.any(axis=0).all():
            raise ValueError("fitting a verifier takes pairs of one coin, of one die and of one type.")
        x = np.array([numbers for _, numbers in pairs])
        mean, std = x.mean(axis=0), x.std(axis=0) + 1e-9
        counts = truth @ (1.0 / (3.0 * truth.sum(axis=0)))
        return cls(mean, std, _fit_softmax(_terms(x, mean, std, squared=squared), truth, counts))

    @classmethod
    def from_card(cls, card: Mapping[str, Any], count: int, *, squared: bool) -> Regression:
        """Read one on so many numbers off a card; KeyError or ValueError if that is none."""
        mean, std, weights = (np.array(card[key], np.float64) for key in ("mean", "std", "weights"))
        if (mean.shape, std.shape, weights.shape) != ((count,), (count,), (count * (1 + squared) + 1, 3)):
            raise ValueError("the verifier is of another version.")
        return cls(mean, std, weights)

    def as_card(self) -> dict[str, Any]:
        """As plain data."""
        fields = {"mean": self.mean, "std": self.std, "weights": self.weights}
        return {name: np.round(value, 6).tolist() for name, value in fields.items()}


@dataclass(frozen=True)
class Verifier:
    """What was fitted.

    Attributes
    ----------
    network, statistics
        The two ways of comparing surfaces.
    both
        Weighs what they say (`evidence`).
    held
        (RELATIONS,): share of pairs of each relation that can be registered at all.
    """

    network: SurfaceNetwork
    statistics: Regression
    both: Regression
    held: Values

    def compare(self, first: Image, second: Image) -> SideComparison:
        """Lay one normalised crop, turned upright already, on another, and compare them."""
        registration = register_crops(first, second)
        overlay = compare_surfaces(first, second, registration) if registration.holds else None
        return SideComparison(registration, self.likelihoods(overlay))

    def likelihoods(self, overlay: Overlay | None) -> Likelihoods:
        """How likely it is to see this, for each relation; None where no registration holds."""
        return self.weigh(None if overlay is None else evidence(self.network, self.statistics, overlay))

    def weigh(self, numbers: Values | None) -> Likelihoods:
        """The same of what `evidence` gave."""
        if numbers is None:
            return np.log1p(-self.held)
        of_design = self.both.likelihoods(numbers)
        # what has nothing in common is seldom registered
        return np.append(of_design, of_design[-1]) + np.log(self.held)

    @classmethod
    def from_card(cls, card: Mapping[str, Any], network: SurfaceNetwork) -> Verifier:
        """Read the rest off a card; KeyError, TypeError or ValueError if that is no verifier's."""
        statistics = Regression.from_card(card["statistics"], STATISTICS, squared=True)
        both = Regression.from_card(card["both"], EVIDENCE, squared=False)
        return cls(network, statistics, both, np.array(card["held"], np.float64))

    def as_card(self) -> dict[str, Any]:
        """As plain data, but for the network."""
        held = np.round(self.held, 6).tolist()
        return {"statistics": self.statistics.as_card(), "both": self.both.as_card(), "held": held}


def evidence(network: SurfaceNetwork, statistics: Regression, overlay: Overlay) -> Values:
    """(EVIDENCE,) what the statistics say of each relation, and what the network says; of each their mean left out."""
    by_statistics = statistics.likelihoods(overlay.statistics)
    by_network = mean_of_places(judge_places(network, overlay.laid))
    centred = np.concatenate([by_statistics - by_statistics.mean(), by_network - by_network.mean()])
    return np.clip(centred, -_MOST_BY_ONE, _MOST_BY_ONE)


def shares_held(pairs: Sequence[tuple[Relation, bool]]) -> Values:
    """(RELATIONS,): the share that could be registered of pairs of each relation."""
    held = []
    for relation in RELATIONS:
        of_it = [is_held for known, is_held in pairs if known == relation]
        held.append((sum(of_it) + 0.5) / (len(of_it) + 1.0) if of_it else _HELD_BY_OTHERS)
    return np.array(held)


def _terms(numbers: Values, mean: Values, std: Values, *, squared: bool) -> Values:
    """(M, terms): what is weighed of some numbers (M, N)."""
    spreads = np.clip((numbers - mean) / std, -_MOST_SPREADS, _MOST_SPREADS)
    return np.column_stack([spreads, *([np.square(spreads)] if squared else []), np.ones(len(spreads))])


def _fit_softmax(design: Values, truth: Values, counts: Values) -> Values:
    """Weights (features, classes) by Newton's method; ``counts`` is what each row counts."""
    each = counts[:, None]
    features, classes = design.shape[1], truth.shape[1]
    weights = np.zeros((features, classes))
    stiff = np.kron(np.eye(classes), np.diag([*np.full(features - 1, _RIDGE), 1e-6]))
    for _ in range(40):
        logits = design @ weights
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        gradient = (design.T @ (each * (chances - truth))).T.ravel() + stiff @ weights.T.ravel()
        hessian = stiff.copy()
        for one in range(classes):
            for other in range(classes):
                curve = each[:, 0] * chances[:, one] * ((one == other) - chances[:, other])
                block = slice(one * features, (one + 1) * features), slice(other * features, (other + 1) * features)
                hessian[block] += (design.T * curve) @ design
        step = np.linalg.solve(hessian + 1e-9 * np.eye(len(hessian)), gradient)
        weights -= step.reshape(classes, features).T
        if float(np.abs(step).max()) < 1e-8:
            break
    return weights


def _log_sum(values: npt.NDArray[np.float64]) -> float:
    return float(np.logaddexp.reduce(values))
