"""The lab folder: its devices, trays, plans, calibrations, store and catalogue, found, read and validated."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from calibration.board import BoardSpec
from calibration.bundle import VALID_DAYS
from capture.cameras import CAMERAS
from capture.engine.policy import Policy
from capture.names import printable
from capture.plan import Plan, Tray
from capture.quality import Limits
from pipeline.documents import read_document
from pipeline.errors import LabError, UsageError
from pipeline.notify import NotifyConfig
from rig.camera_arm import TaughtPose
from rig.station import StationConfig
from rig.twin.faults import Fault

IN_USE = "in use"  # the model that `rig models promote` put in service, else the starter; named without torch at hand

DEFAULT_PLAN = "default"
CAMERA_POSES = "camera_poses.yaml"


class TwinConfig(BaseModel):
    """The digital twin that stands in for the devices with ``twin://`` ports."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    coins: str = Field("procedural", description="`procedural`, or a folder of photographs of coins")
    speed: Annotated[float, Field(gt=0, le=1000)] = Field(25.0, description="how many times faster than life")
    seed: int = 3
    faults: tuple[Fault, ...] = ()
    contents: dict[str, dict[int, str | tuple[str, str] | None]] = Field(
        default={},
        description="what is really in a tray where it differs from its file: tray, slot, then a coin, null for an "
        "empty slot, or two coins that share it",
    )


class BatchConfig(BaseModel):
    """``batch:`` of rig.yaml: limits of `rig batch`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_free_gb: float = Field(default=2.0, ge=0, description="of the disk is never written to")
    tray_wait_min: float = Field(default=30.0, ge=0, description="how long a person may take to put a tray in place")


class CatalogueConfig(BaseModel):
    """``catalogue:`` of rig.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    milvus: str | None = Field(
        default=None,
        min_length=1,
        description="address of the Milvus server that keeps the search index, or a file ending in .db; else FAISS "
        "in the lab's own folder",
    )


class CalibrationConfig(BaseModel):
    """``calibration:`` of rig.yaml: how long a calibration holds, and the targets that `rig calibrate` is made with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    valid_days: int = Field(default=VALID_DAYS, ge=1, le=3650, description="how long a calibration holds")
    sphere_mm: float = Field(default=16.0, gt=1, le=100, description="diameter of the chrome sphere")


class CameraPoses(BaseModel):
    """``camera_poses.yaml``: what the arm that holds the camera was taught with `rig jog --camera`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    arm: str = Field(description="kind of the arm that was taught")
    poses: tuple[TaughtPose, ...]


class RigConfig(BaseModel):
    """``rig.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    twin: TwinConfig | None = None
    station: StationConfig = StationConfig()
    camera: CAMERAS.config_type() | None = None  # type: ignore[valid-type]
    board: BoardSpec = BoardSpec()
    calibration: CalibrationConfig = CalibrationConfig()
    quality: Limits = Limits()
    policy: Policy = Policy()
    batch: BatchConfig = BatchConfig()
    catalogue: CatalogueConfig = CatalogueConfig()
    notify: NotifyConfig = NotifyConfig()

    @model_validator(mode="after")
    def _board_is_not_the_ring(self) -> RigConfig:
        board, ring = self.board, self.quality.ring
        family = board.dictionary.rsplit("_", 1)[0]  # its larger dictionaries begin with the smaller ones' markers
        if family == ring.dictionary.rsplit("_", 1)[0] and board.markers > ring.first_id:
            raise ValueError(
                f"board and quality: ring share markers of {family}. Give the board another dictionary, such as "
                f"{'DICT_5X5_250' if family != 'DICT_5X5' else 'DICT_6X6_250'}"
            )
        return self


@dataclass(frozen=True)
class Lab:
    """A lab folder that exists, its ``rig.yaml`` read."""

    folder: Path
    rig: RigConfig

    def tray(self, name: str) -> Tray:
        """Read ``trays/<name>.yaml``."""
        return read_document(self._named("trays", name, "tray"), Tray, id=name)

    def plan(self, name: str) -> Plan:
        """Read ``plans/<name>.yaml``."""
        return read_document(self._named("plans", name, "plan"), Plan, name=name)

    def camera_poses(self) -> CameraPoses:
        """Read ``camera_poses.yaml``."""
        return read_document(self.folder / CAMERA_POSES, CameraPoses)

    @property
    def calibrations(self) -> Path:
        """Where calibration bundles lie, one dated folder each."""
        return self.folder / "calibrations"

    @property
    def store(self) -> Path:
        """Where frames and their index lie."""
        return self.folder / "store"

    @property
    def catalogue(self) -> Path:
        """Where the catalogue's search index lies; its images are in the store."""
        return self.folder / "catalogue"

    @property
    def reports(self) -> Path:
        """Where reports are written."""
        return self.folder / "reports"

    @property
    def logs(self) -> Path:
        """Where each scan and batch writes its log."""
        return self.folder / "logs"

    @property
    def status(self) -> Path:
        """The state of the running scan or batch, and afterwards, what it came to."""
        return self.folder / "status.json"

    @property
    def preview(self) -> Path:
        """What the camera saw last, small; written while somebody watches."""
        return self.folder / "live" / "preview"

    @property
    def watched(self) -> Path:
        """Its date says when somebody last watched the live image."""
        return self.folder / "live" / "watched"

    @property
    def world(self) -> Path:
        """The twin's state: where its coins and devices are, as the bench itself has it in a real lab."""
        return self.folder / "twin" / "world.json"

    def command(self, command: str) -> str:
        """A command as it has to be typed here to mean this lab."""
        return command_for(self.folder, command)

    def _named(self, kind: str, name: str, word: str) -> Path:
        path = self.folder / kind / f"{name}.yaml"
        if not is_plain_name(name) or not path.is_file():
            if name.endswith(".yaml"):
                raise UsageError(f"{kind} are named without folder and .yaml: give {printable(Path(name).stem)}.")
            known = sorted((p.stem for p in (self.folder / kind).glob("*.yaml")), key=natural)
            shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "") or "none yet"
            if not name.strip():
                raise UsageError(f"--{word} is empty. Name one of the {kind} of {self.folder}: {shown}.")
            raise UsageError(
                f"{word} {printable(name)} does not exist in {self.folder} ({kind}: {shown}). Name one of these, or "
                f"write {printable(str(path))}."
            )
        return path


