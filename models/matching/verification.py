"""Verification: are the first few candidates the coin itself, or coins of its die or its type?

Each is laid on the query by local features, and the fine surface of the two is compared in register
(`models.matching.relation`). What that counts beside the search is `models.matching.weighing`.

Both were fitted on coins that are never judged (docs/results.md), by `rig models verifier`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from calibration.image import Image
from models.embedding.backbones import WeightsError
from models.matching.fusion import Hit
from models.matching.probability import MATCH_PROBABILITY, POSSIBLE_PROBABILITY, Verdict, verdict
from models.matching.relation import SideComparison, Verifier
from models.matching.surface_network import SurfaceNetwork
from models.matching.views import View, crop_at_turn, group_views
from models.matching.weighing import LIMIT, Weights

VERIFIER = Path(__file__).parents[1] / "verifier"
CARD_FILE, NETWORK_FILE = "card.json", "network.safetensors"
VERIFIED, MOST_VERIFIED = 3, 12  # candidates: at first, and thoroughly or where those do not hold
ReadCrop = Callable[[str], Image | None]
"""The crop of an entry, None if there is none any more."""

Comparisons = tuple[SideComparison | None, ...]
"""The query on each entry of a candidate; None where the entry cannot be read."""

_CLOSED = POSSIBLE_PROBABILITY / math.exp(LIMIT)  # nothing that is found could make a possible match of less
_SETTLED_ODDS = MATCH_PROBABILITY / (1.0 - MATCH_PROBABILITY) * math.exp(LIMIT)
_MOST_BY_SEARCH = math.log(99.0)
_SURE, _ANOTHER = 0.8, -2.0  # a die is named from this share of the likelihoods on, of what is clearly another coin


@dataclass(frozen=True)
class Verification:
    """Compares candidates with the query, and says how probable each is then."""

    verifier: Verifier
    weights: Weights

    @classmethod
    def load(cls, folder: Path) -> Verification:
        """Read what was fitted; WeightsError, OSError, KeyError, TypeError or ValueError if that is no verifier."""
        card = json.loads((folder / CARD_FILE).read_bytes())
        network = SurfaceNetwork.load(folder / NETWORK_FILE)
        return cls(Verifier.from_card(card, network), Weights.from_card(card))

    def compare(
        self, views: Sequence[View], searches: Sequence[Mapping[str, Hit]], names: Set[str], read_crop: ReadCrop
    ) -> Comparisons:
        """Lay the query on a candidate's entries, in the order of the searches that found it.

        Parameters
        ----------
        searches
            What each group of the views was found to resemble.
        names
            Of the candidate: a coin that was sold twice has two.
        """
        comparisons: list[SideComparison | None] = []
        for group, search in zip(group_views(views), searches, strict=True):
            hits = [search[name] for name in names if name in search]
            if hits:
                hit = max(hits, key=lambda each: each.score)
                crop = read_crop(hit.entry.entry_id)
                upright = crop_at_turn(group, hit.turn_deg)
                comparisons.append(None if crop is None else self.verifier.compare(upright, crop))
        return tuple(comparisons)

    def weigh(self, chances: Sequence[float], compared: Mapping[int, Comparisons]) -> list[float]:
        """The probability of each candidate, given that some of them, by their place, were compared with the query.

        By Bayes' rule: the query is one of them or none, and what was found is so many times as probable if it is that
        one.
        """
        weighed = np.array(chances, np.float64)
        left = max(0.0, 1.0 - float(weighed.sum()))
        surface = {place: ask_surface(each) for place, each in compared.items() if any(each)}
        ratios = self.weights.log_ratios(np.array([*surface.values()]))
        for place, ratio in zip(surface, ratios, strict=True):
            weighed[place] *= math.exp(ratio - excess(chances[place]))
        return [float(p) for p in weighed / max(left + float(weighed.sum()), 1e-12)]


def doubt_link(chance: float, comparisons: Comparisons, doubt: float) -> float:
    """The probability that two names of the catalogue are one coin, once they were compared.

    The surface does not make it more probable. Two plates in one style of print agree more than a photograph and a
    plate, which it was weighed on: it must speak for one coin by ``doubt`` (ln), in the mean over the sides, or it
    counts against it.
    """
    seen = [each.log_ratio for each in comparisons if each is not None]
    against = min(0.0, float(np.mean(seen)) - doubt) if seen else 0.0
    left = chance * math.exp(against)
    return left / (left + 1.0 - chance)


def ask_surface(comparisons: Comparisons) -> float:
    """ln of how much more likely what the surfaces show is of one coin: what each side says, added up."""
    return sum(each.log_ratio for each in comparisons if each is not None)


def excess(chance: float) -> float:
    """ln of the odds by the search beyond `_MOST_BY_SEARCH`: a coin of the same die resembles the query as much."""
    odds = min(max(chance, 1e-9), 1.0 - 1e-9)
    return max(0.0, math.log(odds / (1.0 - odds)) - _MOST_BY_SEARCH)


def is_open(probability: float) -> bool:
    """Whether verifying could change the answer, given the best candidate's probability."""
    return probability >= _CLOSED


def is_settled(probability: float) -> bool:
    """Whether a candidate that was verified stays a match whatever verifying the others finds."""
    return probability > _SETTLED_ODDS * (1.0 - probability)


def judge(probability: float | None, comparisons: Comparisons) -> Verdict:
    """Word for the best candidate: of another coin that shares a die with it on some side, just that."""
    if probability is None or probability >= MATCH_PROBABILITY:
        return verdict(probability)
    seen = [each for each in comparisons if each is not None]
    is_shared = any(each.shares["same die"] >= _SURE for each in seen)
    if probability < POSSIBLE_PROBABILITY and is_shared and ask_surface(comparisons) <= _ANOTHER:
        return "same die"
    return verdict(probability)


@lru_cache(maxsize=1)
def shipped_verification() -> Verification:
    """What `rig models verifier` fitted, as it is shipped.

    Raises
    ------
    WeightsError
        If it cannot be read.
    """
    try:
        return Verification.load(VERIFIER)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{VERIFIER} is damaged or missing. Install coinlab again.") from error
