"""What an imaging system is worth, in terms of FADGI and ISO 19264-1, from calibrated images of board, card and chart.

None of the images is one that the calibration was made of: the chart and the board were turned on, the card exposed
again. Lab is CIE 1976 under D65. Values are named as in `calibration.guidelines.CRITERIA`.
"""

from __future__ import annotations

import cv2
import numpy as np

from calibration.chart import NEUTRALS, PATCHES, Chart, patch_of
from calibration.colour import difference, lab_of, reference_light
from calibration.image import Image
from calibration.response import light_of_codes, to_linear
from calibration.sharpness import Sharpness

MM_PER_INCH = 25.4
PART_PX = 32  # of the card, whose brightness is compared; noise averages out


def of_scale(mm_per_pixel: float, ring_mm_per_pixel: float | None) -> dict[str, float]:
    """Resolution, and how far the scale of a second ruler is off."""
    quality = {"resolution_ppi": MM_PER_INCH / mm_per_pixel}
    if ring_mm_per_pixel is not None:
        quality["scale_percent"] = 100 * abs(ring_mm_per_pixel / mm_per_pixel - 1)
    return quality


def of_chart(image: Image, chart: Chart) -> dict[str, float]:
    """Tone, white balance, colour and noise, of a calibrated image (H, W, 3) of the chart.

    Brightness is a matter of exposure: all patches are brought to it by one factor before they are compared.
    """
    reference = np.clip(reference_light(), 0, 1)
    seen = light_of_codes(chart.codes / 255)
    greys = slice(NEUTRALS.start, NEUTRALS.stop - 1)  # the black one says least
    factor = float((reference[greys] * seen[greys]).sum() / (seen[greys] ** 2).sum())
    seen = np.clip(seen * factor, 0, 1)
    apart = difference(seen, reference)
    lab, aim = lab_of(seen)[NEUTRALS], lab_of(reference)[NEUTRALS]
    spreads = []
    for number in range(*NEUTRALS.indices(PATCHES)):
        part = to_linear(np.ascontiguousarray(image[patch_of(chart.centres_px, number)])).reshape(-1, 3)
        spreads.append(float(lab_of(np.clip(part.astype(np.float64) * factor, 0, 1))[:, 0].std()))
    return {
        "tone": float(np.abs(lab[:, 0] - aim[:, 0]).max()),
        "white_balance": float(np.hypot(*(lab[:, 1:] - aim[:, 1:]).T).max()),
        "ciede2000_mean": float(apart.mean()),
        "ciede2000_p90": float(np.percentile(apart, 90)),
        "ciede2000_max": float(apart.max()),
        "noise": max(spreads),
    }


def of_card(image: Image) -> dict[str, float]:
    """Uniformity, of a calibrated image (H, W, 3) of the white card; its outermost pixels are left out."""
    height, width = image.shape[:2]
    size = max(2, width // PART_PX), max(2, height // PART_PX)
    inner = image[height // 64 : height - height // 64, width // 64 : width - width // 64]
    parts = cv2.resize(to_linear(np.ascontiguousarray(inner)), size, interpolation=cv2.INTER_AREA)
    lightness = lab_of(np.asarray(parts, np.float64).reshape(-1, 3))[:, 0]
    return {"uniformity_percent": float(100 * lightness.std() / lightness.mean())}


def of_edges(sharpness: Sharpness) -> dict[str, float]:
    """Sharpness, of a calibrated image of slanted edges."""
    return {
        "mtf50": sharpness.mtf50,
        "mtf10": sharpness.mtf10,
        "sampling_efficiency_percent": 100 * sharpness.sampling_efficiency,
        "greatest_modulation": sharpness.greatest,
        "misregistration_px": sharpness.misregistration_px,
    }
