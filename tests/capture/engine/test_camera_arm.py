"""An arm holds the camera: every frame from its true pose, whatever stops the scan; one that jams or creeps is seen."""

from __future__ import annotations

import math
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from calibration.camera_pose import seen_square
from calibration.plate import RingSpec
from capture.engine.events import CameraDrifts, Event, ShotTaken
from capture.plan import Plan, Tray
from capture.store.journal_lines import DeviceDrifts
from rig.errors import DeviceError
from rig.station import StationConfig
from rig.twin.camera_arm import CameraArmBody
from rig.twin.faults import Drift, Jam
from rig.twin.optics import camera_axes
from rig.twin.render import CameraModel, Renderer
from rig.twin.scene import CameraPose, Lamp, Scene
from tests.capture.engine.bench import CONFIG, DRAWER, Bench, open_bench, scan_until_killed, true_bundle
from tests.processes import Process
from tests.rig.camera_arms import Square, with_camera_arm

pytestmark = pytest.mark.slow

OPTICS = CameraModel(width_px=960, height_px=720, focal_px=3975.0, centre_px=(484.0, 355.5))
ONE_COIN = Tray(id="3", slots={1: "2024.1.1"})
TILTED = Plan(sides=("obverse",), lights=("az000",), turntable_deg=(0.0,), tilt_deg=(0.0, 20.0, 40.0))
SIX_LIGHTS = ("az000", "az060", "az120", "az180", "az240", "az300")


def see(pose: CameraPose) -> Square:
    frame = Renderer(OPTICS, DRAWER).render(Scene(lamps=(Lamp(0, 35, 1.0),), camera=pose), 20_000)
    square = seen_square(frame, RingSpec())
    assert square is not None
    return tuple((float(x), float(y)) for x, y in square)


def on_arm(kind: str = "uarm", handler: str = "uarm") -> StationConfig:
    values = CONFIG.model_dump()
    if handler == "manual":
        values["arm"] = {"kind": "manual"}
    return with_camera_arm(StationConfig.model_validate(values), kind, see)


def scan(
    bench: Bench, plan: Plan, events: list[Event] | None = None, **options: Any
) -> tuple[list[CameraPose], list[Event]]:
    """Scan, and return where the camera truly was at each exposure, and everything that happened."""
    poses: list[CameraPose] = []
    events = [] if events is None else events

    def on_event(event: Event) -> None:
        events.append(event)
        if isinstance(event, ShotTaken):
            poses.append(bench.world.camera_pose())

    bundle = true_bundle(plan.lights, OPTICS)
    bench.store.calibrations.add(bundle.id, bundle.created_at.isoformat(), "somewhere")
    bench.run(on_event, plan=plan, tray=ONE_COIN, bundle=bundle, **options)
    return poses, events


@pytest.mark.parametrize(("kind", "handler"), [("dobot", "uarm"), ("roarm", "manual")])
def test_every_frame_is_taken_from_its_pose(tmp_path: Path, kind: str, handler: str) -> None:
    with open_bench(tmp_path, config=on_arm(kind, handler), tray=ONE_COIN, optics=OPTICS) as bench:
        poses, _ = scan(bench, TILTED.replace(sides=("obverse", "reverse")))
        frames = bench.store.frames.find()
        assert [frame.tilt_deg for frame in frames] == [0.0, 20.0, 40.0, 0.0, 20.0, 40.0]
        for frame, pose in zip(frames, poses, strict=True):
            assert pose.tilt_deg == pytest.approx(frame.tilt_deg, abs=0.3)
            assert math.hypot(*frame.quality["camera_shift_mm"]) < 0.6
        assert bench.lies()["2024.1.1"] == ("slot", 1, "obverse")


def test_the_edge_is_taken_from_the_arm_s_pose_with_the_side_that_was_up_last(tmp_path: Path) -> None:
    with open_bench(tmp_path, config=on_arm("roarm", "manual"), tray=ONE_COIN, optics=OPTICS) as bench:
        plan = TILTED.replace(sides=("obverse", "reverse", "edge"), tilt_deg=(0.0,), edge_tilt_deg=(40.0,))
        poses, _ = scan(bench, plan.replace(turntable_deg=(0.0, 180.0), lights=("az240", "az000")))
        frames = bench.store.frames.find()
        assert [frame.side for frame in frames[:4]] == ["obverse"] * 4
        assert sorted(frame.side for frame in frames[4:]) == ["edge"] * 4 + ["reverse"] * 4
        assert {frame.placement for frame in frames[4:]} == {frames[4].placement}, "it is not turned over for its edge"
        for frame, pose in zip(frames, poses, strict=True):
            assert pose.tilt_deg == pytest.approx(40.0 if frame.side == "edge" else 0.0, abs=0.3)
        assert bench.lies()["2024.1.1"] == ("slot", 1, "obverse")


