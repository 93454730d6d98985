"""Room on the lab's disk: what is free, what has to stay free, and what a shot takes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from rich.filesize import decimal

from calibration.bundle import Bundle, size_px
from capture.cameras.twin import TwinCameraConfig
from capture.store import Store
from pipeline.lab import Lab

BYTES_PER_PIXEL = 4.0  # raw and calibrated, lossless: a generous guess until frames of this size are stored
UNKNOWN_PIXELS = 12_000_000  # of a camera that was never calibrated
MEASURED_FRAMES = 500  # of the same size, the latest ones


@dataclass(frozen=True)
class ShotSize:
    """Bytes on disk for each shot, retakes included; measured on stored frames of the same size, or guessed."""

    bytes: float
    is_measured: bool


def shot_size(lab: Lab, store: Store | None, bundle: Bundle | None) -> ShotSize:
    """How much a shot of this lab's camera takes, as far as the store and the calibration know."""
    if bundle is None:
        camera = lab.rig.camera
        if isinstance(camera, TwinCameraConfig):
            return ShotSize(camera.optics.width_px * camera.optics.height_px * BYTES_PER_PIXEL, False)
        return ShotSize(UNKNOWN_PIXELS * BYTES_PER_PIXEL, False)
    size = (bundle.lens.width_px, bundle.lens.height_px)
    measured = _measured_bytes(lab, store, size) if store is not None else None
    if measured is not None:
        return ShotSize(measured, True)
    return ShotSize(size[0] * size[1] * BYTES_PER_PIXEL, False)


def free_bytes(lab: Lab) -> int:
    """What is free on the lab's disk."""
    return shutil.disk_usage(lab.folder).free


def kept_bytes(lab: Lab) -> int:
    """What has to stay free (`batch: keep_free_gb`)."""
    return round(lab.rig.batch.keep_free_gb * 1e9)


def find_shortage(lab: Lab, disk_bytes: int) -> str | None:
    """Why so many more bytes may not be written now; None if there is room."""
    have = free_bytes(lab) - kept_bytes(lab)
    if disk_bytes <= have:
        return None
    return (
        f"The disk of {lab.folder} is full: {decimal(max(0, have))} are free beyond the "
        f"{lab.rig.batch.keep_free_gb:g} GB to be kept, and the next coin needs {decimal(disk_bytes)}. Free some "
        "space, then run the same command again to resume."
    )


def _measured_bytes(lab: Lab, store: Store, size: tuple[int, int]) -> float | None:
    same = [each.id for each in store.calibrations.all() if size_px(lab.calibrations / each.folder) == size]
    return store.frames.bytes_per_shot(same, MEASURED_FRAMES)
