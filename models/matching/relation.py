"""What two coins have in common, as their surface in register shows it: one coin, one die, one type, or nothing.

A multinomial logistic regression on `models.matching.surface`, fitted by `rig models verifier` on made coins of one
die, each struck, worn and scratched in its own way, and on Roman coins photographed again. It gives likelihoods, not
probabilities: how probable it is to see this if the two are one coin, and so on. What is probable beforehand, the
search says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from calibration.image import Image
from models.matching.registration import Registration, register_crops
from models.matching.surface import EVIDENCE, Evidence, surface_evidence

Relation = Literal["same coin", "same die", "same type", "other"]
RELATIONS: tuple[Relation, ...] = get_args(Relation)
Likelihoods = npt.NDArray[np.float64]
"""(RELATIONS,) natural logarithms, of each relation, but for a constant that all have."""

_RIDGE = 5e-4  # by the loss of pairs left out, five-fold
_MOST_SPREADS = 3.0  # from the mean: what is further from what it was fitted on is taken for that
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
class Verifier:
    """The fitted regression.

    Attributes
    ----------
    mean, std
        (EVIDENCE,), what the evidence is standardised by.
    weights
        (2 * EVIDENCE + 1, 3): of one coin, one die and one type, all as frequent; of the evidence, of its squares (what
        says most is where it agrees neither well nor badly), and the intercept.
    held
        (RELATIONS,): share of pairs of each relation that can be registered at all.
    """

    mean: Evidence
    std: Evidence
    weights: npt.NDArray[np.float64]
    held: npt.NDArray[np.float64]

    def compare(self, first: Image, second: Image) -> SideComparison:
        """Lay one normalised crop, turned upright already, on another, and compare them."""
        registration = register_crops(first, second)
        evidence = surface_evidence(first, second, registration) if registration.holds else None
        return SideComparison(registration, self.likelihoods(evidence))

    def likelihoods(self, evidence: Evidence | None) -> Likelihoods:
        """How likely it is to see this, for each relation; None where no registration holds."""
        if evidence is None:
            return np.log1p(-self.held)
        of_design = _terms(evidence[None], self.mean, self.std)[0] @ self.weights
        of_design -= _log_sum(of_design)
        return np.append(of_design, of_design[-1]) + np.log(
            self.held
        )  # what has nothing in common is seldom registered

    @classmethod
    def fit(cls, pairs: Sequence[tuple[Relation, Evidence | None]]) -> Verifier:
        """Fit on pairs whose relation is known; every relation counts as much as any other.

        Raises
        ------
        ValueError
            If one coin, one die or one type is not among the pairs that could be registered.
        """
        held = []
        for relation in RELATIONS:
            all_of = [evidence is not None for known, evidence in pairs if known == relation]
            held.append((sum(all_of) + 0.5) / (len(all_of) + 1.0) if all_of else 0.01)
        rows = [(known, evidence) for known, evidence in pairs if evidence is not None and known != "other"]
        x = np.array([evidence for _, evidence in rows]).reshape(-1, EVIDENCE)
        truth = np.array([[known == relation for relation in RELATIONS[:3]] for known, _ in rows], np.float64)
        if len(rows) == 0 or not truth.any(axis=0).all():
            raise ValueError("fitting a verifier takes pairs of one coin, of one die and of one type.")
        mean, std = x.mean(axis=0), x.std(axis=0) + 1e-9
        design = _terms(x, mean, std)
        weights = _fit_softmax(design, truth, 1.0 / (3.0 * truth.sum(axis=0)))
        return cls(mean, std, weights, np.array(held))

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Verifier:
        """Read it off a card; KeyError or ValueError if that is no card of a verifier."""
        mean, std, weights, held = (np.array(card[key], np.float64) for key in ("mean", "std", "weights", "held"))
        if (mean.shape, std.shape, weights.shape) != ((EVIDENCE,), (EVIDENCE,), (2 * EVIDENCE + 1, 3)):
            raise ValueError("the verifier is of another version.")
        return cls(mean, std, weights, held)

    def as_card(self) -> dict[str, Any]:
        """As plain data."""
        fields = {"mean": self.mean, "std": self.std, "weights": self.weights, "held": self.held}
        return {name: np.round(value, 6).tolist() for name, value in fields.items()}


def _terms(
    evidence: npt.NDArray[np.float64], mean: npt.NDArray[np.float64], std: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """(N, 2 * EVIDENCE + 1): what is weighed of some evidence (N, EVIDENCE)."""
    spreads = np.clip((evidence - mean) / std, -_MOST_SPREADS, _MOST_SPREADS)
    return np.column_stack([spreads, np.square(spreads), np.ones(len(spreads))])


def _fit_softmax(
    design: npt.NDArray[np.float64], truth: npt.NDArray[np.float64], of_class: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Weights (features, classes) by Newton's method; ``of_class`` is what a row of each class counts."""
    features, classes = design.shape[1], truth.shape[1]
    each = (truth @ of_class)[:, None]
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
