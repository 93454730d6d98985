"""The ChArUco board: what is printed on it, and where its corners are in an image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from calibration.errors import CalibrationError
from calibration.image import Image

Grey = npt.NDArray[np.uint8]

MIN_CORNERS = 12
MAX_MISS_SIDES = 0.25  # sides of a marker that a corner may lie from where a flat board has it: lenses bend it
_LARGER = {"DICT_5X5_100": 100, "DICT_5X5_250": 250, "DICT_5X5_1000": 1000}  # share no marker with the plate's ring


class BoardSpec(BaseModel):
    """A printed ChArUco board. Measure the print: printers scale.

    Attributes
    ----------
    squares_x, squares_y
        Squares along the width and the height.
    square_mm, marker_mm
        Sides of a chessboard square and of a marker, as measured.
    dictionary
        OpenCV's name of the marker dictionary.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    squares_x: int = 11
    squares_y: int = 8
    square_mm: float = 5.0
    marker_mm: float = 3.7
    dictionary: str = "DICT_4X4_50"

    @field_validator("squares_x", "squares_y")
    @classmethod
    def _enough_squares(cls, value: int) -> int:
        if value < 3:
            raise ValueError("a board has at least 3 squares each way")
        return value

    @field_validator("dictionary")
    @classmethod
    def _known_dictionary(cls, value: str) -> str:
        if not value.startswith("DICT_") or not hasattr(cv2.aruco, value):
            raise ValueError(f"{value} is no ArUco dictionary of OpenCV; give one such as DICT_4X4_50")
        return value

    @field_validator("square_mm")
    @classmethod
    def _is_a_size_in_mm(cls, value: float) -> float:
        if not 1 <= value <= 200:
            raise ValueError("no printed board has such squares; measure one in millimetres, such as 4.98")
        return value

    @model_validator(mode="after")
    def _marker_in_square(self) -> BoardSpec:
        if not self.square_mm / 4 <= self.marker_mm < self.square_mm:
            raise ValueError(
                f"marker_mm ({self.marker_mm:g}) has to be below square_mm ({self.square_mm:g}), and at least a "
                "quarter of it; measure both in millimetres"
            )
        return self

    @model_validator(mode="after")
    def _enough_markers(self) -> BoardSpec:
        has = len(cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary)).bytesList)
        if self.markers > has:
            larger = next((name for name, size in _LARGER.items() if size >= self.markers), None)
            raise ValueError(
                f"{self.squares_x} x {self.squares_y} squares take {self.markers} markers, and {self.dictionary} has "
                f"{has}. " + (f"Give dictionary: {larger}" if larger else "Give fewer, larger squares")
            )
        return self

    @property
    def markers(self) -> int:
        """How many markers it has: one in every other square."""
        return self.squares_x * self.squares_y // 2

    def opencv(self, *, legacy: bool = False) -> cv2.aruco.CharucoBoard:
        """The board as OpenCV's detector wants it, in mm; or as OpenCV before 4.6 printed it."""
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))
        size = (self.squares_x, self.squares_y)
        board = cv2.aruco.CharucoBoard(size, self.square_mm, self.marker_mm, dictionary)
        board.setLegacyPattern(legacy)
        return board


@dataclass(frozen=True)
class BoardView:
    """The corners of a board found in one image.

    Attributes
    ----------
    corners_px
        (N, 2) float32, subpixel, x and y.
    corners_mm
        (N, 3) float32, the same corners on the board, z 0.
    width_px, height_px
        Size of the image.
    """

    corners_px: npt.NDArray[np.float32]
    corners_mm: npt.NDArray[np.float32]
    width_px: int
    height_px: int


def find_board(image: Image, spec: BoardSpec, name: str = "the image") -> BoardView:
    """Find the board's corners in an image (H, W, 3) to a small part of a pixel.

    Raises
    ------
    CalibrationError
        If too little of the board is seen, the image is blurred, or it shows another board (called `name`).
    """
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    markers = _find_markers(grey, spec, parameters)
    # Of even height, boards printed by OpenCV before 4.6 begin with a white square: the markers lie elsewhere.
    boards = [_Board(each, *_agreeing(markers, each)) for each in (spec.opencv(), spec.opencv(legacy=True))]
    board = max(boards, key=lambda each: len(each.ids))
    corners, ids = board.find_corners(grey, parameters)
    if len(ids) < _least_corners(spec):
        raise CalibrationError(_why_not_found(len(ids), len(markers.ids), grey, spec, name))
    # The detector's own refinement looks at a window of 5 pixels; squares this large afford a wider, steadier one.
    corners_px = corners
    corners_mm = np.asarray(board.opencv.getChessboardCorners(), np.float32)[ids]
    reach = int(np.clip(_square_px(corners_px, corners_mm, spec) / 8, 3, 11))
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 40, 0.001)
    refined = cv2.cornerSubPix(grey, corners_px.reshape(-1, 1, 2).copy(), (reach, reach), (-1, -1), stop)
    height_px, width_px = grey.shape
    return BoardView(np.asarray(refined, np.float32).reshape(-1, 2), corners_mm, width_px, height_px)


