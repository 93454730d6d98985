"""Whether a frame is worth keeping.

Sharpness is measured on the coin itself, so that it holds under any lamp and at any brightness: how much fine detail
there is for each part of coarse detail, times how steep the coin's edge stands against the plate. Either alone mistakes
a worn coin for a blurred one. Detail is measured at one size of the coin, whatever the camera's pixels.

What turntable and lightbox report is not trusted: the ring on the plate, and the way the light falls off across it,
show whether the frame has the pose and the light it was taken for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from calibration.camera_pose import shift_mm, square_of
from calibration.every_coin import find_every_coin
from calibration.flat import Flat
from calibration.image import Image
from calibration.lamps import likely_light, lit_from
from calibration.lens import Lens
from calibration.outline import Outline, find_coins
from calibration.plate import PlateAngle, RingSpec, as_from_above, camera_tilt_deg, plate_of, ring_corners
from capture.store.quarantine import QuarantineReason

DISC_RADIUS_PX = 200
MIN_PHOTOGRAPH_RADIUS_PX = 32.0  # of a coin; in the smallest useful catalogue image it is about 50
MAX_PHOTOGRAPH_EDGE = 0.1  # share of a coin's rim that lies on the image's edge: people crop closely
LEAST_TILT = 0.07  # sine: a ring that is seen from straight above seems to be tilted by up to 3.5 degrees on the twin
MAX_PHOTOGRAPH_CLIPPED = 0.5  # of hand-held photographs under strong lamps up to 0.35 are over-exposed, and still found


class Limits(BaseModel):
    """What is still good enough.

    The default sharpness lies below that of every coin in focus (0.10 and more on the twin, 0.07 for coins that are
    themselves blurred photographs) and above that of frames 10 mm out of focus (0.03 to 0.05).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_sharpness: float = Field(default=0.05, ge=0)
    max_clipped_fraction: float = Field(default=0.15, ge=0, le=1)
    min_mean: float = Field(default=20.0, ge=0, le=255, description="mean grey level on the coin")
    min_bright: float = Field(default=12.0, ge=0, le=255, description="grey level that the brightest 1 % reaches")
    max_angle_error_deg: float = Field(
        default=1.0, gt=0, description="turntable, read back and as the ring shows it, against commanded"
    )
    max_tilt_error_deg: float = Field(
        default=3.0, gt=0, description="camera, as the ring shows its tilt, against commanded"
    )
    max_camera_shift_mm: float = Field(
        default=1.0, gt=0, description="camera on an arm, as the ring shows it, against where its pose was taught"
    )
    ring: RingSpec = Field(default=RingSpec(), description="the ring of markers on the plate, as measured")
    ring_zero_deg: float = Field(default=0.0, description="what the ring shows when the turntable stands at 0")
    max_light_slope: float = Field(default=0.06, gt=0, description="fall-off that the light's flat field leaves")
    verify_every: int = Field(default=1, ge=0, description="every n-th frame's pose and light are checked; 0 for none")
    second_coin: float = Field(default=0.35, gt=0, le=1, description="radius and brightness, over the first's")


@dataclass(frozen=True)
class Expected:
    """What a frame was taken to show.

    Attributes
    ----------
    turntable_deg
        The commanded angle of the turntable.
    light
        Name of the commanded light.
    flats
        Flat fields of all lights, from the calibration bundle; light is not checked where its own is missing.
    tilt_deg
        The commanded tilt of the camera.
    lens
        The camera's, from the calibration bundle; tilt and place are not checked without it.
    square_px
        Where the plate was seen when this pose of the arm that holds the camera was taught; None where none holds it.
    """

    turntable_deg: float
    light: str
    flats: Mapping[str, Flat] = field(default_factory=dict)
    tilt_deg: float = 0.0
    lens: Lens | None = None
    square_px: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True)
