"""The flat field: how unevenly a light reaches the sensor by way of plate and lens, from images of a white card."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from calibration.errors import CalibrationError
from calibration.image import Image
from calibration.response import to_linear

Flat = npt.NDArray[np.float16]

CELL_PX = 16
MAX_CLIPPED = 0.002
MIN_LEVEL = 30
MAX_GAIN = 8.0


def flat_field(cards: Sequence[Image], light: str) -> Flat:
    """The gain that makes a white card even and neutral, one value for each cell of `CELL_PX` pixels.

    Parameters
    ----------
    cards
        One or more images (H, W, 3) of the white card under this light. Several average their noise out.
    light
        Name of the light, for messages.

    Returns
    -------
    Flat
        (ceil(H / CELL_PX), ceil(W / CELL_PX), 3) float16 factors on linear light; the mean of the three channels is 1
        in the middle of the image. Colour casts of the lamp go with it.

    Raises
    ------
    CalibrationError
        If no image is given, or they are over- or under-exposed, of different sizes, or show no even card.
    """
    if not cards:
        raise CalibrationError(f"There is no image of the white card under {light}. Take at least one.")
    if len({card.shape for card in cards}) > 1:
        raise CalibrationError(f"The images of the white card under {light} have different sizes. Take them again.")
    clipped = max(float((card >= 254).any(axis=2).mean()) for card in cards)
    if clipped > MAX_CLIPPED:
        raise CalibrationError(
            f"The white card under {light} is over-exposed ({clipped:.1%} of the pixels). "
            "Lower the exposure and take it again."
        )
    dimmest = min(float(np.median(card)) for card in cards)
    if dimmest < MIN_LEVEL:
        raise CalibrationError(
            f"The white card under {light} is too dark (median {dimmest:.0f} of 255). "
            "Check that the lamp is lit, or expose longer."
        )
    light_mean = sum((to_linear(card) for card in cards[1:]), to_linear(cards[0])) / np.float32(len(cards))
    cells = cell_means(light_mean)
    rough = cells / cv2.GaussianBlur(cells, (0, 0), 3.0)
    if float(np.abs(rough - 1).max()) > 0.25:
        raise CalibrationError(
            f"The image for the flat field of {light} shows more than an even white card. "
            "Cover the whole field with the card, without shadows or marks, and take it again."
        )
    smooth = _smooth(cells)
    middle = smooth[smooth.shape[0] // 2, smooth.shape[1] // 2]
    gain = np.float32(middle.mean()) / np.maximum(smooth, np.float32(1e-4))
    if float(gain.max()) > MAX_GAIN:
        raise CalibrationError(
            f"The light of {light} does not reach the whole field. Check the lamp, then take the card again."
        )
    return np.asarray(gain, np.float16)


def gain_at_size(flat: npt.NDArray[np.floating], width_px: int, height_px: int) -> npt.NDArray[np.float32]:
    """A flat field as one factor per pixel, (height_px, width_px, 3)."""
    # Cell k is centred on pixel (k + 0.5) * CELL_PX - 0.5.
    to_cell = np.array([[1 / CELL_PX, 0, 0.5 / CELL_PX - 0.5], [0, 1 / CELL_PX, 0.5 / CELL_PX - 0.5]])
    return np.asarray(
        cv2.warpAffine(
            flat.astype(np.float32),
            to_cell,
            (width_px, height_px),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )


def cell_means(light: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean of each cell of `CELL_PX` pixels, (ceil(H / CELL_PX), ceil(W / CELL_PX), 3), of light (H, W, 3)."""
    height, width = light.shape[:2]
    below, right = -height % CELL_PX, -width % CELL_PX
    whole = cv2.copyMakeBorder(light, 0, below, 0, right, cv2.BORDER_REFLECT)
    size = (whole.shape[1] // CELL_PX, whole.shape[0] // CELL_PX)
    return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.float32)


def _smooth(cells: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Take dust and paper grain out by a polynomial of degree 5 in x and y: light and vignetting have nothing finer."""
    rows, columns = cells.shape[:2]
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    terms = np.stack([(x**i * y**j).ravel() for i in range(6) for j in range(6 - i)], axis=1)
    values = np.log(np.maximum(cells, 1e-4)).reshape(-1, 3)
    coefficients, *_ = np.linalg.lstsq(terms, values, rcond=None)
    return np.asarray(np.exp(terms @ coefficients).reshape(cells.shape), np.float32)
