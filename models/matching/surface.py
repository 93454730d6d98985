"""The fine surface of two crops in register: what two coins of one die do not share.

A similarity lays one crop on the other; perspective and a bent flan leave some pixels, which a smooth warp that follows
the points removes. Then the relief of the two is correlated place by place at three sizes of detail. Coins of one die
agree where the die made them and differ where wear, scratches and dirt did: not their mean correlation sets them apart
from one coin photographed twice, but that of the places where they agree least.

Light draws a relief otherwise from every side. So the two are correlated as they were photographed, as one light would
show them (`models.matching.relighting`), and by where relief is at all, whichever way it faces. What a network makes of
them comes beside it (`models.matching.surface_network`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image
from calibration.outline import GREY_MEAN
from models.local_features.networks import SIZE_PX
from models.matching.registration import Registration
from models.matching.relighting import coin_disc, relight
from models.matching.surface_network import SURFACE_PX, level_out

REGISTERED_PX = 160
_STIFFNESS = 0.05  # of the warp: points lie by 0.005 of the width where they should, the warp bends by 0.02
_DETAILS = ((0.7, 3.0), (1.0, 5.0), (1.5, 8.0))  # px at `REGISTERED_PX`: what is smoothed away, what is levelled out
_PATCH_PX = 21
_SHARES = (0.05, 0.25, 0.75, 0.95)  # of the places: the least, the fewer, the more and the most that agree

STATISTICS = 4 + len(_DETAILS) * (3 * (1 + len(_SHARES)) + 2)


@dataclass(frozen=True)
class Overlay:
    """Two crops in register.

    Attributes
    ----------
    statistics
        (STATISTICS,): ln of the points that agree, shift, ln of the scale (without sign), ln of what is left after
        bending; then for each size of detail, as photographed, under one light, and by the strength of the relief, the
        correlation of the places on the coin: its mean, and the limits below which `_SHARES` of them lie; and the
        agreement of the whole under one light and before.
    laid
        (2, SURFACE_PX, SURFACE_PX) uint8, for the network.
    """

    statistics: npt.NDArray[np.float64]
    laid: npt.NDArray[np.uint8]


def bring_into_register(
    first: Image, second: Image, registration: Registration, size_px: int = REGISTERED_PX
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], float]:
    """Lay the first of two crops on the second by a registration that holds, and bend it onto it smoothly.

    Returns
    -------
    first, second
        (size_px, size_px) grey.
    left
        How far the points still lie apart: root of the mean square, in px of the enlarged crop (`SIZE_PX`).
    """
    back = cv2.invertAffineTransform(registration.matrix)
    misplaced = registration.first - (registration.second @ back[:, :2].T + back[:, 2])
    terms = _smooth_terms(registration.second.astype(np.float64))
    bend = np.linalg.solve(terms.T @ terms + _STIFFNESS * np.eye(terms.shape[1]), terms.T @ misplaced)
    left = float(np.sqrt(((misplaced - terms @ bend) ** 2).sum(axis=1).mean()) * SIZE_PX)
    axis = (np.arange(size_px, dtype=np.float64) + 0.5) / size_px
    places = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    source = places @ back[:, :2].T + back[:, 2] + _smooth_terms(places) @ bend
    at_px = (source * first.shape[0] - 0.5).astype(np.float32).reshape(size_px, size_px, 2)
    laid = cv2.remap(first[:, :, 0], at_px, None, cv2.INTER_LINEAR, borderValue=round(GREY_MEAN))  # type: ignore[call-overload]
    still = cv2.resize(second[:, :, 0], (size_px, size_px), interpolation=cv2.INTER_AREA)
    return np.asarray(laid, np.uint8), np.asarray(still, np.uint8), left


def compare_surfaces(first: Image, second: Image, registration: Registration) -> Overlay:
    """What two crops show once they are in register."""
    linear, centre = registration.matrix[:, :2], registration.matrix @ (0.5, 0.5, 1.0)
    laid, still, left = bring_into_register(first, second, registration)
    found = [
        float(np.log(registration.inliers)),
        float(np.hypot(*(centre - 0.5))),
        abs(float(np.log(np.hypot(linear[0, 0], linear[1, 0])))),
        float(np.log(max(left, 1e-3))),
    ]
    on_coin = coin_disc(REGISTERED_PX)
    for fine_px, level_px in _DETAILS:
        reliefs = _relief(laid, fine_px, level_px), _relief(still, fine_px, level_px)
        relit = relight(*reliefs)
        strengths = [_strength(relief) for relief in reliefs]
        for one, other in (reliefs, (relit.first, relit.second), strengths):
            agreement = _correlate(one, other)[on_coin]
            found += [float(agreement.mean()), *np.quantile(agreement, _SHARES).tolist()]
        found += [relit.agreement, relit.agreement_before]
    return Overlay(np.array(found), np.stack(bring_into_register(first, second, registration, SURFACE_PX)[:2]))


def _smooth_terms(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N, 6): what a quadratic warp is made of, at places in shares of the width."""
    x, y = (places - 0.5).T
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _relief(grey: npt.NDArray[np.uint8], fine_px: float, level_px: float) -> npt.NDArray[np.float32]:
    """Brightness and contrast levelled out, noise smoothed away."""
    return np.asarray(cv2.GaussianBlur(level_out(grey, level_px), (0, 0), fine_px), np.float32)


def _strength(relief: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Where there is relief at all, whichever way it faces."""
    strength = np.abs(relief)
    return np.asarray(cv2.GaussianBlur(strength - strength.mean(), (0, 0), 1.0), np.float32)


def _correlate(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Correlation in a patch around each place, the best of the nine shifts by a pixel."""
    window = (_PATCH_PX, _PATCH_PX)
    power = cv2.blur(second * second, window)
    best: npt.NDArray[Any] = np.full(first.shape, -1.0, np.float32)
    for shift in product((-1, 0, 1), repeat=2):
        moved = np.roll(first, shift, (0, 1))
        both = cv2.blur(moved * second, window) / np.sqrt(cv2.blur(moved * moved, window) * power + 1e-3)
        best = np.maximum(best, both)
    return best
