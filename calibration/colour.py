"""True colours from a camera's values: its response, white balance and a colour correction matrix, from a chart.

The values of the chart are X-Rite's for charts made since November 2014, from colour-science, adapted to D65.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from calibration.chart import NEUTRALS, Chart
from calibration.colour_matrix import ColourMatrix, Model
from calibration.errors import CalibrationError
from calibration.response import LUMINANCE, light_of_codes

Values = npt.NDArray[np.float64]
Response = Literal["linear", "srgb", "fitted"]

MODELS: tuple[Model, ...] = ("linear", "root-polynomial")
MAX_MEAN, MAX_PATCH = 4.0, 15.0  # CIEDE2000: above, it is no ColorChecker, or the light is not fit for it
MAX_SHADING = 0.25  # range of the light over the chart
LEAST_LIGHT = 0.08  # of a patch, for it to show how the light falls
SIMPLER = 0.9  # a fitted response has to bring the error below this share of that of a simple one
_CHART = "ColorChecker24 - After November 2014"


@dataclass(frozen=True, eq=False)
class ColourCorrection:
    """From stored values to sRGB.

    Attributes
    ----------
    response
        (256, 3) light for each stored value of each channel, 0 to 1.
    response_kind
        How that was found: the camera stores light, or sRGB, or a curve fitted to the greys.
    model
        Of the correction.
    white_balance
        (3,) factors on red, green and blue light that make the chart's greys grey, green's 1.
    matrix
        (T, 3) from the terms of balanced light to linear sRGB: T is 3 for a linear one, 6 for root-polynomial.
    ciede2000_mean
        Colour difference left at the chart's patches, on average; None if it is not known.
    """

    response: Values
    response_kind: Response
    model: Model
    white_balance: Values
    matrix: Values
    ciede2000_mean: float | None = None


@dataclass(frozen=True)
class ColourFit:
    """A correction and how well it does.

    Attributes
    ----------
    correction
        The correction.
    ciede2000
        (24,) colour difference left at each patch.
    shading
        Share by which the light falls over the chart.
    """

    correction: ColourCorrection
    ciede2000: Values
    shading: float


def fit_colour(
    chart: Chart, model: Model = "linear", name: str = "the image", stored: Response | None = None
) -> ColourFit:
    """Fit a correction to a chart.

    What the camera stores is found out from the chart, unless `stored` says it.

    Finlayson, Mackiewicz, Hurlbert, "Color correction using root-polynomial regression", IEEE TIP 24 (2015).

    Raises
    ------
    CalibrationError
        If the colours are not those of the chart, or the light on it is uneven.
    """
    if stored is not None:
        best = _fit(chart, stored, model)
    else:
        fits = [_fit(chart, kind, model) for kind in ("linear", "srgb", "fitted")]
        best = min(fits[:2], key=lambda fit: fit.ciede2000.mean())
        if fits[2].ciede2000.mean() < SIMPLER * best.ciede2000.mean():
            best = fits[2]
    if best.shading > MAX_SHADING:
        raise CalibrationError(
            f"{name}: the light falls by {best.shading:.0%} over the chart ({MAX_SHADING:.0%} at most). Light it "
            "evenly, or take the flat field out first (`rig calibrate apply --flat`)."
        )
    mean, worst = float(best.ciede2000.mean()), int(best.ciede2000.argmax())
    if mean > MAX_MEAN or best.ciede2000[worst] > MAX_PATCH:
        raise CalibrationError(
            f"{name}: the chart's colours stay {mean:.1f} CIEDE2000 off ({MAX_MEAN:g} at most), patch {worst + 1} "
            f"{best.ciede2000[worst]:.1f}: no 24-patch ColorChecker, wrong corners, a shadow on a part of it, or a "
            "lamp that lacks colours. Check the chart and how it is lit, or use another lamp."
        )
    return best


def true_light(codes: npt.NDArray[np.float32], correction: ColourCorrection) -> npt.NDArray[np.float32]:
    """Linear sRGB (H, W, 3), not clipped, of stored values of 0 to 1."""
    at = np.arange(256) / 255
    light = np.stack(
        [np.interp(codes[..., axis], at, correction.response[:, axis]).astype(np.float32) for axis in range(3)], axis=-1
    )
    terms = _terms((light * correction.white_balance.astype(np.float32)).reshape(-1, 3), correction.model)
    return np.asarray(terms @ correction.matrix.astype(np.float32), np.float32).reshape(codes.shape)


def matrix_of(correction: ColourCorrection) -> ColourMatrix:
    """The matrix that a bundle keeps: it works on light, and leaves the brightness of grey as it is."""
    return ColourMatrix.of_balanced(
        correction.model, correction.white_balance, correction.matrix, correction.ciede2000_mean
    )


def reference_light() -> Values:
    """(24, 3) linear sRGB of the chart's patches under D65."""
    colour = _colour_science()
    chart = colour.CCS_COLOURCHECKERS[_CHART]
    xyz = colour.xyY_to_XYZ(np.array(list(chart.data.values())))
    d65 = colour.CCS_ILLUMINANTS["CIE 1931 2 Degree Standard Observer"]["D65"]
    adapted = colour.chromatic_adaptation(
        xyz, colour.xy_to_XYZ(chart.illuminant), colour.xy_to_XYZ(d65), method="Von Kries", transform="Bradford"
    )
    return np.asarray(colour.XYZ_to_RGB(adapted, "sRGB"), np.float64)


