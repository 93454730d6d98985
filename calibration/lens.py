"""The lens: focal length, centre and distortion from views of the ChArUco board; the scale in the plate's plane."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.board import BoardView
from calibration.errors import CalibrationError

MIN_VIEWS = 6
LEAST_DISTINCT = 4  # of any photographs, provided that they make the focal length certain
MAX_RMS_PX = 0.8
LARGE_PX = 3000  # diagonal of an image above which the limit grows with it
MAX_FOCAL_STD = 0.02
OUTLIER, OUTLIER_PX = 3.0, 1.0  # a view whose error is this many times the median, and above this, is left out
SAME_VIEW = 0.012  # of the image's diagonal, by which no part of the board has moved
REACH = 0.12  # of the image's width and height, which the corners reach beyond its middle on either side
COVERAGE_CELLS = 5
# Brown and Conrady with two and three radial terms, and OpenCV's rational model: flags, and terms of distortion.
MODELS = ((cv2.CALIB_FIX_K3, 4), (0, 5), (cv2.CALIB_RATIONAL_MODEL, 8))
STRAIGHTENED = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 100, 1e-6)  # OpenCV's five steps suit long lenses
# A model with more terms has to bring the error below this share: corners of one view err alike, which Schwarz's
# criterion does not know, and a term that explains little of them misleads where no corner was seen.
RICHER = 0.95
FISHEYE, FISHEYE_PX = 2.0, 0.25  # how much worse than a model that turns back, and how bad, the best one may be
LEAST_GROWTH = 0.2  # of the image with the scene: below, a pixel would be stretched over five of a straightened image
MIN_TILT_DEG = 8.0
MIN_DIRECTIONS = 3  # Zhang's least, if nothing about the lens is known
APART_DEG = 4.0  # directions in which the board faces differ by more


@dataclass(frozen=True)
class Lens:
    """A pinhole with Brown and Conrady's distortion, in OpenCV's terms.

    Attributes
    ----------
    matrix
        (3, 3) camera matrix, pixels.
    distortion
        (k1, k2, p1, p2), with k3, or with k3 to k6, whatever the lens needs.
    rms_px
        Root mean square distance of the corners from where the model puts them.
    width_px, height_px
        Size of the images it holds for.
    """

    matrix: npt.NDArray[np.float64]
    distortion: npt.NDArray[np.float64]
    rms_px: float
    width_px: int
    height_px: int

    def straightened(self, points_px: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """(N, 2) places in a straightened image, of points (N, 2) in one as the camera took it."""
        return self.at_unit_depth(points_px) * self.matrix.diagonal()[:2] + self.matrix[:2, 2]

    def at_unit_depth(self, points_px: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """(N, 2) x and y, at a distance of 1 along the axis, of what is seen at points (N, 2) of an image as taken."""
        points = np.asarray(points_px, np.float64).reshape(-1, 1, 2)
        flat = cv2.undistortPoints(points, self.matrix, self.distortion, None, None, None, STRAIGHTENED)
        return np.asarray(flat, np.float64).reshape(-1, 2)


@dataclass(frozen=True)
class LensFit:
    """A lens, and what its fit says of the views.

    Attributes
    ----------
    lens
        The lens.
    focal_std_px
        Standard deviation of the focal length, as the residuals make it.
    view_rms_px
        For each view that was given, its root mean square residual; None for one that was left out.
    left_out
        For each view that was given, why it was left out, or None.
    coverage
        (`COVERAGE_CELLS`, `COVERAGE_CELLS`) corners found in each part of the image, rows from the top.
    """

    lens: Lens
    focal_std_px: float
    view_rms_px: tuple[float | None, ...]
    left_out: tuple[str | None, ...]
    coverage: npt.NDArray[np.int64]


def calibrate_lens(views: Sequence[BoardView]) -> Lens:
    """Fit the lens to views of the board, some of them tilted, as `fit_lens` does, every one of them good.

    Raises
    ------
    CalibrationError
        If there are too few views, none is tilted, sizes differ, or the fit is bad.
    """
    if len(views) < MIN_VIEWS:
        raise CalibrationError(_too_few(len(views), MIN_VIEWS))
    sizes = {(view.width_px, view.height_px) for view in views}
    if len(sizes) > 1:
        raise CalibrationError(
            f"The views of the board have different sizes ({sorted(sizes)}). Take all with one camera setting."
        )
    return fit_lens(views).lens


def fit_lens(views: Sequence[BoardView]) -> LensFit:
    """Fit the lens to views of the board, some of them tilted; views that contradict the others are left out.

    The simplest distortion is taken that explains the corners (Schwarz's criterion, and a twentieth of the error): two
    radial terms, three, or the rational model, which wide-angle lenses need.

    Z. Zhang, "A flexible new technique for camera calibration", IEEE TPAMI 22 (2000).

    Raises
    ------
    CalibrationError
        If there are too few distinct views, none is tilted, they cover one side of the image alone, or the fit is bad.
    """
    left_out: list[str | None] = [None] * len(views)
    size = Counter((view.width_px, view.height_px) for view in views).most_common(1)[0][0] if views else (0, 0)
    distinct: list[int] = []
    for number, view in enumerate(views):
        if (view.width_px, view.height_px) != size:
            left_out[number] = f"another size ({view.width_px}x{view.height_px}) than most ({size[0]}x{size[1]})"
        elif any(_is_same_view(view, views[other]) for other in distinct):
            left_out[number] = "nearly the same view as one before it"
        else:
            distinct.append(number)
    same = sum(reason is not None and reason.startswith("nearly") for reason in left_out)
    if len(distinct) < LEAST_DISTINCT:
        raise CalibrationError(_too_few(len(distinct), LEAST_DISTINCT, same))
    _check_coverage([views[number] for number in distinct], size)
    fit = _best_model([views[number] for number in distinct], size)
    limit_px = max(OUTLIER_PX, OUTLIER * float(np.median(fit.errors_px)))
    kept = [number for number, error in zip(distinct, fit.errors_px, strict=True) if error <= limit_px]
    if LEAST_DISTINCT <= len(kept) < len(distinct):
        for number in set(distinct) - set(kept):
            left_out[number] = "its corners contradict the other views: blurred, moved, or a bent board"
        distinct = kept
        fit = _best_model([views[number] for number in distinct], size)
    _check_tilts(fit)
    limit_px = MAX_RMS_PX * max(1.0, float(np.hypot(*size)) / LARGE_PX)
    if not np.isfinite(fit.rms_px) or fit.rms_px > limit_px:
        raise CalibrationError(
            f"The lens fits the board's corners only to {fit.rms_px:.2f} pixels ({limit_px:.2g} at most). "
            "Check that the board is flat and at rest, and that the images are sharp."
        )
    if fit.focal_std_px > MAX_FOCAL_STD * fit.matrix[0, 0]:
        raise CalibrationError(
            f"The views leave the focal length uncertain by {fit.focal_std_px / fit.matrix[0, 0]:.1%} "
            f"({MAX_FOCAL_STD:.0%} at most). Take more, with the board tilted by 10 to 30 degrees to all sides."
        )
    lens = Lens(fit.matrix, fit.distortion, fit.rms_px, *size)
    errors = dict(zip(distinct, map(float, fit.errors_px), strict=True))
    return LensFit(
        lens,
        fit.focal_std_px,
        tuple(errors.get(number) for number in range(len(views))),
        tuple(left_out),
        _coverage([views[number] for number in distinct], size),
    )


@dataclass(frozen=True)
class _Fit:
    """What OpenCV found with one distortion model."""

    rms_px: float
    matrix: npt.NDArray[np.float64]
    distortion: npt.NDArray[np.float64]
    rotations: list[npt.NDArray[np.float64]]
    errors_px: npt.NDArray[np.float64]
    focal_std_px: float
    criterion: float
    seen: float  # how far out corners were seen, in focal lengths


def _best_model(views: Sequence[BoardView], size: tuple[int, int]) -> _Fit:
    fits = [_fit(views, size, flags, terms) for flags, terms in MODELS]
    best = fits[0]
    for fit in fits[1:]:
        is_better = fit.criterion < best.criterion and fit.rms_px < RICHER * best.rms_px
        if _grows_outwards(fit, size) and (is_better or not _grows_outwards(best, size)):
            best = fit
    finest = min(fits, key=lambda fit: fit.rms_px)
    if best.rms_px > max(FISHEYE_PX, FISHEYE * finest.rms_px) and not _grows_outwards(finest, size):
        raise CalibrationError(
            f"The lens bends the image as a fisheye does: what fits the board ({finest.rms_px:.2f} pixels) stretches "
            f"the corners of a straightened image more than {1 / LEAST_GROWTH:.0f} times, and what does not fits worse "
            f"({best.rms_px:.2f}). Use a longer lens, or crop all photographs alike to their middle."
        )
    return best


def _fit(views: Sequence[BoardView], size: tuple[int, int], flags: int, terms: int) -> _Fit:
    mm, px = [view.corners_mm for view in views], [view.corners_px for view in views]
    try:
        rms_px, matrix, distortion, rotations, _, spread, _, errors = cv2.calibrateCameraExtended(
            mm,
            px,
            size,
            np.eye(3),
            np.zeros(terms),
            flags=flags,
        )
    except cv2.error as error:
        raise CalibrationError(
            "No lens explains the board's corners. Check that all images show the same board, lying flat and at rest."
        ) from error
    values = 2 * sum(len(each) for each in px)
    # sigma² from the residuals; the poses take six values of each view in every model alike.
    criterion = values * np.log(max(rms_px, 1e-6) ** 2) + terms * np.log(values)
    seen_px = np.concatenate(px) - np.asarray(matrix, np.float64)[:2, 2]
    return _Fit(
        float(rms_px),
        np.asarray(matrix, np.float64),
        np.asarray(distortion, np.float64).ravel()[:terms],
        [np.asarray(cv2.Rodrigues(rotation)[0], np.float64) for rotation in rotations],
        np.asarray(errors, np.float64).ravel(),
        float(np.asarray(spread).ravel()[0]),
        float(criterion),
        float(np.linalg.norm(seen_px, axis=1).max() / matrix[0, 0]),
    )


def _grows_outwards(fit: _Fit, size: tuple[int, int]) -> bool:
    """Whether a place further out in the scene is further out in the image, as far as it was seen and straightened.

    Else the model is nonsense. What lies beyond, in the corners of a wide-angle image, no straightened image shows.
    """
    reach = np.hypot(*(max(fit.matrix[axis, 2], size[axis] - fit.matrix[axis, 2]) for axis in (0, 1)))
    edge = float(reach / fit.matrix[0, 0])
    k1, k2, k3, k4, k5, k6 = (
        *fit.distortion[:2],
        *np.pad(fit.distortion[4:], (0, max(0, 8 - len(fit.distortion))))[:4],
    )
    r = np.linspace(0, 4 * edge, 400)
    below = 1 + k4 * r**2 + k5 * r**4 + k6 * r**6
    if (below <= 0.05).any() and np.argmax(below <= 0.05) < 100:
        return False
    bent = r * (1 + k1 * r**2 + k2 * r**4 + k3 * r**6) / np.where(below <= 0.05, 1, below)
    growth = np.diff(bent) / np.diff(r)
    falls = np.flatnonzero(growth <= 0)
    reaches = bent[falls[0] if len(falls) else -1] >= min(edge, fit.seen)
    return bool(reaches and (growth[r[1:] <= edge] >= LEAST_GROWTH).all())


def _is_same_view(view: BoardView, other: BoardView) -> bool:
    """Whether the board lies in nearly the same place, at the same angle and tilt."""
    diagonal = float(np.hypot(view.width_px, view.height_px))
    return float(np.abs(_pose_of(view) - _pose_of(other)).max()) < SAME_VIEW * diagonal


def _pose_of(view: BoardView) -> npt.NDArray[np.float64]:
    """Where the corners of a square as large as the seen part of the board, around its middle, are in the image."""
    mm = view.corners_mm[:, :2].astype(np.float64)
    middle, reach = (mm.min(axis=0) + mm.max(axis=0)) / 2, float(np.ptp(mm, axis=0).max()) / 2 or 1.0
    homography, _ = cv2.findHomography((mm - middle) / reach, view.corners_px.astype(np.float64))
    if homography is None:
        return np.asarray(view.corners_px, np.float64)[[0, 0, 0, 0, 0]]
    square = np.array([[0, 0], [-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64).reshape(-1, 1, 2)
    return np.asarray(cv2.perspectiveTransform(square, homography), np.float64).reshape(-1, 2)


def _check_coverage(views: Sequence[BoardView], size: tuple[int, int]) -> None:
    """Refuse views that lie on one side of the image alone: the other side's distortion would be a guess."""
    corners = np.concatenate([view.corners_px for view in views])
    for axis, (low, high), word in ((0, ("left", "right"), "width"), (1, ("top", "bottom"), "height")):
        share = corners[:, axis] / size[axis]
        first, last = float(share.min()), float(share.max())
        if first > 0.5 - REACH or last < 0.5 + REACH:
            side = high if first > 0.5 - REACH else low
            raise CalibrationError(
                f"All views of the board lie at the {side} of the image ({first:.0%} to {last:.0%} of its {word}), "
                "which leaves the lens unknown elsewhere. Take some at the other side and in the corners."
            )


def _check_tilts(fit: _Fit) -> None:
    rotations = fit.rotations
    tilts = [np.degrees(np.arccos(min(abs(rotation[2, 2]), 1.0))) for rotation in rotations]
    if sum(tilt > MIN_TILT_DEG for tilt in tilts) < 3:
        raise CalibrationError(
            "The board lies flat in nearly all views, which cannot tell focal length from distance. "
            "Take at least 3 with one edge of the board raised by 10 to 30 degrees."
        )
    if _count_directions([rotation[:, 2] for rotation in rotations]) < MIN_DIRECTIONS:
        raise CalibrationError(
            "The board is tilted in the same way in nearly all views, which cannot tell focal length from distance "
            f"(it stays uncertain by {fit.focal_std_px / fit.matrix[0, 0]:.0%}). "
            f"Raise another of its edges in each view: it has to face at least {MIN_DIRECTIONS} directions."
        )


def _coverage(views: Sequence[BoardView], size: tuple[int, int]) -> npt.NDArray[np.int64]:
    corners = np.concatenate([view.corners_px for view in views])
    edges = (np.linspace(0, size[1], COVERAGE_CELLS + 1), np.linspace(0, size[0], COVERAGE_CELLS + 1))
    return np.histogram2d(corners[:, 1], corners[:, 0], bins=edges)[0].astype(np.int64)


def _too_few(views: int, least: int, same: int = 0) -> str:
    left_out = f" ({same} more {'is' if same == 1 else 'are'} nearly the same as another)" if same else ""
    seen = f"{views} {'view' if views == 1 else 'views'} of the board{left_out}"
    return (
        f"{seen} {'is' if views == 1 else 'are'} too few for the lens: at least {least} are needed. "
        "Take more, with the board shifted, turned and tilted by 10 to 30 degrees."
    )


def _count_directions(normals: Sequence[npt.NDArray[np.float64]]) -> int:
    """How many directions the board faces, those that hardly differ counted once."""
    apart: list[npt.NDArray[np.float64]] = []
    for normal in normals:
        if all(float(normal @ other) < np.cos(np.radians(APART_DEG)) for other in apart):
            apart.append(normal)
    return len(apart)


def mm_per_pixel(lens: Lens, flat_view: BoardView) -> float:
    """Scale in the plane of a board that lies flat on the plate, at the image's centre, distortion taken out.

    It does not rest on the focal length: the board's own squares are the ruler.

    Raises
    ------
    CalibrationError
        If the view is of another size than the lens, or the board is tilted.
    """
    if (flat_view.width_px, flat_view.height_px) != (lens.width_px, lens.height_px):
        raise CalibrationError(
            "The view for the scale has another size than the lens calibration. Take it with the same setting."
        )
    homography, _ = cv2.findHomography(flat_view.corners_mm[:, :2], lens.straightened(flat_view.corners_px))
    to_mm = np.linalg.inv(homography)
    x, y = lens.width_px / 2, lens.height_px / 2
    u, v, w = to_mm @ (x, y, 1.0)
    along_x = (to_mm[:2, 0] - np.array([u, v]) / w * to_mm[2, 0]) / w
    along_y = (to_mm[:2, 1] - np.array([u, v]) / w * to_mm[2, 1]) / w
    scales = np.linalg.svd(np.stack([along_x, along_y]), compute_uv=False)
    if scales[0] / scales[1] > 1.01:
        raise CalibrationError(
            "The board for the scale is tilted towards the camera. Lay it flat on the plate and take it again."
        )
    return float(np.sqrt(scales[0] * scales[1]))
