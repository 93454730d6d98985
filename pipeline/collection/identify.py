"""Is this the same physical coin? Images in, ranked catalogue coins with a calibrated probability out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from calibration.image import ImageError, read_image
from calibration.outline import NoCoinError, crop_coin
from capture.names import printable
from capture.store import Store
from capture.store.records import Candidate, Frame
from models.embedding.embedder import Embedder, Features
from models.matching.entries import embed_entries
from models.matching.index import CatalogueIndex, CatalogueIndexError, FaissIndex, GalleryEntry
from models.matching.matcher import CoinMatcher
from models.matching.probability import Probability, Verdict, verdict
from models.matching.views import View
from pipeline.collection.entries import entry_crop
from pipeline.collection.evidence import EvidenceDrawer
from pipeline.collection.photographs import SeenCoin, see_coin
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.model_in_use import open_model
from pipeline.reporter import Reporter
from pipeline.reports.cards import IMAGE_PX, OwnImage
from pipeline.reports.evidence import keep_evidence
from pipeline.reports.images import portrait
from pipeline.reports.photograph_page import photograph_card, write_photograph_page
from pipeline.reports.results import candidate_as_json

TOP = 10  # candidates kept of every ranking
_BATCH = 32  # images embedded at a time


@dataclass(frozen=True)
class Answer:
    """What one coin was matched with.

    Attributes
    ----------
    image
        Names the images of it.
    error
        Why there is no answer, or why one of its images was left out.
    fails
        Checks that its images fail, such as ``blur``: the answer is the less certain.
    """

    image: str
    verdict: Verdict | None = None
    candidates: tuple[Candidate, ...] = ()
    error: str | None = None
    fails: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "image": self.image,
            "verdict": self.verdict,
            "candidates": [candidate_as_json(each) for each in self.candidates],
            **({"error": self.error} if self.error else {}),
            **({"fails": self.fails} if self.fails else {}),
        }


@dataclass(frozen=True)
class Answers:
    """An answer for each coin that was asked about, and the page of them if one was wanted."""

    answers: tuple[Answer, ...]
    page: Path | None = None

    @property
    def failed(self) -> int:
        """How many are errors."""
        return sum(answer.verdict is None for answer in self.answers)

    def as_json(self) -> list[dict[str, Any]]:
        """As plain data (docs/json.md)."""
        return [answer.as_json() for answer in self.answers]


@dataclass(frozen=True)
class BuiltCatalogue:
    """What can be searched with a model: how many entries, and those in which no coin is found."""

    entries: int
    model: str
    model_name: str
    unusable: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {"entries": self.entries, "model": self.model, "unusable": self.unusable}


@dataclass
class Identifier:
    """A model, and the catalogue as that model sees it."""

    lab: Lab
    embedder: Embedder
    index: CatalogueIndex
    probability: Probability
    unusable: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        self._evidence = EvidenceDrawer(self.embedder)

    @classmethod
    def open(cls, lab: Lab, model: str, reporter: Reporter) -> Identifier:
        """Load `model`, embed what it has not seen of the catalogue yet, and bring the search index up to date.

        Raises
        ------
        LabError
            If the catalogue is empty, or the model has no calibrated probability.
        WeightsError
            If there is no such model.
        """
        embedder = open_model(lab, model)
        if "probability" not in embedder.card:
            raise LabError(
                f"model {embedder.name} has no calibrated probability, so similar is all it can say. "
                "Use another, such as `--model starter`, or one that `rig train` made."
            )
        with Store.open(lab.store) as store:
            store.embeddings.add_model(embedder.id, embedder.name, embedder.card)
            unusable = embed_catalogue(store, embedder, reporter)
            index = load_index(lab, store, embedder)
        if len(index) == 0:
            raise LabError(
                f"the catalogue of {lab.folder} is empty: there is nothing to match against. "
                "Fill it with `rig catalogue add DIR`."
            )
        return cls(lab, embedder, index, Probability.from_card(embedder.card), unusable)

    def identify(self, image: str, views: Sequence[View]) -> Answer:
        """Rank the catalogue's coins for one coin seen in some views."""
        found = CoinMatcher(self.embedder, self.index).rank(views)
        probabilities = self.probability.of(found)
        candidates = tuple(
            Candidate(
                each.coin, each.entries[0], each.score, chance, {"entries": each.entries, "turns_deg": each.turns_deg}
            )
            for each, chance in zip(found[:TOP], probabilities, strict=False)
        )
        return Answer(image, verdict(candidates[0].probability if candidates else None), candidates)

    def identify_scanned(self, store: Store, session_id: str, coin: str) -> Answer:
        """Identify a coin of a scan by its good frames, and keep the ranking in the store."""
        views = scanned_views(self.lab, store, store.frames.find(session_id, coin))
        if not views:
            return Answer(coin, error="no good frame")
        answer = self.identify(coin, views)
        if answer.verdict:
            for side, drawing in self._evidence.draw(store, views, answer.candidates[0]) if answer.candidates else ():
                keep_evidence(self.lab, session_id, coin, side, drawing)
            store.rankings.add(session_id, coin, self.embedder.id, answer.verdict, answer.candidates)
        return answer

    def own_images(
        self, store: Store, paths: Sequence[Path], answer: Answer, seen: dict[Path, SeenCoin]
    ) -> Iterator[OwnImage]:
        """Photographs rotated as the best candidate is, with the evidence."""
        best = answer.candidates[0]
        views = [View(seen[path].crop) for path in paths]
        drawn = self._evidence.draw_each(store, views, best)
        for path, turn_deg, evidence in zip(paths, best.evidence["turns_deg"], drawn, strict=False):
            outline = seen[path].outline
            image = portrait(read_image(path), (outline.centre_px, outline.radius_px), turn_deg, IMAGE_PX)
            yield OwnImage(side=printable(path.name), image=image, caption=printable(path.name), evidence=evidence)