def test_three_tilts_eight_turns_six_lights_with_a_technician_killed_and_resumed(tmp_path: Path) -> None:
    config = on_arm("uarm", "manual")
    plan = TILTED.replace(turntable_deg=[45.0 * turn for turn in range(8)], lights=SIX_LIGHTS)
    killed = Process(scan_until_killed, tmp_path, 60.0, config, plan, ONE_COIN, OPTICS)
    assert killed.wait(600) == -signal.SIGKILL
    with open_bench(tmp_path, config=config, tray=ONE_COIN, optics=OPTICS) as bench:
        before = len(bench.store.frames.find())
        assert 0 < before < 144
        poses, events = scan(bench, plan)
        assert not [event for event in events if isinstance(event, CameraDrifts)]
        assert 144 - before <= len(poses) < 144 - before + 10, "a few may have been taken again"
        frames = bench.store.frames.find()
        assert len({(frame.tilt_deg, frame.turntable_deg, frame.light) for frame in frames}) == 144
        shots = [event.shot for event in events if isinstance(event, ShotTaken)]
        errors_mm = [off_mm(bench, pose, shot.tilt_deg) for pose, shot in zip(poses, shots, strict=True)]
        assert max(errors_mm) < 0.5, "as far as such an arm repeats itself, against the once that it was taught"
        assert bench.store.verify() == []


def off_mm(bench: Bench, pose: CameraPose, tilt_deg: float) -> float:
    """How far the lens truly was from where a rigid arm has it."""
    holder = bench.station.config.camera_arm
    body = bench.world.camera_arm
    assert isinstance(body, CameraArmBody) and holder is not None and pose.lens_mm is not None
    taught = holder.pose_at(tilt_deg)
    rigid = body.rigid_pose(taught.end_mm, pose.tilt_deg)
    return math.dist(pose.lens_mm, rigid)


@pytest.mark.parametrize("after_moves", [4, 6, 8])  # on the way to 20, to 40, and back to 0 degrees
def test_an_arm_that_counts_and_sticks_is_found_and_its_frames_are_not_kept(tmp_path: Path, after_moves: int) -> None:
    with open_bench(tmp_path, config=on_arm("dobot"), tray=ONE_COIN, optics=OPTICS) as bench:
        bench.world.faults.append(Jam(device="camera_arm", after_moves=after_moves))
        with pytest.raises(DeviceError, match=r"camera arm|none of their light"):  # it may look into the dark
            scan(bench, TILTED)
        for frame in bench.store.frames.find():
            assert math.hypot(*frame.quality["camera_shift_mm"]) < 1.0
        assert bench.lies()["2024.1.1"][0] == "plate", "the other arm stayed away from a camera that hangs over it"
    with open_bench(tmp_path, config=on_arm("dobot"), tray=ONE_COIN, optics=OPTICS) as bench:
        scan(bench, TILTED)
        assert len(bench.store.frames.find()) == 3


def test_an_arm_that_creeps_is_reported_before_its_frames_are_refused(tmp_path: Path) -> None:
    plan = TILTED.replace(sides=("obverse", "reverse"), turntable_deg=(0.0, 90.0), lights=SIX_LIGHTS[:4])
    with open_bench(tmp_path, config=on_arm("uarm"), tray=ONE_COIN, optics=OPTICS) as bench:
        bench.world.faults.append(Drift(mm_per_move=(0.045, 0.02, 0.0)))
        events: list[Event] = []
        with suppress(DeviceError):  # in the end it is too far off
            scan(bench, plan, events)
        (drift,) = [event for event in events if isinstance(event, CameraDrifts)]
        assert drift.shift_mm > 0.5 and "jog --camera" in drift.remedy
        assert bench.store.journal.lines(DeviceDrifts)
        for frame in bench.store.frames.find(good=True):
            pose_axes = camera_axes(CameraPose(frame.tilt_deg))
            assert math.hypot(*(frame.quality["camera_shift_mm"] @ pose_axes)) < 1.0
