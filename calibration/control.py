"""A control frame: how the empty plate with its ring looks, against how it looked when the camera was calibrated.

The ring is the same print under the same light at the same exposure: where it looks brighter, of another colour, larger
or elsewhere, lamps, camera or lens have changed since.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from calibration.image import Image
from calibration.plate import RingSpec, plate_angle_deg
from calibration.response import to_linear

Appearance = Mapping[str, float]
"""Values by name, as they are kept among those of `calibration.quality`."""

EXPOSURE_US = "control_exposure_us"
CHANNELS = ("control_red", "control_green", "control_blue")
MM_PER_PIXEL, CENTRE_X, CENTRE_Y = "control_mm_per_pixel", "control_x_px", "control_y_px"

MAX_BRIGHTER = 0.05  # share by which the light may change
MAX_TINTED = 0.02  # share by which one channel may change against another
MAX_SCALED = 0.005
MAX_MOVED_MM = 0.5


def appearance_of(image: Image, ring: RingSpec) -> dict[str, float]:
    """How the ring looks in a calibrated image (H, W, 3); nothing where too little of it is seen."""
    plate = plate_angle_deg(image, None, ring)
    if plate is None:
        return {}
    y, x = np.indices(image.shape[:2], np.float32)
    mm = np.hypot(x - plate.centre_px[0], y - plate.centre_px[1]) * plate.mm_per_pixel
    on_ring = np.abs(mm - ring.radius_mm) < ring.marker_mm / 2
    light = to_linear(np.ascontiguousarray(image[on_ring][None]))[0].mean(axis=0)
    return {
        **{name: float(value) for name, value in zip(CHANNELS, light, strict=True)},
        MM_PER_PIXEL: plate.mm_per_pixel,
        CENTRE_X: plate.centre_px[0],
        CENTRE_Y: plate.centre_px[1],
    }


def find_drift(reference: Appearance, now: Appearance) -> list[str]:
    """What has changed by more than it may, each in a sentence."""
    was, is_now = (np.array([appearance[name] for name in CHANNELS]) for appearance in (reference, now))
    change = is_now / np.maximum(was, 1e-6)
    drift = []
    brighter = float(change.mean()) - 1
    if abs(brighter) > MAX_BRIGHTER:
        word = "brighter" if brighter > 0 else "darker"
        drift.append(f"It is {abs(brighter):.0%} {word}: check the lamps and the lens's aperture.")
    tinted = float(change.max() / change.min()) - 1
    if tinted > MAX_TINTED:
        drift.append(
            f"Its colour has changed by {tinted:.0%}: check the lamps' colour, and whether light gets in from outside."
        )
    larger = reference[MM_PER_PIXEL] / now[MM_PER_PIXEL] - 1
    if abs(larger) > MAX_SCALED:
        word = "larger" if larger > 0 else "smaller"
        drift.append(f"It is seen {abs(larger):.1%} {word}: the camera's height or focus has changed.")
    moved_mm = now[MM_PER_PIXEL] * float(
        np.hypot(now[CENTRE_X] - reference[CENTRE_X], now[CENTRE_Y] - reference[CENTRE_Y])
    )
    if moved_mm > MAX_MOVED_MM:
        drift.append(f"It lies {moved_mm:.1f} mm from where it was: camera or plate has been moved.")
    return drift
