"""The 24 patches of a ColorChecker in a photograph, whatever the light; and whether they are fit to calibrate with."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.errors import CalibrationError
from calibration.image import Image

Values = npt.NDArray[np.float64]

COLUMNS, ROWS = 6, 4
PATCHES = COLUMNS * ROWS
WHITE, BLACK = 18, 23
NEUTRALS = slice(18, 24)
SEARCHED_PX = 1600  # longer side of the image in which the chart is looked for
INNER = 0.5  # share of a patch's side that is averaged
MAX_CLIPPED = 0.01  # share of a patch
LEAST_WHITE = 40  # of 255, of the white patch's weakest channel: below, dark patches have two or three levels
PARTS = 6  # of a patch in each direction, which are compared
MAX_UNEVEN = 0.10  # relative spread within a patch: glare, a shadow's edge, or no patch
CORNERS = "the centres of its dark-brown, bluish-green, black and white patches, as x,y x,y x,y x,y"


@dataclass(frozen=True)
class Chart:
    """The patches of a chart, in its own order: dark brown first, black last.

    Attributes
    ----------
    codes
        (24, 3) mean stored values, 0 to 255.
    centres_px
        (24, 2) where they are.
    """

    codes: Values
    centres_px: Values


def find_chart(image: Image, name: str = "the image", corners_px: Values | None = None) -> Chart:
    """Find a ColorChecker and check that it is well exposed.

    Parameters
    ----------
    image
        RGB, (H, W, 3) uint8.
    corners_px
        (4, 2) centres of the corner patches: dark brown, bluish green, black, white; None to look for the chart.

    Raises
    ------
    CalibrationError
        If no chart is found, it lies upside down, or a patch is clipped, dark or unevenly lit.
    """
    centres = _detected(image, name) if corners_px is None else _grid(corners_px, image, name)
    chart = Chart(*_means(image, centres, name))
    up = centres[:COLUMNS].mean(axis=0) - centres[-COLUMNS:].mean(axis=0)
    if up[1] > abs(up[0]):
        raise CalibrationError(
            f"{name}: the chart lies upside down, its row of greys at the top. Turn it, or the photograph, so "
            "that nothing is taken for something else."
        )
    return chart


def _detected(image: Image, name: str) -> Values:
    """Centres of the patches (24, 2) as OpenCV finds them, in the image balanced in one way or another."""
    scale = min(1.0, SEARCHED_PX / max(image.shape[:2]))
    small = image if scale == 1 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    for view in _views(np.asarray(small, np.uint8)):
        detector = cv2.mcc.CCheckerDetector.create()
        detector.setColorChartType(cv2.mcc.MCC24)
        try:
            is_found = detector.process(cv2.cvtColor(view, cv2.COLOR_RGB2BGR), 1)
        except cv2.error:  # it makes a matrix of nothing where it took something else for patches
            continue
        if is_found:
            quads = np.asarray(detector.getBestColorChecker().getColorCharts(), np.float64).reshape(-1, 4, 2)
            if len(quads) == PATCHES and np.isfinite(quads).all():
                return _settled(image, np.asarray((quads.mean(axis=1) + 0.5) / scale - 0.5))
    if float(image.max()) < 40:
        raise CalibrationError(f"{name} is too dark to show a chart. Light it, or expose longer.")
    raise CalibrationError(
        f"{name} shows no ColorChecker of 24 patches. Photograph it whole, flat and from above; or give {CORNERS}, "
        "with --corners."
    )


def _views(image: Image) -> list[Image]:
    """The image with its channels brought to one brightness and lightened; as it is; with local contrast."""
    top = np.maximum(np.percentile(image.reshape(-1, 3), 99.5, axis=0), 1)
    balanced = np.asarray(255 * np.clip(image / top, 0, 1) ** (1 / 2.2), np.uint8)
    lab = cv2.cvtColor(balanced, cv2.COLOR_RGB2LAB)
    lab[:, :, 0] = cv2.createCLAHE(3.0, (6, 6)).apply(lab[:, :, 0])
    return [balanced, image, np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)]


def _settled(image: Image, centres: Values) -> Values:
    """The grid moved to where its patches are evenest: what was found may be a third of a patch off."""
    grid = np.stack(np.meshgrid(np.arange(COLUMNS), np.arange(ROWS)), axis=-1).reshape(-1, 2).astype(np.float64)
    homography, _ = cv2.findHomography(grid, centres, cv2.RANSAC, 0.2 * _pitch(centres))
    if homography is None:
        return centres
    return np.asarray(cv2.perspectiveTransform(grid[:, None], homography), np.float64).reshape(-1, 2)


def _grid(corners_px: Values, image: Image, name: str) -> Values:
    height, width = image.shape[:2]
    if (corners_px < 0).any() or (corners_px[:, 0] >= width).any() or (corners_px[:, 1] >= height).any():
        raise CalibrationError(f"{name} is {width}x{height} pixels, and a corner lies outside. Give {CORNERS}.")
    if not cv2.isContourConvex(corners_px.astype(np.float32).reshape(-1, 1, 2)):
        raise CalibrationError(f"The corners do not go round the chart. Give {CORNERS}.")
    ends = np.array([[0, 0], [COLUMNS - 1, 0], [COLUMNS - 1, ROWS - 1], [0, ROWS - 1]], np.float32)
    homography = cv2.getPerspectiveTransform(ends, corners_px.astype(np.float32))
    grid = np.stack(np.meshgrid(np.arange(COLUMNS), np.arange(ROWS)), axis=-1).reshape(-1, 1, 2).astype(np.float64)
    return np.asarray(cv2.perspectiveTransform(grid, homography), np.float64).reshape(-1, 2)


def _pitch(centres: Values) -> float:
    """Distance between neighbouring patches (px)."""
    return float(np.median(np.linalg.norm(np.diff(centres.reshape(ROWS, COLUMNS, 2), axis=1), axis=2)))


def patch_of(centres_px: Values, number: int) -> tuple[slice, slice]:
    """Rows and columns of the part of a patch that is averaged."""
    (x, y), reach = centres_px[number], _reach(centres_px)
    return (
        slice(max(0, round(y - reach)), round(y + reach) + 1),
        slice(max(0, round(x - reach)), round(x + reach) + 1),
    )


def _parts_of(patch: Image) -> Values:
    """(N, 3) means over the parts of a patch: noise of single pixels averages out, glare and a shadow's edge do not."""
    size = (min(PARTS, patch.shape[1]), min(PARTS, patch.shape[0]))
    means = cv2.resize(patch.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float64).reshape(-1, 3)


