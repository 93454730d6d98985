"""`rig explain`: why two images may show one coin, as numbers and as a drawing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from calibration.durable_files import write_atomically
from calibration.image import Image, ImageError, read_image
from calibration.outline import crop_coin
from capture.photographs import side_by_name
from capture.store import Store
from models.explanation.explanation import Explanation, Method, explain
from models.matching.registration import Registration, lay_on, register_crops
from models.matching.rotation import turn_crop
from pipeline.collection.entries import UNREADABLE, entry_crop
from pipeline.collection.evidence import draw_evidence, registration_as_json
from pipeline.collection.facts import compare_records, facts_as_json, recorded_facts
from pipeline.collection.photographs import coins_in_order
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.model_in_use import open_model
from pipeline.wording import count
from rig.sides import Side
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.reproduction import reproduction

REFERENCE_COINS = 24  # other coins: what these have too is no evidence
REFERENCE_SEED = 9003  # used nowhere else (see `pipeline.learning.training_coins`)
_ZOOM = 2


Sides = dict[Side | None, Image]
"""The crops that an image has, by side; None where it does not say which side it shows."""


@dataclass(frozen=True)
class Pair:
    """Two images to compare: files, or ids of the lab's catalogue entries; ``side`` is the one that is meant."""

    first: str
    second: str
    side: Side | None = None


@dataclass(frozen=True)
class OtherPair:
    """Two sides that could have been compared as well, and how similar they are."""

    first: Side | None
    second: Side | None
    score: float


