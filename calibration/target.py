"""The board that photographs show, as a person names it: `chessboard:9x6:25` or `charuco:11x8:5:3.7:DICT_4X4_50`."""

from __future__ import annotations

import re
from collections.abc import Sequence

import cv2
import numpy as np
from pydantic import ValidationError

from calibration.board import BoardSpec, BoardView, find_board
from calibration.chessboard import ChessboardSpec, find_chessboard
from calibration.errors import CalibrationError
from calibration.image import Image

Target = ChessboardSpec | BoardSpec

FORMS = "chessboard:9x6 (inner corners), chessboard:9x6:25 (with the square in mm) or charuco:11x8:5:3.7:DICT_4X4_50"
FAMILIES = ("4X4", "5X5", "6X6", "7X7")  # of OpenCV's dictionaries; each begins with all smaller ones of its kind
SIZES = (50, 100, 250, 1000)
_USUAL_MARKER = 0.74  # side of a marker over that of its square, where it is not given


def parse_target(text: str, images: Sequence[Image] = ()) -> Target:
    """Read what a person wrote.

    Of a ChArUco board the square defaults to 1 mm, the marker's share of it and the dictionary to what `images` show.

    Raises
    ------
    CalibrationError
        If it names no board.
    """
    kind, _, rest = text.strip().partition(":")
    size = re.fullmatch(r"(\d{1,3})\s*[xX]\s*(\d{1,3})", rest.partition(":")[0])
    parts = [part for part in rest.split(":")[1:] if part]
    if kind not in ("chessboard", "charuco") or size is None:
        raise CalibrationError(f"{text!r} names no board. Give one such as {FORMS}.")
    across, down = int(size[1]), int(size[2])
    names = [part for part in parts if part.upper().startswith("DICT_")]
    try:
        lengths_mm = [float(part.removesuffix("mm")) for part in parts if part not in names]
    except ValueError:
        raise CalibrationError(f"{text!r}: lengths are numbers in mm. Give a board such as {FORMS}.") from None
    if not all(0 < length < 10_000 for length in lengths_mm):
        raise CalibrationError(f"{text!r}: lengths are above 0, in mm. Give a board such as {FORMS}.")
    if kind == "chessboard":
        if min(across, down) < 3 or len(lengths_mm) > 1 or names:
            raise CalibrationError(
                f"{text!r} is no chessboard: it has at least 3x3 inner corners, and one length, the side of a square. "
                f"Give one such as {FORMS}."
            )
        return ChessboardSpec(across, down, *lengths_mm)
    if len(lengths_mm) > 2 or len(names) > 1:
        raise CalibrationError(f"{text!r} says too much: squares, square, marker, dictionary. For example {FORMS}.")
    return _charuco(text, (across, down), lengths_mm, names[0].upper() if names else None, images)


def find_target(image: Image, target: Target, name: str = "the image") -> BoardView:
    """Find the board's corners in an image (H, W, 3) to a small part of a pixel.

    Raises
    ------
    CalibrationError
        If it is not seen, or too little of it.
    """
    if isinstance(target, ChessboardSpec):
        return find_chessboard(image, target, name)
    return find_board(image, target, name)


def corners_of(target: Target) -> int:
    """How many inner corners the board has."""
    if isinstance(target, ChessboardSpec):
        return target.corners
    return (target.squares_x - 1) * (target.squares_y - 1)


def _charuco(
    text: str, squares: tuple[int, int], lengths_mm: list[float], dictionary: str | None, images: Sequence[Image]
) -> BoardSpec:
    markers = squares[0] * squares[1] // 2
    dictionary = dictionary or _seen_dictionary(images, markers)
    square_mm = lengths_mm[0] if lengths_mm else 1.0
    ratio = lengths_mm[1] / lengths_mm[0] if len(lengths_mm) > 1 else None
    try:
        spec = BoardSpec(
            squares_x=squares[0],
            squares_y=squares[1],
            square_mm=square_mm,
            marker_mm=square_mm * (ratio or _USUAL_MARKER),
            dictionary=dictionary,
        )
        if ratio is not None:
            return spec
        return spec.model_copy(update={"marker_mm": square_mm * _seen_ratio(images, spec)})
    except ValidationError as error:
        reason = str(error.errors()[0].get("ctx", {}).get("error") or error.errors()[0]["msg"])
        raise CalibrationError(f"{text!r}: {reason}.") from error


def _seen_dictionary(images: Sequence[Image], markers: int) -> str:
    """The dictionary that most of the markers in sight are of."""
    seen: dict[str, int] = {}
    for family in FAMILIES if images else ():
        size = next((size for size in SIZES if size >= markers), SIZES[-1])
        detector = cv2.aruco.ArucoDetector(_dictionary(f"DICT_{family}_{size}"))
        for image in images:
            ids = detector.detectMarkers(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[1]
            known = 0 if ids is None else len(set(ids.ravel().tolist()) & set(range(markers)))
            seen[f"DICT_{family}_{size}"] = seen.get(f"DICT_{family}_{size}", 0) + known
    best = max(seen, key=lambda name: seen[name], default="")
    if not seen.get(best):
        raise CalibrationError(
            "No marker of a ChArUco board is seen in the images, so its dictionary is not known. Give it, as in "
            "charuco:11x8:5:3.7:DICT_4X4_50, or check that the images show the board."
        )
    return best


def _dictionary(name: str) -> cv2.aruco.Dictionary:
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))


def _seen_ratio(images: Sequence[Image], spec: BoardSpec) -> float:
    """Side of a marker over that of its square: the centres of the markers lie on the grid, however large they are."""
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    detector = cv2.aruco.ArucoDetector(_dictionary(spec.dictionary), parameters)
    places_mm = np.asarray(spec.opencv().getObjPoints(), np.float32)[:, :, :2]
    legacy_mm = np.asarray(spec.opencv(legacy=True).getObjPoints(), np.float32)[:, :, :2]
    ratios = []
    for image in images:
        corners, ids, _ = detector.detectMarkers(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        if ids is None:
            continue
        known = [number for number, each in enumerate(ids.ravel()) if each < len(places_mm)]
        if len(known) < 6:
            continue
        quads = np.asarray(corners, np.float32).reshape(-1, 4, 2)[known]
        fits = []
        for places in (places_mm, legacy_mm):
            centres_mm = places[ids.ravel()[known]].mean(axis=1)
            to_mm, agree = cv2.findHomography(quads.mean(axis=1), centres_mm, cv2.RANSAC, 0.15 * spec.square_mm)
            if to_mm is None:
                continue
            whole = np.asarray(agree, bool).ravel()
            flat = cv2.perspectiveTransform(quads[whole].reshape(-1, 1, 2), to_mm).reshape(-1, 4, 2)
            sides = np.linalg.norm(np.roll(flat, -1, axis=1) - flat, axis=2)
            fits.append((int(whole.sum()), float(np.median(sides)) / spec.square_mm))
        if fits:
            ratios.append(max(fits)[1])
    found = float(np.median(ratios)) if ratios else _USUAL_MARKER
    return found if 0.25 <= found < 1 else _USUAL_MARKER