def build_catalogue(lab: Lab, model: str, reporter: Reporter) -> BuiltCatalogue:
    """Embed what a model has not seen of the catalogue yet, and make its search index; see `Identifier.open`."""
    identifier = Identifier.open(lab, model, reporter)
    return BuiltCatalogue(len(identifier.index), identifier.embedder.id, identifier.embedder.name, identifier.unusable)


@dataclass(frozen=True)
class PhotographQuery:
    """Photographs to identify: each by itself, or all as one coin; ``coin`` is which of several in each of them."""

    paths: Sequence[Path]
    same_coin: bool = False
    coin: int | None = None


def identify_photographs(
    lab: Lab, query: PhotographQuery, model: str, reporter: Reporter, *, top: int, report: bool
) -> Answers:
    """Identify photographs, keep the best `top` candidates of each, and write the page of a curator if it is wanted.

    The photographs are looked at first: where none shows a coin, no model is loaded.

    Raises
    ------
    LabError, WeightsError
        See `Identifier.open`.
    """
    seen: dict[Path, SeenCoin] = {}
    errors: dict[Path, str] = {}
    for path in query.paths:
        try:
            seen[path] = see_coin(path, query.coin)
        except ImageError as error:
            errors[path] = printable(str(error))
    if not seen:
        return Answers(tuple(Answer(printable(str(path)), error=error) for path, error in errors.items()))
    identifier = Identifier.open(lab, model, reporter)
    if query.same_coin:
        asked = [tuple(seen)]
        answers = [_answer_once(identifier, seen, errors)]
    else:
        asked = [(path,) for path in dict.fromkeys(query.paths)]
        answers = [
            replace(identifier.identify(printable(str(path)), [View(seen[path].crop)]), fails=seen[path].fails)
            if path in seen
            else Answer(printable(str(path)), error=errors[path])
            for (path,) in asked
        ]
    page = _write_page(identifier, list(zip(asked, answers, strict=True)), seen) if report else None
    return Answers(tuple(replace(answer, candidates=answer.candidates[:top]) for answer in answers), page)


