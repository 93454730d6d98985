"""The thickness of a coin in the store, from the frames of its edge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

import cv2
import numpy as np

from calibration.apply import Box, apply
from calibration.bundle import Bundle
from calibration.coin_shape import USUAL_THICKNESS_MM, CoinShape, Light, coin_shape
from calibration.errors import CalibrationError
from calibration.image import ImageError
from calibration.rectify import plane_to_view
from calibration.thickness import DIRECTIONS, ObliqueOutline, Thickness, thickness_by_width, thickness_of
from calibration.view_poses import Points, ViewPose
from capture.store import Store
from capture.store.records import Frame
from pipeline.lab import Lab
from pipeline.measuring.apply import bundle_named
from pipeline.measuring.lit_frames import coin_in, exposed_alike, lights_of
from pipeline.measuring.rectified import posed_frames
from rig.sides import EDGE

ALLOWANCE = 0.3  # of a coin's box, around it: the edge may be seen under some lights alone
MOST_ERROR_MM = 0.1  # standard error of a thickness that is believed
LEAST_MM = 0.4  # thinner than any coin that is struck on both sides: its edge was taken for the plate
SAME_WIDTH = 0.03  # share that the coin's width by its edge and from above may differ by: else its edge was not seen


def shows_edge(frame: Frame) -> bool:
    """Whether a frame is good, calibrated, and taken of the edge."""
    return frame.is_good and frame.calibrated_sha256 is not None and frame.side == EDGE


def measure_thickness(
    lab: Lab, store: Store, frames: Sequence[Frame], from_above: Sequence[CoinShape], height_mm: float
) -> Thickness:
    """The thickness of a coin, in the frames of its edge in one session.

    Parameters
    ----------
    from_above
        Its sides as they are seen from above, on a plate `height_mm` below the camera; infinite where not known.

    Raises
    ------
    CalibrationError
        If these frames do not show it, with the reason.
    """
    bundle = bundle_named(lab, frames[0].calibration_id)
    frames = _fully_lit(frames)
    placements = Counter(frame.placement for frame in frames)
    outlines: list[ObliqueOutline] = []
    for placement, _ in placements.most_common():
        placed = _outlines(lab, store, [each for each in frames if each.placement == placement], bundle)
        found = thickness_of(placed)
        if found is not None:
            return _require_plausible(found, from_above)
        outlines += placed
    nearer = 1 - USUAL_THICKNESS_MM / height_mm
    found = thickness_by_width(outlines, [each.widths_mm(DIRECTIONS) / nearer for each in from_above], height_mm)
    if found is None:
        raise CalibrationError("no good frames of its edge under all lights, at one turn, show coin and ring.")
    return _require_plausible(found, from_above)


def _fully_lit(frames: Sequence[Frame]) -> list[Frame]:
    """The frames of poses at which the coin was seen under every light: elsewhere part of its edge lies in the dark."""
    lights = {frame.light for frame in frames}
    by_pose: dict[tuple[object, ...], list[Frame]] = {}
    for frame in frames:
        by_pose.setdefault((frame.placement, frame.tilt_deg, frame.turntable_deg), []).append(frame)
    return [frame for same in by_pose.values() if {each.light for each in same} == lights for frame in same]


def _require_plausible(found: Thickness, from_above: Sequence[CoinShape]) -> Thickness:
    width_mm = np.mean([each.widths_mm(DIRECTIONS).mean() for each in from_above])
    is_wide = abs(found.width_mm / width_mm - 1) <= SAME_WIDTH
    if found.std_error_mm > MOST_ERROR_MM or found.mean_mm < LEAST_MM or not is_wide:
        raise CalibrationError(
            "its edge does not stand out from the plate all around, or is too uneven. Photograph it under lights from "
            "all sides, with the camera tilted further."
        )
    return found


def _outlines(lab: Lab, store: Store, frames: Sequence[Frame], bundle: Bundle) -> list[ObliqueOutline]:
    """The coin's outline at each tilt and turn, in the brightest of lights: each part of the edge is lit by one."""
    outlines = []
    for _, at_tilt in groupby(sorted(frames, key=_tilt_of), key=_tilt_of):
        by_turn: dict[float, list[Frame]] = {}
        for frame in at_tilt:
            by_turn.setdefault(frame.turntable_deg or 0.0, []).append(frame)
        clearest = [max(each, key=lambda frame: frame.quality.get("plate_markers", 0)) for each in by_turn.values()]
        for frame, pose in posed_frames(lab, store, clearest, bundle)[0]:
            lit = by_turn[frame.turntable_deg or 0.0]
            box = _around(lit, bundle)
            _, brightest = lights_of(exposed_alike(lit, _calibrated(store, lit, bundle, box)))
            try:
                outlines.append(outline_on_plate(brightest, box, pose, bundle))
            except (CalibrationError, ImageError):
                continue  # other turns may do
    return outlines


def outline_on_plate(light: Light, box: Box, pose: ViewPose, bundle: Bundle) -> ObliqueOutline:
    """Where the coin's outline in a part of a straight view is on the plate.

    Parameters
    ----------
    light
        (H, W) linear light, the brightest of lights from all around.
    box
        Which part of the calibrated frame it is.

    Raises
    ------
    CalibrationError
        If the outline cannot be followed.
    NoCoinError
        If there is no coin in it.
    """
    scale = bundle.mm_per_pixel
    to_view = plane_to_view(pose, bundle.lens, 0.0)
    corners = np.array([[[x, y]] for x in (box[0], box[2]) for y in (box[1], box[3])], np.float64)
    on_plate = cv2.perspectiveTransform(corners, np.linalg.inv(to_view)).reshape(-1, 2)
    left, top = on_plate[:, 0].min(), on_plate[:, 1].max()
    width_px, height_px = (int(np.ceil(np.ptp(on_plate[:, axis]) / scale)) for axis in (0, 1))
    to_plate = np.array([[scale, 0, left], [0, -scale, top], [0, 0, 1]])
    to_part = np.array([[1, 0, -box[0]], [0, 1, -box[1]], [0, 0, 1]]) @ to_view @ to_plate
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    seen = cv2.warpPerspective(light, to_part, (width_px, height_px), flags=how, borderMode=cv2.BORDER_REPLICATE)
    straight = np.maximum(np.asarray(seen, np.float32), np.float32(0))
    shape = coin_shape(straight, coin_in(straight), scale)
    middle: Points = np.array([left, top]) + np.array(shape.centre_px) * (scale, -scale)
    return ObliqueOutline(shape.outline_mm + middle, pose.place_mm)


def _calibrated(store: Store, frames: Sequence[Frame], bundle: Bundle, box: Box) -> Iterator[np.ndarray]:
    return (apply(store.image(frame.sha256), bundle, str(frame.light), box) for frame in frames)


def _around(frames: Sequence[Frame], bundle: Bundle) -> Box:
    """What any of the frames shows of the coin, and some of the plate."""
    boxes = np.array([frame.quality["calibrated_box_px"] for frame in frames])
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    more = ALLOWANCE * (high - low)
    left, top = np.maximum(low - more, 0).astype(int)
    right, bottom = np.minimum(high + more, (bundle.lens.width_px, bundle.lens.height_px)).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _tilt_of(frame: Frame) -> float:
    return frame.tilt_deg or 0.0
