"""Is this the same physical coin? Images in, ranked catalogue coins with a calibrated probability out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from calibration.image import read_image
from calibration.outline import find_coin, normalise
from capture.names import printable
from capture.store import Store
from capture.store.records import Candidate, Frame
from models.embedding.embedder import Embedder
from models.matching.facts import Facts, log_ratio_of
from models.matching.gallery import Where
from models.matching.index import EVERYTHING
from models.matching.matcher import CoinMatcher, Match
from models.matching.probability import Probability
from models.matching.verification import MOST_VERIFIED, VERIFIED, judge
from models.matching.views import View
from pipeline.collection.answers import Answer, Answers
from pipeline.collection.catalogue import require_catalogue
from pipeline.collection.catalogue_index import Searchable, build_index, embed_shard, read_index, update_index
from pipeline.collection.entries import EntryCrops
from pipeline.collection.evidence import EvidenceDrawer, comparison_as_json
from pipeline.collection.facts import compare_records, facts_as_json, facts_of
from pipeline.collection.photographs import SeenCoin, SeenPhotographs
from pipeline.collection.same_coin import CatalogueLinks
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.model_in_use import open_model
from pipeline.reporter import Progress, Reporter
from pipeline.reports.cards import IMAGE_PX, OwnImage, named_entries
from pipeline.reports.evidence import keep_evidence
from pipeline.reports.images import portrait
from pipeline.reports.photograph_page import photograph_card, write_photograph_page
from pipeline.reports.report import find_scan, write_report
from pipeline.reports.sales import chain_of_sales
from pipeline.wording import count
from rig.sides import EDGE, SIDES

TOP = 10  # candidates kept of every ranking
NOTHING_KNOWN = Facts()
_WHOLE = 0.85  # of the largest outline of a side: one that is smaller is of part of the coin


@dataclass(frozen=True)
class BuiltCatalogue:
    """What can be searched with a model: how many entries, and those without a coin or whose image cannot be read.

    ``same_coin`` are pairs of names that may be one coin, with the probability; the most probable first.
    """

    entries: int
    model: str
    model_name: str
    unusable: tuple[str, ...]
    unreadable: tuple[str, ...] = ()
    same_coin: tuple[tuple[str, str, float], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        pairs = [{"coins": [one, other], "probability": round(chance, 4)} for one, other, chance in self.same_coin]
        return {
            "entries": self.entries,
            "model": self.model,
            "unusable": (*self.unusable, *self.unreadable),
            "same_coin": pairs,
        }


@dataclass(frozen=True)
class BuiltShard:
    """One machine's share of the catalogue: how many images it has, how many are embedded, and where that lies."""

    shard: int
    shards: int
    images: int
    embedded: int
    folder: Path

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {**vars(self), "folder": str(self.folder)}