def _answer_once(identifier: Identifier, seen: dict[Path, SeenCoin], errors: dict[Path, str]) -> Answer:
    """One answer for all photographs of one coin; those that could not be used are its error."""
    # Which side is which is not known: as views of different "sides" they are searched apart and then fused.
    answer = identifier.identify(
        ", ".join(printable(str(path)) for path in seen), [View(each.crop, side=None) for each in seen.values()]
    )
    fails = dict.fromkeys(reason for each in seen.values() for reason in each.fails)
    return replace(answer, error=" ".join(errors.values()) or None, fails=tuple(fails))


def _write_page(
    identifier: Identifier, answers: Sequence[tuple[tuple[Path, ...], Answer]], seen: dict[Path, SeenCoin]
) -> Path:
    """The page of what was asked about: the same for photographs as for a scan."""
    with Store.open(identifier.lab.store) as store:
        entries = {entry.id: entry for entry in store.catalogue.entries()}
        cards = []
        for number, (paths, answer) in enumerate(answers, 1):
            own = list(identifier.own_images(store, paths, answer, seen)) if answer.candidates else []
            cards.append(photograph_card(store, number, answer, own, entries))
        return write_photograph_page(identifier.lab, cards, f"{identifier.embedder.name} {identifier.embedder.id}")


def scanned_views(lab: Lab, store: Store, frames: Sequence[Frame]) -> list[View]:
    """Views of a coin's good frames, of each side from one placement: across placements angles are unknown."""
    azimuths = {name: light.azimuth_deg for name, light in lab.rig.station.lightbox.lights.items()}
    views = []
    for side in ("obverse", "reverse"):
        of_side = [frame for frame in frames if frame.side == side]
        if not of_side:
            continue
        placement = Counter(frame.placement for frame in of_side).most_common(1)[0][0]
        for frame in of_side:
            if frame.placement == placement:
                image = store.image(frame.calibrated_sha256 or frame.sha256)
                views.append(
                    View(
                        crop_coin(image),
                        side,
                        frame.turntable_read_deg or 0.0,
                        azimuths.get(frame.light or ""),
                    )
                )
    return views


def embed_catalogue(store: Store, embedder: Embedder, reporter: Reporter) -> tuple[str, ...]:
    """Embed the entries that `embedder` has not embedded yet; return those in which no coin is found."""
    done = store.embeddings.image_ids(embedder.id)
    waiting = [entry for entry in store.catalogue.entries() if entry.id not in done]
    unusable: list[str] = []
    with reporter.progress("Embedding the catalogue") as progress:
        for start in range(0, len(waiting), _BATCH):
            progress(start, len(waiting))
            entries, crops = [], []
            for entry in waiting[start : start + _BATCH]:
                try:
                    crops.append(entry_crop(store, entry))
                    entries.append(entry.id)
                except NoCoinError:
                    unusable.append(entry.id)
            features = embed_entries(embedder, crops)
            store.embeddings.add(embedder.id, entries, features.pooled, features.grid)
        if waiting:
            progress(len(waiting), len(waiting))
    return tuple(unusable)


def load_index(lab: Lab, store: Store, embedder: Embedder) -> FaissIndex:
    """The search index of the catalogue as it is now: the saved one if it still fits, else made from the store."""
    embedded = store.embeddings.image_ids(embedder.id)
    entries = [entry for entry in store.catalogue.entries() if entry.id in embedded]
    folder = lab.catalogue / embedder.id
    if folder.is_dir():
        try:
            index = FaissIndex.load(folder, embedder.id)
        except CatalogueIndexError:
            pass  # made again below: the truth is in the store
        else:
            if [entry.entry_id for entry in index.entries] == [entry.id for entry in entries]:
                return index
    index = FaissIndex(embedder.id)
    if entries:
        types = store.coins.types()
        pooled, grid = store.embeddings.get(embedder.id, [entry.id for entry in entries])
        if grid is None:
            raise LabError("the catalogue's embeddings are incomplete. Run `rig catalogue build`.")
        rows = [GalleryEntry(entry.id, entry.coin_id, entry.side, types.get(entry.coin_id)) for entry in entries]
        index.add(rows, Features(pooled, grid))
    lab.catalogue.mkdir(parents=True, exist_ok=True)
    index.save(folder)
    return index