def lab_folder(option: Path | None) -> Path:
    """Which lab is meant: ``--lab``, else ``$RIG_LAB``, else ``./lab``."""
    return option or Path(os.environ.get("RIG_LAB") or "lab")


def command_for(folder: Path, command: str) -> str:
    """A command as it has to be typed here to mean the lab in a folder."""
    is_default = folder == lab_folder(None)
    return command if is_default else f"{command} --lab {shlex.quote(str(folder))}"


def open_lab(option: Path | None) -> Lab:
    """Open the lab that is meant (`lab_folder`).

    Raises
    ------
    LabError
        If there is no lab there or its ``rig.yaml`` is wrong.
    """
    folder = lab_folder(option)
    if not (folder / "rig.yaml").is_file():
        raise LabError(
            f"there is no lab in {folder} (no rig.yaml). Make one with `rig init --lab {shlex.quote(str(folder))}`: as "
            "it stands, of simulated devices; with --bench, for real ones; with --collection, for photographs and "
            "catalogues alone. Or name another with --lab or $RIG_LAB."
        )
    lab = Lab(folder, read_document(folder / "rig.yaml", RigConfig))
    return lab if lab.rig.station.camera_arm is None else _with_poses(lab)


def _with_poses(lab: Lab) -> Lab:
    """The same, its camera's arm knowing what it was taught."""
    holder = lab.rig.station.camera_arm
    assert holder is not None
    if holder.poses:
        raise LabError(
            f"{lab.folder / 'rig.yaml'}: station: camera_arm: poses: stand in {CAMERA_POSES}, where `rig jog --camera` "
            "writes them. Move them there."
        )
    if not (lab.folder / CAMERA_POSES).exists():
        return lab
    taught = lab.camera_poses()
    if taught.arm != holder.arm.kind:
        raise LabError(
            f"{lab.folder / CAMERA_POSES} was taught to a {taught.arm}, and rig.yaml has a {holder.arm.kind}. Move it "
            "away, and teach the arm with `rig jog --camera`."
        )
    knowing = holder.model_copy(update={"poses": taught.poses})
    station = lab.rig.station.model_copy(update={"camera_arm": knowing})
    return replace(lab, rig=lab.rig.model_copy(update={"station": station}))


def open_lab_if_any(option: Path | None) -> Lab | None:
    """Open the lab that is meant, for what can do without: None where none was named and none is there."""
    is_there = (lab_folder(option) / "rig.yaml").is_file()
    return open_lab(option) if option is not None or is_there else None


def is_plain_name(name: str) -> bool:
    """Whether it names something in a folder: it leads nowhere else, and can be read where it is printed."""
    return name == Path(name).name and name not in ("", ".", "..") and name == printable(name)


def check_name(name: str, what: str) -> str:
    """Return the name of a model, dataset or recipe that is a folder's name.

    Raises
    ------
    UsageError
        If it leads elsewhere.
    """
    if not is_plain_name(name):
        raise UsageError(f"{printable(name)} is no name for a {what}: it is a folder's. Give a name without slashes.")
    return name


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts ``coin 2`` before ``coin 10``."""
    return [(int(part), "") if part.isdigit() else (1 << 60, part) for part in re.split(r"(\d+)", name) if part]
