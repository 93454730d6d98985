"""Photographs of boards by a camera that is known exactly: drawn, and warped as a lens does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from calibration.image import Image, encode_png

WIDTH, HEIGHT, FOCAL = 640, 480, 700.0
MATRIX = np.array([[FOCAL, 0, 322.0], [0, FOCAL, 236.0], [0, 0, 1]])
BENT = np.array([-0.18, 0.06, 0.0, 0.0])
TURNS = ((0.3, 0.0, 0.1), (-0.3, 0.1, 0.5), (0.05, 0.35, -0.2), (0.1, -0.35, 0.3), (0.25, 0.25, 1.0), (-0.3, -0.2, 0.0))
PLACES = ((0.0, 0.0), (-0.9, -0.6), (0.9, 0.6), (-0.9, 0.6), (0.9, -0.6), (0.2, 0.1))


@dataclass(frozen=True)
class Pose:
    """How a board is turned (rad), and where its middle is, in its own half widths from the axis."""

    turn: tuple[float, float, float]
    place: tuple[float, float]


POSES = tuple(Pose(turn, place) for turn, place in zip(TURNS, PLACES, strict=True))


def photograph(board: Image, pose: Pose, distance: float = 5.0) -> Image:
    """A board (H, W) lying in front of the camera on grey."""
    height, width = board.shape
    rotation = cv2.Rodrigues(np.array(pose.turn))[0]
    y, x = np.indices((HEIGHT, WIDTH), np.float64)
    rays = cv2.undistortPoints(np.stack([x, y], -1).reshape(-1, 1, 2), MATRIX, BENT).reshape(-1, 2)
    centre = np.array([*pose.place, distance])
    directions = np.column_stack([rays, np.ones(len(rays))])
    normal = rotation[:, 2]
    on_plane = directions * ((normal @ centre) / (directions @ normal))[:, None] - centre
    across, down = on_plane @ rotation[:, 0], on_plane @ rotation[:, 1]
    scale = width / 2
    place_x = (across * scale + width / 2 - 0.5).reshape(HEIGHT, WIDTH).astype(np.float32)
    place_y = (down * scale + height / 2 - 0.5).reshape(HEIGHT, WIDTH).astype(np.float32)
    seen = cv2.remap(board, place_x, place_y, cv2.INTER_AREA, borderMode=cv2.BORDER_CONSTANT, borderValue=150)
    soft = cv2.GaussianBlur(seen, (0, 0), 0.7)
    noise = np.random.default_rng(4).normal(0, 1.0, soft.shape)
    return np.repeat(np.clip(soft + noise, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def chessboard(columns: int = 9, rows: int = 6) -> Image:
    """A chessboard with so many inner corners, on white paper."""
    side = 60
    y, x = np.indices(((rows + 1) * side, (columns + 1) * side))
    squares = np.where((x // side + y // side) % 2 == 0, 20, 230).astype(np.uint8)
    return np.asarray(cv2.copyMakeBorder(squares, side, side, side, side, cv2.BORDER_CONSTANT, value=(230,)), np.uint8)


def charuco(*, legacy: bool) -> Image:
    """A ChArUco board of 7 x 6 squares, as OpenCV prints it or printed it before 4.6."""
    board = cv2.aruco.CharucoBoard((7, 6), 20.0, 15.0, cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_50))
    board.setLegacyPattern(legacy)
    return np.asarray(board.generateImage((7 * 80, 6 * 80), marginSize=20), np.uint8)


def save_all(images: Sequence[Image], folder: Path) -> Path:
    """Write images as PNG, in order."""
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        (folder / f"{number}.png").write_bytes(encode_png(image))
    return folder


@pytest.fixture(scope="session")
def boards() -> list[Image]:
    """A chessboard from all sides."""
    return [photograph(chessboard(), pose) for pose in POSES]


def residual_px(found: npt.NDArray[np.float64], distortion: npt.NDArray[np.float64]) -> float:
    """The largest displacement in the middle four fifths of the image, by the lens that was found."""
    y, x = np.meshgrid(np.linspace(48, HEIGHT - 48, 9), np.linspace(64, WIDTH - 64, 9), indexing="ij")
    pixels = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
    truth = cv2.undistortPoints(pixels, MATRIX, BENT)
    seen = cv2.undistortPoints(pixels, found, distortion)
    homography, _ = cv2.findHomography(seen, truth)
    return float(np.linalg.norm(cv2.perspectiveTransform(seen, homography) - truth, axis=2).max() * FOCAL)