@dataclass(frozen=True)
class _Markers:
    """Markers in an image: (N, 4, 2) corners in pixels, and N ids."""

    corners_px: npt.NDArray[np.float32]
    ids: npt.NDArray[np.int32]


@dataclass(frozen=True)
class _Board:
    """A way in which the board may be printed, and the markers that agree with it."""

    opencv: cv2.aruco.CharucoBoard
    corners_px: npt.NDArray[np.float32]
    ids: npt.NDArray[np.int32]

    def find_corners(
        self, grey: Grey, parameters: cv2.aruco.DetectorParameters
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        """(N, 2) corners of its squares in pixels, and their N numbers."""
        nothing = np.zeros((0, 2), np.float32), np.zeros(0, np.int32)
        if len(self.ids) == 0:
            return nothing
        detector = cv2.aruco.CharucoDetector(self.opencv, cv2.aruco.CharucoParameters(), parameters)
        markers = [np.ascontiguousarray(each[None]) for each in self.corners_px]
        found = detector.detectBoard(grey, markerCorners=markers, markerIds=self.ids.reshape(-1, 1))
        corners, ids = found[:2]
        if ids is None:
            return nothing
        return np.asarray(corners, np.float32).reshape(-1, 2), np.asarray(ids, np.int32).ravel()


def _find_markers(grey: Grey, spec: BoardSpec, parameters: cv2.aruco.DetectorParameters) -> _Markers:
    """Every marker of the board's dictionary that is in sight, whatever it belongs to."""
    corners, ids, _ = cv2.aruco.ArucoDetector(spec.opencv().getDictionary(), parameters).detectMarkers(grey)
    if ids is None:
        return _Markers(np.zeros((0, 4, 2), np.float32), np.zeros(0, np.int32))
    return _Markers(np.asarray(corners, np.float32).reshape(-1, 4, 2), np.asarray(ids, np.int32).ravel())


def _agreeing(
    markers: _Markers, board: cv2.aruco.CharucoBoard
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """The markers that lie as one board has them; a stray one, or those of a second board, are left out."""
    places_mm = np.asarray(board.getObjPoints(), np.float32)[:, :, :2]  # (M, 4, 2), by id
    known = markers.ids < len(places_mm)
    corners_px, ids = markers.corners_px[known], markers.ids[known]
    if len(ids) < 2:
        return corners_px, ids
    side_px = float(np.median(np.linalg.norm(np.roll(corners_px, -1, axis=1) - corners_px, axis=2)))
    homography, agree = cv2.findHomography(
        places_mm[ids].reshape(-1, 2), corners_px.reshape(-1, 2), cv2.RANSAC, max(2.0, MAX_MISS_SIDES * side_px)
    )
    if homography is None:
        return corners_px[:0], ids[:0]
    whole = np.asarray(agree, bool).reshape(-1, 4).all(axis=1)
    _, first = np.unique(ids[whole], return_index=True)
    return corners_px[whole][first], ids[whole][first]


def _square_px(corners_px: npt.NDArray[np.float32], corners_mm: npt.NDArray[np.float32], spec: BoardSpec) -> float:
    """Rough length of a square's side in the image."""
    spread_px = float(np.sqrt(np.linalg.det(np.cov(corners_px.T))))
    spread_mm = float(np.sqrt(np.linalg.det(np.cov(corners_mm[:, :2].T))))
    return spec.square_mm * float(np.sqrt(spread_px / max(spread_mm, 1e-9)))


def _least_corners(spec: BoardSpec) -> int:
    """`MIN_CORNERS`, or a third of a board that has few."""
    return min(MIN_CORNERS, max(6, (spec.squares_x - 1) * (spec.squares_y - 1) // 3))


def _why_not_found(corners: int, markers: int, grey: Grey, spec: BoardSpec, name: str) -> str:
    total = (spec.squares_x - 1) * (spec.squares_y - 1)
    board = f"{spec.squares_x}x{spec.squares_y}, {spec.dictionary}"
    seen = f"{name} shows {corners} of the {total} corners of the board ({board})"
    if float(np.mean(grey)) < 12:
        return f"{seen}: it is dark. Check that a light is on, and the exposure."
    if markers >= 6:
        return (
            f"{seen}, though {markers} markers: this seems to be another board. Give the squares as they are printed."
        )
    half = (max(1, grey.shape[1] // 2), max(1, grey.shape[0] // 2))
    edges = float(cv2.Laplacian(cv2.resize(grey, half, interpolation=cv2.INTER_AREA), cv2.CV_32F).std())
    if edges < 6:
        return f"{seen}: it is blurred, or shows no board. Focus on the plate and lay the board flat."
    return f"{seen}; at least {_least_corners(spec)} are needed. Lay the right board in the middle, without glare."
