"""Labelled crops, and how they are dealt into gallery and queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from calibration.image import Image
from models.matching.duplicates import SAME_PHOTOGRAPH, find_duplicates, unroll
from models.progress import Progress


@dataclass(frozen=True)
class Sample:
    """One labelled crop: ``crop`` is normalised, or reads it when asked; ``name`` (file or hash) orders them.

    ``type`` and ``die`` are empty where unknown. Where ``coin`` names one side of a coin, ``specimen`` names the coin:
    intervals are over these. ``is_scanned`` if the rig took it: two scans of a coin are alike, and no copies.
    """

    name: str
    crop: Image | Callable[[], Image]
    coin: str
    session: str
    type: str = ""
    die: str = ""
    specimen: str = ""
    is_scanned: bool = False

    def read(self) -> Image:
        """The crop itself."""
        return self.crop() if callable(self.crop) else self.crop


class SampleCrops(Sequence[Image]):
    """The crops of some samples, each read when it is asked for."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [sample.read() for sample in self._samples[place]]
        return self._samples[place].read()


@dataclass(frozen=True)
class Copy:
    """A sample that is the same image as another of a different coin or session, by their names."""

    name: str
    coin: str
    copy_of: str
    copy_of_coin: str

    def as_dict(self) -> dict[str, str]:
        """As plain data, for JSON."""
        return {"image": self.name, "coin": self.coin, "copy_of": self.copy_of, "copy_of_coin": self.copy_of_coin}


def leave_out_copies(
    samples: Sequence[Sample], on_progress: Progress = lambda done, total: None
) -> tuple[list[Sample], list[Copy]]:
    """Samples without those that are copies of others: to find the same image again is no achievement.

    Of copies under the names of two coins the first is kept, though either name may be wrong.
    """
    ordered = sorted(samples, key=lambda sample: (sample.session, sample.name))
    images = []
    for number, sample in enumerate(ordered):
        on_progress(number, len(ordered))
        images.append(unroll(sample.read()))
    on_progress(len(ordered), len(ordered))
    names = [f"{sample.coin}\n{'' if sample.is_scanned else sample.session}" for sample in ordered]
    copies: dict[int, int] = {}
    for pair in find_duplicates(images, names):
        first, second = ordered[pair.first], ordered[pair.second]
        is_copy = first.coin != second.coin or pair.score >= SAME_PHOTOGRAPH
        if is_copy and pair.first not in copies and not (first.is_scanned and second.is_scanned):
            copies.setdefault(pair.second, pair.first)
    kept = [sample for number, sample in enumerate(ordered) if number not in copies]
    found = ((ordered[copy], ordered[original]) for copy, original in copies.items())
    return kept, [Copy(one.name, one.coin, other.name, other.coin) for one, other in found]


def split(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample], list[Sample]]:
    """Gallery, queries of other sessions, and the remaining crops of the first session."""
    by_coin: dict[str, list[Sample]] = {}
    for sample in sorted(samples, key=lambda sample: (sample.session, sample.name)):
        by_coin.setdefault(sample.coin, []).append(sample)
    gallery: list[Sample] = []
    queries: list[Sample] = []
    within: list[Sample] = []
    for coin in sorted(by_coin):
        first, *others = by_coin[coin]
        gallery.append(first)
        for sample in others:
            (within if sample.session == first.session else queries).append(sample)
    return gallery, queries, within
