"""The plate's true angle, from a ring of ArUco markers printed on it.

A stepper that jams still reports where it should be. The ring shows where the plate is: one frame gives its angle,
whatever lies in the middle and whichever lamp is lit. The ring is black on the plate's own dark grey, so that a coin's
outline is found as if it were not there; it needs to be seen only in part.

S. Garrido-Jurado et al., "Automatic generation and detection of highly reliable fiducial markers under occlusion",
Pattern Recognition 47 (2014).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from calibration.image import Image
from calibration.lens import Lens
from calibration.marker_edges import corners_by_edges

Points = npt.NDArray[np.float64]

WORKING_WIDTH_PX = 640
MIN_MARKERS = 4
MAX_MISS_CELLS = 0.35  # a corner further from where the others put it belongs to no marker of the ring
REFINED_CELLS = 0.5  # of a marker's grid: reach of the window in which an edge is found again
PLATE_GREY = 140.0  # what the plate is brought to before markers are looked for
PRINT_GREY = 96  # of the ring's ground in print; the ink is black


class RingSpec(BaseModel):
    """A printed ring of markers. Measure the print: printers scale.

    Attributes
    ----------
    markers
        How many, evenly spaced.
    radius_mm
        Radius of the circle that their centres lie on; a coin and its shadow have to fit inside.
    marker_mm
        Side of a marker's black square.
    dictionary
        OpenCV's name of the marker dictionary.
    first_id
        The marker at 0 degrees; the others follow counter-clockwise. None of them is on the ChArUco board.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    markers: int = Field(default=24, ge=MIN_MARKERS)
    radius_mm: float = Field(default=19.4, ge=3)
    marker_mm: float = Field(default=3.4, ge=0.5)
    dictionary: str = "DICT_4X4_100"
    first_id: int = Field(default=50, ge=0)

    @model_validator(mode="after")
    def _markers_fit(self) -> RingSpec:
        if not self.dictionary.startswith("DICT_") or not hasattr(cv2.aruco, self.dictionary):
            raise ValueError(f"{self.dictionary} is no ArUco dictionary of OpenCV; give one such as DICT_4X4_100")
        has = len(self.opencv_dictionary.bytesList)
        if self.first_id + self.markers > has:
            raise ValueError(f"first_id and markers ask for more than the {has} markers of {self.dictionary}")
        pitch_mm = 2 * np.pi * (self.radius_mm - self.marker_mm / 2) / self.markers
        if pitch_mm < 1.2 * self.marker_mm:
            raise ValueError(f"{self.markers} markers of {self.marker_mm:g} mm leave no space between them")
        return self

    @cached_property
    def opencv_dictionary(self) -> cv2.aruco.Dictionary:
        """The dictionary as OpenCV's detector wants it."""
        return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))

    @cached_property
    def corners_mm(self) -> Points:
        """(markers, 4, 2): corners of each marker in OpenCV's order, on the plate at 0 degrees, y to the top."""
        turns = 2 * np.pi * np.arange(self.markers) / self.markers
        out = np.stack([np.cos(turns), np.sin(turns)], axis=1)[:, None, :]
        right = np.stack([np.sin(turns), -np.cos(turns)], axis=1)[:, None, :]  # of a marker whose top points outwards
        half = self.marker_mm / 2
        sideways = np.array([-half, half, half, -half])[None, :, None]
        upwards = np.array([half, half, -half, -half])[None, :, None]
        return np.asarray(out * (self.radius_mm + upwards) + right * sideways)


@dataclass(frozen=True)
class PlateAngle:
    """How a plate stands.

    Attributes
    ----------
    angle_deg
        Counter-clockwise in the image, 0 to 360; 0 where marker `first_id` lies to the right of the ring's middle.
    markers
        How many markers it rests on.
    error_deg
        Standard error, from how well the markers' corners agree.
    centre_px
        Where the axis meets the plate in the image (x, y); distortion taken out if a lens was given.
    mm_per_pixel
        Scale on the plate, by the ring's own measures.
    to_image
        (3, 3) homography into the image, of places on the plate as the ring counts them (mm, y to the top at 0 deg).
    """

    angle_deg: float
    markers: int
    error_deg: float
    centre_px: tuple[float, float]
    mm_per_pixel: float
    to_image: Points = field(compare=False, repr=False)