@dataclass
class Identifier:
    """A model, and the catalogue as that model sees it."""

    lab: Lab
    matcher: CoinMatcher
    probability: Probability
    links: CatalogueLinks
    unusable: tuple[str, ...] = field(default=())
    unreadable: tuple[str, ...] = field(default=())
    waiting: int = 0
    where: Where = EVERYTHING

    def __post_init__(self) -> None:
        self._evidence = EvidenceDrawer(self.matcher.embedder, self.matcher.index)

    @classmethod
    def open(
        cls, lab: Lab, model: str, reporter: Reporter, *, thorough: bool = False, where: Where = EVERYTHING
    ) -> Identifier:
        """Load a model (`load_model`) and bring the catalogue up to date for it (`over`).

        Raises
        ------
        LabError
            If no entry is as it is asked for; and see `over`.
        """
        with reporter.step("Loading the model"):
            embedder = load_model(lab, model)
        with reporter.progress("Embedding the catalogue") as progress:
            identifier = cls.over(lab, embedder, progress, thorough=thorough)
        identifier.warn_of_missing(reporter)
        if where != EVERYTHING:
            identifier.narrow(where, reporter)
        return identifier

    @classmethod
    def over(cls, lab: Lab, embedder: Embedder, progress: Progress, *, thorough: bool = False) -> Identifier:
        """Embed what a model has not seen of the catalogue yet, and bring its search index up to date.

        Parameters
        ----------
        thorough
            Lay more of the first candidates on the query.

        Raises
        ------
        LabError
            If no image of the catalogue shows a coin.
        """
        # if nothing needs to be written nothing is, as in a lab that is read-only
        return cls.of(lab, embedder, read_index(lab, embedder) or update_index(lab, embedder, progress), thorough)

    @classmethod
    def of(cls, lab: Lab, embedder: Embedder, found: Searchable, thorough: bool = False) -> Identifier:
        """Match against an index; LabError if it is empty."""
        index = found.index
        if len(index) == 0:
            raise LabError(f"no coin is found in any image of the catalogue of {lab.folder}. Add others.")
        matcher = CoinMatcher(
            embedder, index, read_crop=EntryCrops(lab), verified=MOST_VERIFIED if thorough else VERIFIED
        )
        probability = Probability.from_card(embedder.card)
        links = CatalogueLinks(lab, matcher, probability)
        return cls(lab, matcher, probability, links, found.unusable, found.unreadable, found.waiting)

    def narrow(self, where: Where, reporter: Reporter) -> None:
        """Compare with part of the catalogue alone; LabError if there is none."""
        index, listed = self.matcher.index, self.lab.command("rig catalogue list")
        for sale in where.sales:
            if index.count(Where(sales=(sale,))) == 0:
                raise LabError(f"no catalogue image is of the sale {printable(sale)}. `{listed}` names the sales.")
        searched, total = index.count(where), count(len(index), "catalogue image")
        if searched == 0:
            stated = self.lab.command("rig catalogue stats")
            raise LabError(f"none of the {total} is as you ask. Ask for less; `{stated}` counts what is recorded.")
        reporter.report(f"{searched} of {total} are as you ask.")
        self.where = where

    def warn_of_missing(self, reporter: Reporter) -> None:
        """Warn if part of the catalogue is not searched: damaged images, and what another process embeds just now."""
        if self.unreadable:
            damaged = ", ".join(map(printable, self.unreadable))
            verify = self.lab.command("rig store verify")
            reporter.warn(
                f"not searched, because the image cannot be read: {damaged}. `{verify}` names the damaged file."
            )
        if self.waiting:
            reporter.warn(
                f"another command is embedding the catalogue: {count(self.waiting, 'more image')} will be searched "
                "when it has ended."
            )

    def identify(self, image: str, views: Sequence[View], own: Facts = NOTHING_KNOWN) -> Answer:
        """Rank the catalogue's coins for one coin seen in some views, of which this much is known."""
        with Store.open(self.lab.store, writing=False) as store:

            def weigh_record(names: Sequence[str]) -> float:
                return log_ratio_of(compare_records(own, store.catalogue.of_coins(names)))

            weigh = weigh_record if own != NOTHING_KNOWN else None
            matches = self.matcher.match(views, self.probability, self.links, self.where, weigh)
            candidates = tuple(_candidate(each, store, own) for each in matches[:TOP])
        if not matches:
            return Answer(image, judge(None, ()))
        return Answer(image, judge(matches[0].probability, matches[0].comparisons), candidates)

    def identify_scanned(self, store: Store, session_id: str, coin: str) -> Answer:
        """Identify a coin of a scan by its good frames, and keep the ranking in the store."""
        views = scanned_views(self.lab, store, store.frames.find(session_id, coin))
        if not views:
            return Answer(coin, error="no good frame of a side")
        answer = self.identify(coin, views, facts_of(store, coin))
        if answer.verdict:
            for side, drawing in self._evidence.draw(store, views, answer.candidates[0]) if answer.candidates else ():
                keep_evidence(self.lab, session_id, coin, side, drawing)
            store.rankings.add(session_id, coin, self.matcher.embedder.id, answer.verdict, answer.candidates)
        return answer

    def own_images(self, store: Store, coins: Sequence[SeenCoin], answer: Answer) -> Iterator[OwnImage]:
        """Photographs rotated as the best candidate is, with the evidence."""
        best = answer.candidates[0]
        drawn = self._evidence.draw_each(store, [View(coin.crop) for coin in coins], best)
        for coin, turn_deg, evidence in zip(coins, best.evidence["turns_deg"], drawn, strict=False):
            image = portrait(read_image(coin.path), (coin.centre_px, coin.radius_px), turn_deg, IMAGE_PX)
            yield OwnImage(side=coin.caption, image=image, caption=coin.caption, evidence=evidence)


