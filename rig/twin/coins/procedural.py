"""Coins out of nothing: dies shared by many coins; specimens struck, worn, cracked and toned each in its own way."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import cv2
import numpy as np

from rig.sides import Side
from rig.twin.coins.portraits import cut_portrait
from rig.twin.coins.relief import Die, fractal_noise, normals_of
from rig.twin.coins.reverses import cut_reverse
from rig.twin.coins.surface import MARGIN, TEXTURE_PX, Array, Surface, as_array

TYPES = 60
DIES_PER_TYPE = 2

_METALS = {
    # albedo of the clean metal, of its dirt or patina, gloss, shininess
    "silver": ((0.46, 0.445, 0.42), (0.085, 0.08, 0.075), 0.95, 16.0),
    "bronze": ((0.31, 0.235, 0.15), (0.06, 0.052, 0.038), 0.65, 12.0),
    "green bronze": ((0.21, 0.225, 0.15), (0.055, 0.07, 0.05), 0.4, 11.0),
    "red bronze": ((0.27, 0.165, 0.11), (0.075, 0.048, 0.035), 0.5, 11.0),
    "billon": ((0.29, 0.27, 0.225), (0.065, 0.06, 0.05), 0.6, 13.0),
    "gold": ((0.62, 0.44, 0.16), (0.26, 0.15, 0.05), 0.9, 20.0),
}


def _seed(*parts: object) -> np.random.SeedSequence:
    digest = hashlib.sha256("|".join(str(part) for part in parts).encode()).digest()
    return np.random.SeedSequence(int.from_bytes(digest[:16], "big"))


def coin_type(coin: str, seed: int = 0) -> int:
    """The type (0 to TYPES - 1) that a coin of this name is of: some three to four in two hundred share each."""
    return int(np.random.default_rng(_seed("type of", coin, seed)).integers(0, TYPES))


def coin_die(coin: str, side: Side, seed: int = 0) -> int:
    """Which of its type's dies struck this side of the coin of this name (0 to DIES_PER_TYPE - 1)."""
    return _side_of(coin, side, seed)[0]


def _side_of(coin: str, side: Side, seed: int) -> tuple[int, np.random.Generator]:
    """Which die struck a side, and the chance that decides of all else of this side."""
    rng = np.random.default_rng(_seed("side", coin, side, seed))
    return int(rng.integers(0, DIES_PER_TYPE)), rng


@lru_cache(maxsize=16)  # 0.9 MB each: a long night must not gather all the dies it has seen
def _die_height(kind: int, number: int, side: Side, seed: int, size_px: int) -> Array:
    """The design of one die, in units of its highest relief. Dies of a type differ as two engravers' hands do."""
    die = Die(size_px)
    # One die of a type is the other cut again: same device, same words, shifted and stretched a little.
    (cut_portrait if side == "obverse" else cut_reverse)(die, _seed("design", kind, side, seed))
    rng = np.random.default_rng(_seed("hand", kind, number, side, seed))
    jitter = rng.normal(0, 0.012, (2, 2)) + np.eye(2)
    centre = size_px / 2
    warp = np.concatenate([jitter, (centre - jitter @ (centre, centre))[:, None]], axis=1)
    bend = np.stack([fractal_noise(rng, size_px, 4, 1) * 1.6 for _ in range(2)])
    columns, rows = np.meshgrid(np.arange(size_px, dtype=np.float32), np.arange(size_px, dtype=np.float32))
    map_x = np.float32(warp[0, 0]) * columns + np.float32(warp[0, 1]) * rows + np.float32(warp[0, 2]) + bend[0]
    map_y = np.float32(warp[1, 0]) * columns + np.float32(warp[1, 1]) * rows + np.float32(warp[1, 2]) + bend[1]
    return np.asarray(cv2.remap(die.height, map_x, map_y, cv2.INTER_LINEAR), np.float32)


@lru_cache(maxsize=8)
def _polar(size_px: int) -> tuple[Array, Array]:
    axis = (np.arange(size_px, dtype=np.float32) + np.float32(0.5)) * np.float32(2 * MARGIN / size_px) - np.float32(
        MARGIN
    )
    return np.hypot(axis[None, :], axis[:, None]), np.arctan2(-axis[:, None], axis[None, :])


