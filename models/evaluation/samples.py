"""Labelled crops, and how they are dealt into gallery and queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from calibration.image import Image


@dataclass(frozen=True)
class Sample:
    """One labelled crop: ``crop`` is normalised, or reads it when asked; ``name`` (file or hash) orders them.

    ``type`` and ``die`` are empty where unknown. Where ``coin`` names one side of a coin, ``specimen`` names the coin:
    intervals are over these.
    """

    name: str
    crop: Image | Callable[[], Image]
    coin: str
    session: str
    type: str = ""
    die: str = ""
    specimen: str = ""

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