def load_model(lab: Lab, model: str) -> Embedder:
    """Load a model that can identify.

    Raises
    ------
    LabError
        If the catalogue is empty, or the model has no calibrated probability.
    WeightsError
        If there is no such model.
    """
    require_catalogue(lab)
    embedder = open_model(lab, model)
    if "probability" not in embedder.card:
        raise LabError(
            f"model {embedder.name} has no calibrated probability, so similar is all it can say. "
            "Use another, such as `--model starter`, or one that `rig train` made."
        )
    return embedder


def build_catalogue(lab: Lab, model: str, reporter: Reporter) -> BuiltCatalogue:
    """Embed what a model has not seen of the catalogue yet, make its search index, and find coins that are in it twice.

    Raises
    ------
    LabError, WeightsError
        See `load_model`.
    """
    with reporter.step("Loading the model"):
        embedder = load_model(lab, model)
    with reporter.progress("Embedding the catalogue") as progress:
        identifier = Identifier.of(lab, embedder, build_index(lab, embedder, progress, reporter))
    identifier.warn_of_missing(reporter)
    with reporter.progress("Comparing the catalogue's coins with each other") as progress:
        identifier.links.compare_all(progress)
    return BuiltCatalogue(
        len(identifier.matcher.index),
        embedder.id,
        embedder.name,
        identifier.unusable,
        identifier.unreadable,
        identifier.links.links.pairs(),
    )


def build_shard(lab: Lab, model: str, shard: tuple[int, int], reporter: Reporter) -> BuiltShard:
    """Embed one machine's share of the catalogue.

    Raises
    ------
    LabError, WeightsError
        See `load_model`.
    """
    with reporter.step("Loading the model"):
        embedder = load_model(lab, model)
    with reporter.progress("Embedding the catalogue") as progress:
        images, embedded = embed_shard(lab, embedder, shard, progress, reporter)
    return BuiltShard(*shard, images, embedded, lab.catalogue / embedder.id / "parts")


def _candidate(match: Match, store: Store, own: Facts) -> Candidate:
    found = match.scored
    published = store.catalogue.of_coins([found.coin, *(each.coin for each in match.also)])
    evidence: dict[str, Any] = {"entries": found.entries, "turns_deg": found.turns_deg}
    if match.comparisons:
        sides = {entry.id: entry.side for entry in published}
        evidence["registrations"] = [
            {"entry": entry, "side": sides.get(entry), "turn_deg": turn_deg, **comparison_as_json(comparison)}
            for entry, turn_deg, comparison in zip(found.entries, found.turns_deg, match.comparisons, strict=True)
        ]
    if match.also:
        evidence["also"] = [
            {"coin": each.coin, "entry": each.entries[0], "probability": each.probability} for each in match.also
        ]
    if facts := facts_as_json(compare_records(own, published)):
        evidence["facts"] = facts
    evidence["sales"] = chain_of_sales(published)
    return Candidate(found.coin, match.entry, found.score, match.probability, evidence)


def identify_photographs(
    lab: Lab,
    photographs: SeenPhotographs,
    model: str,
    reporter: Reporter,
    *,
    top: int,
    report: bool,
    thorough: bool = False,
    where: Where = EVERYTHING,
) -> Answers:
    """Identify photographs, keep the best `top` candidates of each, and write the page of a curator if it is wanted.

    Raises
    ------
    LabError, WeightsError
        See `load_model`.
    """
    query, seen, errors = photographs.query, photographs.coins, photographs.errors
    identifier = Identifier.open(lab, model, reporter, thorough=thorough, where=where)
    coins = [coin for path in seen for coin in seen[path]]
    with reporter.progress(
        f"Comparing with {count(identifier.matcher.index.count(where), 'catalogue image')}"
    ) as progress:
        if query.same_coin:
            progress(0, 1)
            asked = [(tuple(coins), _answer_once(identifier, coins, errors))]
            progress(1, 1)
        else:
            found: dict[Path, list[tuple[tuple[SeenCoin, ...], Answer]]] = {
                path: [((), Answer(printable(str(path)), error=error))] for path, error in errors.items()
            }
            progress(0, len(coins))
            for number, coin in enumerate(coins, 1):
                found.setdefault(coin.path, []).append(((coin,), _answer(identifier, coin)))
                progress(number, len(coins))
            asked = [each for path in dict.fromkeys(query.paths) for each in found[path]]
    page = _write_page(identifier, asked) if report else None
    answers = [answer for _, answer in asked]
    return Answers(tuple(replace(answer, candidates=answer.candidates[:top]) for answer in answers), page)


