"""A jam and a wrong lamp are found in the frames; none is kept under a pose or a light that it does not show."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from capture.engine.events import Event, FrameRejected, Recovered, ShotTaken
from capture.engine.run import Summary
from capture.plan import Tray
from capture.quality import Limits
from rig.errors import DeviceError
from rig.twin.faults import DeadLamp, Jam
from rig.twin.scene import Scene
from tests.capture.engine.bench import IN_ORDER, PLAN, SHORTEST_PLAN, SHOTS, Bench, open_bench, true_bundle, with_arm
from tests.variants import usually

ONE_COIN = Tray(id="3", slots={1: "2024.1.1"})
FOUR_ANGLES = PLAN.replace(
    sides=["obverse"], turntable_deg=[0.0, 90.0, 180.0, 270.0], lights=["az000", "az120", "az240"]
)


def scan(bench: Bench, jam_after_moves: int, comes_free: bool, **options: Any) -> dict[tuple[str, int], float]:
    """Scan with a jam so many moves after the first shot; the true angle of each exposure, by shot and attempt."""
    angles: dict[tuple[str, int], float] = {}

    def on_event(event: Event) -> None:
        if isinstance(event, ShotTaken):
            angles[event.shot.id, event.attempt] = bench.world.scene().plate_angle_deg
            if len(angles) == 1:
                bench.world.faults.append(Jam(after_moves=bench.world.moves["turntable"] + jam_after_moves))
        elif isinstance(event, FrameRejected) and comes_free:
            bench.world.repair()

    bench.run(on_event, plan=FOUR_ANGLES, tray=ONE_COIN, **options)
    return angles


def run_calibrated(bench: Bench) -> Summary:
    bundle = true_bundle()
    bench.store.calibrations.add(bundle.id, bundle.created_at.isoformat(), "somewhere")
    return bench.run(bundle=bundle, tray=ONE_COIN)


def assert_every_kept_frame_is_at_its_pose(bench: Bench, angles: dict[tuple[str, int], float]) -> None:
    for frame in bench.store.frames.find():
        assert frame.shot_id is not None
        assert frame.turntable_deg is not None
        apart_deg = (angles[frame.shot_id, frame.attempt] - frame.turntable_deg + 180) % 360 - 180
        assert abs(apart_deg) < 1


@pytest.mark.parametrize("after_moves", usually((2,), (0, 2)))
@pytest.mark.parametrize("verify_every", usually((20,), (1, 20)))
def test_a_jam_that_comes_free_costs_retakes_alone(tmp_path: Path, after_moves: int, verify_every: int) -> None:
    with open_bench(tmp_path) as bench:
        angles = scan(bench, after_moves, True, limits=Limits(verify_every=verify_every))
        assert len(bench.store.frames.find()) == len(FOUR_ANGLES.shots(ONE_COIN))
        assert_every_kept_frame_is_at_its_pose(bench, angles)
        bad = bench.store.frames.find(good=False)
        assert {frame.quarantine_reason for frame in bad} == {"wrong angle"}
        assert bench.lies() == IN_ORDER


def test_a_jam_that_stays_stops_the_scan(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        with pytest.raises(DeviceError, match="turntable"):
            scan(bench, 2, False)
        assert len(bench.store.frames.find(good=False)) > 0
        for frame in bench.store.frames.find():
            assert frame.turntable_deg is not None
            assert abs((frame.quality["plate_deg"] - frame.turntable_deg + 180) % 360 - 180) < 1


def test_a_coin_is_not_let_go_of_where_an_arm_that_counts_steps_was_blocked(tmp_path: Path) -> None:
    problems: list[str] = []
    with open_bench(tmp_path, config=with_arm("dobot"), tray=ONE_COIN) as bench:

        def on_event(event: Event) -> None:
            if isinstance(event, ShotTaken):  # struck on its way back, over the tray
                bench.world.faults.append(Jam(device="arm", after_moves=bench.world.moves["arm"] + 4, moves=1))
            elif isinstance(event, Recovered):
                problems.append(str(event.problem))

        assert bench.run(on_event, plan=SHORTEST_PLAN, tray=ONE_COIN).skipped == ()
        assert bench.lies() == {"2024.1.1": ("slot", 1, "obverse")}
    assert len(problems) == 1 and "a joint lost steps" in problems[0]


@pytest.mark.slow
def test_a_plate_that_slips_whatever_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_bench(tmp_path) as bench:
        scene = bench.world.scene

        def slipped() -> Scene:
            return replace(scene(), plate_angle_deg=scene().plate_angle_deg + 9.0)

        monkeypatch.setattr(bench.world, "scene", slipped)
        skipped = bench.run().skipped
        assert [each.reason for each in skipped] == ["device", "device"]
        assert re.search(r"stands at (0|90) degrees, and the ring on the plate shows 9?9\.0", skipped[0].why)
        assert bench.store.frames.find() == []
        assert bench.lies() == IN_ORDER
        monkeypatch.undo()
    with open_bench(tmp_path) as bench:
        bench.run()
        assert len(bench.store.frames.find()) == len(SHOTS)


def test_another_lamp_than_the_light_s(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        bench.world.led0_azimuth_deg += 60  # the ring of LEDs was mounted turned
        summary = run_calibrated(bench)
        assert summary.frames.quarantined == len(PLAN.shots(ONE_COIN))
        bad = bench.store.frames.find(good=False)
        assert all("wrong light" in (frame.quarantine_reason or "") for frame in bad)


def test_a_lamp_that_dies_in_part(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        bench.world.faults.append(DeadLamp(first=0, last=2))  # the upper three tenths of az000
        bench.world.faults.append(DeadLamp(first=15, last=19))  # half of az120
        run_calibrated(bench)
        reasons = {frame.quarantine_reason for frame in bench.store.frames.find(good=None) if frame.light == "az120"}
        assert "wrong light" in reasons
