"""A plan with several tilts: every frame at its true pose, whatever stops the scan; a camera that sticks is found."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from capture.engine.events import Event, ShotTaken
from capture.plan import Plan, Tray
from rig.errors import DeviceError, EnvelopeError
from rig.twin.faults import Jam
from tests.capture.engine.bench import Bench, open_bench, scan_until_killed, true_bundle, with_tilt
from tests.processes import Process

ONE_COIN = Tray(id="3", slots={1: "2024.1.1"})
TILTED = Plan(sides=("obverse",), lights=("az000",), turntable_deg=(0.0,), tilt_deg=(0.0, 20.0, 40.0))
SIX_LIGHTS = ("az000", "az060", "az120", "az180", "az240", "az300")


def scan(bench: Bench, plan: Plan, **options: Any) -> list[tuple[float, float]]:
    """Scan, and return the commanded and the true tilt of each exposure."""
    tilts: list[tuple[float, float]] = []

    def on_event(event: Event) -> None:
        if isinstance(event, ShotTaken):
            tilts.append((event.shot.tilt_deg, bench.world.camera_tilt_deg()))

    bundle = true_bundle(plan.lights)
    bench.store.calibrations.add(bundle.id, bundle.created_at.isoformat(), "somewhere")
    bench.run(on_event, plan=plan, tray=ONE_COIN, bundle=bundle, **options)
    return tilts


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grbl", "marlin"])
def test_every_frame_is_taken_at_its_tilt(tmp_path: Path, kind: str) -> None:
    with open_bench(tmp_path, config=with_tilt(kind), tray=ONE_COIN) as bench:
        for commanded_deg, truly_deg in scan(bench, TILTED):
            assert truly_deg == pytest.approx(commanded_deg, abs=0.05)
        frames = bench.store.frames.find()
        assert [frame.tilt_deg for frame in frames] == [0.0, 20.0, 40.0]
        for frame in frames:
            assert frame.tilt_read_deg == pytest.approx(frame.tilt_deg, abs=0.05)
        assert [frame.quality["tilt_deg"] for frame in frames[1:]] == pytest.approx([20.0, 40.0], abs=0.5)
        assert bench.store.verify() == []


@pytest.mark.slow
@pytest.mark.parametrize("after_moves", [5, 6, 7])  # on the way to 20, to 40, and back to 0 degrees
def test_a_camera_that_sticks_is_found_and_its_frames_are_not_kept(tmp_path: Path, after_moves: int) -> None:
    with open_bench(tmp_path, config=with_tilt(), tray=ONE_COIN) as bench:
        bench.world.faults.append(Jam(device="tilt", after_moves=after_moves))
        with pytest.raises(DeviceError, match="turntable"):
            scan(bench, TILTED)
        for frame in bench.store.frames.find():
            assert frame.quality.get("tilt_deg", 0.0) == pytest.approx(frame.tilt_deg, abs=3.0)
        assert bench.lies()["2024.1.1"][0] == "plate", "the arm stayed away from a camera that hangs over it"
    with open_bench(tmp_path, config=with_tilt(), tray=ONE_COIN) as bench:
        scan(bench, TILTED)
        assert len(bench.store.frames.find()) == 3


@pytest.mark.slow
def test_three_tilts_eight_turns_six_lights_killed_and_resumed(tmp_path: Path) -> None:
    plan = TILTED.replace(turntable_deg=[45.0 * turn for turn in range(8)], lights=SIX_LIGHTS)
    killed = Process(scan_until_killed, tmp_path, 60.0, with_tilt(), plan, ONE_COIN)
    assert killed.wait(500) == -signal.SIGKILL
    with open_bench(tmp_path, config=with_tilt(), tray=ONE_COIN) as bench:
        before = len(bench.store.frames.find())
        assert 0 < before < 144
        tilts = scan(bench, plan)
        assert len(tilts) == 144 - before
        assert all(abs(truly_deg - commanded_deg) < 0.05 for commanded_deg, truly_deg in tilts)
        frames = bench.store.frames.find()
        assert len({(frame.tilt_deg, frame.turntable_deg, frame.light) for frame in frames}) == 144
        assert bench.store.verify() == []


def test_the_arm_and_a_tilted_camera_keep_out_of_each_other_s_way(tmp_path: Path) -> None:
    with open_bench(tmp_path, config=with_tilt(), tray=ONE_COIN) as bench:
        station = bench.station
        station.home()
        station.tilt_to(40.0)
        x_mm, y_mm, _ = station.bench.plate_mm
        with pytest.raises(EnvelopeError, match="while the camera is tilted"):
            station.move_cup((x_mm, y_mm, station.bench.safe_z_mm))
        station.load(1)
        assert bench.world.camera_tilt_deg() == pytest.approx(0.0, abs=0.05)
        station.move_cup((x_mm, y_mm, station.bench.safe_z_mm))
        with pytest.raises(EnvelopeError, match="while the arm is over the plate"):
            station.tilt_to(40.0)


def test_the_next_light_is_lit_while_the_plate_settles(tmp_path: Path) -> None:
    with open_bench(tmp_path, tray=ONE_COIN) as bench:
        station, clock = bench.station, bench.station.clock
        station.home()
        station.rotate_to(0.0)

        def turn_and_light(angle_deg: float, light: str, *, at_once: bool) -> float:
            began_s = clock.now()
            station.rotate_to(angle_deg, light if at_once else None)
            if not at_once:
                station.show(light)
            assert len(bench.world.scene().lamps) == 1
            return clock.now() - began_s

        apart_s = turn_and_light(90.0, "az000", at_once=False)
        settle_s = station.config.turntable.settle_s
        assert turn_and_light(180.0, "az120", at_once=True) == pytest.approx(apart_s - settle_s, abs=0.1)
        station.dark()
        station.tilt_to(0.0)
        station.rotate_to(270.0)
        assert bench.world.scene().lamps == (), "a light that was lit once is not lit again"
