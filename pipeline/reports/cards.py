"""A coin on a page: both sides beside the best candidate, with the evidence, and the other candidates below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from calibration.image import Image, ImageError
from capture.store import Store, StoreError
from capture.store.records import Candidate, Entry
from pipeline.reports.facts import describe_facts
from pipeline.reports.images import as_data_url, entry_portrait
from pipeline.reports.pages import cite
from pipeline.reports.scan_results import other_names
from rig.sides import SIDES

IMAGE_PX = 640  # of the coin and its best candidate, opened large
SMALL_PX = 200  # of the others
SHOWN = 5  # candidates
MATCH, POSSIBLE, SAME_DIE = "match", "possible", "same die"


@dataclass(frozen=True)
class Figure:
    """An image of a page; ``alt`` says what it shows to those who do not see it."""

    data: str
    caption: str
    alt: str


@dataclass(frozen=True)
class OwnImage:
    """One side of the coin itself, upright; ``evidence`` are both coins under their maps, where they were drawn."""

    side: str
    image: Image
    caption: str
    evidence: Image | None = None


@dataclass(frozen=True)
class SideView:
    """One side: the coin, its best candidate, and the evidence."""

    side: str
    own: Figure | None
    entry: Figure | None
    evidence: Figure | None


@dataclass(frozen=True)
class CandidateView:
    """A candidate: where it was published, under which name the catalogue has it, and how sure it is.

    ``also`` are the other lots of the same coin, ``facts`` what the record says for it and against it.
    """

    rank: int
    coin: str
    citation: str
    probability: float
    score: float
    figures: tuple[Figure, ...]
    also: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """A coin on a page. ``anchor`` is its id there, ``note`` says more beside its name.

    ``warnings`` are frames in quarantine, ``cautions`` what makes the answer less certain, ``sheet`` all frames, small.
    """

    anchor: str
    title: str
    note: str
    verdict: str | None
    sides: tuple[SideView, ...]
    candidates: tuple[CandidateView, ...]
    warnings: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    sheet: tuple[Figure, ...] = field(default=())

    @property
    def verdict_class(self) -> str:
        """How the verdict looks."""
        return (self.verdict or "bad").split()[0]

    @property
    def sentence(self) -> str:
        """What it comes to."""
        best = self.candidates[0].citation if self.candidates else ""
        return {
            MATCH: f"{self.title} is the coin of {best}.",
            POSSIBLE: f"{self.title} may be the coin of {best}. Compare them before you decide.",
            SAME_DIE: f"{self.title} was struck from a die of {best}, and is another coin, as far as can be seen.",
            "not in catalogue": f"{self.title} is not in the catalogue, as far as can be seen; most similar is {best}.",
        }.get(self.verdict or "", "Not identified.")


def view_sides(store: Store, own: Sequence[OwnImage], best: Sequence[Entry]) -> tuple[SideView, ...]:
    """Each side of a coin beside its best candidate's."""
    by_side = {each.side: each for each in own}
    entries: dict[str, Entry] = {}
    for number, entry in enumerate(best):
        entries.setdefault(entry.side if entry.side in by_side else _side_at(own, number, entry), entry)
    order = [*SIDES, *(side for side in {**by_side, **entries} if side not in SIDES)]
    views = []
    for side in (side for side in order if side in by_side or side in entries):
        shown = by_side.get(side)
        views.append(SideView(side, _own(shown), _entry(store, entries.get(side), IMAGE_PX), _evidence(shown)))
    return tuple(views)


def view_candidates(
    store: Store, candidates: Sequence[Candidate], entries: Mapping[str, Entry]
) -> tuple[CandidateView, ...]:
    """The first candidates with their images; those of the best one are shown large already."""
    views = []
    for rank, candidate in enumerate(candidates[:SHOWN], 1):
        published = entries_of(candidate, entries)
        figures = [figure for entry in published if (figure := _entry(store, entry, SMALL_PX)) and rank > 1]
        citation = cite(published[0]) if published else candidate.entry_id
        views.append(
            CandidateView(
                rank,
                candidate.coin,
                citation,
                candidate.probability,
                candidate.score,
                tuple(figures),
                cite_others(candidate, entries),
                tuple(describe_facts(candidate.evidence.get("facts", ()))),
            )
        )
    return tuple(views)


def cite_others(candidate: Candidate, entries: Mapping[str, Entry]) -> tuple[str, ...]:
    """The other lots of a candidate's coin, as a person would cite them, each with the probability that it is one."""
    return tuple(
        f"{cite(entries[other['entry']]) if other['entry'] in entries else other['entry']} "
        f"(probably the same coin: {other['probability']:.2f})"
        for other in other_names(candidate)
    )


def entries_of(candidate: Candidate, entries: Mapping[str, Entry]) -> list[Entry]:
    """The entries of a candidate that are still in the catalogue, obverse first."""
    found = [entries[name] for name in candidate.evidence.get("entries", ()) if name in entries]
    return sorted(found, key=lambda entry: SIDES.index(entry.side) if entry.side in SIDES else len(SIDES))


def named_entries(candidates: Iterable[Candidate]) -> set[str]:
    """The ids of the entries that candidates name."""
    return {
        name
        for each in candidates
        for name in (each.entry_id, *each.evidence.get("entries", ()), *(other["entry"] for other in other_names(each)))
    }


def _side_at(own: Sequence[OwnImage], number: int, entry: Entry) -> str:
    return own[number].side if number < len(own) else entry.side or str(number)


def _own(own: OwnImage | None) -> Figure | None:
    if own is None:
        return None
    return Figure(as_data_url(own.image, 86), own.caption, f"{own.side} of this coin")


def _entry(store: Store, entry: Entry | None, size_px: int) -> Figure | None:
    if entry is None:
        return None
    try:
        shown = entry_portrait(store, entry, size_px)
    except (StoreError, ImageError):
        return None  # `rig store verify` finds it; a report is no reason to stop
    side = f", {entry.side}" if entry.side else ""
    return Figure(as_data_url(shown, 86), f"{cite(entry)}{side}", f"{cite(entry)}{side}")


def _evidence(own: OwnImage | None) -> Figure | None:
    if own is None or own.evidence is None:
        return None
    caption = (
        "this coin left, laid on the catalogue's right. Above: points that both have (green); middle: where they agree "
        "(red); below: where they differ (blue)"
    )
    return Figure(as_data_url(own.evidence, 84), caption, f"evidence on the {own.side}")
