"""The page of photographs that were identified: one HTML file, images included, that opens offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from capture.store import Store
from capture.store.records import Candidate, Entry
from pipeline.lab import Lab
from pipeline.reports.cards import Card, OwnImage, entries_of, view_candidates, view_sides
from pipeline.reports.pages import page_template, write_page


class PhotographAnswer(Protocol):
    """What photographs of one coin were matched with."""

    @property
    def name(self) -> str: ...

    @property
    def verdict(self) -> str | None: ...

    @property
    def candidates(self) -> tuple[Candidate, ...]: ...

    @property
    def error(self) -> str | None: ...

    @property
    def fails(self) -> tuple[str, ...]: ...


def photograph_card(
    store: Store, number: int, answer: PhotographAnswer, own: Sequence[OwnImage], entries: Mapping[str, Entry]
) -> Card:
    """The card of one answer."""
    cautions = [answer.error] if answer.error else []
    if answer.fails:
        cautions.append(f"The photograph fails a check ({', '.join(answer.fails)}): the answer is less certain.")
    return Card(
        anchor=f"photograph{number}",
        title=", ".join(Path(name).name for name in answer.name.split(", ")),
        note="",
        verdict=answer.verdict,
        sides=view_sides(store, own, entries_of(answer.candidates[0], entries) if answer.candidates else []),
        candidates=view_candidates(store, answer.candidates, entries),
        cautions=tuple(cautions),
    )


def write_photograph_page(lab: Lab, cards: Sequence[Card], model: str) -> Path:
    """Write ``reports/identify-<time>.html`` and return its path."""
    now = datetime.now().astimezone()
    page = page_template("photographs.html").render(cards=cards, at=f"{now:%Y-%m-%d %H:%M %Z}", model=model)
    return write_page(lab, f"identify-{now:%Y%m%dT%H%M%S}.html", page)
