"""Pairs of coins that share a planted mark: coins from one die, or of two types, each struck with one countermark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from calibration.image import Image
from calibration.outline import find_coin, normalise
from models.embedding.embedder import Embedder
from models.explanation.explanation import Explanation, explain
from rig.twin.coins.procedural import coin_type, procedural_side
from rig.twin.coins.relief import normals_of
from rig.twin.coins.surface import MARGIN, Surface, beam_from, shade

SEED = 77
MARK_RADIUS = 0.1  # of the texture's side: a countermark of a fifth of the coin's diameter
DEPTH_MM = 0.45
_IMAGE_PX, _EDGE_PX = 400, 30


@dataclass(frozen=True)
class Pair:
    """Two crops, and where the mark is in them: (x, y) px, radius px."""

    first: Image
    second: Image
    mark_px: tuple[float, float]
    radius_px: float


def reference(count: int) -> list[Image]:
    """Crops of other coins."""
    rng = np.random.default_rng(5)
    return [_crop(procedural_side(f"ref{n}", "obverse", 123), 135 + rng.uniform(-40, 40), rng)[0] for n in range(count)]


def pairs(count: int, *, is_planted: bool, same_type: bool) -> Iterator[Pair]:
    """So many pairs of different specimens: of one type, or of any; each mark at a place and under lamps of its own."""
    by_type: dict[int, list[str]] = {}
    for number in range(160):
        by_type.setdefault(coin_type(f"m{number}", SEED), []).append(f"m{number}")
    types = [coins for coins in by_type.values() if len(coins) > 1]
    for case in range(count):
        rng = np.random.default_rng(500 + case)
        mine, theirs = (types[int(n)] for n in rng.choice(len(types), 2, replace=False))
        first, mate = (mine[int(n)] for n in rng.choice(len(mine), 2, replace=False))
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.7)
        at = 0.5 + away * np.array([np.cos(angle), np.sin(angle)]) * 0.5 / MARGIN
        surfaces = [procedural_side(coin, "obverse", SEED) for coin in (first, mate if same_type else theirs[0])]
        if is_planted:
            surfaces = [_struck(surface, case, at) for surface in surfaces]
        crops, places = zip(*(_crop(each, 135 + rng.uniform(-40, 40), rng, at) for each in surfaces), strict=True)
        x, y = np.mean(places, axis=0)
        yield Pair(crops[0], crops[1], (float(x), float(y)), MARK_RADIUS * MARGIN * 0.96 * 224)


def found(explanation: Explanation, pair: Pair) -> tuple[bool, bool]:
    """Whether the cell at the mark's centre is in the top 5 % of the cells, and whether any cell of the mark is."""
    top = explanation.pairs[: int(np.ceil(0.05 * len(explanation.pairs)))]
    away = [np.hypot(*np.subtract(cells.first_px, pair.mark_px)) for cells in explanation.pairs]
    nearest = explanation.pairs[int(np.argmin(away))]
    return nearest in top, any(np.hypot(*np.subtract(cells.first_px, pair.mark_px)) <= pair.radius_px for cells in top)


def shares_found(
    embedder: Embedder, count: int, *, is_planted: bool, same_type: bool, others: int = 48
) -> tuple[float, float]:
    """Of so many pairs, in which share the mark's centre, and any part of it, is in the top 5 % of the evidence."""
    crops = reference(others)
    hits = [
        found(explain(embedder, pair.first, pair.second, reference=crops, turns=1), pair)
        for pair in pairs(count, is_planted=is_planted, same_type=same_type)
    ]
    centre, part = np.mean(hits, axis=0)
    return float(centre), float(part)


def _struck(surface: Surface, seed: int, at: np.ndarray) -> Surface:
    """A countermark: a sunk disc with strokes standing in it."""
    rng, size = np.random.default_rng(seed), surface.height_mm.shape[0]
    mark = np.zeros((size, size), np.float32)
    centre, radius = at * size, MARK_RADIUS * size
    cv2.circle(mark, (int(centre[0]), int(centre[1])), int(radius), 1.0, cv2.FILLED, cv2.LINE_AA)
    for _ in range(3):
        angle = rng.uniform(0, 2 * np.pi)
        along = np.array([np.cos(angle), np.sin(angle)]) * radius * 0.75
        aside = rng.normal(0, 0.25, 2) * radius
        ends = [tuple(int(v) for v in centre + sign * along + aside) for sign in (-1, 1)]
        cv2.line(mark, ends[0], ends[1], 0.2, max(2, int(0.25 * radius)), cv2.LINE_AA)
    height = surface.height_mm - np.float32(DEPTH_MM) * cv2.GaussianBlur(mark, (0, 0), 0.004 * size)
    return replace(surface, height_mm=height, normals=normals_of(height, surface.side_mm / size))


def _crop(
    surface: Surface, lamp_deg: float, rng: np.random.Generator, at: np.ndarray | None = None
) -> tuple[Image, tuple[float, float]]:
    """A frame under one lamp as a crop, and where a place of the texture (shares of its side) is in it."""
    beam = beam_from(lamp_deg, float(rng.uniform(28, 50)), (1.3, 1.3, 1.3))
    light = shade(surface, [beam], (0.12, 0.12, 0.12))
    light = light * np.float32(0.8 / np.percentile(light[surface.coverage > 0.9], 97))
    coverage = surface.coverage[..., None]
    seen = cv2.GaussianBlur(light, (0, 0), 1.0) * coverage + np.float32(0.012) * (1 - coverage)
    seen = np.clip(seen + rng.normal(0, 0.008, seen.shape), 0, 1) ** (1 / 2.2)
    image = cv2.resize((seen * 255).astype(np.uint8), (_IMAGE_PX, _IMAGE_PX), interpolation=cv2.INTER_AREA)
    image = cv2.copyMakeBorder(image, _EDGE_PX, _EDGE_PX, _EDGE_PX, _EDGE_PX, cv2.BORDER_REPLICATE)
    outline = find_coin(image)
    place = (np.asarray(at if at is not None else (0.5, 0.5)) * _IMAGE_PX + _EDGE_PX - outline.centre_px) * (
        0.96 * 112 / outline.radius_px
    ) + 111.5
    return normalise(image, outline), (float(place[0]), float(place[1]))