def identify_session(
    lab: Lab,
    session_id: str | None,
    tray: str | None,
    model: str,
    reporter: Reporter,
    *,
    top: int,
    thorough: bool = False,
    where: Where = EVERYTHING,
) -> Answers:
    """Identify the coins of a stored scan by its frames, keep the rankings, and write its report again.

    Nothing moves: a scan that was made without identifying, or whose catalogue has grown since, is caught up on.

    Raises
    ------
    LabError, WeightsError
        If there is no such scan, or it has no good frame; and see `load_model`.
    """
    with Store.open(lab.store) as store:
        session = find_scan(lab, store, session_id, tray)
        photographed = {frame.coin_id for frame in store.frames.find(session.id) if frame.side != EDGE}
        coins = [coin for coin in session.frozen_tray().coins.values() if coin in photographed]
        if not coins:
            raise LabError(f"no frame of the scan of tray {session.name} ({session.id}) is good: nothing to identify.")
        identifier = Identifier.open(lab, model, reporter, thorough=thorough, where=where)
        answers = []
        with reporter.progress(f"Identifying tray {session.name}") as progress:
            for number, coin in enumerate(coins):
                progress(number, len(coins))
                answers.append(identifier.identify_scanned(store, session.id, coin))
            progress(len(coins), len(coins))
        report = write_report(lab, store, session)
    return Answers(tuple(replace(answer, candidates=answer.candidates[:top]) for answer in answers), report)


def _answer(identifier: Identifier, coin: SeenCoin) -> Answer:
    answer = identifier.identify(printable(str(coin.path)), [View(coin.crop)])
    return replace(answer, coin_number=coin.number, box=coin.box, fails=coin.fails)


def _answer_once(identifier: Identifier, coins: Sequence[SeenCoin], errors: dict[Path, str]) -> Answer:
    """One answer for all photographs of one coin; those that could not be used are its error."""
    # Which side is which is not known: as views of different "sides" they are searched apart and then fused.
    answer = identifier.identify(", ".join(coin.name for coin in coins), [View(coin.crop, side=None) for coin in coins])
    fails = dict.fromkeys(reason for coin in coins for reason in coin.fails)
    return replace(answer, error=" ".join(errors.values()) or None, fails=tuple(fails))


def _write_page(identifier: Identifier, answers: Sequence[tuple[tuple[SeenCoin, ...], Answer]]) -> Path:
    """The page of what was asked about: the same for photographs as for a scan."""
    with Store.open(identifier.lab.store, writing=False) as store:
        entries = store.catalogue.live(named_entries(each for _, answer in answers for each in answer.candidates))
        cards = []
        for number, (coins, answer) in enumerate(answers, 1):
            own = list(identifier.own_images(store, coins, answer)) if answer.candidates else []
            cards.append(photograph_card(store, number, answer, own, entries))
        return write_photograph_page(
            identifier.lab, cards, f"{identifier.matcher.embedder.name} {identifier.matcher.embedder.id}"
        )


def scanned_views(lab: Lab, store: Store, frames: Sequence[Frame]) -> list[View]:
    """Views of a coin's good frames, of each side from one placement: across placements angles are unknown.

    Where a lamp leaves half of a dark coin in the dark, less than the coin is found: such frames are left out, unless
    there are no others.
    """
    azimuths = {name: light.azimuth_deg for name, light in lab.rig.station.lightbox.lights.items()}
    views = []
    for side in SIDES:
        of_side = [frame for frame in frames if frame.side == side]
        if not of_side:
            continue
        placement = Counter(frame.placement for frame in of_side).most_common(1)[0][0]
        seen: list[tuple[float, View]] = []
        for frame in of_side:
            if frame.placement == placement:
                image = store.image(frame.calibrated_sha256 or frame.sha256)
                outline = find_coin(image)
                turned_deg, lamp_deg = frame.turntable_read_deg or 0.0, azimuths.get(frame.light or "")
                seen.append((outline.radius_px, View(normalise(image, outline), side, turned_deg, lamp_deg)))
        whole_px = _WHOLE * max(radius_px for radius_px, _ in seen)
        views += [view for radius_px, view in seen if radius_px >= whole_px]
    return views
