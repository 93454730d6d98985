"""Relightable images: polynomial texture maps as `.ptm`, as Relight's JSON and planes, and lists of lights (`.lp`).

T. Malzbender, D. Gelb, H. Wolters, "Polynomial texture maps", SIGGRAPH 2001. The file: HP's "Polynomial Texture Map
(.ptm) File Format", version 1.2 (PtmFormat12.pdf), as cnr-isti-vclab/relight reads it (`src/legacy_rti.cpp`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from calibration.durable_files import write_atomically
from calibration.errors import CalibrationError

Coefficients = npt.NDArray[np.float32]

TERMS = 6
SAMPLED = 1e-3  # of the greatest singular value: below, a combination of terms is not determined by the lights
PRIOR = 0.2  # weight of what Lambert's law expects against that of an image
JPEG_QUALITY = 95
_COMMENTS = ("#", "//", ";")


@dataclass(frozen=True)
class PolynomialMap:
    """Light as a polynomial of the lamp's direction.

    Attributes
    ----------
    coefficients
        (6, H, W, 3) of 1, u, v, u², uv, v², u to the right and v up; values of 0 to 1 as they are displayed.
    """

    coefficients: Coefficients


def terms_of(directions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N, 6) terms of unit vectors (N, 3)."""
    u, v = directions[:, 0], directions[:, 1]
    return np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=1)


def expected_directions() -> npt.NDArray[np.float64]:
    """Where lights would be needed that a ring at one height lacks: above, half-way down, and near the horizon."""
    rings = [(90.0, 1), (65.0, 6), (25.0, 8)]
    return np.array(
        [
            (np.cos(np.radians(up)) * np.cos(turn), np.cos(np.radians(up)) * np.sin(turn), np.sin(np.radians(up)))
            for up, number in rings
            for turn in np.arange(number) * 2 * np.pi / number
        ]
    )


def weights_of_images(directions: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], bool]:
    """(6, N + E) by which images, and then those expected by Lambert's law, add up to coefficients; whether the lights
    need the latter: a ring at one height cannot tell 1 from u² + v²."""
    terms = terms_of(directions)
    spread = np.linalg.svd(terms, compute_uv=False)
    needed = len(directions) < TERMS or bool(spread[-1] < 10 * SAMPLED * spread[0])
    weight = np.concatenate([np.ones(len(directions)), np.full(len(expected_directions()), PRIOR if needed else 0.0)])
    design = np.concatenate([terms, terms_of(expected_directions())]) * weight[:, None]
    return np.linalg.pinv(design) * weight[None, :], needed


def encode_ptm(polynomial: PolynomialMap) -> bytes:
    """A `.ptm` file of format `PTM_FORMAT_RGB`: three blocks of six interleaved bytes, rows from the bottom."""
    order = (3, 5, 4, 1, 2, 0)  # u², v², uv, u, v, 1
    _, height, width, _ = polynomial.coefficients.shape
    scales, biases, planes = [], [], []
    for term in order:
        values = polynomial.coefficients[term] * 255.0
        low, high = (float(bound) for bound in np.percentile(values, (0.02, 99.98)))
        scale = max((high - low) / 255.0, 1e-4)
        bias = int(np.rint(-low / scale))
        scales.append(scale)
        biases.append(bias)
        planes.append(np.clip(np.rint(values / scale + bias), 0, 255).astype(np.uint8))
    header = (
        f"PTM_1.2\nPTM_FORMAT_RGB\n{width}\n{height}\n"
        + " ".join(f"{scale:.8g}" for scale in scales)
        + "\n"
        + " ".join(map(str, biases))
        + "\n"
    )
    stacked = np.stack(planes)[:, ::-1]  # (6, H, W, 3)
    return header.encode("ascii") + b"".join(
        np.ascontiguousarray(stacked[..., channel].transpose(1, 2, 0)).tobytes() for channel in range(3)
    )