def difference(light: Values, reference: Values) -> Values:
    """CIEDE2000 between (N, 3) values of linear sRGB."""
    return np.asarray(_colour_science().delta_E(lab_of(light), lab_of(reference), method="CIE 2000"), np.float64)


def lab_of(light: Values) -> Values:
    """CIE L*a*b* under D65 of (N, 3) values of linear sRGB."""
    colour = _colour_science()
    d65 = colour.CCS_ILLUMINANTS["CIE 1931 2 Degree Standard Observer"]["D65"]
    return np.asarray(colour.XYZ_to_Lab(colour.RGB_to_XYZ(light, "sRGB"), d65), np.float64)


def _fit(chart: Chart, kind: Response, model: Model) -> ColourFit:
    reference = reference_light()
    response = _response(chart, kind, reference)
    light = np.stack([np.interp(chart.codes[:, axis], np.arange(256), response[:, axis]) for axis in range(3)], axis=1)
    light = np.maximum(light, 1e-5)
    white = light[NEUTRALS][:4].mean(axis=0)
    balance = white[1] / white
    terms = _terms(light * balance, model)
    # Errors of dark colours are seen as well as those of light ones.
    weight = 1.0 / np.maximum(reference[:, 1], 0.02)[:, None] ** (2 / 3)
    matrix = np.asarray(np.linalg.lstsq(terms * weight, reference * weight, rcond=None)[0], np.float64)
    seen = terms @ matrix
    shading = _range_of_light(chart.centres_px, seen @ LUMINANCE, reference @ LUMINANCE)
    left = difference(np.clip(seen, 0, 1), reference)
    correction = ColourCorrection(response, kind, model, balance, matrix, float(left.mean()))
    return ColourFit(correction, left, shading)


def _response(chart: Chart, kind: Response, reference: Values) -> Values:
    """(256, 3) light for each stored value."""
    codes = np.arange(256) / 255
    if kind == "linear":
        return np.repeat(codes[:, None], 3, axis=1)
    if kind == "srgb":
        return np.repeat(light_of_codes(codes)[:, None], 3, axis=1)
    greys = np.log(np.maximum(reference[NEUTRALS].mean(axis=1), 1e-3))
    stored = np.log(np.maximum(chart.codes[NEUTRALS], 1.0) / 255)
    curves = []
    for axis in range(3):
        bend = np.polyfit(stored[:, axis], greys, 2)
        at = np.log(np.maximum(np.arange(256), 1.0) / 255)
        curve = np.exp(np.polyval(bend, at))
        curve[0] = 0.0
        curve = np.maximum.accumulate(curve)
        curves.append(np.clip(curve / max(1.0, float(curve.max())), 0, 1))
    return np.stack(curves, axis=1)


def _terms(light: npt.NDArray[Any], model: Model) -> npt.NDArray[Any]:
    """(N, T) of (N, 3) light: for root-polynomial also the roots of the products, which keep with the exposure."""
    if model == "linear":
        return light
    red, green, blue = np.maximum(light, 0).T
    return np.stack([*light.T, np.sqrt(red * green), np.sqrt(green * blue), np.sqrt(red * blue)], axis=1)


def _range_of_light(places_px: Values, seen: Values, true: Values) -> float:
    """By which share the light falls over the chart: a plane through the logarithm of what is seen over what is true.

    Light patches count more, since noise and stray light change them least.
    """
    places = (places_px - places_px.mean(axis=0)) / np.ptp(places_px, axis=0).max()
    terms = np.column_stack([np.ones(len(places)), places])
    level = np.log(np.clip(seen / true, 0.05, 20))
    weight = signal = np.sqrt(np.clip(true, 0, 0.6)) * (true > LEAST_LIGHT)
    for _ in range(10):
        solution = np.linalg.lstsq(terms * weight[:, None], level * weight, rcond=None)[0]
        miss = level - terms @ solution
        usual = float(np.median(np.abs(miss[signal > 0]))) + 1e-3
        weight = signal / np.sqrt(1 + (miss / (1.5 * usual)) ** 2)
    across = terms[:, 1:] @ solution[1:]
    return float(1 - np.exp(across.min() - across.max()))


def _colour_science() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of plotting libraries that it would like to have
        import colour
    return colour
