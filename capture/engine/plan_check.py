"""Whether a rig can carry a plan out over a tray: asked before a session exists, and again before anything moves."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Literal

from calibration.bundle import Bundle
from capture.engine.rig import Reach
from capture.plan import LEAST_EDGE_TILT_DEG, MAX_TILT_DEG, Shot, Tray
from rig.sides import EDGE

_FROM_STEEP = [float(tilt_deg) for tilt_deg in range(int(MAX_TILT_DEG), int(LEAST_EDGE_TILT_DEG) - 1, -1)]


@dataclass(frozen=True)
class Obstacle:
    """Why a plan cannot be carried out.

    Attributes
    ----------
    document
        What has to be corrected: the plan, the tray, or the calibration.
    keys
        Where in the document, outermost key first; empty where no line is to blame.
    problem, remedy
        A sentence each.
    """

    document: Literal["plan", "tray", "calibration"]
    keys: tuple[str | int, ...]
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}"


def find_obstacles(shots: Sequence[Shot], tray: Tray, rig: Reach, bundle: Bundle | None) -> list[Obstacle]:
    """Everything that keeps a rig from taking these shots of a tray, the most fundamental first.

    Parameters
    ----------
    shots
        Those still to be taken.
    bundle
        How frames will be calibrated; None to leave that out.
    """
    lights = list(dict.fromkeys(shot.light for shot in shots))
    of_sides = [shot for shot in shots if shot.side != EDGE]
    return [
        *_slots(tray, rig),
        *_tilts(of_sides, rig),
        *_edge({shot.tilt_deg for shot in shots if shot.side == EDGE}, rig),
        *_lights(lights, rig),
        *_calibration(lights, rig, bundle),
    ]


def _slots(tray: Tray, rig: Reach) -> list[Obstacle]:
    if not tray.coins:
        return [Obstacle("tray", (), "Every slot is empty.", "Enter the accession numbers of the coins.")]
    beyond = [slot for slot in tray.slots if slot > rig.slots]
    if not beyond:
        return []
    problem = f"There is no slot {beyond[0]}; this rig's tray has slots 1 to {rig.slots}."
    remedy = "Correct the tray file, or `station: bench: tray:` in rig.yaml."
    return [Obstacle("tray", ("slots", beyond[0]), problem, remedy)]


def _tilts(shots: Sequence[Shot], rig: Reach) -> list[Obstacle]:
    tilts = {shot.tilt_deg for shot in shots} | ({0.0} if rig.camera_is_on_arm else set())  # where coins are laid down
    beyond = sorted(tilt_deg for tilt_deg in tilts if not rig.reaches_tilt(tilt_deg))
    if not beyond:
        return []
    angles = ", ".join(f"{tilt_deg:g}" for tilt_deg in beyond)
    if rig.camera_is_on_arm:
        problem = f"The arm that holds the camera was taught no pose for {angles} degrees, which the scan needs."
        return [Obstacle("plan", ("tilt_deg",), problem, "Teach it with `rig jog --camera`, or correct the plan.")]
    if rig.tilts_camera:
        problem = f"The plan tilts the camera by {angles} degrees, which is out of this rig's reach."
        remedy = "Correct `tilt_deg` in the plan, or `station: turntable: tilt: range_deg` in rig.yaml."
    else:
        problem = f"The plan tilts the camera by {angles} degrees, and this rig's camera is fixed."
        remedy = "Set `tilt_deg: [0]` in the plan, or describe the tilt axis in rig.yaml (docs/drivers.md)."
    return [Obstacle("plan", ("tilt_deg",), problem, remedy)]


def _edge(tilts: Set[float], rig: Reach) -> list[Obstacle]:
    unfit = sorted(each for each in tilts if each < LEAST_EDGE_TILT_DEG or not rig.reaches_tilt(each))
    if not unfit:
        return []
    keys = ("sides",)
    if not rig.tilts_camera:
        problem = "The plan asks for the edge, which a camera that looks straight down does not see; this one is fixed."
        remedy = "Take `edge` out of the sides, or have the camera tilted by an axis or an arm (docs/drivers.md)."
        return [Obstacle("plan", keys, problem, remedy)]
    angles = ", ".join(f"{tilt_deg:g}" for tilt_deg in unfit)
    steepest = next((tilt for tilt in _FROM_STEEP if rig.reaches_tilt(tilt)), None)
    if unfit[0] < LEAST_EDGE_TILT_DEG:
        problem = f"The edge is seen from {LEAST_EDGE_TILT_DEG:g} degrees of tilt on, and the plan tilts by {angles}."
    elif rig.camera_is_on_arm:
        problem = f"The arm that holds the camera was taught no pose for {angles} degrees, at which the edge is seen."
    else:
        problem = f"The plan tilts the camera by {angles} degrees for the edge, which is out of this rig's reach."
    if steepest is not None:
        remedy = f"Write `edge_tilt_deg: [{steepest:g}]` in the plan: as far as this camera is tilted."
    elif rig.camera_is_on_arm:
        remedy = f"Teach it a pose of {LEAST_EDGE_TILT_DEG:g} to {MAX_TILT_DEG:g} degrees with `rig jog --camera`."
    else:
        remedy = "Take `edge` out of the sides, or correct `station: turntable: tilt: range_deg` in rig.yaml."
    return [Obstacle("plan", keys, problem, remedy)]


def _lights(lights: Sequence[str], rig: Reach) -> list[Obstacle]:
    unknown = [light for light in lights if light not in rig.light_names]
    if not unknown:
        return []
    problem = f"The lightbox has no {', '.join(unknown)}. It has {', '.join(rig.light_names)}."
    return [Obstacle("plan", ("lights",), problem, "Correct the plan, or add the light to rig.yaml.")]


def _calibration(lights: Sequence[str], rig: Reach, bundle: Bundle | None) -> list[Obstacle]:
    if bundle is None:
        return []
    missing = [light for light in lights if light in rig.light_names and light not in bundle.flats]
    if not missing:
        return []
    problem = f"Light {', '.join(missing)} is not in calibration {bundle.id}."
    return [Obstacle("calibration", (), problem, "Run `rig calibrate` again.")]
