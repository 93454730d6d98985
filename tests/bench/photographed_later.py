"""Whether a coin is found in a printed catalogue once it was worn, cleaned or soiled, and photographed elsewhere.

    RIG_SHARED=shared python -m tests.bench.photographed_later --folder /tmp/later [--coins 60] [--seed 1]

All 579 Roman coins are added as halftone prints or plaster casts, both sides. Some of them age
(`rig.twin.coins.ageing`) and are photographed by hand: another lamp, another camera, another ground. Each is searched
for by a photograph of one side, and by both. What is there is not made again: the command can be interrupted, and
continues. docs/results.md.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage

from calibration.every_coin import find_one_coin
from calibration.image import Image, read_image
from capture.photographs import PhotoDrawer
from capture.store import Store
from models.matching.views import View
from pipeline.collection.identify import Identifier
from pipeline.commands.terminal.output import reporter
from pipeline.lab import IN_USE, open_lab
from rig.sides import SIDES, Side
from rig.twin.coins.ageing import aged
from rig.twin.coins.relief import fractal_noise
from rig.twin.coins.reproduction import Manner, reproduction
from rig.twin.coins.surface import Array, Surface, as_array, beam_from, shade
from tests.bench.catalogue_answers import answer_each, report
from tests.bench.catalogue_plates import SHARED
from tests.bench.plate_identification import run_rig

MANNERS: tuple[Manner, ...] = ("halftone", "halftone", "cast")  # two coins of three in print
GROUNDS = ((0.02, 0.02, 0.02), (0.8, 0.8, 0.78), (0.35, 0.22, 0.12), (0.1, 0.2, 0.45), (0.45, 0.08, 0.1))


def main() -> None:
    """Make what is not there yet; then answer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--coins", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    drawer = PhotoDrawer(SHARED / "data" / "toulouse")
    coins = sorted(drawer.photos)
    make_catalogue(options.folder, drawer, coins, options.seed)
    drawn = sorted(np.random.default_rng([options.seed, 1]).permutation(len(coins))[: options.coins].tolist())
    for place in drawn:
        photograph_later(options.folder / "later", drawer, coins[place], [options.seed, place])
    lab = open_lab(options.folder / "sale")
    identifier = Identifier.open(lab, IN_USE, reporter)
    with Store.open(lab.store, writing=False) as store:
        name_of = {Path(entry.source).stem.rpartition("_")[0]: entry.coin_id for entry in store.catalogue.entries()}
    for title, both in (("one photograph", False), ("both sides", True)):
        queries = [
            (coin, name_of.get(coin), partial(read_views, options.folder / "later", coin, sides))
            for coin, sides in ((coins[place], SIDES if both else (SIDES[place % 2],)) for place in drawn)
        ]
        kept = options.folder / f"{title.replace(' ', '-')}.jsonl"
        answer_each(identifier, queries, kept)
        report(title, kept)


def make_catalogue(folder: Path, drawer: PhotoDrawer, coins: Sequence[str], seed: int) -> None:
    """A collection that shows every coin in print, both sides in one manner."""
    images, lab = folder / "printed", folder / "sale"
    images.mkdir(parents=True, exist_ok=True)
    for number, coin in enumerate(coins):
        manner = MANNERS[int(np.random.default_rng([seed, 2, number]).integers(len(MANNERS)))]
        for side in drawer.photos[coin]:
            path = images / f"{coin}_{side}.png"
            if not path.is_file():
                printed = reproduction(drawer.side_texture(coin, side), hash_of(seed, number, side), manner)
                PillowImage.fromarray(printed).save(path)
    if not lab.exists():
        run_rig("init", "--collection", "--lab", lab)
    run_rig("catalogue", "add", images, "--sale", "Printed", "--lab", lab)


def hash_of(seed: int, number: int, side: Side) -> int:
    """A seed of its own for each image."""
    return int(np.random.default_rng([seed, number, SIDES.index(side)]).integers(1 << 30))


def photograph_later(folder: Path, drawer: PhotoDrawer, coin: str, seed: list[int]) -> None:
    """Photograph both sides of a coin that has aged: `COIN_SIDE.jpg`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, side in enumerate(SIDES):
        path = folder / f"{coin}_{side}.jpg"
        if not path.is_file():
            rng = np.random.default_rng([*seed, number])
            image = by_another_camera(aged(drawer.side_texture(coin, side), rng), rng)
            PillowImage.fromarray(image).save(path, quality=int(rng.integers(70, 95)))


def by_another_camera(surface: Surface, rng: np.random.Generator) -> Image:
    """A hand-held photograph on some ground: one lamp anywhere, a window, perspective, colour cast, blur, noise."""
    lamp = beam_from(rng.uniform(0, 360), rng.uniform(20, 65), (1.3, 1.25, 1.2))
    window = beam_from(rng.uniform(0, 360), rng.uniform(30, 80), tuple(rng.uniform(0.1, 0.6) * np.array((0.9, 1, 1.1))))
    light = shade(surface, [lamp, window], (float(rng.uniform(0.05, 0.3)),) * 3)
    light = light * np.float32(
        rng.uniform(0.55, 1.0) / np.percentile(light[surface.coverage > 0.9], rng.uniform(92, 99))
    )
    size_px, border_px = len(light), len(light) // 5
    around = ((border_px, border_px), (border_px, border_px), (0, 0))
    coverage = np.pad(surface.coverage[..., None], around)
    colour = as_array(GROUNDS[int(rng.integers(len(GROUNDS)))]) * np.float32(rng.uniform(0.6, 1.1))
    weave = 1 + np.float32(0.05) * fractal_noise(rng, size_px + 2 * border_px, 60, 3, 0.8)[..., None]
    seen = np.pad(light, around) * coverage + colour * weave * (1 - coverage)
    return developed(as_array(seen), rng)


def developed(seen: Array, rng: np.random.Generator) -> Image:
    """Linear light as a telephone keeps it: not quite from above, turned, blurred, noisy, tinted, in its own tone."""
    size_px = len(seen)
    corners = np.array([[0, 0], [size_px, 0], [size_px, size_px], [0, size_px]], np.float32)
    moved = corners + rng.uniform(-0.03, 0.03, (4, 2)).astype(np.float32) * size_px
    turn = cv2.getRotationMatrix2D((size_px / 2, size_px / 2), float(rng.uniform(0, 360)), 1.0)
    matrix = np.vstack([turn, (0, 0, 1)]) @ cv2.getPerspectiveTransform(corners, moved)
    seen = as_array(cv2.warpPerspective(seen, matrix, (size_px, size_px), borderMode=cv2.BORDER_REPLICATE))
    width_px = int(rng.integers(300, 640))
    scaled = cv2.resize(
        cv2.GaussianBlur(seen, (0, 0), rng.uniform(0.6, 1.6)), (width_px, width_px), interpolation=cv2.INTER_AREA
    )
    tinted = scaled * rng.normal(1, 0.06, 3) + rng.normal(0, rng.uniform(0.002, 0.015), scaled.shape)
    return np.asarray(np.clip(tinted, 0, 1) ** rng.uniform(0.38, 0.52) * 255, np.uint8)


def read_views(folder: Path, coin: str, sides: Sequence[Side]) -> list[View]:
    """The photographs of some sides: which side each shows is known if both are."""
    return [
        View(find_one_coin(read_image(folder / f"{coin}_{side}.jpg")).crop(), side if len(sides) > 1 else None)
        for side in sides
    ]


if __name__ == "__main__":
    main()
