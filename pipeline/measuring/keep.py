"""`rig calibrate keep`: what was measured on photographs becomes the lab's next calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibration.bundle import Bundle, latest, number_of, save
from calibration.colour import matrix_of
from calibration.colour_matrix import ColourMatrix
from calibration.errors import CalibrationError
from calibration.lamp_place import LampPlace
from calibration.lens import Lens
from calibration.rti import read_lights
from calibration.saved import load_colour, load_flat, load_lens
from pipeline.errors import UsageError
from pipeline.lab import Lab
from pipeline.measuring.result import CalibrationResult


@dataclass(frozen=True)
class Parts:
    """What a calibration is put together from; None or empty for what the lab's latest one has.

    Attributes
    ----------
    flats, colours
        ``light=file``, for each light.
    lamps
        An `.lp` file whose names are those of lights, or begin with them.
    mm_per_pixel
        Scale on the plate.
    camera
        How the rig's camera identifies itself; needed where there is no earlier calibration.
    """

    lens: Path | None = None
    flats: Sequence[str] = ()
    colours: Sequence[str] = ()
    lamps: Path | None = None
    mm_per_pixel: float | None = None
    camera: str | None = None


def keep_parts(lab: Lab, parts: Parts) -> CalibrationResult:
    """Save the lab's next calibration: the parts that are given, and the others of its latest one.

    Raises
    ------
    UsageError
        If nothing is given, or what there is does not make a calibration.
    CalibrationError
        If a file holds no such part, or parts contradict each other.
    """
    if parts == Parts():
        raise UsageError("Give what to keep: --lens, --flat, --colour, --lights or --mm-per-pixel.")
    base = latest(lab.calibrations)
    lens = load_lens(parts.lens) if parts.lens is not None else base.lens if base is not None else None
    scale = parts.mm_per_pixel or (base.mm_per_pixel if base is not None else None)
    camera = parts.camera or (base.camera if base is not None else None)
    missing = [
        option for option, value in (("--lens", lens), ("--mm-per-pixel", scale), ("--camera", camera)) if value is None
    ]
    if lens is None or scale is None or camera is None:
        raise UsageError(f"{lab.folder} has no calibration yet, so it needs {', '.join(missing)} as well.")
    _check_scale(base, parts, lens)
    flats, dark, hot = _flats(parts, base, lens)
    if not flats:
        raise UsageError("A calibration has a flat field of each light. Give --flat LIGHT=FILE for each.")
    _check_lights(lab, [*flats, *_named(parts.colours, "--colour")])
    bundle = Bundle(
        camera=camera,
        lens=lens,
        mm_per_pixel=scale,
        flats=flats,
        ring_zero_deg=None if base is None else base.ring_zero_deg,
        dark=dark,
        hot=hot,
        colours={**(base.colours if base else {}), **_colours(parts)},
        lamps={**(base.lamps if base else {}), **_lamps(parts, lab)},
        axis=None if base is None or parts.lens is not None else base.axis,
        valid_days=lab.rig.calibration.valid_days,
    )
    folder = save(bundle, lab.calibrations)
    return CalibrationResult(bundle, number_of(folder))


def _check_scale(base: Bundle | None, parts: Parts, lens: Lens) -> None:
    """A new lens of another focal length has another scale."""
    if base is None or parts.lens is None or parts.mm_per_pixel is not None:
        return
    old = base.lens
    same_size = (old.width_px, old.height_px) == (lens.width_px, lens.height_px)
    if not same_size or abs(lens.matrix[0, 0] / old.matrix[0, 0] - 1) > 0.02:
        raise CalibrationError(
            f"{parts.lens} has another size or focal length than calibration {base.id}, so its scale no longer holds. "
            "Give --mm-per-pixel as well."
        )


def _flats(parts: Parts, base: Bundle | None, lens: Lens) -> tuple[dict[str, Any], Any, Any]:
    flats: dict[str, Any] = dict(base.flats) if base is not None else {}
    dark = None if base is None else base.dark
    hot = np.zeros((0, 2), np.int64) if base is None else base.hot
    for light, path in _named(parts.flats, "--flat").items():
        correction = load_flat(path)
        if (correction.width_px, correction.height_px) != (lens.width_px, lens.height_px):
            raise CalibrationError(
                f"{path} is of {correction.width_px}x{correction.height_px} pixels, the lens of {lens.width_px}x"
                f"{lens.height_px}. Take both with the same setting."
            )
        flats[light] = correction.gain.astype(np.float16)
        if correction.dark.any():
            dark = correction.dark
        hot = correction.hot if len(correction.hot) else hot
    return flats, dark, hot


def _colours(parts: Parts) -> dict[str, ColourMatrix]:
    kept = {}
    for light, path in _named(parts.colours, "--colour").items():
        correction = load_colour(path)
        if correction.response_kind != "srgb":
            raise CalibrationError(
                f"{path}: the chart's greys say that the camera does not store sRGB, as a lab's frames are taken to. "
                "Set the camera to sRGB and photograph the chart again; `rig calibrate apply --colour` corrects the "
                "photographs at hand."
            )
        kept[light] = matrix_of(correction)
    return kept


def _lamps(parts: Parts, lab: Lab) -> dict[str, LampPlace]:
    if parts.lamps is None:
        return {}
    names, directions = read_lights(parts.lamps)
    if names is None:
        raise UsageError(f"--lights: {parts.lamps} has no names. Give an .lp file whose names are those of the lights.")
    known = sorted(lab.rig.station.lightbox.lights, key=len, reverse=True)
    kept = {}
    for name, direction in zip(names, directions, strict=True):
        light = next((light for light in known if Path(name).stem.startswith(light)), None)
        if light is None:
            raise UsageError(
                f"--lights: {name} in {parts.lamps} begins with no light of this lab ({', '.join(sorted(known))}). "
                "Name the photographs of the sphere by their lights."
            )
        kept[light] = LampPlace(direction / np.linalg.norm(direction))
    return kept


def _check_lights(lab: Lab, lights: Sequence[str]) -> None:
    known = lab.rig.station.lightbox.lights
    unknown = [light for light in lights if light not in known]
    if unknown:
        raise UsageError(f"The lightbox has no light {', '.join(unknown)}. It has {', '.join(known)}.")


def _named(options: Sequence[str], option: str) -> Mapping[str, Path]:
    named = {}
    for text in options:
        light, equals, path = text.partition("=")
        if not (light and equals and path):
            raise UsageError(f"{option}: {text!r} names no light. Give LIGHT=FILE, as in az000=flat.npz.")
        named[light] = Path(path)
    return named