def camera_tilt_deg(plate: PlateAngle, lens: Lens) -> float:
    """How far the camera is tilted from looking straight down at the plate (deg, 0 to 90).

    `plate` was read with the same `lens`. On the twin it is right to 0.2 degrees from 5 degrees of tilt on; a camera
    that looks straight down seems to be tilted by one or two, since a ring is hardly foreshortened by that.

    T. Collins and A. Bartoli, "Infinitesimal plane-based pose estimation", IJCV 109 (2014), as OpenCV has it.
    """
    square_mm = np.array([[-10.0, 10.0], [10.0, 10.0], [10.0, -10.0], [-10.0, -10.0]])
    seen_px = cv2.perspectiveTransform(square_mm.reshape(-1, 1, 2), plate.to_image)
    in_space = np.hstack([square_mm, np.zeros((4, 1))])
    _, turns, _, _ = cv2.solvePnPGeneric(in_space, seen_px, lens.matrix, None, flags=cv2.SOLVEPNP_IPPE)
    normal = cv2.Rodrigues(turns[0])[0][:, 2]
    return float(np.degrees(np.arccos(min(1.0, abs(float(normal[2]))))))


def as_from_above(image: Image, plate: PlateAngle, mm_per_pixel: float) -> tuple[Image, Points]:
    """The plate of a tilted view as it looks from straight above, at a scale, and the homography that leads there.

    The axis stays where it is in the image, and the plate at its angle; what the view does not show is black.
    """
    height_px, width_px = image.shape[:2]
    turn = np.radians(plate.angle_deg)
    right, up = np.array([np.cos(turn), -np.sin(turn)]), np.array([-np.sin(turn), -np.cos(turn)])  # rows downwards
    above = np.eye(3)
    above[:2, :2] = np.stack([right, up], axis=1) / mm_per_pixel
    above[:2, 2] = plate.centre_px
    from_view = above @ np.linalg.inv(plate.to_image)
    seen = cv2.warpPerspective(image, from_view, (width_px, height_px), flags=cv2.INTER_LINEAR)
    return np.asarray(seen, np.uint8), from_view


@dataclass(frozen=True, eq=False)
class RingView:
    """The corners of a ring's markers in one image: (N, 2) in pixels, distortion included, and (N, 2) on the ring."""

    corners_px: Points
    corners_mm: Points


@dataclass(frozen=True, eq=False)
class RingCorners:
    """The corners of what may be a ring's markers, (N, 4, 2) each: in the image, distortion included, and on the ring.

    They need not agree with each other yet.
    """

    seen_px: Points
    on_plate_mm: Points


def ring_corners(image: Image, ring: RingSpec) -> RingCorners:
    """Look for the ring's markers in an image (H, W, 3)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, WORKING_WIDTH_PX / grey.shape[1])
    size = (round(grey.shape[1] * scale), round(grey.shape[0] * scale))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    corners, ids, _ = _detector(ring).detectMarkers(_evenly_lit(np.asarray(small, np.uint8)))
    if ids is None:
        return RingCorners(np.empty((0, 4, 2)), np.empty((0, 4, 2)))
    numbers = np.asarray(ids, int).ravel() - ring.first_id
    _, which, times = np.unique(numbers, return_inverse=True, return_counts=True)
    known = (numbers >= 0) & (numbers < ring.markers) & (times[which.ravel()] == 1)
    found = np.asarray(corners, np.float64).reshape(-1, 4, 2)[known]
    per_pixel = np.array(grey.shape[::-1]) / size
    seen_px = (found + 0.5) * per_pixel - 0.5
    return RingCorners(_refined(seen_px, np.asarray(grey, np.uint8), ring), ring.corners_mm[numbers[known]])


def ring_of(corners: RingCorners, ring: RingSpec) -> RingView | None:
    """The ring, without the markers that disagree with the others; None if too few are seen."""
    agreed = _agreeing(corners.seen_px, corners.on_plate_mm, ring) if len(corners.seen_px) >= MIN_MARKERS else None
    if agreed is None:
        return None
    _, whole = agreed
    return RingView(corners.seen_px[whole].reshape(-1, 2), corners.on_plate_mm[whole].reshape(-1, 2))


def plate_of(corners: RingCorners, ring: RingSpec, lens: Lens | None = None) -> PlateAngle | None:
    """How the plate stands, by the ring's corners in an image; see `plate_angle_deg`."""
    seen_px = corners.seen_px
    if len(seen_px) < MIN_MARKERS:
        return None
    if lens is not None:
        seen_px = lens.straightened(seen_px.reshape(-1, 2)).reshape(-1, 4, 2)
    return _fit(seen_px, corners.on_plate_mm, ring)