def _flan(rng: np.random.Generator, size_px: int) -> Array:
    """Distance inside the edge of an irregular, sometimes cracked, flan, in radii: (n, n), negative outside."""
    away, angle = _polar(size_px)
    turns = np.linspace(0, 2 * np.pi, 1024, endpoint=False)
    edge = np.zeros(1024)
    for wave in range(2, 12):
        edge += rng.normal(0, 0.042 / wave**1.1) * np.cos(wave * turns + rng.uniform(0, 2 * np.pi))
    for _ in range(int(rng.poisson(0.8))):  # cracks: narrow notches of the edge
        at, depth, width = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.20), rng.uniform(0.006, 0.016)
        edge -= depth * np.exp(-np.abs(np.angle(np.exp(1j * (turns - at)))) / width)
    for _ in range(int(rng.poisson(0.3))):  # straight clips
        at, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.07)
        chord = (1 - depth) / np.maximum(np.cos(turns - at), 0.2) - 1
        edge = np.minimum(edge, chord)
    edge += 1 - edge.max() - 1
    ring = np.concatenate([edge, edge[:1]]).astype(np.float32)
    where = np.mod(angle * np.float32(1024 / (2 * np.pi)), 1024).astype(np.float32)
    radius = cv2.remap(ring[None, :], where, np.zeros_like(where), cv2.INTER_LINEAR)
    return np.asarray(1 + radius - away, np.float32)


def procedural_side(coin: str, side: Side, seed: int = 0, size_px: int = TEXTURE_PX) -> Surface:
    """One side of the coin of this name; the same name and seed make the same coin on every machine.

    Coins of one `coin_type` share designs; die-mates share a die. Flan, centring, wear, pits, scratches, cracks and
    toning are the specimen's own.
    """
    kind = coin_type(coin, seed)
    of_type = np.random.default_rng(_seed("metal", kind, seed))
    metal = str(of_type.choice(list(_METALS), p=[0.28, 0.24, 0.16, 0.12, 0.16, 0.04]))
    nominal_mm = float(of_type.uniform(18.5, 25.5))
    of_coin = np.random.default_rng(_seed("specimen", coin, seed))
    diameter_mm = nominal_mm * float(np.clip(of_coin.normal(1, 0.025), 0.93, 1.07))
    thickness_mm = float(of_coin.uniform(1.5, 2.6))
    wear = float(np.clip(of_coin.gamma(2.5, 0.125), 0.05, 0.9))
    decay = float(np.clip(of_coin.gamma(1.6, 0.3), 0.05, 1.4))
    upset = bool(of_coin.random() < 0.5)  # dies struck head to foot, as most are, or head to head
    inside = _flan(of_coin, size_px)
    if side == "reverse":  # the same flan, turned over so that the reverse comes upright
        inside = np.ascontiguousarray(inside[::-1] if upset else inside[:, ::-1])

    die_number, rng = _side_of(coin, side, seed)
    die = _die_height(kind, die_number, side, seed, size_px)
    struck = _strike(rng, die, size_px)
    height = _wear(rng, struck, wear, size_px)
    pitch_mm = diameter_mm * MARGIN / size_px
    fine, coarse = fractal_noise(rng, size_px, 40, 4, 0.8), fractal_noise(rng, size_px, 5, 5)
    pits = _pits(fine, coarse, decay)
    relief_mm = height * np.float32(diameter_mm * rng.uniform(0.030, 0.042)) - pits * np.float32(0.22)
    relief_mm += coarse * np.float32(0.03) + fine * np.float32(0.010 + 0.012 * decay)
    relief_mm += scratches(rng, size_px)
    # The flan rounds off towards its edge.
    shoulder = np.clip(inside / np.float32(0.06), 0, 1)
    relief_mm -= (1 - np.sqrt(shoulder * (2 - shoulder))) * np.float32(0.55)
    relief_mm = as_array(cv2.GaussianBlur(relief_mm, (0, 0), 0.7))

    albedo, gloss, shininess = _tone(rng, metal, height, pits, fine, coarse, wear, decay)
    soft_px = 1.5
    coverage = np.clip(inside * np.float32(size_px / (2 * MARGIN) / soft_px) + np.float32(0.5), 0, 1)
    return Surface(
        albedo=albedo,
        normals=normals_of(relief_mm, pitch_mm),
        height_mm=relief_mm,
        coverage=coverage.astype(np.float32),
        specular=gloss,
        shininess=shininess,
        diameter_mm=diameter_mm,
        thickness_mm=thickness_mm,
        side_mm=diameter_mm * MARGIN,
    )


