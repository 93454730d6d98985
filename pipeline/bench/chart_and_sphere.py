"""The part of `rig calibrate` that colours and lights come from: a ColorChecker, and a chrome sphere on the card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.apply import apply
from calibration.bundle import Bundle
from calibration.chart import BLACK, WHITE, find_chart
from calibration.colour import fit_colour, matrix_of
from calibration.colour_matrix import ColourMatrix
from calibration.errors import CalibrationError
from calibration.image import Image
from calibration.lamp_place import LampPlace, place_lamp
from calibration.lamp_sphere import find_sphere, ray_to_lamp
from calibration.lens import Lens
from pipeline.reporter import Reporter

SPHERE_AT_DEG = (0.0, 180.0)  # of the plate: lamps are near, so the sphere has to be seen from two places
CORNER_PATCHES = [0, 5, BLACK, WHITE]


def calibrate_colours(
    shown: Mapping[str, Image], bundle: Bundle, first: str, reporter: Reporter
) -> dict[str, ColourMatrix]:
    """The colour matrix of each light, from raw images (H, W, 3) of the chart.

    Parameters
    ----------
    shown
        Light -> image; the chart stays where it is.
    bundle
        Takes out uneven light and distortion.
    first
        The light under which the chart is looked for.

    Raises
    ------
    CalibrationError
        If the chart is not found, or is no good under a light.
    """
    colours = {}
    corners: npt.NDArray[np.float64] | None = None
    for light in sorted(shown, key=lambda name: name != first):
        name = f"the chart under {light}"
        chart = find_chart(apply(shown[light], bundle, light), name, corners)
        corners = chart.centres_px[CORNER_PATCHES]
        fit = fit_colour(chart, name=name, stored="srgb")
        colours[light] = matrix_of(fit.correction)
        reporter.report(f"Colours of {light}: CIEDE2000 {fit.ciede2000.mean():.2f} on average.")
    return colours


@dataclass(frozen=True, eq=False)
class SphereView:
    """How the sphere is seen: lens, mm per pixel on the plate, its diameter, the plate's centre (camera's frame)."""

    lens: Lens
    mm_per_pixel: float
    sphere_mm: float
    centre_mm: npt.NDArray[np.float64]


def calibrate_lamps(
    outlines: Mapping[float, Image], spots: Mapping[str, Mapping[float, Image]], view: SphereView, reporter: Reporter
) -> dict[str, LampPlace]:
    """Where each light comes from, from raw images (H, W, 3) of the sphere on the card.

    Parameters
    ----------
    outlines
        Angle of the plate (deg) -> an image in which the sphere's outline is seen well.
    spots
        Light -> angle of the plate -> an image so dark that the lamp's reflection stands out.

    Raises
    ------
    CalibrationError
        If the sphere is not found.
    """
    spheres = {
        angle: find_sphere(image, view.lens, view.mm_per_pixel, view.sphere_mm) for angle, image in outlines.items()
    }
    up = np.array([1.0, -1.0, -1.0])  # from the camera's frame to that of the image: y up, z towards the camera
    places = {}
    for light, images in spots.items():
        try:
            rays = [ray_to_lamp(image, spheres[angle], view.lens, light) for angle, image in images.items()]
        except CalibrationError as error:
            reporter.report(f"Where {light} comes from is not kept: {error}")
            continue
        origins = [up * (point - view.centre_mm) for point, _ in rays]
        places[light] = place_lamp(origins, [up * direction for _, direction in rays])
    return places