class Quality:
    """What the check found.

    Attributes
    ----------
    reasons
        Why the frame is not good, most telling first; empty when it is.
    metrics
        ``bright`` and ``mean`` (grey levels), ``clipped_fraction``, ``sharpness``, ``difference`` to the frame before
        (mean grey levels), ``coins``, ``radius_px``, ``centre_px``, ``plate_deg``, ``tilt_deg`` and ``plate_markers``
        (what the ring shows, and how much of it is seen), ``camera_shift_mm`` (from where an arm's pose was taught, in
        the camera's axes), ``light_slope`` (what the light leaves unexplained),
        ``likely_light`` where it is another; only what could be measured.
    outline
        Where the coin is; None if there is none.
    """

    reasons: tuple[QuarantineReason, ...]
    metrics: dict[str, Any]
    outline: Outline | None

    @property
    def is_good(self) -> bool:
        """Whether there is nothing against the frame."""
        return not self.reasons


def check(
    image: Image,
    previous: Image | None = None,
    angle_error_deg: float = 0.0,
    limits: Limits | None = None,
    expected: Expected | None = None,
) -> Quality:
    """Check a raw frame of one coin.

    Parameters
    ----------
    image
        RGB, (H, W, 3) uint8, as it came from the camera: calibration hides clipping.
    previous
        The frame before it from the same camera; two exposures never agree to the last bit, so equal ones are one.
    angle_error_deg
        How far the turntable's reading is from the commanded angle.
    limits
        What is still good; the defaults when None.
    expected
        What pose and light to look for; neither is checked when None. A frame whose ring cannot be seen is not rejected
        for it: ``plate_markers`` is then 0.
    """
    limits = limits or Limits()
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    metrics: dict[str, Any] = {"bright": round(float(np.percentile(grey[::4, ::4], 99)), 2)}
    reasons: list[QuarantineReason] = []
    if metrics["bright"] < limits.min_bright:
        is_lost = expected is not None and expected.square_px is not None and expected.tilt_deg != 0.0
        return Quality((QuarantineReason.DARK, *([QuarantineReason.WRONG_POSE] if is_lost else [])), metrics, None)
    if previous is not None and previous.shape == image.shape:
        metrics["difference"] = round(float(cv2.norm(image, previous, cv2.NORM_L1)) / image.size, 4)
        if metrics["difference"] == 0:
            reasons.append(QuarantineReason.STALE)
    plate = None if expected is None else _seen_plate(image, expected, limits, metrics)
    if plate is not None and expected is not None:
        seen_error_deg = math.remainder(metrics["plate_deg"] - expected.turntable_deg, 360.0)
        angle_error_deg = max(angle_error_deg, seen_error_deg, key=abs)
    if abs(angle_error_deg) > limits.max_angle_error_deg:
        reasons.append(QuarantineReason.WRONG_ANGLE)
    if (
        expected is not None
        and "tilt_deg" in metrics
        and (tilt_error_deg(metrics["tilt_deg"], expected.tilt_deg) > limits.max_tilt_error_deg)
    ):
        reasons.append(QuarantineReason.WRONG_TILT)
    outlines = find_coins(image)
    if expected is not None and expected.square_px is not None and not _is_at_its_pose(plate, limits, metrics):
        reasons.append(QuarantineReason.WRONG_POSE)
    if not outlines:
        metrics["coins"] = 0
        return Quality((*reasons, QuarantineReason.NO_COIN), metrics, None)
    outline = outlines[0]
    means = [float(cv2.mean(grey, each.mask.view(np.uint8))[0]) for each in outlines]
    # a patch of brightly lit plate is large, but dull
    coins = sum(
        each.radius_px >= limits.second_coin * outline.radius_px and mean >= limits.second_coin * means[0]
        for each, mean in zip(outlines, means, strict=True)
    )
    if coins > 1:
        reasons.append(QuarantineReason.TWO_COINS)
    if _touches_edge(outline):
        reasons.append(QuarantineReason.CUT_OFF)
    metrics |= {
        "coins": coins,
        "radius_px": round(outline.radius_px, 2),
        "centre_px": [round(value, 2) for value in outline.centre_px],
        "mean": round(means[0], 2),
        "clipped_fraction": round(_clipped_fraction(image, outline.mask), 4),
        "sharpness": round(_fine_detail(grey, outline) * _edge_steepness(grey, outline), 4),
    }
    if expected is not None and not _light_is_right(image, outline, plate, expected, limits, metrics):
        reasons.append(QuarantineReason.WRONG_LIGHT)
    if metrics["mean"] < limits.min_mean:
        reasons.append(QuarantineReason.DARK)
    if metrics["clipped_fraction"] > limits.max_clipped_fraction:
        reasons.append(QuarantineReason.CLIPPING)
    if metrics["sharpness"] < limits.min_sharpness:
        reasons.append(QuarantineReason.BLUR)
    return Quality(tuple(reasons), metrics, outline)


