"""`rig print`: the ChArUco board and the plate's ring as images that print at true scale."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from calibration.board import BoardSpec
from calibration.durable_files import write_atomically
from calibration.image import Image
from calibration.plate import RingSpec, ring_image
from pipeline.errors import UsageError
from pipeline.lab import Lab

DPI = 300
PX_PER_MM = DPI / 25.4
MARGIN_MM = 10.0
FINE_PX = 360  # per square before it is brought to size: corners then fall within half a pixel of where they belong
MOST_PX = 20_000  # along a side, before it is brought to size and after


@dataclass(frozen=True)
class Print:
    """A target as it is to be printed: a PNG that says its resolution, and the size of what is drawn on it (mm)."""

    png: bytes
    width_mm: float
    height_mm: float

    @property
    def size(self) -> str:
        """In words."""
        return _size(self.width_mm, self.height_mm)


def board_width_mm(board: BoardSpec) -> float:
    """How wide the printed board is, from edge to edge of its squares."""
    return board.squares_x * board.square_mm


def ring_width_mm(ring: RingSpec) -> float:
    """How wide the grey square is that the ring is printed on."""
    return 2 * (ring.radius_mm + ring.marker_mm)


def make_print(board: BoardSpec, ring: RingSpec, what: Literal["board", "ring"] | str) -> Print:
    """Draw the board or the ring.

    Raises
    ------
    UsageError
        If it is too large to be printed.
    """
    if what == "board":
        width_mm, height_mm = board_width_mm(board), board.squares_y * board.square_mm
        longest_mm = max(width_mm, height_mm)
        if longest_mm * PX_PER_MM > MOST_PX:
            raise UsageError(
                f"the board is {longest_mm:g} mm long, and at most {MOST_PX / PX_PER_MM:.0f} mm can be printed. "
                "Correct board: in rig.yaml."
            )
        image = board_image(board)
    else:
        image = ring_image(ring, PX_PER_MM)
        height_mm, width_mm = (pixels / PX_PER_MM for pixels in image.shape[:2])
    size = _size(width_mm, height_mm)
    return Print(_png(_framed(image, f"{what}: {size}. Print at 100 %, then measure.")), width_mm, height_mm)


def write_print(lab: Lab | None, what: Literal["board", "ring"] | str, path: Path) -> str:
    """Write the board or the ring of a lab's rig.yaml and return how to print it.

    Raises
    ------
    UsageError
        If the file is not a .png, or exists.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path}: write to a .png file.")
    if path.exists():
        raise UsageError(f"{path} exists already and is not written over. Name another file.")
    made = make_print(lab.rig.board if lab else BoardSpec(), lab.rig.quality.ring if lab else RingSpec(), what)
    write_atomically(path, made.png)
    key = "board:" if what == "board" else "quality: ring:"
    return (
        f"Written to {path}: {made.size} at {DPI} dpi. Print at 100 % (no fitting to the page), then measure "
        f"the print: its measures go under `{key}` of rig.yaml."
    )


def board_image(spec: BoardSpec) -> Image:
    """The board alone, `PX_PER_MM` pixels to a millimetre, (H, W, 3)."""
    fine_px = min(FINE_PX, MOST_PX // max(spec.squares_x, spec.squares_y))
    fine = spec.opencv().generateImage((spec.squares_x * fine_px, spec.squares_y * fine_px))
    size = tuple(round(squares * spec.square_mm * PX_PER_MM) for squares in (spec.squares_x, spec.squares_y))
    grey = cv2.resize(np.asarray(fine), size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)


def _framed(image: Image, caption: str) -> Image:
    """On white, with a caption below."""
    margin = round(MARGIN_MM * PX_PER_MM)
    page = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    at = (margin, page.shape[0] - margin // 3)
    cv2.putText(page, caption, at, cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2, cv2.LINE_AA)
    return np.asarray(page, np.uint8)


def _size(width_mm: float, height_mm: float) -> str:
    return " x ".join(f"{side_mm:.1f}".removesuffix(".0") for side_mm in (width_mm, height_mm)) + " mm"


def _png(image: Image) -> bytes:
    """A PNG that says its resolution (chunk ``pHYs``), so that programs print it at its size."""
    done, encoded = cv2.imencode(".png", image)
    assert done
    data = encoded.tobytes()
    per_metre = round(DPI / 0.0254)
    chunk = b"pHYs" + struct.pack(">IIB", per_metre, per_metre, 1)
    physical = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    header = 8 + 25  # signature and IHDR, which always come first
    return data[:header] + physical + data[header:]