def _strike(rng: np.random.Generator, die: Array, size_px: int) -> Array:
    """The die pressed on the flan: off centre, a little turned, weaker on one side."""
    off_x, off_y = rng.normal(0, 0.035, 2) * size_px / (2 * MARGIN)
    turn = float(rng.normal(0, 6))
    scale = float(rng.uniform(0.93, 1.03)) * Die.REACH / MARGIN
    centre = die.shape[0] / 2
    matrix = cv2.getRotationMatrix2D((centre, centre), turn, scale * size_px / die.shape[0])
    matrix[:, 2] += (off_x + size_px / 2 - centre, off_y + size_px / 2 - centre)
    struck = cv2.warpAffine(die, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR)
    weak = 1 - np.clip(fractal_noise(rng, size_px, 2, 2) - np.float32(0.5), 0, 1) * np.float32(0.5)
    return np.asarray(struck * weak, np.float32)


def _wear(rng: np.random.Generator, struck: Array, wear: float, size_px: int) -> Array:
    """High points rub down first, and everything softens."""
    uneven = np.float32(wear) * (1 + np.float32(0.35) * fractal_noise(rng, size_px, 3, 2))
    ceiling = 1.35 - 0.95 * np.clip(uneven, 0, 1)
    worn = ceiling * np.tanh(struck / ceiling)
    return as_array(cv2.GaussianBlur(as_array(worn), (0, 0), 0.7 + 1.7 * wear))


def _pits(fine: Array, coarse: Array, decay: float) -> Array:
    """Corrosion, in patches: 0 to about 1."""
    patches = np.clip(coarse * np.float32(0.7) - np.float32(1.25 - decay), 0, 1)
    grain = np.clip(fine * np.float32(0.5) + np.float32(0.35), 0, 1)
    return as_array(cv2.GaussianBlur(patches * grain, (0, 0), 1.0))


def scratches(rng: np.random.Generator, size_px: int) -> Array:
    """Depths in mm (size_px, size_px), 0 and below, of a few scratches anywhere."""
    drawn = np.zeros((size_px, size_px), np.uint8)
    for _ in range(int(rng.poisson(7))):
        start = rng.uniform(0, size_px, 2)
        stop = start + rng.normal(0, 0.14 * size_px, 2)
        bend = (start + stop) / 2 + rng.normal(0, 0.02 * size_px, 2)
        points = np.round(np.stack([start, bend, stop]) * 16).astype(np.int32)
        cv2.polylines(drawn, [points], False, int(rng.integers(60, 255)), 1, cv2.LINE_AA, 4)
    return np.asarray(drawn.astype(np.float32) * np.float32(-0.05 / 255), np.float32)


def _tone(
    rng: np.random.Generator,
    metal: str,
    height: Array,
    pits: Array,
    fine: Array,
    coarse: Array,
    wear: float,
    decay: float,
) -> tuple[Array, Array, float]:
    """Albedo, gloss and shininess: dirt stays in the hollows, worn points are bare, patina and spots lie in patches."""
    clean, dirt, gloss, shininess = _METALS[metal]
    size_px = height.shape[0]
    low = cv2.GaussianBlur(height, (0, 0), size_px / 40)
    hollow = cv2.GaussianBlur(height, (0, 0), size_px / 110) - height  # beside letters and along outlines
    bare = np.float32(0.52) + (height - low) * np.float32(1.9) - np.clip(hollow, 0, 1) * np.float32(3.0)
    bare += np.float32(0.09) * fine + np.float32(0.15) * coarse
    bare = np.clip(bare, np.float32(0.04), 1) * (1 - np.float32(0.75) * pits)
    hue = rng.normal(1, 0.025, 3)
    clean_rgb, dirt_rgb = np.asarray(clean) * hue, np.asarray(dirt) * rng.normal(1, 0.05, 3)
    mottled = 1 + np.float32(0.10) * fractal_noise(rng, size_px, 9, 4)
    albedo = cv2.merge(
        [(bare * np.float32(c - d) + np.float32(d)) * mottled for c, d in zip(clean_rgb, dirt_rgb, strict=True)]
    )
    if metal != "gold" and rng.random() < 0.35:  # encrustation: earth or verdigris
        spots = np.clip((fractal_noise(rng, size_px, 7, 5, 0.7) - np.float32(1.6 - 0.5 * decay)) * 2, 0, 1)
        colour = [(0.14, 0.24, 0.18), (0.25, 0.14, 0.08), (0.34, 0.30, 0.23)][int(rng.integers(0, 3))]
        albedo += cv2.merge([spots] * 3) * (np.asarray(colour, np.float32) - albedo)
        bare = bare * (1 - spots)
    albedo = np.clip(albedo, np.float32(0.02), np.float32(0.9))
    return albedo.astype(np.float32), np.asarray(np.float32(gloss) * bare * np.sqrt(bare), np.float32), shininess
