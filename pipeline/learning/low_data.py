"""`rig types`: how well types are recognised, by how many coins they are learnt from."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibration.durable_files import make_folder, write_atomically
from calibration.image import Image
from calibration.outline import crop_coin
from models.classification.classification import ClassificationConfig, Classifier, Point, TypeSample, low_data_curve
from models.classification.type_explanation import explain_type
from models.explanation.last_map import ExplanationError
from pipeline.lab import Lab
from pipeline.learning.dataset import open_dataset
from pipeline.learning.explain import write_image
from pipeline.reporter import Progress, Reporter
from pipeline.reports import plots
from pipeline.reports.evidence import overlay
from pipeline.reports.pages import write_drawing
from pipeline.wording import count
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.reproduction import reproduction

GENERATED = "generated"
SEED = 9005  # of the generated coins; used nowhere else
_TYPES_SHOWN = 8
_TEST_SHARE = 5  # of generated coins, one in so many tests


@dataclass(frozen=True)
class GeneratedTypes:
    """Procedural coins in place of a dataset: how many types, and coins of each."""

    types: int
    coins: int


@dataclass(frozen=True)
class LowDataCurve:
    """Accuracy by the share of the training coins, and where it is kept."""

    path: Path
    points: tuple[Point, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {"result": str(self.path), "points": [asdict(point) for point in self.points]}


def measure_low_data(
    lab: Lab, data: str | GeneratedTypes, config: ClassificationConfig, shares: Sequence[float], reporter: Reporter
) -> LowDataCurve:
    """Train on ever fewer coins, and keep the curve as ``results/types-<data>-<network>-<tuning>.json`` and ``.svg``.

    Beside them a ``.png`` shows a test image of each type, and below it where the classifier of the largest share
    sees the type it names; none where its network has no places to point to.

    Parameters
    ----------
    data
        The name of a dataset whose coins' types are learnt, or what to generate.

    Raises
    ------
    LabError
        If there is no such dataset.
    ClassificationError
        If it has too few types.
    """
    if isinstance(data, GeneratedTypes):
        with reporter.progress("Drawing coins") as progress:
            training, test = generate_samples(data.types, data.coins, progress)
    else:
        opened = open_dataset(lab, data)
        known = {coin.group for coin in opened.training_coins("train") if coin.group}
        training, test = (
            [
                TypeSample(crop, coin.group, coin.label)
                for part in parts
                for coin in opened.training_coins(part)
                if coin.group in known
                for crop in coin.crops
            ]
            for parts in (("train",), ("test",))
        )
    path = result_path(lab, data if isinstance(data, str) else GENERATED, config.network, config.tuning)
    make_folder(path.parent)
    path.with_suffix(".png").unlink(missing_ok=True)

    def keep(point: Point, classifier: Classifier) -> None:
        reporter.report(
            f"{point.share:.0%} of the coins ({point.coins}, {count(point.pictures, 'image')}): "
            f"{point.accuracy:.1%} right"
        )
        if point.share == max(shares):
            with contextlib.suppress(ExplanationError):
                write_image(path.with_suffix(".png"), draw_types(classifier, test))

    points = low_data_curve(config, training, test, shares, keep)
    answer: dict[str, Any] = {
        "data": data if isinstance(data, str) else f"{data.types} generated types of {data.coins} coins, seed {SEED}",
        "config": config.model_dump(),
        "training_pictures": len(training),
        "test_pictures": len(test),
        "points": [asdict(point) for point in points],
    }
    write_atomically(path, json.dumps(answer, indent=2) + "\n")
    curve = ([100 * point.share for point in points], [point.accuracy for point in points])
    panel = plots.Panel(f"{config.network}, {config.tuning}", "% of the training coins", "accuracy", {"": curve})
    write_drawing(path.with_suffix(".svg"), plots.draw_curves([panel]))
    return LowDataCurve(path, tuple(points))


def result_path(lab: Lab, data: str, network: str, tuning: str) -> Path:
    """Where the curve of a network on some data is kept."""
    return lab.folder / "results" / f"types-{data}-{network}-{tuning}.json"


def draw_types(classifier: Classifier, samples: Sequence[TypeSample]) -> Image:
    """An image of each of the first types, and below it the same under the map of what speaks for the type it names."""
    first = {sample.type: sample.crop for sample in reversed(samples)}
    crops = [first[type_] for type_ in sorted(first)[:_TYPES_SHOWN]]
    columns = []
    for crop in crops:
        found = explain_type(classifier, crop)
        columns.append(np.vstack([crop, overlay(crop, found / max(float(found.max()), 1e-12))]))
    return np.ascontiguousarray(np.hstack(columns))


def generate_samples(types: int, coins: int, progress: Progress) -> tuple[list[TypeSample], list[TypeSample]]:
    """Catalogue images of procedural coins, so many of each of so many types: to train with, and to test."""
    drawer, rng = ProceduralDrawer(SEED), np.random.default_rng(SEED)
    parts: tuple[list[TypeSample], list[TypeSample]] = ([], [])
    count: dict[str, int] = {}
    number = 0
    while sum(count.values()) < types * coins:
        name = f"c{number}"
        number += 1
        type_ = drawer.coin_type(name)
        if int(type_.split()[-1]) >= types or count.get(type_, 0) == coins:
            continue
        count[type_] = count.get(type_, 0) + 1
        image = reproduction(drawer.side_texture(name, "reverse"), int(rng.integers(1 << 30)))
        part = parts[count[type_] % _TEST_SHARE == 0]
        part.append(TypeSample(crop_coin(image), type_, name))
        progress(sum(count.values()), types * coins)
    return parts