def tilt_error_deg(seen_deg: float, wanted_deg: float) -> float:
    """How far the camera is tilted from where it should be; looking straight down, a ring hardly shows it."""
    seen, wanted = math.radians(seen_deg), math.radians(wanted_deg)
    return math.degrees(abs(math.cos(seen) - math.cos(wanted)) / max(math.sin(wanted), LEAST_TILT))


def check_photograph(image: Image) -> Quality:
    """Check a photograph that no rig took: one coin, whole, sharp, large enough, not over-exposed.

    Parameters
    ----------
    image
        RGB, (H, W, 3) uint8.
    """
    quality = check(image, limits=Limits(max_clipped_fraction=MAX_PHOTOGRAPH_CLIPPED))
    reasons = list(quality.reasons)
    several = find_every_coin(image)
    if len(several) > 1:
        quality.metrics.update(coins=len(several), boxes=[list(coin.box) for coin in several])
        others = [reason for reason in reasons if reason not in (QuarantineReason.TWO_COINS, QuarantineReason.NO_COIN)]
        reasons = [QuarantineReason.TWO_COINS, *others]
    if quality.outline is None:
        return Quality(tuple(reasons), quality.metrics, None)
    if QuarantineReason.CUT_OFF in reasons and _edge_share(quality.outline) < MAX_PHOTOGRAPH_EDGE:
        reasons.remove(QuarantineReason.CUT_OFF)
    if quality.outline.radius_px < MIN_PHOTOGRAPH_RADIUS_PX:
        reasons.append(QuarantineReason.TOO_SMALL)
    return Quality(tuple(reasons), quality.metrics, quality.outline)


def _seen_plate(image: Image, expected: Expected, limits: Limits, metrics: dict[str, Any]) -> PlateAngle | None:
    """How plate and camera stand, as the ring shows it; None where it cannot be seen."""
    corners = ring_corners(image, limits.ring)
    plate = plate_of(corners, limits.ring, expected.lens)
    metrics["plate_markers"] = plate.markers if plate else 0
    if plate is None:
        return None
    if expected.square_px is not None and expected.lens is not None:
        as_taken = plate_of(corners, limits.ring)
        if as_taken is not None:
            shift = shift_mm(square_of(as_taken), np.array(expected.square_px), expected.lens)
            metrics["camera_shift_mm"] = [round(float(each), 3) for each in shift]
    metrics["plate_deg"] = round((plate.angle_deg - limits.ring_zero_deg) % 360.0, 3)
    if expected.lens is not None:
        metrics["tilt_deg"] = round(camera_tilt_deg(plate, expected.lens), 2)
    return plate


def _is_at_its_pose(plate: PlateAngle | None, limits: Limits, metrics: Mapping[str, Any]) -> bool:
    """Whether a camera that an arm holds is where its pose was taught; one that does not see the ring is not."""
    return plate is not None and math.hypot(*metrics.get("camera_shift_mm", (0.0,))) <= limits.max_camera_shift_mm


def _light_is_right(
    image: Image,
    outline: Outline,
    plate: PlateAngle | None,
    expected: Expected,
    limits: Limits,
    metrics: dict[str, Any],
) -> bool:
    if expected.light not in expected.flats:
        return True
    if expected.tilt_deg:  # flat fields are taken from straight above
        if plate is None:
            return True
        image, outline = _from_above(image, outline, plate)
    slope = lit_from(image, outline, expected.flats[expected.light])
    if slope is None:
        return True
    metrics["light_slope"] = round(slope.strength, 4)
    if slope.strength <= limits.max_light_slope:
        return True
    likely = likely_light(image, outline, expected.flats)
    if likely is not None and likely[0] != expected.light:
        metrics["likely_light"] = likely[0]
    return False


