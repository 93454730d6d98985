"""`rig measure`: how large the coins in photographs are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibration.errors import CalibrationError
from calibration.image import ImageError, read_image
from calibration.measures import CoinMeasures, Scale, measure_coins
from calibration.target import find_target, parse_target
from pipeline.errors import UsageError
from pipeline.measuring.apply import Corrections
from pipeline.measuring.photographs import photographs
from pipeline.reporter import Reporter


@dataclass(frozen=True)
class MeasuredPhotograph:
    """The coins of one photograph; `corners` of the board found, 0 without one."""

    file: str
    mm_per_pixel: float
    corners: int
    coins: tuple[CoinMeasures, ...]


@dataclass(frozen=True)
class Measured:
    """What was measured, and why other photographs were not."""

    photographs: tuple[MeasuredPhotograph, ...]
    failed: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "photographs": [
                {
                    "file": each.file,
                    "mm_per_pixel": round(each.mm_per_pixel, 6),
                    "corners": each.corners,
                    "coins": [_as_json(coin) for coin in each.coins],
                }
                for each in self.photographs
            ],
            "failed": list(self.failed),
        }


def measure_photographs(
    images: Sequence[Path],
    board: str | None,
    mm_per_pixel: float | None,
    corrections: Corrections,
    reporter: Reporter,
) -> Measured:
    """Measure the coins in photographs, by a board that lies beside them, or a known scale.

    Raises
    ------
    UsageError
        If not one of board and scale is given, or the board's squares have no size.
    """
    if (board is None) == (mm_per_pixel is None):
        raise UsageError("Give the scale: either --board (with the side of a square in mm) or --mm-per-pixel.")
    files = photographs(images, "IMAGES")
    if board is not None and ":" not in board.partition(":")[2]:
        raise UsageError(f"--board: {board} has no size. Give the side of a square in mm, as in {board}:12.5.")
    done, failed = [], []
    for file in files:
        try:
            image = corrections.apply(read_image(file), file.name)
            corners, scale = 0, Scale.of_factor(mm_per_pixel or 1.0)
            if board is not None:
                target = parse_target(board, [image])
                view = find_target(image, target, file.name)
                corners, scale = len(view.corners_px), Scale.of_board(view, file.name)
            coins = tuple(measure_coins(image, scale))
        except (CalibrationError, ImageError) as error:
            failed.append(str(error))
            reporter.warn(str(error))
            continue
        if not coins:
            failed.append(f"{file.name}: no coin was found. Coins lie whole in the image, on a plain ground.")
            reporter.warn(failed[-1])
        done.append(MeasuredPhotograph(file.name, scale.mm_per_pixel(np.array(image.shape[1::-1]) / 2), corners, coins))
    return Measured(tuple(done), tuple(failed))


def _as_json(coin: CoinMeasures) -> dict[str, Any]:
    return {
        "centre_px": [round(value, 1) for value in coin.centre_px],
        "diameter_mm": round(coin.diameter_mm, 3),
        "diameter_min_mm": round(coin.least_mm, 3),
        "diameter_max_mm": round(coin.greatest_mm, 3),
        "area_mm2": round(coin.area_mm2, 2),
        "round": coin.is_round,
    }
