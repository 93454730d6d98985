"""`rig jog --camera`: the arm that holds the camera is taught its poses, by keys or by what the ring shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import cv2
import numpy as np
import yaml

from calibration.bundle import latest
from calibration.camera_pose import camera_place, seen_square
from calibration.durable_files import write_atomically
from calibration.lens import Lens
from calibration.plate import Points
from capture.plan import MAX_TILT_DEG
from pipeline.assembly import Rig, connected
from pipeline.bench.handwork import STEPS_MM, changing_line
from pipeline.bench.keyboard import keys, require_terminal
from pipeline.errors import LabError, UsageError
from pipeline.lab import CAMERA_POSES, CameraPoses, Lab
from pipeline.reporter import Reporter
from rig.bench import PointMm
from rig.camera_arm import CameraArm, TaughtPose
from rig.errors import EnvelopeError

EXPOSURE_US = 14_000
IMAGES = 3  # of which the mean is kept
TRIAL_MM = 2.0  # how far the arm is moved along each of its axes to see which way the image goes
WRIST_STEP_DEG = 3.6  # at a time, so that the ring stays in view
THERE_MM, THERE_PX = 0.4, 4.0  # the plate is where it was, or in the middle of the image
THERE_DEG, NEAR_DEG = 0.5, 1.5  # the tilt is what was asked for, or as near as a servo with coarse steps comes
SURE_DEG = 8.0  # what the ring shows is believed from there on: looking straight down, it hardly shows a tilt
CORRECTIONS = 6
APPROACHES = 3  # to a pose that is kept: an arm comes back to it a little beside each time
STEPS_DEG = (0.5, 2.0, 5.0)
MOVES = {"w": (1, 0, 0), "s": (-1, 0, 0), "a": (0, 1, 0), "d": (0, -1, 0), "r": (0, 0, 1), "f": (0, 0, -1)}
TURNS = {"t": 1, "g": -1}


@dataclass(frozen=True)
class ArmPlace:
    """Where the arm was sent: its end (mm) and the servo at it (deg)."""

    end_mm: PointMm
    wrist_deg: float


def jog_camera(lab: Lab, reporter: Reporter, *, realtime: bool) -> None:
    """Move the arm that holds the camera key by key until q; k keeps a pose, c brings the plate to the image's middle.

    Raises
    ------
    UsageError
        If nobody sits at a terminal, or no arm holds the camera.
    """
    require_terminal()
    with connected(lab, realtime=realtime) as rig:
        view = _open_view(lab, rig)
        place, step = view.home(), 1
        with keys() as pressed, changing_line(reporter) as show:
            show(view.describe(place, step))
            for key in pressed:
                if key == "q":
                    break
                if key in ("1", "2", "3"):
                    step = int(key) - 1
                try:
                    place = _do_key(view, lab, place, key, step, reporter)
                except (EnvelopeError, LabError) as error:
                    pressed.forget()
                    reporter.warn(str(error))
                else:
                    pressed.forget()
                    show(view.describe(place, step))


def teach_tilts(lab: Lab, tilts_deg: Sequence[float], reporter: Reporter, *, realtime: bool) -> list[TaughtPose]:
    """From the pose for 0 degrees, find those of other tilts by the ring, and keep them.

    The servo at the arm's end is turned step by step, and after each the arm moves until the plate lies where it lay
    before: which way that is, small moves along its axes show, so that nothing has to be known of how the camera hangs.

    Raises
    ------
    UsageError
        If no arm holds the camera, or 0 degrees was not taught.
    LabError
        If the lens is not calibrated, or the ring is not seen.
    EnvelopeError
        If a tilt cannot be reached.
    """
    with connected(lab, realtime=realtime) as rig:
        view = _open_view(lab, rig)
        first = lab.rig.station.camera_arm.pose_at(0.0) if lab.rig.station.camera_arm else None
        if first is None:
            raise UsageError("the pose for 0 degrees comes first: `rig jog --camera`, then k where the plate is seen.")
        view.require_lens()
        view.home()
        taught = []
        for tilt_deg in sorted(each for each in tilts_deg if each > 0):
            place = _find(view, ArmPlace(first.end_mm, first.wrist_deg), tilt_deg)
            pose = view.keep(lab, place, tilt_deg)
            taught.append(pose)
            reporter.report(f"{tilt_deg:g} degrees: {describe_place(place)}; the ring shows {view.tilt_deg():.1f}.")
        return taught


def parse_tilts(text: str) -> list[float]:
    """Tilts as they are typed, separated by commas.

    Raises
    ------
    UsageError
        If one of them is no number from 0 to 60.
    """
    tilts = []
    for each in text.split(","):
        try:
            tilts.append(float(each))
        except ValueError:
            tilts.append(math.nan)
        if not 0 <= tilts[-1] <= MAX_TILT_DEG:
            raise UsageError(f"--tilts: {each.strip() or 'nothing'} is no tilt: give degrees up to 60, as in 20,40.")
    return tilts


def keep_pose(lab: Lab, pose: TaughtPose) -> None:
    """Write a pose into the lab, in place of an earlier one for its tilt."""
    holder = lab.rig.station.camera_arm
    assert holder is not None, "refused before"
    path = lab.folder / CAMERA_POSES
    kept = [] if not path.exists() else [each for each in lab.camera_poses().poses if each.tilt_deg != pose.tilt_deg]
    poses = CameraPoses(arm=holder.arm.kind, poses=tuple(sorted([*kept, pose], key=lambda each: each.tilt_deg)))
    head = f"# Poses of the arm that holds the camera, taught with `rig jog --camera`; the latest on {date.today()}.\n"
    write_atomically(
        path, head + yaml.safe_dump(poses.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
    )


def describe_place(place: ArmPlace) -> str:
    """Where the arm is, for people."""
    return "x {:.1f}  y {:.1f}  z {:.1f} mm  servo {:.1f} deg".format(*place.end_mm, place.wrist_deg)


class ArmView:
    """The arm, and what the camera on it sees of the ring."""

    def __init__(self, rig: Rig, arm: CameraArm, lab: Lab, lens: Lens | None) -> None:
        self.rig, self.arm, self.lens = rig, arm, lens
        self._ring = lab.rig.quality.ring
        self._calibrate = lab.command("rig calibrate")

    def home(self) -> ArmPlace:
        """Home everything, and light the plate; where the arm is then."""
        self.rig.station.home()
        self.rig.station.show(self.rig.station.light_names[0])
        self.rig.camera.configure(EXPOSURE_US, 1.0)
        assert self.arm.end_mm is not None, "it was homed"
        return ArmPlace(self.arm.end_mm, self.arm.wrist_deg())

    def go(self, place: ArmPlace) -> ArmPlace:
        """Bring the arm there, and wait until the camera has stopped swaying."""
        self.rig.station.move_camera(place.end_mm, place.wrist_deg)
        self.rig.clock.sleep(self.arm.config.settle_s)
        return place

    def require_lens(self) -> Lens:
        """The camera's lens, as calibrated."""
        if self.lens is None:
            raise LabError(
                f"The lens is not calibrated: keep the pose for 0 degrees (k), then run `{self._calibrate}`."
            )
        return self.lens

    def square(self, images: int = 1) -> Points:
        """Where the plate lies in the image (`calibration.camera_pose`), the mean of some images.

        Raises
        ------
        LabError
            If the ring is not seen.
        """
        seen = [seen_square(self.rig.camera.grab().image, self._ring) for _ in range(images)]
        whole = [each for each in seen if each is not None]
        if not whole:
            raise LabError("The camera does not see the ring on the plate (`rig print ring`): move it over the plate.")
        return np.asarray(np.mean(whole, axis=0), np.float64)

    def middle(self) -> Points:
        """Where the plate's middle is: (3,) mm in the camera's axes, or (2,) pixels without a lens."""
        square = self.square()
        return square.mean(axis=0) if self.lens is None else camera_place(square, self.lens)[1]

    def tilt_deg(self) -> float:
        """What the ring shows the camera to be tilted by."""
        turn, _ = camera_place(self.square(IMAGES), self.require_lens())
        normal = cv2.Rodrigues(turn)[0][:, 2]
        return math.degrees(math.acos(min(1.0, abs(float(normal[2])))))

    def describe(self, place: ArmPlace, step: int) -> str:
        """A line for people: where the arm is, and what the ring shows."""
        try:
            centre = self.square().mean(axis=0)
        except LabError:
            seen = "no ring"
        else:
            seen = f"plate {centre[0]:.0f}, {centre[1]:.0f} px"
            seen += "" if self.lens is None else f"  tilt {self.tilt_deg():.1f}°"
        where = "{:.1f}, {:.1f}, {:.1f} mm, servo {:.1f}°".format(*place.end_mm, place.wrist_deg)
        return f"{where}  {seen}  step {STEPS_MM[step]:g} mm, {STEPS_DEG[step]:g}°"

    def keep(self, lab: Lab, place: ArmPlace, tilt_deg: float) -> TaughtPose:
        """Come to a place several times, keep what is seen from there, and write the pose into the lab."""
        seen = []
        for _ in range(APPROACHES):
            x_mm, y_mm, z_mm = place.end_mm
            self.go(replace(place, end_mm=(x_mm, y_mm, z_mm + TRIAL_MM)))
            self.go(place)
            seen.append(self.square(IMAGES))
        square = [(round(float(x), 3), round(float(y), 3)) for x, y in np.mean(seen, axis=0)]
        end_mm = (round(place.end_mm[0], 2), round(place.end_mm[1], 2), round(place.end_mm[2], 2))
        pose = TaughtPose(
            tilt_deg=tilt_deg,
            end_mm=end_mm,
            wrist_deg=round(place.wrist_deg, 2),
            square_px=(square[0], square[1], square[2], square[3]),
        )
        keep_pose(lab, pose)
        return pose


