"""The same photograph twice: one coin under two names, or one image in two collections.

A perceptual hash finds what may be the same image, saved again, in another size or with other colours; the features
of an embedder, compared cell by cell, decide. Two photographs of one coin under other light are no duplicates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image
from models.embedding.embedder import Embedder
from models.matching.grid import compare

HASH_BITS = 255  # the 16 x 16 lowest frequencies but the mean
NEAR_BITS = 48  # hashes of unrelated images differ in about half of their bits
SAME_IMAGE = 0.83  # mean cosine of the cells, by the starter; saved again at 60 % and JPEG 70, 160 photographs had 0.84
# or more, and different coins of one type at most 0.81
_CHUNK = 512
_OUTER = 64


@dataclass(frozen=True)
class Duplicate:
    """Two images (by number) that are one: in how many ``bits`` their hashes differ, and their cells' similarity."""

    first: int
    second: int
    bits: int
    score: float


def perceptual_hash(crop: Image) -> npt.NDArray[np.uint8]:
    """The signs of a crop's lowest frequencies, packed: (32,) uint8 (Zauner, "pHash", 2010, with 16 x 16 for 8 x 8)."""
    small = cv2.resize(crop[:, :, 0], (_OUTER, _OUTER), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = np.asarray(cv2.dct(small))[:16, :16].ravel()[1:]
    return np.packbits(low > np.median(low))


def find_duplicates(
    hashes: npt.NDArray[np.uint8], coins: Sequence[str], embedder: Embedder, crop_of: Callable[[int], Image]
) -> list[Duplicate]:
    """Find the pairs of images that are one, but bear the names of two coins.

    Parameters
    ----------
    hashes
        (N, 32) uint8 from `perceptual_hash`.
    coins
        N names.
    crop_of
        Gives the crop of an image by its number; asked only for those whose hashes are near.
    """
    found: list[Duplicate] = []
    candidates = list(_near(hashes, coins))
    for start in range(0, len(candidates), _CHUNK):
        some = candidates[start : start + _CHUNK]
        numbers = sorted({number for first, second, _ in some for number in (first, second)})
        grids = embedder.embed([crop_of(number) for number in numbers]).grid
        place = {number: row for row, number in enumerate(numbers)}
        for first, second, bits in some:
            score = float(compare(grids[place[first]][None], grids[place[second]][None])[0, 0])
            if score >= SAME_IMAGE:
                found.append(Duplicate(first, second, bits, score))
    return found


def _near(hashes: npt.NDArray[np.uint8], coins: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Pairs of near hashes of two coins, and in how many bits they differ."""
    _, names = np.unique(np.asarray(coins), return_inverse=True)
    signs = np.unpackbits(hashes, axis=1)[:, :HASH_BITS].astype(np.float32) * 2.0 - 1.0
    for start in range(0, len(signs), _CHUNK):
        bits = np.rint((HASH_BITS - signs[start : start + _CHUNK] @ signs.T) / 2.0).astype(int)
        others = names[start : start + _CHUNK, None] != names[None, :]
        rows, columns = np.nonzero((bits <= NEAR_BITS) & others)
        for row, column in zip(rows, columns, strict=True):
            if start + row < column:
                yield int(start + row), int(column), int(bits[row, column])


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