def plate_angle_deg(image: Image, lens: Lens | None = None, ring: RingSpec | None = None) -> PlateAngle | None:
    """Read the plate's angle off its ring.

    A camera that is tilted foreshortens the ring; the angle is the turn that remains when the foreshortening is taken
    away (left polar decomposition), as long as the camera is tilted about an axis of the image.

    Parameters
    ----------
    image
        RGB, (H, W, 3) uint8, raw, or calibrated with `lens` None.
    lens
        Takes distortion out, which near the edges is worth a few hundredths of a degree.
    ring
        What is printed; the default when None.

    Returns
    -------
    PlateAngle or None
        None where fewer than `MIN_MARKERS` markers that agree with each other are seen: a dark frame, a coin that
        covers the ring, a plate without one.
    """
    ring = ring or RingSpec()
    return plate_of(ring_corners(image, ring), ring, lens)


def crossing(quad: Points) -> Points:
    """(2,) where the diagonals of a marker's corners (4, 2) cross: its centre, however it is foreshortened."""
    first, second = quad[2] - quad[0], quad[3] - quad[1]
    along = np.linalg.solve(np.stack([first, -second], axis=1), quad[1] - quad[0])[0]
    return np.asarray(quad[0] + along * first, np.float64)


def ring_image(ring: RingSpec, px_per_mm: float = 600 / 25.4) -> Image:
    """The ring to print, true to scale at `px_per_mm`: black on dark grey, with a cross at the axis.

    Choose matt black paper or foil and a printer's black that is darker still, or adjust the grey until the ring is
    hardly brighter than the plate.
    """
    reach_mm = ring.radius_mm + ring.marker_mm
    side = 2 * round(reach_mm * px_per_mm) + 1
    image = np.full((side, side), PRINT_GREY, np.uint8)
    middle = np.array([(side - 1) / 2, (side - 1) / 2])
    size = 60
    tile = np.array([[-0.5, -0.5], [size - 0.5, -0.5], [size - 0.5, size - 0.5]], np.float32)
    for number, corners_mm in enumerate(ring.corners_mm):
        marker = cv2.aruco.generateImageMarker(ring.opencv_dictionary, ring.first_id + number, size)
        corners = (middle + corners_mm * (px_per_mm, -px_per_mm)).astype(np.float32)
        to_print = cv2.getAffineTransform(tile, corners[:3])
        ink = cv2.warpAffine(255 - marker, to_print, (side, side), flags=cv2.INTER_NEAREST)
        image[ink > 127] = 0
    cross = round(px_per_mm)
    cv2.drawMarker(image, (side // 2, side // 2), 0, cv2.MARKER_CROSS, 2 * cross, max(1, cross // 8))
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), np.uint8)


def _refined(seen_px: Points, grey: npt.NDArray[np.uint8], ring: RingSpec) -> Points:
    """Corners (N, 4, 2) found again in all pixels of the image, by edges that are looked for this side of the next."""
    if len(seen_px) == 0:
        return seen_px
    return corners_by_edges(seen_px, grey, REFINED_CELLS * _side_px(seen_px) / (ring.opencv_dictionary.markerSize + 2))


