"""Answers to which catalogue coin photographs show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.every_coin import Box
from capture.names import printable
from capture.store.records import Candidate
from pipeline.collection.photographs import SeenPhotographs
from pipeline.reports.scan_results import candidate_as_json


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
    coin_number, box
        Which of an image's coins it is, from 1, and its box (left, top, right, bottom) in px; None where the image
        shows but one, or it is the answer for several.
    """

    image: str
    verdict: str | None = None
    candidates: tuple[Candidate, ...] = ()
    error: str | None = None
    fails: tuple[str, ...] = ()
    coin_number: int | None = None
    box: Box | None = None

    @property
    def name(self) -> str:
        """What was asked about, for a person."""
        return self.image + (f", coin {self.coin_number}" if self.coin_number else "")

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "image": self.image,
            **({"coin_number": self.coin_number, "box": self.box} if self.box else {}),
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


def answer_without_model(seen: SeenPhotographs) -> Answers:
    """The answer to photographs of which none can be used: why."""
    failed = [Answer(printable(str(path)), error=error) for path, error in seen.errors.items()]
    if seen.query.same_coin:
        failed = [Answer(", ".join(each.image for each in failed), error=" ".join(seen.errors.values()))]
    return Answers(tuple(failed))
