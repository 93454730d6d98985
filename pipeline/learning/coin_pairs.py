"""Pairs of photographs of coins whose relation is known, laid on each other: one coin, one die, one type.

The twin's made coins share dies, and have flan, strike, wear, scratches and dirt of their own; each is photographed by
hand under a lamp anywhere, or printed. Half of them are clean: with no toning to show the same in any light, it is the
relief alone that two photographs have in common. Real coins of which there is one photograph age, and are photographed
again by the relief that it shows; of their dies nothing is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, count
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image
from calibration.outline import GREY_MEAN, NoCoinError, crop_coin
from capture.photographs import PhotoDrawer, read_photo
from models.embedding.embedder import Embedder
from models.local_features.networks import LocalFeatures, describe
from models.matching.grid import compare as compare_grids
from models.matching.registration import register
from models.matching.relation import Relation
from models.matching.rotation import turn_crop
from models.matching.surface import Overlay, compare_surfaces
from pipeline.learning.kept_pairs import ComparedPair, Unit, kept
from pipeline.learning.training_coins import any_frame
from pipeline.reporter import Progress
from rig.sides import SIDES, Side
from rig.twin.coins.ageing import aged
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.procedural import TYPES, coin_die, coin_type
from rig.twin.coins.reproduction import reproduction
from rig.twin.coins.surface import Surface

PAIRS_SEED, RELIT_SEED = 9031, 18
PRINTED = (True, False, True, False)  # images of each: in print, and photographed by hand
IMAGES, IMAGES_OTHER = 4, 2  # of coins of the die, and of the other
WANTED: dict[Relation, int] = {"same coin": 16, "same die": 18, "same type": 10}  # pairs of each die
_PERSPECTIVE, _TURN_DEG = 0.03, 6.0
_LAMP_DEG = (18.0, 75.0)  # above the plate, of photographs taken by hand
_MISPLACED, _MISSCALED = 0.012, 0.02  # of half the outlines: light and background shift them


@dataclass(frozen=True)
class Photographed:
    """An image of a coin, cut out and laid upright, and its points."""

    coin: str
    crop: Image
    features: LocalFeatures

    @classmethod
    def of(cls, coin: str, crop: Image) -> Photographed:
        """Find the points of a crop."""
        return cls(coin, crop, describe(crop))


@dataclass(frozen=True)
class Mint:
    """Made coins: what they are drawn by, how many there are of each die, and of another die of its type."""

    seed: int = PAIRS_SEED
    of_die: int = 4
    of_other: int = 2


def made_pairs(dies: int, folder: Path, progress: Progress, mint: Mint = Mint()) -> list[Unit]:
    """Pairs of made coins: of so many dies, obverse and reverse in turn. They are kept in the folder."""
    drawer, units = ProceduralDrawer(mint.seed), list[Unit]()
    for number in range(dies):
        progress(number, dies)
        units.append(kept(folder, f"made-{number:03}", partial(_of_die, mint, drawer, number)))
    progress(dies, dies)
    return units


def relit_pairs(photographs: Path, sides: int, embedder: Embedder, folder: Path, progress: Progress) -> list[Unit]:
    """Pairs of real coins, of which so many sides are photographed again. They are kept in the folder.

    Parameters
    ----------
    photographs
        A folder of one photograph a side (`capture.photographs.photo_sides`).

    Raises
    ------
    DrawerError
        If the folder holds no photographs, or one that cannot be read.
    """
    drawer = PhotoDrawer(photographs)
    names, crops = list[tuple[str, Side]](), list[Image]()
    for coin, photos in drawer.photos.items():
        for side, photo in photos.items():
            with suppress(NoCoinError):
                crops.append(crop_coin(read_photo(photo)))
                names.append((coin, side))
    studio = _Studio(drawer, names, crops, embedder.embed(crops).grid)
    units = list[Unit]()
    drawn = np.random.default_rng(RELIT_SEED).permutation(len(names))[:sides].tolist()
    for number, place in enumerate(drawn):
        progress(number, len(drawn))
        units.append(kept(folder, f"photographed-{place:05}", partial(studio.relit, place)))
    progress(len(drawn), len(drawn))
    return units


@dataclass(frozen=True)
class _Studio:
    """Photographs of real coins, all of them upright, and their grids."""

    drawer: PhotoDrawer
    names: list[tuple[str, Side]]
    crops: list[Image]
    grids: npt.NDArray[np.float16]

    def relit(self, place: int) -> Unit:
        """One side photographed again three times, beside its photograph, each other, and the coins most like it."""
        rng = np.random.default_rng([RELIT_SEED, place])
        near, pairs = self._near(place), list[ComparedPair]()
        with suppress(NoCoinError):
            surface = self.drawer.side_texture(*self.names[place])
            first, second = (_as_seen(by_hand(aged(surface, rng), rng), rng) for _ in range(2))
            printed = _as_seen(
                reproduction(aged(surface, rng) if rng.random() < 0.5 else surface, int(rng.integers(1 << 30))), rng
            )
            own = Photographed.of("", self.crops[place])
            alike = [(first, own), (second, printed), (first, printed)]
            alike += [(first, second)] if rng.random() < 0.5 else []
            pairs += [ComparedPair("same coin", compare(*pair)) for pair in alike]
            others = [near[0], near[1], near[int(rng.integers(2, 8))]]
            for seen, other in zip((first, second, printed), others, strict=True):
                pairs.append(ComparedPair("same type", compare(seen, Photographed.of("", self.crops[other]))))
            nearest = self.drawer.side_texture(*self.names[near[0]])
            again = (
                reproduction(nearest, int(rng.integers(1 << 30)))
                if rng.random() < 0.5
                else by_hand(aged(nearest, rng), rng)
            )
            other_again = _as_seen(again, rng)
            pairs += [ComparedPair("same type", compare(seen, other_again)) for seen in (first, printed)]
        return Unit("photographed", self.names[place][0], tuple(pairs))

    def _near(self, place: int) -> list[int]:
        """Other coins, the most similar of this side first."""
        scores = compare_grids(self.grids[place : place + 1], self.grids)[0]
        scores[[side != self.names[place][1] for _, side in self.names]] = -1.0
        scores[place] = -1.0
        found: list[int] = np.argsort(-scores)[:40].tolist()
        return found


def _of_die(mint: Mint, drawer: ProceduralDrawer, number: int) -> Unit:
    rng = np.random.default_rng([mint.seed, number])
    kind, side = number // 2 % TYPES, SIDES[number % 2]
    of_die, of_other = _coins_of(mint, (kind, side, int(rng.integers(2))), number // (2 * TYPES))
    seen = [
        each
        for coins, images in ((of_die, IMAGES), (of_other, IMAGES_OTHER))
        for coin in coins
        for each in photograph(coin, _as_kept(drawer.side_texture(coin, side), rng), PRINTED[:images], rng)
    ]
    wanted, places, pairs = dict(WANTED), list(combinations(range(len(seen)), 2)), list[ComparedPair]()
    rng.shuffle(places)
    for first, second in places:
        one, other = seen[first], seen[second]
        is_one_die = (one.coin in of_die) == (other.coin in of_die)
        relation: Relation = "same coin" if one.coin == other.coin else "same die" if is_one_die else "same type"
        if wanted[relation] == 0:
            continue
        wanted[relation] -= 1
        if rng.random() < 0.5:
            one, other = other, one
        pairs.append(ComparedPair(relation, compare(one, other)))
    return Unit("made", f"die {number}", tuple(pairs))


def by_hand(surface: Surface, rng: np.random.Generator) -> Image:
    """A photograph taken by hand: a lamp anywhere, the camera not quite above."""
    image = cv2.copyMakeBorder(any_frame(surface, rng, _LAMP_DEG), 40, 40, 40, 40, cv2.BORDER_REPLICATE)
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + rng.uniform(-_PERSPECTIVE, _PERSPECTIVE, (4, 2)).astype(np.float32) * width
    matrix = cv2.getPerspectiveTransform(corners, moved)
    return np.asarray(cv2.warpPerspective(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _coins_of(mint: Mint, struck: tuple[int, Side, int], part: int) -> tuple[list[str], list[str]]:
    """Names of coins of one type: some of one of its dies of a side, and some of another."""
    kind, side, die = struck
    of_die, of_other = list[str](), list[str]()
    for number in count(part * 100_000):
        coin = f"v{number}"
        if coin_type(coin, mint.seed) == kind:
            is_of_die = coin_die(coin, side, mint.seed) == die
            found, most = (of_die, mint.of_die) if is_of_die else (of_other, mint.of_other)
            if len(found) < most:
                found.append(coin)
            if (len(of_die), len(of_other)) == (mint.of_die, mint.of_other):
                break
    return of_die, of_other


def photograph(coin: str, surface: Surface, printed: Sequence[bool], rng: np.random.Generator) -> list[Photographed]:
    """Images of one side, printed or by hand, each cut out and laid upright not quite right."""
    seen = []
    for is_printed in printed:
        with suppress(NoCoinError):
            image = reproduction(surface, int(rng.integers(1 << 30))) if is_printed else by_hand(surface, rng)
            seen.append(replace(_as_seen(image, rng), coin=coin))
    return seen


def _as_seen(image: Image, rng: np.random.Generator) -> Photographed:
    """Cut out and laid upright not quite right; NoCoinError if there is none."""
    crop = turn_crop(_misplaced(crop_coin(image), rng), float(rng.uniform(-_TURN_DEG, _TURN_DEG)))
    return Photographed.of("", crop)


def _as_kept(surface: Surface, rng: np.random.Generator) -> Surface:
    """Half of the coins as they are, half cleaned: bare metal of one colour, more or less bright."""
    if rng.random() < 0.5:
        return surface
    colour = surface.albedo[surface.coverage > 0.9].mean(axis=0)
    gloss = np.full_like(surface.specular, rng.uniform(0.1, 0.9))
    return replace(surface, albedo=np.broadcast_to(colour, surface.albedo.shape).copy(), specular=gloss)


def _misplaced(crop: Image, rng: np.random.Generator) -> Image:
    """Half of the crops as they would be, had the outline been found a little beside."""
    if rng.random() < 0.5:
        return crop
    size = crop.shape[0]
    matrix = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), 0, float(np.exp(rng.normal(0, _MISSCALED))))
    matrix[:, 2] += rng.normal(0, _MISPLACED, 2) * size
    return np.asarray(cv2.warpAffine(crop, matrix, (size, size), borderValue=(round(GREY_MEAN),) * 3), np.uint8)


def compare(first: Photographed, second: Photographed) -> Overlay | None:
    """Bring two crops into register; None where no registration holds."""
    registration = register(first.features, second.features)
    return compare_surfaces(first.crop, second.crop, registration) if registration.holds else None
