"""Searches whose answer is known, with what comparing their first candidates shows: what the weights of evidence are
fitted on (`models.matching.weighing`).

Three kinds of coins, so that no one kind decides: made coins photographed by hand and searched in print; photographs of
real coins lit again from their estimated relief, among all others of their collection; and, where there are labels,
real coins of one design photographed again. Each is searched for with its coin in the catalogue and without.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import numpy as np

from calibration.image import Image
from calibration.outline import NoCoinError, crop_coin
from capture.photographs import PhotoDrawer, photo_sides, read_photo
from models.embedding.embedder import Embedder
from models.evaluation.samples import split
from models.local_features.networks import LocalFeatures, describe
from models.matching.entries import embed_entries
from models.matching.faiss_index import FaissIndex
from models.matching.fusion import ScoredCoin, fuse
from models.matching.gallery import GalleryEntry, Where
from models.matching.matcher import CoinMatcher
from models.matching.probability import Probability
from models.matching.registration import register
from models.matching.rotation import turn_crop
from models.matching.surface import Evidence, surface_evidence
from models.matching.verification import VERIFIED
from models.matching.views import View
from models.matching.weighing import Compared
from pipeline.learning.coin_pairs import PRINTED, Pair, by_hand, photograph
from pipeline.learning.training_coins import labelled_samples
from pipeline.reporter import Progress
from rig.sides import SIDES, Side
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.procedural import coin_type
from rig.twin.coins.reproduction import reproduction

FITTED_SHARE, FITTED_SEED = 0.6, 77  # of labelled coins: those that the starter's probability was fitted on
SEARCHES_SEED = 9012  # of made coins that are used nowhere else
IMPOSTORS = 2  # made coins that are never looked for, for each that is
_TYPES = 12  # of made coins: few, so that many share one


@dataclass(frozen=True)
class Query:
    """A crop that is looked for, the coin it shows, and what its candidates have in common."""

    coin: str
    crop: Image
    group: str = ""


@dataclass(frozen=True)
class ComparedCoin:
    """A candidate that was compared, and what the surface shows; None where no registration holds."""

    coin: str
    evidence: Evidence | None


@dataclass(frozen=True)
class Searched:
    """A search: all candidates, best first, and those of them that were compared: the first few, and the coin."""

    coin: str
    ranked: tuple[ScoredCoin, ...]
    compared: tuple[ComparedCoin, ...]

    def pairs(self) -> list[Pair]:
        """The coin itself, and the most similar other, as pairs."""
        own = [each for each in self.compared if each.coin == self.coin]
        others = [each for each in self.compared if each.coin != self.coin]
        return [
            *(("same coin", each.evidence) for each in own[:1]),
            *(("same type", each.evidence) for each in others[:1]),
        ]

    def weighed(self, probability: Probability, surface: dict[str, float], *, is_there: bool) -> Compared:
        """As it would be with the coin in the catalogue or without.

        Parameters
        ----------
        surface
            ln of what the surface says of each coin that was compared.
        """
        ranked = [each for each in self.ranked if is_there or each.coin != self.coin]
        chances = probability.of(ranked)
        places = [place for place, each in enumerate(ranked[:VERIFIED]) if each.coin in surface]
        names = [ranked[place].coin for place in places]
        first = np.array([chances[place] for place in places])
        return Compared(
            first,
            np.array([surface[name] for name in names]),
            max(1.0 - float(first.sum()), 0.0),
            names.index(self.coin) if self.coin in names else None,
        )


def made_searches(coins: int, embedder: Embedder, progress: Progress) -> list[Searched]:
    """Search a printed catalogue of so many made coins, and `IMPOSTORS` for each, for sides photographed by hand."""
    drawer, rng = ProceduralDrawer(SEARCHES_SEED), np.random.default_rng(SEARCHES_SEED)
    every = (f"s{number}" for number in count())
    names = list(islice((name for name in every if coin_type(name, SEARCHES_SEED) < _TYPES), coins * (1 + IMPOSTORS)))
    entries: list[Query] = []
    for coin in names:
        for side in SIDES:
            with suppress(NoCoinError):
                image = reproduction(drawer.side_texture(coin, side), int(rng.integers(1 << 30)))
                entries.append(Query(f"{coin} {side}", crop_coin(image), side))
    queries: list[Query] = []
    for coin in names[:coins]:
        for side in SIDES:
            with suppress(NoCoinError):
                crop = crop_coin(by_hand(drawer.side_texture(coin, side), rng))
                queries.append(Query(f"{coin} {side}", crop, side))
    return search_each(entries, queries, embedder, progress)


def photographed_searches(folder: Path, sides: int, embedder: Embedder, progress: Progress) -> list[Searched]:
    """Search the photographs in a folder (see `capture.photographs.photo_sides`) for so many sides lit again.

    Raises
    ------
    DrawerError
        If the folder holds no photographs, or one that cannot be read.
    """
    entries, names = list[Query](), list[tuple[str, Side]]()
    for coin, photos in photo_sides(folder).items():
        for side, photo in photos.items():
            with suppress(NoCoinError):
                entries.append(Query(f"{coin} {side}", crop_coin(read_photo(photo)), side))
                names.append((coin, side))
    drawer, queries = PhotoDrawer(folder), list[Query]()
    for place in np.random.default_rng(8).permutation(len(entries))[:sides]:
        name, surface = entries[place].coin, drawer.side_texture(*names[place])
        again = photograph(name, surface, PRINTED[1:], np.random.default_rng([8, int(place)]))
        queries += [Query(name, each.crop, entries[place].group) for each in again]
    return search_each(entries, queries, embedder, progress)


def labelled_searches(labels: Path, most: int, embedder: Embedder, progress: Progress) -> list[Searched]:
    """Search for so many photographs of labelled coins among those of their type, each in its first session.

    Raises
    ------
    LabError
        If the label file or an image of it cannot be used.
    """
    samples = labelled_samples(labels, FITTED_SHARE, FITTED_SEED, rest=False, progress=progress)
    gallery, queries, _ = split(samples)
    chosen = np.random.default_rng(FITTED_SEED).permutation(len(queries))[:most]
    return search_each(
        [Query(each.coin, each.read(), each.type) for each in gallery],
        [Query(queries[place].coin, queries[place].read(), queries[place].type) for place in chosen],
        embedder,
        progress,
    )


def search_each(
    entries: Sequence[Query], queries: Sequence[Query], embedder: Embedder, progress: Progress
) -> list[Searched]:
    """Search for each query among the entries of its group, and compare the first few, and its coin, with it."""
    index = FaissIndex(embedder.id)
    listed = [GalleryEntry(str(place), each.coin, sale=each.group) for place, each in enumerate(entries)]
    index.add(listed, embed_entries(embedder, [each.crop for each in entries]))
    matcher, features, found = CoinMatcher(embedder, index), dict[int, LocalFeatures](), list[Searched]()
    for number, query in enumerate(queries):
        progress(number, len(queries))
        searches = matcher.search([View(query.crop)], Where(sales=(query.group,)))
        ranked, hits = fuse(searches), searches[0]
        wanted = dict.fromkeys([*(each.coin for each in ranked[: VERIFIED + 1]), query.coin])
        upright: dict[float, tuple[Image, LocalFeatures]] = {}
        compared = []
        for coin in [each for each in wanted if each in hits]:
            turn_deg, place = hits[coin].turn_deg, int(hits[coin].entry.entry_id)
            if turn_deg not in upright:
                crop = turn_crop(query.crop, turn_deg)
                upright[turn_deg] = (crop, describe(crop))
            if place not in features:
                features[place] = describe(entries[place].crop)
            laid = register(upright[turn_deg][1], features[place])
            pair = upright[turn_deg][0], entries[place].crop
            compared.append(ComparedCoin(coin, surface_evidence(*pair, laid) if laid.holds else None))
        found.append(Searched(query.coin, tuple(ranked), tuple(compared)))
    progress(len(queries), len(queries))
    return found