def _from_above(image: Image, outline: Outline, plate: PlateAngle) -> tuple[Image, Outline]:
    """A tilted view and its coin as they look from above."""
    above, from_view = as_from_above(image, plate, plate.mm_per_pixel)
    size = (image.shape[1], image.shape[0])
    mask = cv2.warpPerspective(outline.mask.view(np.uint8), from_view, size, flags=cv2.INTER_NEAREST)
    x, y = cv2.perspectiveTransform(np.array([[outline.centre_px]], np.float64), from_view)[0, 0]
    radius_px = math.sqrt(float(np.count_nonzero(mask)) / math.pi)
    return above, replace(outline, centre_px=(float(x), float(y)), radius_px=radius_px, mask=mask.view(np.bool_))


def _clipped_fraction(image: Image, mask: npt.NDArray[np.bool_]) -> float:
    """Share of the coin's pixels that are as bright as can be in a channel."""
    on_coin = mask.view(np.uint8)
    unclipped = cv2.inRange(image, (0, 0, 0), (253, 253, 253))
    return 1.0 - cv2.countNonZero(cv2.bitwise_and(unclipped, unclipped, mask=on_coin)) / cv2.countNonZero(on_coin)


def _touches_edge(outline: Outline) -> bool:
    mask = outline.mask
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def _edge_share(outline: Outline) -> float:
    """How much of a coin's rim lies on the image's edge."""
    mask = outline.mask
    on_edge = sum(int(line.sum()) for line in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    return on_edge / (2.0 * np.pi * outline.radius_px)


def _fine_detail(grey: npt.NDArray[Any], outline: Outline) -> float:
    """Contrast at 1-2 px over contrast at 4-8 px, on the coin brought to a radius of `DISC_RADIUS_PX`."""
    size, scale = 2 * DISC_RADIUS_PX, DISC_RADIUS_PX / outline.radius_px
    x, y = outline.centre_px
    to_disc = np.array([[scale, 0, DISC_RADIUS_PX - scale * x], [0, scale, DISC_RADIUS_PX - scale * y]])
    smooth = cv2.GaussianBlur(grey, (0, 0), 0.45 / scale) if scale < 0.6 else grey  # the warp alone would alias
    disc = cv2.warpAffine(smooth, to_disc, (size, size), flags=cv2.INTER_LINEAR).astype(np.float32)
    inside = np.zeros((size, size), np.uint8)
    cv2.circle(inside, (DISC_RADIUS_PX, DISC_RADIUS_PX), round(0.85 * DISC_RADIUS_PX), 255, cv2.FILLED)
    blurred = {sigma: cv2.GaussianBlur(disc, (0, 0), sigma) for sigma in (1, 2, 4, 8)}
    fine = cv2.norm(blurred[1], blurred[2], cv2.NORM_L2, inside)
    coarse = cv2.norm(blurred[4], blurred[8], cv2.NORM_L2, inside)
    return float(fine / max(coarse, 1e-6))


def _edge_steepness(grey: npt.NDArray[Any], outline: Outline) -> float:
    """Steepest step across the coin's edge as a share of the whole step, where that is high; median over angles."""
    scale = DISC_RADIUS_PX / outline.radius_px
    sigma = max(0.8, 0.45 / scale)
    reach = round(1.25 * DISC_RADIUS_PX)
    polar = cv2.warpPolar(
        cv2.GaussianBlur(grey, (0, 0), sigma),
        (reach, 360),
        outline.centre_px,
        1.25 * outline.radius_px,
        cv2.WARP_POLAR_LINEAR,
    ).astype(np.float32)
    rim = polar[:, round(0.88 * DISC_RADIUS_PX) : round(1.12 * DISC_RADIUS_PX)]
    steps = rim.max(axis=1) - rim.min(axis=1)
    clear = steps > np.percentile(steps, 60)
    if not clear.any():
        return 0.0
    slopes = np.abs(np.diff(rim[clear], axis=1)).max(axis=1) / steps[clear]
    return float(np.median(slopes))