def _reach(centres: Values) -> float:
    """Half the side (px) of what is averaged of a patch."""
    return INNER * _pitch(centres) * 0.8 / 2


def _means(image: Image, centres: Values, name: str) -> tuple[Values, Values]:
    reach = _reach(centres)
    if reach < 2:
        raise CalibrationError(f"{name}: the chart is too small, a patch has {2 * reach:.0f} pixels. Go nearer.")
    codes = []
    for number in range(PATCHES):
        pixels = image[patch_of(centres, number)].reshape(-1, 3).astype(np.float64)
        if len(pixels) < 9:
            raise CalibrationError(f"{name}: patch {number + 1} of the chart lies outside of the image. Show it whole.")
        clipped = float((pixels >= 254).any(axis=1).mean())
        if clipped > MAX_CLIPPED:
            raise CalibrationError(
                f"{name}: patch {number + 1} of the chart is clipped ({clipped:.0%} of its pixels are at the limit). "
                "Expose less, or turn the chart away from the lamp's glare."
            )
        parts = _parts_of(image[patch_of(centres, number)])
        spread = float((parts.std(axis=0) / (parts.mean(axis=0) + 12)).min())
        if spread > MAX_UNEVEN:
            raise CalibrationError(
                f"{name}: patch {number + 1} of the chart is uneven (it varies by {spread:.0%}): glare, a shadow, "
                "dirt, or no patch. Light the chart evenly from both sides."
            )
        codes.append(pixels.mean(axis=0))
    means = np.array(codes)
    weakest = int(means[WHITE].argmin())
    if means[WHITE, weakest] < LEAST_WHITE:
        channel = ("red", "green", "blue")[weakest]
        raise CalibrationError(
            f"{name}: the chart is badly lit: {channel} of its white patch is {means[WHITE, weakest]:.0f} of 255 "
            f"({LEAST_WHITE} at least). Expose longer; if the other channels are then clipped, the lamp has too little "
            f"{channel}: use another one."
        )
    return means, centres
