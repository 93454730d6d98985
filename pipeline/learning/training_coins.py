"""Images to train and to fit on: procedural coins of the twin under any light and in print, and photographs.

The procedural coins' names and seeds are used nowhere else, so that no coin that is trained or fitted on is ever
tested on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np

from calibration.image import Image, read_image
from calibration.outline import NoCoinError, crop_coin, find_coin, normalise
from capture.photographs import photo_sides, read_photo
from models.embedding.embedder import Embedder
from models.evaluation.samples import Sample, SampleCrops, split
from models.evaluation.scores import embed_in_blocks, score_all
from models.matching.entries import embed_entries
from models.matching.faiss_index import FaissIndex
from models.matching.fusion import ScoredCoin
from models.matching.gallery import GalleryEntry
from models.matching.matcher import CoinMatcher
from models.matching.views import View
from models.training.batches import TrainingCoin
from models.training.relight import Relief, measured_relief
from pipeline.collection.labels import read_labels
from pipeline.reporter import Progress
from rig.sides import SIDES
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.procedural import coin_type
from rig.twin.coins.reproduction import reproduction
from rig.twin.coins.surface import Array, Beam, Surface, beam_from, shade

TRAINING_SEED, FITTING_SEED = 9001, 9002
TRAINING_TYPES, FITTING_TYPES = 20, 30  # few types, so that many coins share one: hard negatives
FRAMES, PRINTS = 8, 4  # images of each side to train on
IMPOSTORS = 80  # coins of the fitting's catalogue that are never looked for
LAMPS_DEG = range(0, 360, 30)
RELIEF_LAMPS_DEG, RELIEF_ELEVATION_DEG = range(0, 360, 45), 38.0  # that a relief is measured from

Search = tuple[list[ScoredCoin], str | None]


def procedural_coins(coins: int, progress: Progress) -> list[TrainingCoin]:
    """Both sides of so many coins: frames under lamps anywhere, reproductions, and the relief that lamps show."""
    drawer, rng = ProceduralDrawer(TRAINING_SEED), np.random.default_rng(0)
    made = []
    for number, coin in enumerate(_names("t", TRAINING_SEED, TRAINING_TYPES, coins), 1):
        for side in SIDES:
            surface = drawer.side_texture(coin, side)
            images = [any_frame(surface, rng) for _ in range(FRAMES)]
            images += [reproduction(surface, int(rng.integers(1 << 30))) for _ in range(PRINTS)]
            crops = tuple(crop_coin(image) for image in images)
            group = f"{drawer.coin_type(coin)} {side}"
            made.append(TrainingCoin(f"{coin} {side}", group, crops, relief=_relief_seen(surface)))
        progress(number, coins)
    return made


def photographed_coins(folder: Path, progress: Progress) -> list[TrainingCoin]:
    """Both sides of the coins in a folder of photographs (see `capture.photographs.photo_sides`), whatever there is.

    Raises
    ------
    DrawerError
        If the folder holds no photographs, or one that cannot be read.
    """
    made = []
    photographed = photo_sides(folder)
    for number, (coin, sides) in enumerate(photographed.items(), 1):
        for side, photo in sides.items():
            image = read_photo(photo)
            with suppress(NoCoinError):  # a photograph without a coin has nothing to teach
                made.append(TrainingCoin(f"{folder.name} {coin} {side}", "", (crop_coin(image),)))
        progress(number, len(photographed))
    return made


def labelled_samples(labels: Path, share: float, seed: int, *, rest: bool, progress: Progress) -> list[Sample]:
    """Normalised images of a part of the coins in a label file (the columns of `rig import`), split by coin.

    Parameters
    ----------
    share
        Of the coins, in an order drawn with ``seed``: the first so many, or with ``rest`` all others.

    Raises
    ------
    LabError
        If the label file or an image of it cannot be used.
    """
    found = read_labels(labels).labels
    coins = sorted({label.coin for label in found})
    drawn = np.random.default_rng(seed).permutation(len(coins))
    count = round(share * len(coins))
    wanted = {coins[place] for place in (drawn[count:] if rest else drawn[:count])}
    chosen = [label for label in found if label.coin in wanted]
    samples = []
    for number, label in enumerate(chosen, 1):
        image = read_image(label.path)
        crop = crop_coin(image)
        samples.append(Sample(str(label.path), crop, label.coin, label.session, label.type or ""))
        progress(number, len(chosen))
    return samples


def coins_of(samples: Sequence[Sample]) -> list[TrainingCoin]:
    """Labelled images as coins to train on, each turned as it was photographed."""
    by_coin: dict[str, list[Sample]] = {}
    for sample in samples:
        by_coin.setdefault(sample.coin, []).append(sample)
    return [
        TrainingCoin(coin, of_coin[0].type, tuple(sample.read() for sample in of_coin), is_aligned=False)
        for coin, of_coin in by_coin.items()
    ]


def fitting_searches(embedder: Embedder, coins: int, progress: Progress) -> list[Search]:
    """Search a printed catalogue of so many coins and `IMPOSTORS` for each: as a scan, a frame, a photograph."""
    drawer, rng = ProceduralDrawer(FITTING_SEED), np.random.default_rng(3)
    names = list(_names("f", FITTING_SEED, FITTING_TYPES, coins + IMPOSTORS))
    entries, crops = [], []
    for coin in names:
        for side in SIDES:
            image = reproduction(drawer.side_texture(coin, side), int(rng.integers(1 << 30)))
            entries.append(GalleryEntry(f"{coin} {side}", coin, side))
            crops.append(crop_coin(image))
    index = FaissIndex(embedder.id)
    index.add(entries, embed_entries(embedder, crops))
    searches: list[Search] = []
    for number, coin in enumerate(names[:coins], 1):
        views = [view for side in SIDES for view in _scan(drawer.side_texture(coin, side), side, rng)]
        one = views[int(rng.integers(len(views)))]
        for seen in (views, [one], [View(one.crop)]):
            searches.append((CoinMatcher(embedder, index).rank(seen), coin))
        progress(number, coins)
    return searches


def photograph_searches(embedder: Embedder, samples: Sequence[Sample]) -> list[Search]:
    """Search the first photograph of every coin, among those of its type, for each photograph of another session."""
    gallery, queries, _ = split(samples)
    scores = score_all(embedder, embed_in_blocks(embedder, SampleCrops(queries)), SampleCrops(gallery)).grid
    searches: list[Search] = []
    for query, row in zip(queries, scores, strict=True):
        found = [
            ScoredCoin(sample.coin, float(score), side_scores=(float(score),))
            for sample, score in zip(gallery, row, strict=True)
            if sample.type == query.type
        ]
        searches.append((sorted(found, key=lambda candidate: -candidate.score), query.coin))
    return searches


def relief_of(crops: Sequence[Image]) -> Relief:
    """The relief that crops of one placement under `RELIEF_LAMPS_DEG` show."""
    return measured_relief([crop[:, :, 0].astype(np.float32) for crop in crops], RELIEF_LAMPS_DEG)


def _names(prefix: str, seed: int, types: int, coins: int) -> Iterator[str]:
    every = (f"{prefix}{number}" for number in count())
    return islice((name for name in every if coin_type(name, seed) < types), coins)


def _relief_seen(surface: Surface) -> Relief:
    """A relief as eight lamps around it show it, the coin found once: it does not move between them."""
    images = []
    for lamp_deg in RELIEF_LAMPS_DEG:
        light = shade(surface, [beam_from(lamp_deg, RELIEF_ELEVATION_DEG, (1.3, 1.3, 1.3))], (0.1, 0.1, 0.1))
        light = light * np.float32(0.9 / float(np.percentile(light[surface.coverage > 0.9], 96)))
        coverage = surface.coverage[..., None]
        seen = cv2.GaussianBlur(light, (0, 0), 1.0) * coverage + np.float32(0.012) * (1 - coverage)
        images.append(np.asarray(np.clip(seen, 0, 1) ** (1 / 2.2) * 255, np.uint8))
    outline = find_coin(images[0])
    return relief_of([normalise(each, outline) for each in images])


def any_frame(surface: Surface, rng: np.random.Generator, elevation_deg: tuple[float, float] = (22.0, 60.0)) -> Image:
    """One side under a lamp anywhere, and sometimes a second one: blurred, noisy, small."""
    beams = [beam_from(rng.uniform(0, 360), rng.uniform(*elevation_deg), (1.3, 1.3, 1.3))]
    if rng.random() < 0.3:
        beams.append(beam_from(rng.uniform(0, 360), rng.uniform(30, 80), (0.5, 0.5, 0.5)))
    light = shade(surface, beams, (float(rng.uniform(0.04, 0.3)),) * 3)
    white = float(np.percentile(light[surface.coverage > 0.9], rng.uniform(90, 99)))
    light = light / np.float32(white / rng.uniform(0.5, 1.0))
    noise, blur_px, width = rng.uniform(0.002, 0.02), rng.uniform(0.5, 2.0), int(rng.integers(260, 448))
    return _developed(light, surface, blur_px, noise, width, rng)


def _scan(surface: Surface, side: str, rng: np.random.Generator) -> list[View]:
    """One side under lamps all around, lying at one unknown turn."""
    turn_deg, width = float(rng.uniform(0, 360)), int(rng.integers(330, 480))
    elevation_deg, blur_px = float(rng.uniform(28, 45)), float(rng.uniform(0.5, 1.2))
    views = []
    for lamp_deg in LAMPS_DEG:
        beams: list[Beam] = [beam_from(lamp_deg, elevation_deg, (1.25, 1.25, 1.25))]
        light = shade(surface, beams, (0.06, 0.06, 0.06))
        light = light * np.float32(0.8 / float(np.percentile(light[surface.coverage > 0.9], 98)))
        image = _developed(light, surface, blur_px, 0.006, width, rng)
        image = np.asarray(cv2.copyMakeBorder(image, 40, 40, 40, 40, cv2.BORDER_REPLICATE), np.uint8)
        crop = crop_coin(image, turned_deg=turn_deg)
        views.append(View(crop, side, 0.0, (lamp_deg + turn_deg) % 360.0))
    return views


def _developed(
    light: Array, surface: Surface, blur_px: float, noise: float, width: int, rng: np.random.Generator
) -> Image:
    """A image of linear light on a dark plate: blurred, noisy, in sRGB's gamma, so many pixels wide."""
    coverage = surface.coverage[..., None]
    seen = cv2.GaussianBlur(light, (0, 0), blur_px) * coverage + np.float32(0.012) * (1 - coverage)
    seen = np.clip(seen + rng.normal(0, noise, seen.shape), 0, 1) ** (1 / 2.2)
    return np.asarray(cv2.resize((seen * 255).astype(np.uint8), (width, width), interpolation=cv2.INTER_AREA), np.uint8)