def _open_view(lab: Lab, rig: Rig) -> ArmView:
    if rig.station.camera_arm is None:
        raise UsageError("no arm holds the camera here: describe it under `station: camera_arm:` (docs/drivers.md).")
    bundle = latest(lab.calibrations)
    return ArmView(rig, rig.station.camera_arm, lab, bundle.lens if bundle is not None else None)


def _do_key(view: ArmView, lab: Lab, place: ArmPlace, key: str, step: int, reporter: Reporter) -> ArmPlace:
    """Do what a key means; other keys do nothing."""
    if key in MOVES:
        x_mm, y_mm, z_mm = (here + way * STEPS_MM[step] for here, way in zip(place.end_mm, MOVES[key], strict=True))
        return view.go(replace(place, end_mm=(x_mm, y_mm, z_mm)))
    if key in TURNS:
        return view.go(replace(place, wrist_deg=place.wrist_deg + TURNS[key] * STEPS_DEG[step]))
    if key == "c":
        middle = view.middle()
        height_px, width_px = view.rig.camera.grab().image.shape[:2]
        goal = np.array([width_px / 2, height_px / 2]) if view.lens is None else np.array([0.0, 0.0, middle[2]])
        return _bring_back(view, place, goal)
    if key == "k":
        seen_deg = 0.0 if view.lens is None else view.tilt_deg()
        pose = view.keep(lab, place, 0.0 if seen_deg < SURE_DEG / 2 else float(round(seen_deg)))
        reporter.report(f"Kept as the pose for {pose.tilt_deg:g} degrees: {describe_place(place)}.")
    return place


