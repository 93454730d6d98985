"""`rig init`: a lab folder, made whole or not at all: for devices at a bench, or for photographs and catalogues alone.

The twin's labs are made in `pipeline.collection.twin_lab`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from calibration.durable_files import install_folder
from capture.plan import DEFAULT_LIGHTS, Plan
from pipeline.errors import UsageError
from rig.bench import SlotGrid

FOLDERS = ("trays", "plans", "calibrations", "catalogue", "models", "reports")
BENCH_YAML = """\
# The devices of this lab. `rig devices` lists what is plugged in and prints these lines filled in; `rig doctor` checks
# them. docs/lab.md explains every key, docs/drivers.md every kind of device.
station:
  turntable: {kind: grbl, port: /dev/serial/by-id/TURNTABLE}
  arm: {kind: uarm, port: /dev/serial/by-id/ARM}
  lightbox: {kind: wled, port: /dev/serial/by-id/LIGHTBOX}

camera: {kind: opencv, device: 0}
"""
COLLECTION_YAML = """\
# A collection without devices: `rig catalogue add`, `rig identify`, `rig import` and `rig train` work on photographs.
# To scan trays, describe the devices here: docs/lab.md.
"""

Contents = Mapping[str, Mapping[int, str | None]]
"""What lies where: tray, slot, coin; None for an empty slot."""


@dataclass(frozen=True)
class MadeLab:
    """A lab that was made."""

    kind: Literal["twin", "bench", "collection"]
    folder: Path
    trays: tuple[str, ...]
    coins: int
    entries: int

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {"lab": str(self.folder), "trays": self.trays, "coins": self.coins, "entries": self.entries}


def make_bench_lab(folder: Path) -> MadeLab:
    """Make a lab for real devices: lines to fill in, an empty tray, a plan; no coin and no catalogue.

    Raises
    ------
    UsageError
        If there is a lab in `folder` already, or something else.
    """
    with new_folder(folder) as unfinished:
        slots = SlotGrid().count
        write_files(unfinished, BENCH_YAML, {"1": dict.fromkeys(range(1, slots + 1))})
    return MadeLab("bench", folder, ("1",), 0, 0)


def make_collection(folder: Path) -> MadeLab:
    """Make a lab without devices, for photographs and catalogues.

    Raises
    ------
    UsageError
        If there is a lab in `folder` already, or something else.
    """
    with new_folder(folder) as unfinished:
        write_files(unfinished, COLLECTION_YAML, {})
    return MadeLab("collection", folder, (), 0, 0)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, beside its final place and moved there whole: an interrupted init leaves no half lab behind.

    Raises
    ------
    UsageError
        If there is a lab in `folder` already, or something else.
    """
    if (folder / "rig.yaml").exists():
        raise UsageError(
            f"{folder} is a lab already; nothing was changed. Use it as it is, name another folder with --lab, or "
            "move this one away."
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not empty; nothing was changed. Name a new folder with --lab.")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        yield unfinished
        if folder.exists():
            folder.rmdir()
        install_folder(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_files(folder: Path, rig_yaml: str, trays: Contents) -> None:
    """Write a new lab's folders, its rig.yaml, a file for each tray, and the plan that `rig scan` takes."""
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
    (folder / "rig.yaml").write_text(rig_yaml)
    for name, slots in trays.items():
        lines = [f"  {slot}: {coin or ''}".rstrip() for slot, coin in slots.items()]
        text = "\n".join([f"# Tray {name}: slot -> accession number; an empty slot stays empty.", "slots:", *lines])
        (folder / "trays" / f"{name}.yaml").write_text(text + "\n")
    plan = Plan()
    (folder / "plans" / "default.yaml").write_text(
        "# How every coin is photographed. Angles in degrees, exposure in microseconds.\n"
        f"sides: [{', '.join(plan.sides)}]\n"
        f"lights: [{', '.join(DEFAULT_LIGHTS)}]\n"
        f"turntable_deg: [{', '.join(f'{angle:g}' for angle in plan.turntable_deg)}]\n"
        f"tilt_deg: [{', '.join(f'{angle:g}' for angle in plan.tilt_deg)}]\n"
        f"exposure_us: {plan.exposure_us}\n"
        f"gain: {plan.gain:g}\n"
        f"retakes: {plan.retakes}  # how often a frame that fails its check is taken again\n"
    )
