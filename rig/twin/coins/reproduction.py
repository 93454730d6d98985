"""How a printed catalogue shows a coin: one lamp, grey, a halftone screen or a plaster cast, small, compressed."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from rig.twin.coins.relief import fractal_noise
from rig.twin.coins.surface import Array, Surface, as_array, beam_from, shade

Manner = Literal["photograph", "halftone", "cast"]


def reproduction(surface: Surface, seed: int, manner: Manner | None = None) -> npt.NDArray[np.uint8]:
    """A catalogue's image of a coin side on white, grey, (H, W, 3) RGB uint8, 220 to 320 pixels wide.

    The lamp stands at the upper left, as engravers and photographers have it. Without a `manner` the seed chooses one.
    """
    rng = np.random.default_rng(seed)
    manner = manner or str(rng.choice(get_args(Manner), p=[0.5, 0.35, 0.15]))  # type: ignore[assignment]
    shown = _cast(surface) if manner == "cast" else surface
    lamp = beam_from(float(rng.normal(135, 14)), float(rng.uniform(30, 50)), (1.5, 1.5, 1.5))
    fill = beam_from(float(rng.uniform(0, 360)), 60.0, (0.25, 0.25, 0.25))
    light = shade(shown, [lamp, fill], (0.3, 0.3, 0.3))
    grey = np.asarray(light @ np.array([0.25, 0.62, 0.13], np.float32), np.float32)
    inside = surface.coverage > 0.9
    low, high = (float(v) for v in np.percentile(grey[inside], (0.3, 99.7)))
    tone = np.clip((grey - low) / max(high - low, 1e-3), 0, 1) ** np.float32(rng.uniform(0.6, 0.95))
    tone = np.float32(rng.uniform(0.06, 0.16)) + tone * np.float32(rng.uniform(0.68, 0.82))
    paper = float(rng.uniform(0.94, 1.0))
    coverage = surface.coverage
    page = tone * coverage + np.float32(paper) * (1 - coverage)

    width = int(rng.integers(220, 321))
    page = _printed_at(page, width, float(rng.normal(0, 2.5)), paper)
    if manner == "halftone":
        page = _screened(page, rng)
    page = page + np.float32(0.006) * fractal_noise(rng, width, 60, 3, 0.8)
    image = np.clip(page * 255, 0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 88))])
    return np.repeat(np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)[..., None], 3, axis=2)


def _cast(surface: Surface) -> Surface:
    """The coin in plaster: its relief alone, a little softened."""
    normals = as_array(cv2.GaussianBlur(surface.normals, (0, 0), 0.9))
    normals = as_array(normals / np.linalg.norm(normals, axis=2, keepdims=True))
    plaster = np.full_like(surface.albedo, 0.7)
    return replace(surface, albedo=plaster, normals=normals, specular=np.zeros_like(surface.specular))


def _printed_at(page: Array, width: int, turned_deg: float, paper: float) -> Array:
    """The page at `width` pixels, the coin filling nine tenths of it, a little askew."""
    size = page.shape[0]
    scale = 0.9 * width / size
    soft = cv2.GaussianBlur(page, (0, 0), 0.45 / scale)
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), turned_deg, scale)
    matrix[:, 2] += width / 2 - size / 2
    return np.asarray(
        cv2.warpAffine(soft, matrix, (width, width), flags=cv2.INTER_LINEAR, borderValue=paper), np.float32
    )


def _screened(page: Array, rng: np.random.Generator) -> Array:
    """A halftone screen, then the scanner's blur: dots remain as a faint pattern."""
    width, fine = page.shape[0], 3
    large = cv2.resize(page, (width * fine, width * fine), interpolation=cv2.INTER_LINEAR)
    pitch = float(rng.uniform(1.7, 2.5)) * fine
    angle = np.radians(45 + float(rng.normal(0, 3)))
    axis = np.arange(width * fine, dtype=np.float32)
    u = axis[None, :] * np.float32(np.cos(angle)) + axis[:, None] * np.float32(np.sin(angle))
    v = axis[:, None] * np.float32(np.cos(angle)) - axis[None, :] * np.float32(np.sin(angle))
    step = np.float32(2 * np.pi / pitch)
    threshold = np.float32(0.5) + np.float32(0.25) * (np.cos(u * step) + np.cos(v * step))
    ink = np.clip((large - threshold) * np.float32(3) + np.float32(0.5), 0, 1)
    return as_array(
        cv2.resize(cv2.GaussianBlur(ink, (0, 0), 0.75 * fine), (width, width), interpolation=cv2.INTER_AREA)
    )