def write_relight(
    polynomial: PolynomialMap, directions: npt.NDArray[np.float64], folder: Path, mm_per_pixel: float | None
) -> None:
    """Write `info.json` and six planes into a folder, as Relight and OpenLIME read them."""
    _, height, width, _ = polynomial.coefficients.shape
    scales: list[float] = []
    biases: list[float] = []
    for term, values in enumerate(polynomial.coefficients):
        low = np.percentile(values, 0.02, axis=(0, 1))
        scale = np.maximum(np.percentile(values, 99.98, axis=(0, 1)) - low, 1e-4)
        plane = np.clip(np.rint((values - low) / scale * 255), 0, 255).astype(np.uint8)
        flags = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
        done, data = cv2.imencode(".jpg", cv2.cvtColor(plane, cv2.COLOR_RGB2BGR), flags)
        assert done
        write_atomically(folder / f"plane_{term}.jpg", data.tobytes())
        scales += [float(value) for value in scale]
        biases += [float(value) for value in -low / scale]  # light is (stored - bias) * scale
    info = {
        "width": width,
        "height": height,
        "format": "jpg",
        "type": "ptm",
        "colorspace": "rgb",
        **({} if mm_per_pixel is None else {"pixelSizeInMM": mm_per_pixel}),
        "lights": [round(float(value), 5) for value in directions.ravel()],
        "nplanes": 3 * TERMS,
        "quality": JPEG_QUALITY,
        "materials": [{"scale": scales, "bias": biases}],
    }
    write_atomically(folder / "info.json", json.dumps(info, indent=1))


def encode_lp(names: Sequence[str], directions: npt.NDArray[np.float64]) -> str:
    """A list of lights: how many, then a line for each image with its direction."""
    lines = [f"{name} {x:.6f} {y:.6f} {z:.6f}" for name, (x, y, z) in zip(names, directions, strict=True)]
    return f"{len(lines)}\n" + "\n".join(lines) + "\n"


def read_lights(path: Path) -> tuple[list[str] | None, npt.NDArray[np.float64]]:
    """Directions (N, 3), unit vectors, and the images' names where the file gives them.

    Read are `.lp` files as they are found: with or without the line that says how many lights there are, with comments
    (`#`, `//`, `;`), names with spaces, folders or quotes; and tables of three numbers a line (or a column), as
    DiLiGenT has them.

    Raises
    ------
    CalibrationError
        If it is neither, or a direction is none.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
        lines = [line for line in lines if line and not line.startswith(_COMMENTS)]
        stated = int(lines.pop(0)) if lines and lines[0].isdigit() else None
        named = [_named_direction(line) for line in lines]
        if named and all(each is not None for each in named):
            entries = [each for each in named if each is not None]
            names: list[str] | None = [name for name, _ in entries]
            rows = np.array([direction for _, direction in entries])
        else:
            names = None
            rows = np.array([[float(part) for part in line.replace(",", " ").split()] for line in lines])
            rows = rows.T if rows.shape[0] == 3 and rows.shape[1] != 3 else rows
        if rows.ndim != 2 or rows.shape[1] != 3 or not np.isfinite(rows).all():
            raise ValueError
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        if (length < 1e-6).any():
            raise ValueError
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it lists no directions"
        raise CalibrationError(
            f"{path}: {reason}. Give an .lp file, as `rig calibrate lights --out` writes it, or three numbers a line."
        ) from error
    if stated is not None and stated != len(rows):
        raise CalibrationError(
            f"{path} says that it lists {stated} lights, and lists {len(rows)}. Correct its first line, or add what is "
            "missing."
        )
    if (rows[:, 2] < 0).all():
        raise CalibrationError(f"{path}: all lights come from behind. z is positive towards the camera.")
    return names, rows / length


def _named_direction(line: str) -> tuple[str, tuple[float, ...]] | None:
    """A photograph's name and a direction, from a line of an `.lp` file; None where there is no name."""
    parts = line.rsplit(None, 3)
    if len(parts) < 4:
        return None
    name = parts[0].strip().strip("\"'")
    if re.fullmatch(r"[-+\d.,eE\s]*", name) and not name.isdigit():
        return None  # a table with more columns
    # Some countries write 0,5.
    numbers = [part.replace(",", ".") if part.count(",") == 1 and "." not in part else part for part in parts[1:]]
    return name, tuple(float(number.strip(",")) for number in numbers)
