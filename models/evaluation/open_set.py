"""Open-set identification: what is returned when the coin is in the gallery, and when it is not.

Terms are NIST's (Grother et al., "Ongoing Face Recognition Vendor Test, part 2: identification", NISTIR 8271): a search
is mated if the coin is in the gallery. FPIR(T) is the share of non-mated searches that return anything at threshold T
or above, FNIR(T) that of mated searches whose right coin is not returned first, at T or above.

The coins are dealt into two halves; every query is once searched for with its own half in the gallery (mated) and once
with the other (non-mated). A search is judged by its calibrated probability where the model has one, else by its score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.embedding.embedder import Embedder
from models.evaluation.measures import RESAMPLES, Reliability, Values, reliability
from models.evaluation.samples import Sample
from models.matching.fusion import ScoredCoin
from models.matching.grid import Scores
from models.matching.probability import Probability

MOST_CANDIDATES = 300  # of a search, as many as matching's shortlist has


@dataclass(frozen=True)
class Searches:
    """Open-set searches: the value of the best candidate, and for mated ones whether it was the right coin.

    ``coins`` and ``impostor_coins`` name whom each search was for, ``values`` are scores or probabilities.
    """

    coins: tuple[str, ...]
    values: Values
    right: npt.NDArray[np.bool_]
    impostor_coins: tuple[str, ...]
    impostor_values: Values


def search_open_set(
    embedder: Embedder, scores: Scores, queries: Sequence[Sample], gallery: Sequence[Sample], seed: int
) -> tuple[Searches, Reliability | None]:
    """Search every query in the half of the gallery that has its coin, and in the other half."""
    probability = Probability.from_card(embedder.card) if "probability" in embedder.card else None
    half = np.random.default_rng(seed).permutation(len(gallery)) % 2 == 0
    of_coin = {sample.coin: half[column] for column, sample in enumerate(gallery)}
    types = np.array([sample.type for sample in gallery])
    found: dict[bool, list[tuple[str, float, bool]]] = {True: [], False: []}
    for row, query in enumerate(queries):
        for mated in (True, False):
            among = np.flatnonzero((types == query.type) & (half == (of_coin[query.coin] == mated)))
            if len(among) == 0:
                continue
            order = among[np.argsort(-scores[row, among], kind="stable")][:MOST_CANDIDATES]
            value = float(scores[row, order[0]])
            if probability is not None:
                value = probability.of([ScoredCoin(gallery[n].coin, float(scores[row, n])) for n in order])[0]
            found[mated].append((query.specimen or query.coin, value, gallery[order[0]].coin == query.coin))
    coins, values, right = zip(*found[True], strict=True)
    impostors = found[False] or [("", -math.inf, False)]  # every type has one coin: nothing to be mistaken for
    searches = Searches(
        coins,
        np.array(values),
        np.array(right),
        tuple(coin for coin, _, _ in impostors),
        np.array([value for _, value, _ in impostors]),
    )
    if probability is None:
        return searches, None
    predicted = np.array([value for _, value, _ in [*found[True], *found[False]]])
    truth = np.array([hit for _, _, hit in [*found[True], *found[False]]])
    return searches, reliability(predicted, truth)


def fnir_at_fpir(searches: Searches, fpir: float) -> float:
    """FNIR at the lowest threshold whose FPIR is at most ``fpir``."""
    return _fnir(searches.values, searches.right, searches.impostor_values, fpir)


def _fnir(values: Values, right: npt.NDArray[np.bool_], impostors: Values, fpir: float) -> float:
    allowed = int(np.floor(fpir * len(impostors)))
    highest = np.sort(impostors)[::-1]
    # Anything above the first impostor that must not be returned: ties count against.
    returned = values > highest[allowed] if allowed < len(highest) else np.ones(len(values), bool)
    return float(1.0 - np.mean(returned & right))


def fnir_interval(searches: Searches, fpir: float, seed: int = 0) -> tuple[float, float]:
    """95 % interval of `fnir_at_fpir`, resampling coins with all their searches, mated and not."""
    mated, impostors = _by_coin(searches.coins), _by_coin(searches.impostor_coins)
    names = sorted(set(mated) | set(impostors))
    rng, found = np.random.default_rng(seed), []
    nothing = np.zeros(0, np.int64)
    for _ in range(RESAMPLES // 2):
        drawn = [names[number] for number in rng.integers(0, len(names), len(names))]
        one = np.concatenate([mated.get(name, nothing) for name in drawn])
        other = np.concatenate([impostors.get(name, nothing) for name in drawn])
        if len(one) and len(other):
            found.append(_fnir(searches.values[one], searches.right[one], searches.impostor_values[other], fpir))
    low, high = np.percentile(found, [2.5, 97.5]) if found else (0.0, 1.0)
    return float(low), float(high)


def _by_coin(coins: Sequence[str]) -> dict[str, npt.NDArray[np.int64]]:
    rows: dict[str, list[int]] = {}
    for row, coin in enumerate(coins):
        rows.setdefault(coin, []).append(row)
    return {coin: np.array(each, np.int64) for coin, each in rows.items()}
