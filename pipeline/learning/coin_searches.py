"""Searches whose answer is known, with what comparing their first candidates shows: what the weights of evidence are
fitted on (`models.matching.weighing`).

Two kinds of coins, so that no one kind decides: made coins photographed by hand and searched in print; and, where there
are labels, real coins of one design photographed again. Each is searched for with its coin in the catalogue and
without.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import count, islice
from pathlib import Path

import numpy as np

from calibration.image import Image
from calibration.outline import NoCoinError, crop_coin
from models.embedding.embedder import Embedder
from models.evaluation.samples import split
from models.local_features.networks import LocalFeatures, describe
from models.matching.entries import embed_entries
from models.matching.faiss_index import FaissIndex
from models.matching.fusion import ScoredCoin, fuse
from models.matching.gallery import GalleryEntry, Where
from models.matching.matcher import CoinMatcher
from models.matching.probability import Probability
from models.matching.rotation import turn_crop
from models.matching.views import View
from pipeline.learning.coin_pairs import Photographed, by_hand, compare
from pipeline.learning.kept_pairs import Candidates, ComparedPair, Source, Unit, kept
from pipeline.learning.training_coins import labelled_samples
from pipeline.reporter import Progress
from rig.sides import SIDES
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.procedural import coin_type
from rig.twin.coins.reproduction import reproduction

FITTED_SHARE, FITTED_SEED = 0.6, 77  # of labelled coins: those that the starter's probability was fitted on
SEARCHES_SEED = 9012  # of made coins that are used nowhere else
COMPARED = 5  # candidates of a search
IMPOSTORS = 2  # made coins that are never looked for, for each that is
_TYPES = 12  # of made coins: few, so that many share one


@dataclass(frozen=True)
class Query:
    """A crop that is looked for, the coin it shows, and what its candidates have in common."""

    coin: str
    crop: Image
    group: str = ""


def made_searches(coins: int, embedder: Embedder, folder: Path, progress: Progress) -> list[Unit]:
    """Search a printed catalogue of so many made coins, and `IMPOSTORS` for each, for sides photographed by hand.

    They are kept in the folder.
    """
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
    return search_each(entries, queries, Searcher("made", embedder, folder), progress)


def labelled_searches(labels: Path, most: int, embedder: Embedder, folder: Path, progress: Progress) -> list[Unit]:
    """Search for so many photographs of labelled coins among those of their type, each in its first session.

    They are kept in the folder.

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
        Searcher("labelled", embedder, folder),
        progress,
    )


@dataclass(frozen=True)
class Searcher:
    """Where searches are kept, of which source they are, and by which model."""

    source: Source
    embedder: Embedder
    folder: Path


def search_each(
    entries: Sequence[Query], queries: Sequence[Query], searcher: Searcher, progress: Progress
) -> list[Unit]:
    """Search for each query among the entries of its group, and compare the first few, and its coin, with it."""
    catalogue = _Catalogue(searcher, entries)
    units = list[Unit]()
    for number, query in enumerate(queries):
        progress(number, len(queries))
        units.append(kept(searcher.folder, f"{searcher.source}-search-{number:04}", partial(catalogue.search, query)))
    progress(len(queries), len(queries))
    return units


@dataclass(frozen=True)
class _Catalogue:
    """Entries to search, and the points of those that were compared; embedded when it is first searched."""

    searcher: Searcher
    entries: Sequence[Query]
    features: dict[int, LocalFeatures] = field(default_factory=dict)

    @cached_property
    def matcher(self) -> CoinMatcher:
        """Searches the entries."""
        index = FaissIndex(self.searcher.embedder.id)
        listed = [GalleryEntry(str(place), each.coin, sale=each.group) for place, each in enumerate(self.entries)]
        index.add(listed, embed_entries(self.searcher.embedder, [each.crop for each in self.entries]))
        return CoinMatcher(self.searcher.embedder, index)

    def search(self, query: Query) -> Unit:
        """Search for one."""
        (hits,) = self.matcher.search([View(query.crop)], Where(sales=(query.group,)))
        ranked = fuse([hits])
        wanted = dict.fromkeys([*(each.coin for each in ranked[: COMPARED + 1]), query.coin])
        upright: dict[float, Photographed] = {}
        pairs, names = list[ComparedPair](), list[str]()
        for coin in [each for each in wanted if each in hits]:
            turn_deg, place = hits[coin].turn_deg, int(hits[coin].entry.entry_id)
            if turn_deg not in upright:
                upright[turn_deg] = Photographed.of("", turn_crop(query.crop, turn_deg))
            if place not in self.features:
                self.features[place] = describe(self.entries[place].crop)
            entry = Photographed(coin, self.entries[place].crop, self.features[place])
            pairs.append(
                ComparedPair("same coin" if coin == query.coin else "same type", compare(upright[turn_deg], entry))
            )
            names.append(coin)
        searches = tuple(self._as_searched(query, ranked, names, is_there=is_there) for is_there in (True, False))
        return Unit(self.searcher.source, query.coin, tuple(pairs), searches)

    def _as_searched(
        self, query: Query, ranked: Sequence[ScoredCoin], names: list[str], *, is_there: bool
    ) -> Candidates:
        """As it would be with the coin in the catalogue or without."""
        listed = [each for each in ranked if is_there or each.coin != query.coin]
        chances = Probability.from_card(self.searcher.embedder.card).of(listed)
        first = [place for place, each in enumerate(listed[:COMPARED]) if each.coin in names]
        places = tuple(names.index(listed[place].coin) for place in first)
        found = tuple(float(chances[place]) for place in first)
        right = [n for n, place in enumerate(first) if listed[place].coin == query.coin]
        return Candidates(found, places, max(1.0 - sum(found), 0.0), right[0] if right else None)
