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

    def opencv(self) -> cv2.aruco.CharucoBoard:
        """The board as OpenCV's detector wants it, in mm."""
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))
        size = (self.squares_x, self.squares_y)
        return cv2.aruco.CharucoBoard(size, self.square_mm, self.marker_mm, dictionary)


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
    board = spec.opencv()
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    detector = cv2.aruco.CharucoDetector(board, cv2.aruco.CharucoParameters(), parameters)
    corners, ids, _, marker_ids = detector.detectBoard(grey)
    found = 0 if ids is None else len(ids)
    if found < MIN_CORNERS:
        raise CalibrationError(_why_not_found(found, 0 if marker_ids is None else len(marker_ids), grey, spec, name))
    corners_px = np.asarray(corners, np.float32).reshape(-1, 2)
    # The detector's own refinement looks at a window of 5 pixels; squares this large afford a wider, steadier one.
    corners_mm = np.asarray(board.getChessboardCorners(), np.float32)[np.asarray(ids).ravel()]
    reach = int(np.clip(_square_px(corners_px, corners_mm, spec) / 8, 3, 11))
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 40, 0.001)
    refined = cv2.cornerSubPix(grey, corners_px.reshape(-1, 1, 2).copy(), (reach, reach), (-1, -1), stop)
    height_px, width_px = grey.shape
    return BoardView(np.asarray(refined, np.float32).reshape(-1, 2), corners_mm, width_px, height_px)


def _square_px(corners_px: npt.NDArray[np.float32], corners_mm: npt.NDArray[np.float32], spec: BoardSpec) -> float:
    """Rough length of a square's side in the image."""
    spread_px = float(np.sqrt(np.linalg.det(np.cov(corners_px.T))))
    spread_mm = float(np.sqrt(np.linalg.det(np.cov(corners_mm[:, :2].T))))
    return spec.square_mm * float(np.sqrt(spread_px / max(spread_mm, 1e-9)))


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
    edges = float(cv2.Laplacian(cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), cv2.CV_32F).std())
    if edges < 6:
        return f"{seen}: it is blurred, or shows no board. Focus on the plate and lay the board flat."
    return f"{seen}; at least {MIN_CORNERS} are needed. Lay the right board in the middle, without glare."
