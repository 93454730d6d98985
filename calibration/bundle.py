"""A calibration bundle: all it takes to make a calibrated frame of a raw one, dated, with an id of its content."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt
import yaml

from calibration.axis import PlateAxis
from calibration.colour_matrix import ColourMatrix
from calibration.durable_files import install_folder, make_folder, read_limit
from calibration.errors import CalibrationError
from calibration.flat import Flat
from calibration.lamp_place import LampPlace
from calibration.lens import Lens
from calibration.quality import QUALITY, Quality, encode_quality

_DESCRIPTION = "bundle.yaml"
_FLATS = "flats.npz"
_HOT = "hot.npy"
VERSION = 2  # of what a bundle holds: 1 had lens, scale, flat fields and the ring's zero alone
VALID_DAYS = 90
MAX_FLATS_GB = 4.0  # unpacked: thirty lights of a 12 MP camera take half of it
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, eq=False)
class Bundle:
    """A camera's calibration on one rig.

    Attributes
    ----------
    camera
        Who the camera says it is.
    lens
        Camera matrix, distortion and the size of its images.
    mm_per_pixel
        Scale of calibrated frames in the plate's plane, at tilt 0.
    flats
        Light name -> flat field.
    created_at
        When it was made (UTC, whole seconds).
    ring_zero_deg
        What the plate's ring shows when the turntable stands at 0; None where there is no ring.
    dark
        (3,) light that the camera reports in the dark, 0 to 1; None if that was not measured.
    hot
        (N, 2) rows and columns of hot pixels.
    colours
        Light name -> matrix from its light, evened out by the flat field, to linear sRGB.
    lamps
        Light name -> where its light comes from; lights from all around have no place.
    axis
        The turntable's axis as the camera sees it; None where there is no ring.
    valid_days
        How long it holds.
    """

    camera: str
    lens: Lens
    mm_per_pixel: float
    flats: Mapping[str, Flat]
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    ring_zero_deg: float | None = None
    dark: npt.NDArray[np.float32] | None = None
    hot: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    colours: Mapping[str, ColourMatrix] = field(default_factory=dict)
    lamps: Mapping[str, LampPlace] = field(default_factory=dict)
    axis: PlateAxis | None = None
    valid_days: int = VALID_DAYS

    @cached_property
    def id(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of everything above."""
        digest = hashlib.sha256(json.dumps(_facts(self), sort_keys=True).encode())
        for light in sorted(self.flats):
            digest.update(light.encode() + np.ascontiguousarray(self.flats[light]).tobytes())
        if len(self.hot):
            digest.update(np.ascontiguousarray(self.hot, np.int64).tobytes())
        return digest.hexdigest()[:12]

    def expires_at(self, at_most_days: float = math.inf) -> datetime:
        """Until when it holds; a lab may trust it for fewer days than it was made for."""
        return self.created_at + timedelta(days=min(self.valid_days, at_most_days))

    def applied_to(self, light: str) -> list[str]:
        """What `calibration.apply` takes out of a frame under a light, in order."""
        known = {
            "hot pixels": bool(len(self.hot)),
            "dark": self.dark is not None,
            "lens": True,
            "flat": light in self.flats,
            "colour": light in self.colours,
        }
        return [step for step, is_known in known.items() if is_known]


def save(bundle: Bundle, directory: Path, quality: Quality | None = None) -> Path:
    """Write a bundle to `directory/<UTC time>_<id>/`, whole or not at all, and return that folder.

    `quality` is what was measured of images that it corrects; it stays beside the bundle, and changes nothing in it.

    Raises
    ------
    CalibrationError
        If it cannot be written.
    """
    folder = directory / f"{bundle.created_at.strftime(_STAMP)}_{bundle.id}"
    if folder.exists():
        return folder
    unfinished = directory / f".unfinished_{bundle.id}_{os.getpid()}"
    try:
        for abandoned in directory.glob(".unfinished_*"):  # by a killed process: only one at a time drives a rig
            shutil.rmtree(abandoned)
        make_folder(unfinished)
        np.savez_compressed(unfinished / _FLATS, **dict(bundle.flats))  # type: ignore[arg-type]
        if len(bundle.hot):
            np.save(unfinished / _HOT, np.ascontiguousarray(bundle.hot, np.int64))
        described = {"id": bundle.id, "number": _next_number(directory), "version": VERSION, **_facts(bundle)}
        (unfinished / _DESCRIPTION).write_text(yaml.safe_dump(described, sort_keys=False), "utf-8")
        if quality:
            (unfinished / QUALITY).write_text(encode_quality(quality), "utf-8")
        install_folder(unfinished, folder)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise CalibrationError(
            f"The calibration cannot be written to {folder}: {error.strerror}. Check the disk's space and permissions."
        ) from error
    return folder


