"""A calibration bundle: all it takes to make a calibrated frame of a raw one, dated, with an id of its content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import yaml

from calibration.durable_files import install_folder, make_folder, read_limit
from calibration.errors import CalibrationError
from calibration.flat import Flat
from calibration.lens import Lens

_DESCRIPTION = "bundle.yaml"
_FLATS = "flats.npz"
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
    """

    camera: str
    lens: Lens
    mm_per_pixel: float
    flats: Mapping[str, Flat]
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    ring_zero_deg: float | None = None

    @cached_property
    def id(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of everything above."""
        digest = hashlib.sha256(json.dumps(_facts(self), sort_keys=True).encode())
        for light in sorted(self.flats):
            digest.update(light.encode() + np.ascontiguousarray(self.flats[light]).tobytes())
        return digest.hexdigest()[:12]


def save(bundle: Bundle, directory: Path) -> Path:
    """Write a bundle to `directory/<UTC time>_<id>/`, whole or not at all, and return that folder.

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
        described = {"id": bundle.id, "number": _next_number(directory), **_facts(bundle)}
        (unfinished / _DESCRIPTION).write_text(yaml.safe_dump(described, sort_keys=False), "utf-8")
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
        ring = facts.get("ring_zero_deg")
        bundle = Bundle(
            str(facts["camera"]),
            lens,
            float(facts["mm_per_pixel"]),
            flats,
            created_at,
            None if ring is None else float(ring),
        )
        same = facts["id"] == bundle.id
    except Exception as error:  # of damaged archives zlib, zipfile and numpy raise what they like
        raise CalibrationError(f"{folder} holds no readable calibration. Run `rig calibrate` again.") from error
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
    folders = sorted((_number(path.parent), path.parent) for path in directory.glob(f"[!.]*/{_DESCRIPTION}"))
    return load(folders[-1][1]) if folders else None


def size_px(folder: Path) -> tuple[int, int] | None:
    """Width and height (px) of the camera that a bundle calibrates, without reading all of it; None if unreadable."""
    try:
        width_px, height_px = yaml.safe_load((folder / _DESCRIPTION).read_text(encoding="utf-8"))["size_px"]
        return int(width_px), int(height_px)
    except (OSError, KeyError, TypeError, ValueError, RecursionError, yaml.YAMLError):
        return None


def _number(folder: Path) -> int:
    """Which bundle of its lab it is, counted from 1; 0 for those of version 0.1, whose names have the order."""
    try:
        return int(yaml.safe_load((folder / _DESCRIPTION).read_text(encoding="utf-8")).get("number", 0))
    except (OSError, AttributeError, TypeError, ValueError, RecursionError, yaml.YAMLError):
        return 0


def _next_number(directory: Path) -> int:
    return 1 + max((_number(path.parent) for path in directory.glob(f"[!.]*/{_DESCRIPTION}")), default=0)


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
    }
