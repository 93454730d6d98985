"""The same photograph twice: one coin under two names, a backup imported again, or one image in two collections.

A copy may be saved again, in another size, in other colours, on another background, turned, mirrored, or bear a
watermark. So the coin is unrolled about its middle, angle by radius: turning it shifts that image, mirroring reverses
it. The strengths of its frequencies along the angle change by neither, and find what may be a copy. At the shift that
fits best, a copy agrees nearly perfectly in most places, even if a watermark hides some; another photograph of the coin
agrees less, everywhere. Two photographs of one coin under other light are no copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image

Unrolled = npt.NDArray[np.int8]
"""(ANGLES, RADII) detail of a coin about its middle."""

ANGLES, RADII = 128, 28
_INNER = 4  # radii in the middle, where an angle is hardly a pixel wide, are left out
_REACH = 0.86  # share of the crop's half width: the rim, where backgrounds meet, is left out
_FINE_PX, _COARSE_PX, _FLOOR = 1.2, 12.0, 4.0  # detail between these sizes counts, evenly lit
_SCALE = 40.0  # to 8 bits
_HARMONICS = 32
_PLACES = (16, 4)  # along angle and radius
NEAR = 0.74  # cosine of fingerprints; 4,578 pairs of coins of few designs had at most 0.75, 1 in 100 more than 0.72
SAME_IMAGE = 0.945  # agreement; 111 pairs of photographs of one euro on two occasions had at most 0.942, and 22 images
# saved again at 60 %, turned, mirrored, with a watermark, brighter, or on another background at least 0.945
SAME_PHOTOGRAPH = 0.97  # agreement within one coin, which was perhaps laid down and lit alike: of 479 photographs of 54
# euros, 29 pairs of two occasions agree by 0.945 or more, 4 by 0.97; no pair of two coins by more than 0.92
_CHUNK = 512


@dataclass(frozen=True)
class Duplicate:
    """Two images (by number) that are one, and how well they agree."""

    first: int
    second: int
    score: float


def unroll(crop: Image) -> Unrolled:
    """Unroll a coin's detail about its middle.

    Parameters
    ----------
    crop
        (H, W, 3) uint8, the coin in its middle, as `calibration.outline.crop_coin` gives it.
    """
    grey = crop[:, :, 0].astype(np.float32)
    detail = cv2.GaussianBlur(grey, (0, 0), _FINE_PX) - cv2.GaussianBlur(grey, (0, 0), _COARSE_PX)
    detail /= np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), _COARSE_PX)) + _FLOOR
    middle = (grey.shape[1] - 1) / 2
    size = (_INNER + RADII, ANGLES)
    polar = np.asarray(cv2.warpPolar(detail, size, (middle, middle), middle * _REACH, cv2.WARP_POLAR_LINEAR))
    return np.asarray(np.clip(np.rint(polar[:, _INNER:] * _SCALE), -127, 127), np.int8)


def find_duplicates(images: Sequence[Unrolled], names: Sequence[str]) -> list[Duplicate]:
    """Find the pairs of images that are one, but bear two names.

    Parameters
    ----------
    images
        N of `unroll`.
    names
        N names, such as of the coin and the occasion: images of one name are not compared.
    """
    pairs = ((first, second, _agreement(images[first], images[second])) for first, second in _near(images, names))
    return [Duplicate(first, second, score) for first, second, score in pairs if score >= SAME_IMAGE]


def _frequencies(image: Unrolled) -> npt.NDArray[np.complex64]:
    weighted = (image - image.mean()) * np.sqrt(np.arange(_INNER, _INNER + RADII) + 0.5)
    return np.asarray(np.fft.rfft(weighted, axis=0), np.complex64)


def _fingerprint(image: Unrolled) -> npt.NDArray[np.float32]:
    """Of unit length; the same for a coin that was turned or mirrored."""
    strengths = np.sqrt(np.abs(_frequencies(image)[1 : _HARMONICS + 1]).reshape(_HARMONICS, -1, 2).mean(axis=2)).ravel()
    strengths = strengths - strengths.mean()
    return np.asarray(strengths / max(float(np.linalg.norm(strengths)), 1e-6), np.float32)


def _agreement(first: Unrolled, second: Unrolled) -> float:
    """Correlation of two images at the best turn, either way round, in the place a quarter from the best."""
    one, other = _frequencies(first), _frequencies(second)
    turned = np.fft.irfft((one * np.conj(other)).sum(axis=1), ANGLES)
    mirrored = np.fft.irfft((one * other).sum(axis=1), ANGLES)
    if turned.max() >= mirrored.max():
        fitted = np.roll(second, int(turned.argmax()), axis=0)
    else:
        fitted = np.roll(second[-np.arange(ANGLES) % ANGLES], int(mirrored.argmax()), axis=0)
    x, y = _by_place(first), _by_place(fitted)
    each = (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1) + 1e-6)
    return float(np.quantile(each, 0.75))


def _by_place(image: Unrolled) -> npt.NDArray[np.float32]:
    angles, radii = _PLACES
    places = image.astype(np.float32).reshape(angles, ANGLES // angles, radii, RADII // radii)
    flat = places.transpose(0, 2, 1, 3).reshape(angles * radii, -1)
    return np.asarray(flat - flat.mean(axis=1, keepdims=True), np.float32)


def _near(images: Sequence[Unrolled], names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Pairs of two names whose fingerprints are near."""
    if not images:
        return
    prints = np.stack([_fingerprint(image) for image in images])
    _, numbers = np.unique(np.asarray(names), return_inverse=True)
    for start in range(0, len(prints), _CHUNK):
        near = prints[start : start + _CHUNK] @ prints.T >= NEAR
        rows, columns = np.nonzero(near & (numbers[start : start + _CHUNK, None] != numbers[None, :]))
        for row, column in zip(rows, columns, strict=True):
            if start + row < column:
                yield int(start + row), int(column)


def join_names(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """Put names that are paired, directly or through others, into one group; a group is called by its first name."""
    leader = {name: name for name in names}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for first, second in pairs:
        one, other = sorted((find(first), find(second)))
        leader[other] = one
    return {name: find(name) for name in names}
