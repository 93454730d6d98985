"""`rig calibrate flat`: what camera and light add to photographs, from bias, dark and flat frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.detector import Correction, make_correction
from calibration.image import Image, read_image
from calibration.saved import save_flat
from pipeline.measuring.photographs import photographs


@dataclass(frozen=True)
class FlatResult:
    """A flat, made of so many frames of each kind."""

    correction: Correction
    frames: dict[str, int]
    out: Path | None

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        correction = self.correction
        return {
            "size_px": [correction.width_px, correction.height_px],
            "frames": self.frames,
            "dark": [round(float(value), 6) for value in correction.dark],
            "hot_pixels": len(correction.hot),
            "masked": round(correction.masked, 4),
            "gain": [round(float(correction.gain.min()), 4), round(float(correction.gain.max()), 4)],
            "out": None if self.out is None else str(self.out),
        }


def calibrate_flat_of(
    biases: Sequence[Path], darks: Sequence[Path], flats: Sequence[Path], out: Path | None
) -> FlatResult:
    """Make a flat of frames of each kind; bias and dark may be missing.

    Raises
    ------
    CalibrationError
        If the frames are no good.
    """
    frames = {"bias": _read(biases, "--bias"), "dark": _read(darks, "--dark"), "flat": _read(flats, "--flat")}
    correction = make_correction(frames["bias"], frames["dark"], frames["flat"])
    if out is not None:
        save_flat(correction, out)
    return FlatResult(correction, {kind: len(images) for kind, images in frames.items()}, out)


def _read(paths: Sequence[Path], option: str) -> list[Image]:
    return [read_image(file) for file in photographs(paths, option)] if paths else []