@lru_cache(maxsize=2)
def _detector(ring: RingSpec) -> cv2.aruco.ArucoDetector:
    parameters = cv2.aruco.DetectorParameters()
    parameters.adaptiveThreshWinSizeMin = parameters.adaptiveThreshWinSizeMax = 41
    parameters.adaptiveThreshConstant = 9
    parameters.minMarkerPerimeterRate = 0.06
    parameters.maxMarkerPerimeterRate = 0.6
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    parameters.cornerRefinementWinSize = 3
    return cv2.aruco.ArucoDetector(ring.opencv_dictionary, parameters)


def _evenly_lit(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Bring the plate to one grey, however far it is from the lamp; what shines saturates."""
    capped = np.minimum(grey, np.uint8(min(255.0, 2 * float(np.percentile(grey[::4, ::4], 60)) + 4)))
    around = np.maximum(cv2.blur(capped, (61, 61)), np.uint8(4))
    return np.asarray(cv2.divide(grey, around, scale=PLATE_GREY), np.uint8)


def _fit(seen_px: Points, on_plate_mm: Points, ring: RingSpec) -> PlateAngle | None:
    """The plane's image from all corners that agree, and its turn at the ring's middle."""
    agreed = _agreeing(seen_px, on_plate_mm, ring)
    if agreed is None:
        return None
    homography, whole = agreed
    plate, seen = on_plate_mm[whole].reshape(-1, 2), seen_px[whole].reshape(-1, 2)
    projected = cv2.perspectiveTransform(plate.reshape(-1, 1, 2), homography).reshape(-1, 2)
    u, v, w = homography @ (0.0, 0.0, 1.0)
    centre = np.array([u, v]) / w
    turn = (homography[:2, :2] - np.outer(centre, homography[2, :2])) / w
    turn[1] *= -1  # rows count downwards
    left, stretch, right = np.linalg.svd(turn)
    if np.linalg.det(turn) <= 0 or stretch[0] > 3 * stretch[1]:
        return None  # a mirror image, or no plate
    rotation = left @ right
    # The corners of one marker share its flaws: markers count, not corners.
    miss_px = float(np.sqrt(np.mean(np.sum((projected - seen) ** 2, axis=1)) / 2))
    arm_px = float(np.sqrt(np.mean(np.sum((seen - seen.mean(axis=0)) ** 2, axis=1))))
    extrapolated = np.sqrt(ring.markers / whole.sum())  # from the markers that are seen to the ring's middle
    error_deg = float(np.degrees(miss_px / arm_px) / np.sqrt(whole.sum()) * extrapolated)
    return PlateAngle(
        float(np.degrees(np.arctan2(rotation[1, 0], rotation[0, 0])) % 360.0),
        int(whole.sum()),
        error_deg,
        (float(centre[0]), float(centre[1])),
        float(1.0 / stretch[0]),
        np.asarray(homography, np.float64),
    )


def _agreeing(seen_px: Points, on_plate_mm: Points, ring: RingSpec) -> tuple[Points, npt.NDArray[np.bool_]] | None:
    """The plane's image, and which markers (N, 4, 2) lie where it puts them; None if too few do."""
    plate, seen = on_plate_mm.reshape(-1, 2), seen_px.reshape(-1, 2)
    cell_px = _side_px(seen_px) / (ring.opencv_dictionary.markerSize + 2)
    homography, agree = cv2.findHomography(plate, seen, cv2.RANSAC, max(1.0, MAX_MISS_CELLS * cell_px))
    if homography is None:
        return None
    whole = np.asarray(agree, bool).reshape(-1, 4).all(axis=1)
    if whole.sum() < MIN_MARKERS:
        return None
    homography, _ = cv2.findHomography(on_plate_mm[whole].reshape(-1, 2), seen_px[whole].reshape(-1, 2), 0)
    return None if homography is None else (np.asarray(homography, np.float64), np.asarray(whole, bool))


def _side_px(seen_px: Points) -> float:
    """How long the sides of markers (N, 4, 2) are, the median."""
    return float(np.median(np.linalg.norm(np.roll(seen_px, -1, axis=1) - seen_px, axis=2)))