@dataclass(frozen=True)
class Explained:
    """Two images, which sides of them were compared, what explains their similarity, and where that is drawn.

    ``others`` are the sides that could have been compared as well: they are less similar. ``registration`` is how the
    first, turned upright, lies on the second. ``facts`` are what the records of two entries say for it and against it.
    """

    first: str
    second: str
    sides: tuple[Side | None, Side | None]
    others: tuple[OtherPair, ...]
    model: str
    reference: str
    explanation: Explanation
    registration: Registration
    drawing: Path
    facts: tuple[dict[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        explanation = self.explanation
        answer: dict[str, Any] = {
            "first": self.first,
            "second": self.second,
            "sides": list(self.sides),
            "others": [{"sides": [each.first, each.second], "score": each.score} for each in self.others],
            "model": self.model,
            "method": explanation.method,
            "score": explanation.score,
            "turn_deg": explanation.turn_deg,
            "registration": registration_as_json(self.registration),
            "picture": str(self.drawing),
            **({"facts": list(self.facts)} if self.facts else {}),
        }
        if explanation.common is not None:
            parts = sum(pair.part for pair in explanation.pairs)
            pairs = [
                {
                    "first_px": list(pair.first_px),
                    "second_px": list(pair.second_px),
                    "part": pair.part,
                    "strength": pair.strength,
                }
                for pair in explanation.pairs
            ]
            answer |= {"reference": self.reference, "common": explanation.common, "evidence": parts, "pairs": pairs}
        return answer


def explain_pair(lab: Lab | None, pair: Pair, model: str, method: Method, out: Path) -> Explained:
    """Explain the similarity of two images, and draw it into `out`.

    An obverse is compared with an obverse. An image that shows two coins has the obverse on the left or above, the
    reverse on the right or below; one whose side is not known is compared with both sides, and the more similar one is
    explained.

    Parameters
    ----------
    lab
        Where entries are looked up, and whose catalogue is the reference; None for procedural coins as reference.

    Raises
    ------
    UsageError
        If there is no such image or entry, or `out` does not end as an image file does.
    LabError
        If no coin is found in one of them, they show no side in common, or `out` cannot be written.
    """
    if out.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
        raise UsageError(f"--out: {out} is no name for an image. Let it end in .png or .jpg.")
    first, second = (_read_sides(lab, name) for name in (pair.first, pair.second))
    comparable = _comparable(pair, first, second)
    embedder = open_model(lab, model)
    crops, reference = _reference(lab, {pair.first, pair.second}) if method == "cells" else ([], "")
    explained = [(explain(embedder, first[a], second[b], method, reference=crops), a, b) for a, b in comparable]
    (explanation, a, b), *others = sorted(explained, key=lambda each: each[0].score, reverse=True)
    found = register_crops(turn_crop(first[a], explanation.turn_deg), second[b])
    laid, on_laid = (lay_on(each, found, explanation.turn_deg) for each in (first[a], explanation.first))
    drawing = draw_evidence(
        (np.asarray(laid, np.uint8), second[b]), found, (on_laid, explanation.second), _ZOOM * len(second[b])
    )
    write_image(out, drawing)
    return Explained(
        first=pair.first,
        second=pair.second,
        sides=(a, b),
        others=tuple(OtherPair(one, other, each.score) for each, one, other in others),
        model=f"{embedder.name} {embedder.id}",
        reference=reference,
        explanation=explanation,
        registration=found,
        drawing=out,
        facts=_compare_records(lab, pair),
    )


def _compare_records(lab: Lab | None, pair: Pair) -> tuple[dict[str, Any], ...]:
    """What the records of two entries say; nothing of images that are no entries."""
    if lab is None or Path(pair.first).is_file() or Path(pair.second).is_file():
        return ()
    with Store.open(lab.store, writing=False) as store:
        entries = store.catalogue.named([pair.first, pair.second])
    return tuple(facts_as_json(compare_records(recorded_facts(entries[pair.first]), [entries[pair.second]])))


def _comparable(pair: Pair, first: Sides, second: Sides) -> list[tuple[Side | None, Side | None]]:
    """The sides of two images that may show the same side of a coin."""
    together = [(a, b) for a in first for b in second if a == b or None in (a, b)]
    if not together:
        (a,), (b,) = first, second
        raise LabError(
            f"{pair.first} shows the {a}, {pair.second} the {b}: two sides of a coin cannot be compared. Name images "
            "of one side."
        )
    meant = [(a, b) for a, b in together if pair.side is None or pair.side in (a, b) or a is b is None]
    if not meant:
        raise LabError(f"--side: the images show no {pair.side} in common.")
    return meant


def _read_sides(lab: Lab | None, name: str) -> Sides:
    path = Path(name)
    if path.is_file():
        image = read_image(path)
        try:
            coins = coins_in_order(image, name)
        except ImageError as error:
            raise LabError(str(error)) from error
        if len(coins) == 1:
            return {side_by_name(path): coins[0].crop()}
        if len(coins) == 2:
            obverse, reverse = _cut_between(image, coins[0].centre_px, coins[1].centre_px)
            return {"obverse": crop_coin(obverse), "reverse": crop_coin(reverse)}
        raise LabError(
            f"{name} shows {len(coins)} coins. Crop it to one coin side, or to obverse and reverse side by side."
        )
    if lab is not None:
        with Store.open(lab.store, writing=False) as store:
            for entry in store.catalogue.entries():
                if entry.id == name:
                    return {entry.side: entry_crop(store, entry)}
    raise UsageError(f"{name} is neither an image nor an entry of the lab's catalogue. Check the spelling.")


def _cut_between(image: Image, first: tuple[float, float], second: tuple[float, float]) -> tuple[Image, Image]:
    """Cut an image between two coins, given their centres (x, y): each is found more surely by itself."""
    across, down = (abs(one - other) for one, other in zip(first, second, strict=True))
    middle_x, middle_y = (round((one + other) / 2) for one, other in zip(first, second, strict=True))
    if across >= down:
        return image[:, :middle_x], image[:, middle_x:]
    return image[:middle_y], image[middle_y:]


def _reference(lab: Lab | None, named: set[str]) -> tuple[list[Image], str]:
    """Crops of other coins: entries from all over the lab's catalogue, or procedural ones where it is too small."""
    crops: list[Image] = []
    if lab is not None and (lab.store / "index.sqlite").is_file():
        with Store.open(lab.store, writing=False) as store:
            entries = [entry for entry in store.catalogue.entries() if entry.id not in named]
            for entry in entries[:: max(1, len(entries) // REFERENCE_COINS)][:REFERENCE_COINS]:
                try:
                    crops.append(entry_crop(store, entry))
                except UNREADABLE:
                    continue
    if len(crops) >= REFERENCE_COINS // 2:
        return crops, f"{count(len(crops), 'entry', 'entries')} of the catalogue"
    drawer = ProceduralDrawer(REFERENCE_SEED)
    crops = []
    for number in range(REFERENCE_COINS):
        image = reproduction(drawer.side_texture(f"r{number}", "obverse"), number, "photograph")
        crops.append(crop_coin(image))
    return crops, f"{len(crops)} procedural coins"


def write_image(path: Path, image: Image) -> None:
    """Write an image in the format its name asks for.

    Raises
    ------
    LabError
        If it cannot be.
    """
    encoded, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not encoded:
        raise LabError(f"{path} cannot be encoded. Give another name, ending in .png.")
    try:
        write_atomically(path, data.tobytes())
    except OSError as error:
        raise LabError(f"{path} cannot be written ({error.strerror}). Name another place with --out.") from error
