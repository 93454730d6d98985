"""Pairs of photographs of made coins whose relation is known, laid on each other: one coin, one die, one type.

The twin's made coins share dies, and have flan, strike, wear, scratches and dirt of their own; each is photographed by
hand under a lamp anywhere, or printed. Half of them are clean: with no toning to show the same in any light, it is the
relief alone that two photographs have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations, count

import cv2
import numpy as np

from calibration.image import Image
from calibration.outline import GREY_MEAN, NoCoinError, crop_coin
from models.local_features.networks import LocalFeatures, describe
from models.matching.registration import register
from models.matching.relation import Relation
from models.matching.rotation import turn_crop
from models.matching.surface import Evidence, surface_evidence
from pipeline.learning.training_coins import any_frame
from pipeline.reporter import Progress
from rig.sides import SIDES, Side
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.procedural import TYPES, coin_die, coin_type
from rig.twin.coins.reproduction import reproduction
from rig.twin.coins.surface import Surface

PAIRS_SEED = 9011
OF_DIE, OF_OTHER_DIE = 4, 2  # coins of each die, and of another of its type
PRINTED = (True, False, True, False)  # images of each: in print, and photographed by hand
IMAGES, IMAGES_OTHER = 4, 2  # of coins of the die, and of the other
WANTED: dict[Relation, int] = {"same coin": 16, "same die": 18, "same type": 10}  # pairs of each die
_PERSPECTIVE, _TURN_DEG = 0.03, 6.0
_LAMP_DEG = (18.0, 75.0)  # above the plate, of photographs taken by hand
_MISPLACED, _MISSCALED = 0.012, 0.02  # of half the outlines: light and background shift them

Pair = tuple[Relation, Evidence | None]


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


def made_pairs(dies: int, progress: Progress) -> list[Pair]:
    """Pairs of made coins: of so many dies, obverse and reverse in turn."""
    drawer, pairs = ProceduralDrawer(PAIRS_SEED), list[Pair]()
    for number in range(dies):
        progress(number, dies)
        rng = np.random.default_rng([PAIRS_SEED, number])
        kind, side = number // 2 % TYPES, SIDES[number % 2]
        of_die, of_other = _coins_of(kind, side, int(rng.integers(2)), number // (2 * TYPES))
        seen = [
            each
            for coins, images in ((of_die, IMAGES), (of_other, IMAGES_OTHER))
            for coin in coins
            for each in photograph(coin, _as_kept(drawer.side_texture(coin, side), rng), PRINTED[:images], rng)
        ]
        wanted, places = dict(WANTED), list(combinations(range(len(seen)), 2))
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
            pairs.append((relation, _compare(one, other)))
    progress(dies, dies)
    return pairs


def by_hand(surface: Surface, rng: np.random.Generator) -> Image:
    """A photograph taken by hand: a lamp anywhere, the camera not quite above."""
    image = cv2.copyMakeBorder(any_frame(surface, rng, _LAMP_DEG), 40, 40, 40, 40, cv2.BORDER_REPLICATE)
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + rng.uniform(-_PERSPECTIVE, _PERSPECTIVE, (4, 2)).astype(np.float32) * width
    matrix = cv2.getPerspectiveTransform(corners, moved)
    return np.asarray(cv2.warpPerspective(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _coins_of(kind: int, side: Side, die: int, part: int) -> tuple[list[str], list[str]]:
    """Names of coins of one type: some of one die, and some of another."""
    of_die, of_other = list[str](), list[str]()
    for number in count(part * 100_000):
        coin = f"v{number}"
        if coin_type(coin, PAIRS_SEED) == kind:
            found, most = (of_die, OF_DIE) if coin_die(coin, side, PAIRS_SEED) == die else (of_other, OF_OTHER_DIE)
            if len(found) < most:
                found.append(coin)
            if len(of_die) == OF_DIE and len(of_other) == OF_OTHER_DIE:
                break
    return of_die, of_other


def photograph(coin: str, surface: Surface, printed: Sequence[bool], rng: np.random.Generator) -> list[Photographed]:
    """Images of one side, printed or by hand, each cut out and laid upright not quite right."""
    seen = []
    for is_printed in printed:
        with suppress(NoCoinError):
            image = reproduction(surface, int(rng.integers(1 << 30))) if is_printed else by_hand(surface, rng)
            crop = turn_crop(_misplaced(crop_coin(image), rng), float(rng.uniform(-_TURN_DEG, _TURN_DEG)))
            seen.append(Photographed.of(coin, crop))
    return seen


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


def _compare(first: Photographed, second: Photographed) -> Evidence | None:
    registration = register(first.features, second.features)
    return surface_evidence(first.crop, second.crop, registration) if registration.holds else None
