"""The same relief under another lamp.

Turning a coin under a fixed lamp is not image rotation: what was lit from the left is then lit from the right. A
catalogue's one photograph does not show that, but its relief can be guessed, or measured from frames under several
lamps, and relit. Everything works on normalised grey crops, (size, size) float32 of 0 to 255; azimuths are
counter-clockwise from the right of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.outline import CROP_MARGIN, GREY_MEAN, GREY_STD

Grey = npt.NDArray[np.float32]
Double = npt.NDArray[np.float64]

PHOTOGRAPH_LAMP_DEG = 135.0  # upper left, the convention of coin photography
_STEEPNESS = 0.45  # slope of one standard deviation: reliefs are known up to their height only
_SHINE = 12.0  # exponent of the reflection; worn bronze and silver are satin, not mirrors


@dataclass(frozen=True)
class Relief:
    """What a coin's surface does with light.

    Attributes
    ----------
    slope_x, slope_y
        (n, n) rise to the right and upwards, of standard deviation 1 together inside the coin.
    paint
        (n, n) what stays where the lamp moves: dirt, toning, deep hollows. Mean 0, standard deviation 1 at most.
    """

    slope_x: Grey
    slope_y: Grey
    paint: Grey


def guessed_relief(grey: Grey, lamp_deg: float = PHOTOGRAPH_LAMP_DEG) -> Relief:
    """Guess the relief behind one photograph, lit from an azimuth that is usual or known.

    Linear shape from shading (A. Pentland, "Linear shape from shading", IJCV 1990): what falls towards the lamp is
    bright, so height is brightness summed up along the light. Across the light shading says nothing; there "dark is
    deep" decides: dirt stays in hollows, worn points are bare. What neither explains remains as paint.
    """
    size = grey.shape[0]
    inside = on_coin(size)
    shade = np.where(inside, (grey - np.float32(GREY_MEAN)) / np.float32(GREY_STD), np.float32(0.0))
    spectrum = np.fft.rfft2(shade)
    right = 2j * np.pi * np.fft.rfftfreq(size)[None, :]
    up = -2j * np.pi * np.fft.fftfreq(size)[:, None]
    lamp = np.radians(lamp_deg)
    falling = -(right * np.cos(lamp) + up * np.sin(lamp))
    frequency = np.abs(right) ** 2 + np.abs(up) ** 2
    from_shading = np.conj(falling) / (np.abs(falling) ** 2 + 0.5 * frequency + 1e-4)
    height = spectrum * (from_shading + 0.8 / np.sqrt(frequency + 4e-4))
    slope_x = np.fft.irfft2(height * right, s=shade.shape)
    slope_y = np.fft.irfft2(height * up, s=shade.shape)
    explained = spectrum * from_shading * falling
    paint = shade - np.fft.irfft2(explained, s=shade.shape)
    return _scaled(slope_x, slope_y, paint)


def measured_relief(greys: Sequence[Grey], lamps_deg: Sequence[float]) -> Relief:
    """Measure the relief from crops of one placement under lamps at known azimuths (frames of a scan, or an RTI).

    Brightness as the lamp goes round is a constant, the paint, and one wave, whose direction and height are the
    slope's; a least-squares fit per pixel (R. Woodham, "Photometric method for determining surface orientation", 1980).

    Raises
    ------
    ValueError
        If there are fewer than three lamps, or they stand where they cannot tell the directions apart.
    """
    lamps = np.radians(np.asarray(lamps_deg, np.float64))
    design = np.column_stack([np.ones(len(lamps)), -np.cos(lamps), -np.sin(lamps)])
    if len(greys) != len(lamps) or np.linalg.matrix_rank(design, tol=0.05) < 3:
        raise ValueError("measuring a relief takes crops under at least three lamps around the coin.")
    size = greys[0].shape[0]
    values = np.stack([grey.ravel() for grey in greys]).astype(np.float64)
    paint, slope_x, slope_y = np.linalg.lstsq(design, values, rcond=None)[0].reshape(3, size, size)
    return _scaled(slope_x, slope_y, (paint - GREY_MEAN) / GREY_STD)


def relit(relief: Relief, lamp_deg: float, elevation_deg: float = 40.0, gloss: float = 0.4, paint: float = 0.4) -> Grey:
    """Light a relief from an azimuth and an elevation: Lambert's law and a satin reflection.

    Parameters
    ----------
    gloss
        Strength of the reflection beside the diffuse light.
    paint
        How much of the image the paint makes, 0 to 1.

    Returns
    -------
    Grey
        Mean and spread inside the coin as in every crop, `GREY_MEAN` outside.
    """
    lamp, elevation = np.radians(lamp_deg), np.radians(elevation_deg)
    light = np.array([np.cos(elevation) * np.cos(lamp), np.cos(elevation) * np.sin(lamp), np.sin(elevation)])
    half = light + np.array([0.0, 0.0, 1.0])  # halfway between lamp and camera
    half /= np.linalg.norm(half)
    x, y = relief.slope_x * np.float32(_STEEPNESS), relief.slope_y * np.float32(_STEEPNESS)
    up = 1.0 / np.sqrt(x * x + y * y + 1.0)
    diffuse = np.maximum((light[2] - light[0] * x - light[1] * y) * up, 0.0)
    reflected = np.maximum((half[2] - half[0] * x - half[1] * y) * up, 0.0) ** _SHINE
    shade = diffuse + gloss * reflected
    inside = on_coin(shade.shape[0])
    shade = (shade - shade[inside].mean()) / (shade[inside].std() + 1e-6)
    mixed = (1.0 - paint) * shade + paint * relief.paint
    mixed /= mixed[inside].std() + 1e-6
    return np.where(inside, GREY_MEAN + GREY_STD * mixed, GREY_MEAN).clip(0.0, 255.0).astype(np.float32)


def on_coin(size: int) -> npt.NDArray[np.bool_]:
    """Which pixels of a (size, size) crop lie on the coin."""
    axis = np.arange(size, dtype=np.float32) - (size - 1) / 2.0
    return np.asarray(np.hypot(axis[None, :], axis[:, None]) <= CROP_MARGIN * size / 2.0)


def _scaled(
    slope_x: npt.NDArray[np.float64], slope_y: npt.NDArray[np.float64], paint: npt.NDArray[np.float64]
) -> Relief:
    """Slopes of standard deviation 1 together, paint without its mean and never stronger than a whole image."""
    inside = on_coin(paint.shape[0])
    steep = float(np.sqrt(np.mean(slope_x[inside] ** 2 + slope_y[inside] ** 2))) + 1e-6
    paint = np.where(inside, paint - paint[inside].mean(), 0.0)
    paint = paint / max(1.0, float(paint[inside].std()))
    outside = ~inside
    slope_x, slope_y = slope_x / steep, slope_y / steep
    slope_x[outside] = slope_y[outside] = 0.0
    return Relief(slope_x.astype(np.float32), slope_y.astype(np.float32), paint.astype(np.float32))
