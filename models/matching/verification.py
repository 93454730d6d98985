"""Verification: do the first few candidates lie on the query, point by point?

Each is laid on the query by local features (`models.matching.registration`). How many points agree says how probable it
is that both show one coin, beyond what the grid gave. Points of the design agree on all coins that have it, so that
what counts is also by how much a candidate exceeds the others.

The likelihood ratio was fitted on made coins and on Roman coins lit and photographed again (docs/results.md); none of
them is judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set

import numpy as np

from calibration.image import Image
from models.matching.fusion import Hit
from models.matching.probability import MATCH_PROBABILITY, POSSIBLE_PROBABILITY
from models.matching.registration import Registration, register_crops
from models.matching.views import View, crop_at_turn

VERIFIED, MOST_VERIFIED = 3, 12  # candidates: at first, and thoroughly or where those do not hold
ReadCrop = Callable[[str], Image | None]
"""The crop of an entry, None if there is none any more."""

Registrations = tuple[Registration | None, ...]
"""How the query lies on each entry of a candidate; None where the entry cannot be read."""

# ln(likelihood ratio) = BASE + POINTS * points / 100 + LEAD * (points - the best other's) / 100, within LIMIT
_BASE, _POINTS, _LEAD = -3.05, 0.98, 0.60
_LIMIT = math.log(100.0)
_USUAL_POINTS = 12.0  # with any other coin, where there is no other to compare with
_CLOSED = POSSIBLE_PROBABILITY / math.exp(_LIMIT)  # nothing that is found could make a possible match of less
_SETTLED_ODDS = MATCH_PROBABILITY / (1.0 - MATCH_PROBABILITY) * math.exp(_LIMIT)


def is_open(probability: float) -> bool:
    """Whether verifying could change the answer, given the best candidate's probability."""
    return probability >= _CLOSED


def is_settled(probability: float) -> bool:
    """Whether a candidate that was verified stays a match whatever verifying the others finds."""
    return probability > _SETTLED_ODDS * (1.0 - probability)


def register_candidate(
    groups: Sequence[Sequence[View]], searches: Sequence[Mapping[str, Hit]], names: Set[str], read_crop: ReadCrop
) -> Registrations:
    """Lay the query on a candidate's entries, in the order of the searches that found it.

    Parameters
    ----------
    groups, searches
        Views that were searched together, and what each search found.
    names
        Of the candidate: a coin that was sold twice has two.
    """
    registrations: list[Registration | None] = []
    for group, search in zip(groups, searches, strict=True):
        hits = [search[name] for name in names if name in search]
        if hits:
            hit = max(hits, key=lambda each: each.score)
            crop = read_crop(hit.entry.entry_id)
            upright = crop_at_turn(group, hit.turn_deg)
            registrations.append(None if crop is None else register_crops(upright, crop))
    return tuple(registrations)


def weigh(chances: Sequence[float], registered: Mapping[int, Registrations]) -> list[float]:
    """The probability of each candidate, given that some of them, by their place, were laid on the query.

    By Bayes' rule: the query is one of them or none, and what was found is so many times as probable if it is that one.
    """
    points = {place: count_points(each) for place, each in registered.items() if any(each)}
    weighed = np.array(chances, np.float64)
    left = max(0.0, 1.0 - float(weighed.sum()))
    for place, own in points.items():
        others = [count for other, count in points.items() if other != place]
        weighed[place] *= math.exp(log_ratio(own, max([_USUAL_POINTS, *others])))
    return [float(p) for p in weighed / max(left + float(weighed.sum()), 1e-12)]


def count_points(registrations: Registrations) -> float:
    """How many points agree, in the mean over the entries of a candidate that could be read: at least one."""
    return float(np.mean([each.inliers for each in registrations if each is not None]))


def log_ratio(points: float, best_other: float) -> float:
    """How much more probable it is that so many points agree on the same coin than on another: natural logarithm."""
    found = _BASE + _POINTS * points / 100.0 + _LEAD * (points - best_other) / 100.0
    return float(np.clip(found, -_LIMIT, _LIMIT))
