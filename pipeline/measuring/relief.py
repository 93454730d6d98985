"""`rig relief`: normals, albedo, height and a relightable image, from photographs under many lights."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from calibration.durable_files import make_folder, write_atomically
from calibration.errors import CalibrationError
from calibration.image import read_image
from calibration.levels import read_levels
from calibration.relief import MeasuredRelief, check_lights, height_of, measure_relief
from calibration.response import LUMINANCE, codes_of_light, light_of_codes
from calibration.rti import (
    PolynomialMap,
    encode_lp,
    encode_ptm,
    expected_directions,
    read_lights,
    weights_of_images,
    write_relight,
)
from pipeline.errors import LabError
from pipeline.measuring.photographs import photographs, split_mask
from pipeline.reporter import Reporter

Response = Literal["auto", "linear", "srgb"]
Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

MAX_BYTES = 2.5e9  # of stored values; as much again is taken by light, and less by the rest
SAMPLED = 20_000  # pixels by which it is found out whether the camera stores light or sRGB
MARGIN_PX = 2


@dataclass(frozen=True)
class ReliefResult:
    """A relief, and where it was written."""

    relief: MeasuredRelief
    mask: Mask
    lights: int
    response: str
    height_range: tuple[float, float]
    mm_per_pixel: float | None
    rti_by_law: bool
    out: Path
    part: tuple[slice, slice]
    shape: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        unit = 1.0 if self.mm_per_pixel is None else self.mm_per_pixel
        used = self.relief.lights_used[self.mask]
        return {
            "lights": self.lights,
            "response": self.response,
            "residual": round(self.relief.residual, 5),
            "lights_used_mean": round(float(used.mean()), 2) if used.size else 0.0,
            "unknown": round(float((self.relief.albedo[self.mask] <= 1e-6).mean()), 5) if used.size else 0.0,
            "height_unit": "px" if self.mm_per_pixel is None else "mm",
            "height_range": [round(value * unit, 4) for value in self.height_range],
            "rti_by_law": self.rti_by_law,
            "out": str(self.out),
        }


def measure_relief_of(
    images: Sequence[Path],
    lights: Path,
    mask: Path | None,
    response: Response,
    mm_per_pixel: float | None,
    out: Path,
    reporter: Reporter,
) -> ReliefResult:
    """Measure the relief that photographs show under known lights, and write it into a folder.

    Raises
    ------
    LabError
        If photographs and lights do not fit each other.
    CalibrationError
        If the lights do not determine a relief.
    """
    files, beside = split_mask(photographs(images, "IMAGES"))
    files, directions = _paired(files, lights, reporter)
    check_lights(directions)
    strengths = _strengths(lights, len(files))
    where = mask or beside
    inside = None if where is None else read_image(where).max(axis=2) > 127
    if inside is not None and not inside.any():
        raise CalibrationError(f"{where}: the mask is empty. It is white where the surface is, and black elsewhere.")
    colours, deep = _read_all(files, inside, reporter)
    part = _part(inside)
    surface = np.ones(colours.shape[1:3], bool) if inside is None else inside[part]
    stored = "linear" if deep or response != "auto" else _stored(colours, directions, strengths, surface)
    kind = stored if response == "auto" else response
    light = _each(colours, lambda values: _linear(values, kind))
    if (strengths != 1).any():
        light /= strengths[:, None, None, :]
    grey = np.asarray(light @ LUMINANCE, np.float32)
    top = float(np.percentile(grey[:, surface], 99.9)) if deep else 1.0
    grey /= max(top, 1e-6)  # a camera of 16 bits may use any part of its range
    relief = measure_relief(grey, directions, surface)
    height = height_of(relief.normals, surface)
    polynomial, by_law = _polynomial(
        colours if kind == "srgb" else _each(light, lambda values: _displayed(values, top)), directions, relief
    )
    result = ReliefResult(
        relief,
        surface,
        len(files),
        kind,
        (float(height[surface].min()), float(height[surface].max())),
        mm_per_pixel,
        by_law,
        out,
        part,
        colours.shape[1:3] if inside is None else inside.shape,
    )
    _write(result, light, height, polynomial, [file.name for file in files], directions)
    return result


def _paired(files: list[Path], lights: Path, reporter: Reporter) -> tuple[list[Path], npt.NDArray[np.float64]]:
    """Photographs and directions in the same order: by the names in the list of lights, or both as they come."""
    names, directions = read_lights(lights)
    listing = next((file.parent / "filenames.txt" for file in files if (file.parent / "filenames.txt").is_file()), None)
    if names is None and listing is not None:
        names = [line.strip() for line in listing.read_text("utf-8").splitlines() if line.strip()]
    if names is not None and len(names) == len(directions):
        found = [_named(name, files) for name in names]
        missing = [name for name, file in zip(names, found, strict=True) if file is None]
        if not missing:
            return [file for file in found if file is not None], directions
        if len(missing) < len(names):
            raise LabError(
                f"{lights} lists {missing[0]}{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}, of which "
                "there is no photograph here. Add what is missing, or take it off the list."
            )
        if len(files) == len(directions):
            reporter.warn(f"No photograph is named as in {lights}: the lights are taken in the order of the names.")
    if len(files) != len(directions):
        raise LabError(
            f"There are {len(files)} photographs and {len(directions)} lights in {lights}. Give one light for each, by "
            "name (.lp) or in the same order."
        )
    return files, directions


def _named(name: str, files: Sequence[Path]) -> Path | None:
    """The photograph that a list means: by its name, whatever folder, case or kind of file the list was made with."""
    wanted = PureWindowsPath(name)  # which knows both kinds of slashes
    for same in (
        lambda file: file.name == wanted.name,
        lambda file: file.name.lower() == wanted.name.lower(),
        lambda file: file.stem.lower() == wanted.stem.lower(),
    ):
        found = [file for file in files if same(file)]
        if len(found) == 1:
            return found[0]
    return None


def _strengths(lights: Path, count: int) -> Array:
    """(N, 3) how bright each lamp is in each channel, if a table lies beside that of directions, as with DiLiGenT."""
    table = lights.with_name("light_intensities.txt")
    if lights.name != "light_directions.txt" or not table.is_file():
        return np.ones((count, 3), np.float32)
    try:
        lines = [line.split() for line in table.read_text("utf-8").splitlines() if line.strip()]
        rows = np.array([[float(part) for part in line] for line in lines])
        if rows.shape != (count, 3) or not (rows > 0).all():
            raise ValueError
    except ValueError:
        raise LabError(f"{table} does not hold three numbers above 0 for each of {count} lights. Correct it.") from None
    return np.asarray(rows / rows.mean(), np.float32)


def _part(inside: Mask | None) -> tuple[slice, slice]:
    """The rows and columns that the mask reaches over."""
    if inside is None:
        return slice(None), slice(None)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return (
        slice(max(0, rows[0] - MARGIN_PX), rows[-1] + MARGIN_PX + 1),
        slice(max(0, columns[0] - MARGIN_PX), columns[-1] + MARGIN_PX + 1),
    )


def _read_all(files: Sequence[Path], inside: Mask | None, reporter: Reporter) -> tuple[Array, bool]:
    """Stored values (N, H, W, 3) of the part that the mask reaches over, and whether they have more than 8 bits."""
    part = _part(inside)
    stack: Array | None = None
    deep = False
    shape: tuple[int, ...] | None = None
    for number, file in enumerate(files):
        levels, is_deep = read_levels(file)
        if shape is None:
            shape = levels.shape
            if inside is not None and inside.shape != shape[:2]:
                raise LabError(
                    f"The mask is {inside.shape[1]}x{inside.shape[0]} pixels, {file.name} {shape[1]}x{shape[0]}. Give "
                    "the mask of these photographs."
                )
            size = levels[part].shape
            if 4.0 * len(files) * np.prod(size) > MAX_BYTES:
                raise LabError(
                    f"{len(files)} photographs of {shape[1]}x{shape[0]} pixels do not fit into memory. Give a --mask "
                    "of the coin, or smaller photographs."
                )
            stack = np.empty((len(files), *size), np.float32)
        if levels.shape != shape or stack is None:
            raise LabError(f"{file.name} has another size than those before it. All are of one camera at rest.")
        stack[number] = levels[part]
        deep = deep or is_deep
    if stack is None:
        raise LabError("There are no photographs. Give one for each light.")
    reporter.report(f"{len(files)} photographs of {stack.shape[2]}x{stack.shape[1]} pixels.")
    return stack, deep


def _stored(
    colours: Array, directions: npt.NDArray[np.float64], strengths: Array, surface: Mask
) -> Literal["linear", "srgb"]:
    """Whether 8-bit values are light or sRGB: by which of them Lambert's law holds better."""
    places = np.flatnonzero(surface)
    places = places[:: max(1, len(places) // SAMPLED)]
    sample = colours.reshape(len(colours), -1, 3)[:, places][:, None]
    missed: dict[Literal["linear", "srgb"], float] = {}
    for kind in ("linear", "srgb"):
        grey = (_linear(sample, kind) / strengths[:, None, None, :]) @ LUMINANCE
        missed[kind] = measure_relief(np.ascontiguousarray(grey), directions).residual
    return min(missed, key=lambda kind: missed[kind])


def _each(images: Array, convert: Callable[[Array], Array]) -> Array:
    """Convert images one by one, which takes no more memory than the result."""
    converted = np.empty_like(images)
    for number, image in enumerate(images):
        converted[number] = convert(image)
    return converted


def _linear(colours: Array, kind: Literal["linear", "srgb"]) -> Array:
    return colours if kind == "linear" else light_of_codes(colours)


def _displayed(light: Array, top: float) -> Array:
    """Light as a screen is given it, its brightest at 1."""
    return codes_of_light(np.clip(light / np.float32(max(top, 1e-6)), 0, 1))


def _polynomial(
    displayed: Array, directions: npt.NDArray[np.float64], relief: MeasuredRelief
) -> tuple[PolynomialMap, bool]:
    """A polynomial texture map; where the lights do not determine one, Lambert's law adds what is missing."""
    weights, by_law = weights_of_images(directions)
    images = len(displayed)
    coefficients = np.tensordot(weights[:, :images].astype(np.float32), displayed, axes=1)
    if by_law:
        mean = displayed.mean(axis=0)
        shading = np.clip(np.mean([relief.normals @ each.astype(np.float32) for each in directions], axis=0), 0.1, None)
        for number, direction in enumerate(expected_directions()):
            lit = np.clip(relief.normals @ direction.astype(np.float32), 0, None)
            expected = mean * np.minimum((lit / shading) ** np.float32(1 / 2.2), 3)[..., None]
            coefficients += weights[:, images + number, None, None, None].astype(np.float32) * expected
    return PolynomialMap(np.asarray(coefficients, np.float32)), by_law


def _write(
    result: ReliefResult,
    light: Array,
    height: Array,
    polynomial: PolynomialMap,
    names: Sequence[str],
    directions: npt.NDArray[np.float64],
) -> None:
    out, relief, mask = result.out, result.relief, result.mask
    make_folder(out)
    _png(out / "normals.png", _whole(result, relief.normals, (0, 0, 1)) / 2 + 0.5)
    mean = light.mean(axis=0)
    colour = mean / np.maximum(mean @ LUMINANCE, 1e-6)[..., None] * relief.albedo[..., None]
    brightest = max(float(np.percentile(colour[mask], 99.9)), 1e-6)
    _png(out / "albedo.png", _whole(result, np.clip(colour / brightest, 0, 1), (0, 0, 0)))
    low, high = result.height_range
    _png(out / "height.png", _whole(result, (height - low)[..., None] / max(high - low, 1e-9), (0,))[..., 0])
    write_atomically(out / "lights.lp", encode_lp(names, directions))
    write_atomically(out / "relief.ptm", encode_ptm(polynomial))
    write_relight(polynomial, directions, make_folder(out / "rti"), result.mm_per_pixel)
    facts = result.as_json() | {"albedo_white": brightest, "rti_box_px": _box(result), "files": list(names)}
    del facts["out"]
    write_atomically(out / "relief.json", json.dumps(facts, indent=1))


def _box(result: ReliefResult) -> list[int]:
    """Left, top, right and bottom of what the relightable image shows."""
    rows, columns = (each.indices(size) for each, size in zip(result.part, result.shape, strict=True))
    return [columns[0], rows[0], columns[1], rows[1]]


def _whole(result: ReliefResult, values: npt.NDArray[Any], outside: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Values of the part that was measured in an image of the photographs' size."""
    whole = np.empty((*result.shape, len(outside)), np.float64)
    whole[:] = outside
    whole[result.part] = np.where(result.mask[..., None], values, outside)
    return whole


def _png(path: Path, values: npt.NDArray[Any]) -> None:
    """Write values of 0 to 1 with 16 bits."""
    deep = np.rint(np.clip(values, 0, 1) * 65535).astype(np.uint16)
    done, data = cv2.imencode(".png", deep if deep.ndim == 2 else deep[..., ::-1])
    assert done
    write_atomically(path, data.tobytes())
