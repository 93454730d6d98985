"""A plain chessboard: its inner corners in an image, all of them or, where it is partly hidden or cut off, a part."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.board import BoardView
from calibration.errors import CalibrationError
from calibration.image import Image

Grey = npt.NDArray[np.uint8]
Corners = npt.NDArray[np.float32]

# Longer side of what is searched, for a whole board and for a part; the corners are then refined in the whole image.
SEARCHED_PX, SEARCHED_PART_PX = 1400, 1000
LEAST_PART = 4  # corners along each side of the part of a board that is taken for one
_STOP = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 60, 0.001)


@dataclass(frozen=True)
class ChessboardSpec:
    """A chessboard, by its inner corners: where four squares meet.

    Attributes
    ----------
    columns, rows
        Inner corners along the width and the height: one less than there are squares.
    square_mm
        Side of a square; 1 where it is not known, and lengths are then in squares.
    """

    columns: int
    rows: int
    square_mm: float = 1.0

    @property
    def corners(self) -> int:
        """How many inner corners it has."""
        return self.columns * self.rows

    def __str__(self) -> str:
        return f"chessboard, {self.columns}x{self.rows} inner corners"


def find_chessboard(image: Image, spec: ChessboardSpec, name: str = "the image") -> BoardView:
    """Find the corners of a chessboard to a small part of a pixel.

    Of a board that is partly hidden, or cut off by the image's edge, the largest whole rectangle of corners is taken:
    its own corner is then at 0, 0 mm.

    Raises
    ------
    CalibrationError
        If no board is seen (in an image called `name`), or one with more corners than the board has.
    """
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    small, scale = _reduced(grey, SEARCHED_PX)
    grid = _whole(small, spec)
    if grid is None:
        small, scale = _reduced(grey, SEARCHED_PART_PX)
        grid = _part(small, spec, name)
    corners_px = _refined(grey, (grid + 0.5) / np.float32(scale) - 0.5)
    rows, columns = np.indices(corners_px.shape[:2], np.float32)
    corners_mm = np.stack([columns, rows, np.zeros_like(rows)], axis=-1) * np.float32(spec.square_mm)
    return BoardView(corners_px.reshape(-1, 2), corners_mm.reshape(-1, 3), grey.shape[1], grey.shape[0])


def _reduced(grey: Grey, longest_px: int) -> tuple[Grey, float]:
    scale = min(1.0, longest_px / max(grey.shape))
    if scale == 1.0:
        return grey, scale
    return np.asarray(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8), scale


def _whole(grey: Grey, spec: ChessboardSpec) -> Corners | None:
    """(rows, columns, 2) corners in pixels of a board that is seen whole."""
    size = (spec.columns, spec.rows)
    found, corners = cv2.findChessboardCornersSB(grey, size, flags=cv2.CALIB_CB_NORMALIZE_IMAGE)
    if not found:  # blurred or steeply tilted boards are seen by one method, small ones by the other
        flags = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_FAST_CHECK
        found, corners = cv2.findChessboardCorners(grey, size, flags=flags)
    return np.asarray(corners, np.float32).reshape(spec.rows, spec.columns, 2) if found else None


def _part(grey: Grey, spec: ChessboardSpec, name: str) -> Corners:
    least = (min(LEAST_PART, spec.columns), min(LEAST_PART, spec.rows))
    flags = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_ACCURACY | cv2.CALIB_CB_LARGER
    found, corners, marks = cv2.findChessboardCornersSBWithMeta(grey, least, flags)
    if not found:
        raise CalibrationError(_why_not_found(grey, spec, name))
    rows, columns = marks.shape[:2]
    if sorted((rows, columns)) > sorted((spec.rows, spec.columns)) or max(rows, columns) > max(spec.rows, spec.columns):
        raise CalibrationError(
            f"{name} shows a chessboard with {columns}x{rows} inner corners, more than the {spec.columns}x{spec.rows} "
            "of the board. Count the corners where four squares meet, and give those."
        )
    return np.asarray(corners, np.float32).reshape(rows, columns, 2)


def _refined(grey: Grey, grid: Corners) -> Corners:
    """Corners refined in a window that reaches no other corner; steady where squares are large."""
    sides = [np.linalg.norm(np.diff(grid, axis=axis), axis=2).min() for axis in (0, 1)]
    reach = int(np.clip(min(sides) / 3, 2, 15))
    height, width = grey.shape
    start = np.clip(grid.reshape(-1, 1, 2), 0, (width - 1, height - 1)).astype(np.float32)
    refined = cv2.cornerSubPix(grey, start.copy(), (reach, reach), (-1, -1), _STOP)
    strayed = np.linalg.norm(refined - start, axis=2) > max(2.0, min(sides) / 4)
    return np.asarray(np.where(strayed[..., None], start, refined), np.float32).reshape(grid.shape)


def _why_not_found(grey: Grey, spec: ChessboardSpec, name: str) -> str:
    missing = f"{name} shows no {spec}"
    if float(np.mean(grey)) < 12:
        return f"{missing}: it is dark. Check the light and the exposure."
    if float(cv2.Laplacian(grey, cv2.CV_32F).std()) < 4:
        return f"{missing}: it is blurred, or shows no board. Focus on the board."
    return f"{missing}. Give the inner corners as printed, and let most of the board be seen without glare."
