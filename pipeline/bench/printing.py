"""`rig print`: the ChArUco board and the plate's ring as images that print at true scale."""

from __future__ import annotations

import struct
import zlib
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
    if what == "board":
        spec = lab.rig.board if lab else BoardSpec()
        longest_mm = max(spec.squares_x, spec.squares_y) * spec.square_mm
        if longest_mm * PX_PER_MM > MOST_PX:
            raise UsageError(
                f"the board is {longest_mm:g} mm long, and at most {MOST_PX / PX_PER_MM:.0f} mm can be printed. "
                "Correct board: in rig.yaml."
            )
        image = board_image(spec)
        size = f"{spec.squares_x * spec.square_mm:g} x {spec.squares_y * spec.square_mm:g} mm"
    else:
        image = ring_image(lab.rig.quality.ring if lab else RingSpec(), PX_PER_MM)
        size = f"{image.shape[1] / PX_PER_MM:.1f} x {image.shape[0] / PX_PER_MM:.1f} mm"
    write_atomically(path, _png(_framed(image, f"{what}: {size}. Print at 100 %, then measure.")))
    key = "board:" if what == "board" else "quality: ring:"
    return (
        f"Written to {path}: {size} at {DPI} dpi. Print at 100 % (no fitting to the page), then measure the print: "
        f"its measures go under `{key}` of rig.yaml."
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