def load(folder: Path) -> Bundle:
    """Read a bundle back.

    Raises
    ------
    CalibrationError
        If the folder holds none, or it is not what was saved.
    """
    try:
        facts = yaml.safe_load((folder / _DESCRIPTION).read_text(encoding="utf-8"))
        later = int(facts.get("version", 1)) > VERSION
    except (OSError, AttributeError, TypeError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise _unreadable(folder) from error
    if later:
        raise CalibrationError(f"{folder} was made by a later version of this program. Update it, or calibrate again.")
    try:
        with ZipFile(folder / _FLATS) as archive:
            if sum(each.file_size for each in archive.infolist()) > 1e9 * read_limit("RIG_MAX_FLATS_GB", MAX_FLATS_GB):
                raise ValueError("more than flats can be")
        with np.load(folder / _FLATS, allow_pickle=False) as stored:
            flats = {light: stored[light] for light in stored.files}
        width_px, height_px = facts["size_px"]
        lens = Lens(
            np.array(facts["matrix"], np.float64),
            np.array(facts["distortion"], np.float64),
            float(facts["rms_px"]),
            int(width_px),
            int(height_px),
        )
        created_at = datetime.fromisoformat(facts["created_at"])
        ring, dark = facts.get("ring_zero_deg"), facts.get("dark")
        hot = np.load(folder / _HOT, allow_pickle=False) if (folder / _HOT).exists() else np.zeros((0, 2), np.int64)
        bundle = Bundle(
            str(facts["camera"]),
            lens,
            float(facts["mm_per_pixel"]),
            flats,
            created_at,
            None if ring is None else float(ring),
            None if dark is None else np.array(dark, np.float32).reshape(3),
            hot.astype(np.int64).reshape(-1, 2),
            {light: ColourMatrix.of_facts(each) for light, each in facts.get("colours", {}).items()},
            {light: LampPlace.of_facts(each) for light, each in facts.get("lamps", {}).items()},
            PlateAxis.of_facts(facts["axis"]) if "axis" in facts else None,
            int(facts.get("valid_days", VALID_DAYS)),
        )
        same = facts["id"] == bundle.id
    except Exception as error:  # of damaged archives zlib, zipfile and numpy raise what they like
        raise _unreadable(folder) from error
    if not same:
        raise CalibrationError(
            f"{folder} was changed after it was made: its content no longer gives the id {facts['id']}. "
            "Bring it back from a backup, or run `rig calibrate` again."
        )
    return bundle


def latest(directory: Path) -> Bundle | None:
    """The bundle of a folder of them that was saved last, whatever the clock showed then; None if there is none yet.

    Raises
    ------
    CalibrationError
        If that one cannot be read.
    """
    saved = numbered(directory)
    return load(saved[-1][1]) if saved else None


def usable(directory: Path) -> Bundle | None:
    """The bundle that was saved last; None if there is none yet, and where it cannot be read."""
    try:
        return latest(directory)
    except CalibrationError:
        return None


def find(directory: Path, bundle_id: str) -> Bundle | None:
    """A bundle of a folder of them, by its id or its number; None if it is not there.

    Raises
    ------
    CalibrationError
        If it cannot be read.
    """
    for number, folder in reversed(numbered(directory)):
        if is_named(bundle_id, number, folder):
            return load(folder)
    return None


def is_named(bundle_id: str, number: int, folder: Path) -> bool:
    """Whether a bundle, by its number and folder, is the one with that id or number."""
    return folder.name.endswith(f"_{bundle_id}") or bundle_id == str(number)


def size_px(folder: Path) -> tuple[int, int] | None:
    """Width and height (px) of the camera that a bundle calibrates, without reading all of it; None if unreadable."""
    try:
        width_px, height_px = yaml.safe_load((folder / _DESCRIPTION).read_text(encoding="utf-8"))["size_px"]
        return int(width_px), int(height_px)
    except (OSError, KeyError, TypeError, ValueError, RecursionError, yaml.YAMLError):
        return None


def number_of(folder: Path) -> int:
    """Which bundle of its lab it is, counted from 1; 0 for those of version 0.1, whose names have the order."""
    try:
        return int(yaml.safe_load((folder / _DESCRIPTION).read_text(encoding="utf-8")).get("number", 0))
    except (OSError, AttributeError, TypeError, ValueError, RecursionError, yaml.YAMLError):
        return 0


def numbered(directory: Path) -> list[tuple[int, Path]]:
    """Number and folder of each bundle of a folder of them, as they were saved one after the other."""
    folders = (path.parent for path in directory.glob(f"[!.]*/{_DESCRIPTION}"))
    return sorted((number_of(folder), folder) for folder in folders)


def _next_number(directory: Path) -> int:
    return 1 + max((number for number, _ in numbered(directory)), default=0)


def _unreadable(folder: Path) -> CalibrationError:
    return CalibrationError(f"{folder} holds no readable calibration. Run `rig calibrate` again.")


def _facts(bundle: Bundle) -> dict[str, object]:
    return {
        "created_at": bundle.created_at.isoformat(),
        "camera": bundle.camera,
        "size_px": [bundle.lens.width_px, bundle.lens.height_px],
        "matrix": [[float(value) for value in row] for row in bundle.lens.matrix],
        "distortion": [float(value) for value in bundle.lens.distortion],
        "rms_px": bundle.lens.rms_px,
        "mm_per_pixel": bundle.mm_per_pixel,
        "lights": sorted(bundle.flats),
        **({} if bundle.ring_zero_deg is None else {"ring_zero_deg": bundle.ring_zero_deg}),
        # What version 1 did not have is left out where there is none: bundles of then keep their ids.
        **({} if bundle.dark is None else {"dark": [float(value) for value in bundle.dark]}),
        **({} if not bundle.colours else {"colours": {name: each.facts() for name, each in bundle.colours.items()}}),
        **({} if not bundle.lamps else {"lamps": {name: each.facts() for name, each in bundle.lamps.items()}}),
        **({} if bundle.axis is None else {"axis": bundle.axis.facts()}),
        **({} if bundle.valid_days == VALID_DAYS else {"valid_days": bundle.valid_days}),
    }
