"""`rig explain`: why two images may show one coin, as numbers and as a drawing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image, read_image
from calibration.outline import NoCoinError, crop_coin
from capture.store import Store
from models.explanation.explanation import Explanation, Method, explain
from pipeline.collection.identify import entry_crop
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.model_in_use import open_model
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.reproduction import reproduction

REFERENCE_COINS = 24  # other coins: what these have too is no evidence
REFERENCE_SEED = 9003  # used nowhere else (see `pipeline.learning.training_coins`)
_ZOOM = 2


@dataclass(frozen=True)
class Explained:
    """Two images, what explains their similarity, and where that is drawn."""

    first: str
    second: str
    model: str
    reference: str
    explanation: Explanation
    drawing: Path

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        explanation = self.explanation
        answer: dict[str, Any] = {
            "first": self.first,
            "second": self.second,
            "model": self.model,
            "method": explanation.method,
            "score": explanation.score,
            "turn_deg": explanation.turn_deg,
            "picture": str(self.drawing),
        }
        if explanation.common is not None:
            parts = sum(pair.part for pair in explanation.pairs)
            pairs = [
                {"first_px": list(pair.first_px), "second_px": list(pair.second_px), "part": pair.part}
                for pair in explanation.pairs
            ]
            answer |= {"reference": self.reference, "common": explanation.common, "evidence": parts, "pairs": pairs}
        return answer


def explain_pair(lab: Lab | None, first: str, second: str, model: str, method: Method, out: Path) -> Explained:
    """Explain the similarity of two images, and draw it into `out`.

    Parameters
    ----------
    lab
        Where entries are looked up, and whose catalogue is the reference; None for procedural coins as reference.
    first, second
        Image files, or ids of the lab's catalogue entries.

    Raises
    ------
    UsageError
        If there is no such image or entry, or `out` does not end as an image file does.
    LabError
        If no coin is found in one of them, or `out` cannot be written.
    """
    if out.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
        raise UsageError(f"--out: {out} is no name for an image. Let it end in .png or .jpg.")
    one, other = (_crop(lab, name) for name in (first, second))
    embedder = open_model(lab, model)
    crops, reference = _reference(lab, {first, second}) if method == "cells" else ([], "")
    explanation = explain(embedder, one, other, method, reference=crops)
    write_image(out, draw_explanation(one, other, explanation))
    return Explained(first, second, f"{embedder.name} {embedder.id}", reference, explanation, out)


def draw_explanation(first: Image, second: Image, explanation: Explanation) -> Image:
    """Both crops above, and below them the same under their maps; red is the strongest evidence for one coin."""
    size = first.shape[0] * _ZOOM
    strongest = max(float(explanation.first.max()), float(explanation.second.max()), 1e-12)
    columns = []
    for crop, found in ((first, explanation.first), (second, explanation.second)):
        large = cv2.resize(crop, (size, size), interpolation=cv2.INTER_CUBIC)
        heat = cv2.resize(np.clip(found / strongest, 0.0, 1.0), (size, size), interpolation=cv2.INTER_LINEAR)
        columns.append(np.vstack([large, overlay(large, np.asarray(heat, np.float32))]))
    return np.ascontiguousarray(np.hstack(columns))


def overlay(image: npt.NDArray[Any], heat: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """An image with a map of 0 to 1 over it: yellow, then red, the higher the more of it."""
    colour = np.stack([np.full_like(heat, 255.0), 220.0 * (1.0 - heat), np.zeros_like(heat)], axis=2)
    share = (0.8 * heat)[:, :, None]
    return np.asarray(np.rint(image * (1.0 - share) + colour * share), np.uint8)


def _crop(lab: Lab | None, name: str) -> Image:
    if Path(name).is_file():
        try:
            image = read_image(Path(name))
            return crop_coin(image)
        except NoCoinError as error:
            raise LabError(f"{name}: {error}") from error
    if lab is not None:
        with Store.open(lab.store, writing=False) as store:
            for entry in store.catalogue.entries():
                if entry.id == name:
                    return entry_crop(store, entry)
    raise UsageError(f"{name} is neither an image nor an entry of the lab's catalogue. Check the spelling.")


def _reference(lab: Lab | None, named: set[str]) -> tuple[list[Image], str]:
    """Crops of other coins: entries from all over the lab's catalogue, or procedural ones where it is too small."""
    crops: list[Image] = []
    if lab is not None and (lab.store / "index.sqlite").is_file():
        with Store.open(lab.store, writing=False) as store:
            entries = [entry for entry in store.catalogue.entries() if entry.id not in named]
            for entry in entries[:: max(1, len(entries) // REFERENCE_COINS)][:REFERENCE_COINS]:
                try:
                    crops.append(entry_crop(store, entry))
                except NoCoinError:
                    continue
    if len(crops) >= REFERENCE_COINS // 2:
        return crops, f"{len(crops)} entries of the catalogue"
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
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise LabError(f"{path} cannot be written ({error.strerror}). Name another place with --out.") from error
