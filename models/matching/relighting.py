"""Two reliefs in register as one light would show them, wherever the lamps stood when they were photographed.

To a first approximation the brightness of a relief is its slope towards the lamp (A. Pentland, "Linear shading
analysis", IJCV 1990). The slope of one image along the other's light is then the slope of the other along the first
one's: both are the same mixed derivative of the height. So each is filtered by the direction of the other's light, and
what still differs is not the light. The two directions are those by which the two agree best; they are found from how
much of each direction there is in their spectra.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

Relief = npt.NDArray[np.float32]
_DIRECTIONS = 36  # that a lamp may stand in, and of waves
_ON_COIN = 0.8  # of the half width: beyond it outlines count, which light shifts
_SOFT_PX = 4.0  # edge of the coin: a hard one would be a wave of every direction


@dataclass(frozen=True)
class Relit:
    """Two reliefs under one light.

    Attributes
    ----------
    first, second
        (n, n) float32.
    agreement, agreement_before
        Correlation of the whole coin, relit and as photographed.
    """

    first: Relief
    second: Relief
    agreement: float
    agreement_before: float


def relight(first: Relief, second: Relief) -> Relit:
    """Bring two reliefs, (n, n) each, the coin filling them, under one light."""
    waves = _waves(len(first))
    spectra = [np.fft.rfft2(relief * waves.window) for relief in (first, second)]
    shared, *own = (
        np.bincount(waves.direction, power.ravel(), _DIRECTIONS)
        for power in ((spectra[0] * spectra[1].conj()).real, *(np.abs(spectrum) ** 2 for spectrum in spectra))
    )
    facing = waves.facing
    both = np.einsum("ak,bk,k->ab", facing, facing, shared)
    alone = [np.square(facing) @ power for power in own]
    agreement = both / np.sqrt(alone[0][None, :] * alone[1][:, None] + 1e-9)
    agreement = agreement[: _DIRECTIONS // 2]  # both lamps on the other side are the same
    of_first, of_second = np.unravel_index(int(agreement.argmax()), agreement.shape)
    return Relit(
        _slope_along(first, int(of_second)),
        _slope_along(second, int(of_first)),
        float(agreement[of_first, of_second]),
        float(shared.sum() / np.sqrt(own[0].sum() * own[1].sum() + 1e-9)),
    )


@dataclass(frozen=True)
class _Waves:
    """Of an image's spectrum: each wave's direction in rad and by number, and how much it faces a lamp of each."""

    angle: npt.NDArray[np.float64]
    direction: npt.NDArray[np.int64]
    facing: npt.NDArray[np.float64]
    window: Relief


@lru_cache(maxsize=2)
def _waves(size: int) -> _Waves:
    rows, columns = np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij")
    angle = np.arctan2(rows, columns)  # half a turn: the other half is the same waves
    direction = np.minimum(((angle / np.pi + 0.5) * _DIRECTIONS).astype(np.int64), _DIRECTIONS - 1)
    middle = (np.arange(_DIRECTIONS) + 0.5) * np.pi / _DIRECTIONS - np.pi / 2.0
    facing = np.cos(middle[None, :] - _lamp_rad(np.arange(_DIRECTIONS))[:, None])
    window = np.asarray(cv2.GaussianBlur(coin_disc(size).astype(np.float32), (0, 0), _SOFT_PX), np.float32)
    return _Waves(angle, direction.ravel(), facing, window)


def coin_disc(size_px: int, share: float = _ON_COIN) -> npt.NDArray[np.bool_]:
    """(n, n) what is on the coin, in an image that it fills."""
    axis = (np.arange(size_px) + 0.5) / (size_px / 2.0) - 1.0
    return np.hypot(axis[None, :], axis[:, None]) < share


def _slope_along(relief: Relief, lamp: int) -> Relief:
    """Its slope towards a lamp, each wave as strong as before."""
    waves = _waves(len(relief))
    filtered = np.fft.rfft2(relief) * (1j * np.cos(waves.angle - _lamp_rad(lamp)))
    return np.asarray(np.fft.irfft2(filtered, relief.shape), np.float32)


def _lamp_rad(number: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.asarray(number, np.float64) * (2.0 * np.pi / _DIRECTIONS)