def _find(view: ArmView, start: ArmPlace, tilt_deg: float) -> ArmPlace:
    """The place for a tilt, whichever way round the servo has to turn for it."""
    try:
        return _turn_until(view, start, tilt_deg, 1)
    except EnvelopeError:
        return _turn_until(view, start, tilt_deg, -1)


def _turn_until(view: ArmView, start: ArmPlace, tilt_deg: float, way: int) -> ArmPlace:
    """Turn the servo one way until the camera is tilted so far, with the plate where it lay at the start."""
    place, goal, turned_deg = view.go(start), view.middle(), 0.0
    while turned_deg < tilt_deg - THERE_DEG:
        by_deg = min(WRIST_STEP_DEG, tilt_deg - turned_deg)
        place = _bring_back(view, view.go(replace(place, wrist_deg=place.wrist_deg + way * by_deg)), goal)
        turned_deg += by_deg
        if turned_deg > SURE_DEG:
            turned_deg = view.tilt_deg()
    for _ in range(CORRECTIONS):
        off_deg = tilt_deg - view.tilt_deg()
        if tilt_deg < SURE_DEG or abs(off_deg) < THERE_DEG:
            return place
        place = _bring_back(view, view.go(replace(place, wrist_deg=place.wrist_deg + way * off_deg)), goal)
    if abs(off_deg) > NEAR_DEG:
        raise LabError(f"The camera comes no nearer to {tilt_deg:g} degrees than {tilt_deg - off_deg:.1f}.")
    return place


def _bring_back(view: ArmView, place: ArmPlace, goal: Points) -> ArmPlace:
    """Move the arm's end until the plate's middle is at the goal, as of `ArmView.middle`."""
    there = THERE_PX if len(goal) == 2 else THERE_MM
    slopes: Points | None = None
    for _ in range(CORRECTIONS):
        miss = goal - view.middle()
        if float(np.linalg.norm(miss)) < there:
            break
        if slopes is None:
            slopes = _slopes(view, place)
        step, *_ = np.linalg.lstsq(slopes, miss, rcond=None)
        place = view.go(_moved(place, np.asarray(step, np.float64)))
    return place


def _slopes(view: ArmView, place: ArmPlace) -> Points:
    """How the plate's middle moves before the camera with each of the arm's axes, (2 or 3, 3) per mm.

    Tried towards the arm's base and upwards: the camera may hang where the arm reaches no further.
    """
    here = view.middle()
    x_mm, y_mm, _ = place.end_mm
    inwards = -np.array([x_mm, y_mm, 0.0]) / math.hypot(x_mm, y_mm)
    across = np.array([-inwards[1], inwards[0], 0.0])
    trials_mm = TRIAL_MM * np.array([inwards, inwards + across, (0.0, 0.0, 1.0)])
    seen = []
    for trial_mm in trials_mm:
        view.go(_moved(place, trial_mm))
        seen.append(view.middle() - here)
    view.go(place)
    return np.asarray(np.linalg.solve(trials_mm, np.array(seen)).T, np.float64)


def _moved(place: ArmPlace, by_mm: Points) -> ArmPlace:
    x_mm, y_mm, z_mm = (float(here + by) for here, by in zip(place.end_mm, by_mm, strict=True))
    return replace(place, end_mm=(x_mm, y_mm, z_mm))
