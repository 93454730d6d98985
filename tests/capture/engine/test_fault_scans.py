"""A tray is scanned while something goes wrong every 20 images: complete in the end, and each frame what it says."""

from __future__ import annotations

import cmath
import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from capture.engine.errors import TransportError
from capture.engine.events import Event, Recovered, ShotTaken
from capture.plan import Plan, Tray
from capture.store.records import Frame
from rig.errors import DeviceError, GripError
from rig.station import StationConfig
from rig.twin.faults import Fault, Trouble
from rig.twin.lying import LyingCoin
from rig.twin.scene import Lamp, Scene
from rig.twin.world import World
from tests.capture.engine.bench import Bench, open_bench

EVERY = 20
QUICK_SEED = 6  # pulls a cable and lets the supply dip in a scan that takes seconds
TRAY = Tray(id="3", slots={1: "2024.1.1", 7: "2024.1.2", 20: "2024.1.3"})
PLAN = Plan(lights=("az000", "az120", "az240"), turntable_deg=(0.0, 90.0, 180.0, 270.0))
QUICK_PLAN = Plan(lights=("az000", "az120"), turntable_deg=(0.0, 180.0))
# Short (wall-clock) patience: nothing in the twin needs longer.
TURNTABLES: list[dict[str, Any]] = [
    {"kind": "grbl", "answer_s": 0.1, "boot_s": 1.0, "homing_s": 2.0, "speed_deg_s": 2000.0},
    {"kind": "marlin", "answer_s": 0.1, "boot_s": 2.0, "homing_s": 2.0, "speed_deg_s": 2000.0},
]
ARMS: list[dict[str, Any]] = [
    {"kind": "uarm", "answer_s": 0.1, "boot_s": 1.0, "move_s": 0.5},
    {"kind": "dobot", "answer_s": 0.1, "boot_s": 1.0, "move_s": 1.0, "homing_s": 2.0, "vacuum_input": 4},
    {"kind": "roarm", "answer_s": 0.1, "boot_s": 3.0},
]
LIGHTBOXES: list[dict[str, Any]] = [
    {"kind": "wled", "answer_s": 0.1, "boot_s": 1.0},
    {"kind": "dmx", "answer_s": 0.1},
]
HIGHEST_PLACE_MM = 60.0  # above all of the bench's, and below where the cup goes across
ERRANDS = 12  # technicians' rounds before a scan counts as stuck


@dataclass
class Outcome:
    """What a scan came to: what struck, how often the rig got going again by itself, and with a person's help.

    `dropped` are coins that fell though the arm's supply held: by a stop, or because a driver let go of them.
    """

    faults: list[Fault] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    errands: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


def scan(folder: Path, seed: int, plan: Plan = PLAN) -> Outcome:
    """Scan the tray, giving the same command again where it ended early, as a technician would."""
    chance = random.Random(f"{seed} faults")
    config = StationConfig.model_validate(
        {
            "turntable": chance.choice(TURNTABLES),
            "arm": chance.choice(ARMS),
            "lightbox": chance.choice(LIGHTBOXES),
        }
    )
    outcome = Outcome()
    truths: dict[tuple[str, int], Scene] = {}
    trouble = Trouble(every_pictures=EVERY, seed=seed)
    for _ in range(ERRANDS):
        with open_bench(folder, [trouble], config=config, tray=TRAY, seed=seed) as bench:
            scenes = witness(bench.world)
            watch_for_drops(bench.world, outcome)

            def on_event(event: Event, bench: Bench = bench, scenes: Sequence[Scene] = scenes) -> None:
                if isinstance(event, Recovered):
                    outcome.problems.append(str(event.problem))
                if isinstance(event, ShotTaken):
                    truths[event.shot.id, event.attempt] = scenes[-1]

            try:
                summary = bench.run(on_event, plan=plan, tray=TRAY)
            except (DeviceError, TransportError) as error:
                outcome.errands.append(f"{type(error).__name__}: {error}")
                outcome.faults += bench.world.faults[1:]
                bench.world.repair()
                if isinstance(error, GripError | TransportError):
                    bring_back(bench.world)
                continue
            session = bench.store.sessions.find()[-1]
            outcome.errands += [f"{skipped.coin}: {skipped.why}" for skipped in summary.skipped]
            if summary.skipped:  # each is reported, and one that fell on its way back may have all its frames
                bring_back(bench.world)
            if session.finished_at is None:
                assert summary.skipped
                outcome.faults += bench.world.faults[1:]
                continue
            assert bench.store.sessions.missing_shots(session.id) == []
            frames = bench.store.frames.find()
            assert Counter(frame.shot_id for frame in frames) == {shot.id: 1 for shot in plan.shots(TRAY)}
            outcome.wrong = [wrong for frame in frames for wrong in what_is_wrong(frame, truths, config)]
            assert bench.lies() == {coin: ("slot", slot, "obverse") for slot, coin in TRAY.coins.items()}
            assert bench.store.verify() == []
            outcome.faults += bench.world.faults[1:]
            return outcome
    raise AssertionError(f"seed {seed} never came to an end: {outcome}")


def witness(world: World) -> list[Scene]:
    """What was truly before the camera at each exposure, from now on."""
    scenes: list[Scene] = []
    scene = world.scene

    def note() -> Scene:
        scenes.append(scene())
        return scenes[-1]

    world.scene = note  # type: ignore[method-assign]
    return scenes


def watch_for_drops(world: World, outcome: Outcome) -> None:
    """Note each coin that is let go of in mid-air or onto the table from now on, unless the arm lost its supply."""
    arm, suck = world.emulators["arm"], world.suck
    reset, resets = arm.reset, [0]

    def lose_supply() -> None:
        resets[0] += 1
        try:
            reset()
        finally:
            resets[0] -= 1

    def switch(on: bool) -> None:
        held = [coin.coin for coin in world.coins if coin.place == "cup"]
        is_high = world.cup_mm()[2] > HIGHEST_PLACE_MM
        suck(on)
        fell = [
            coin.coin for coin in world.coins if coin.coin in held and (coin.place == "table" or is_high) and not on
        ]
        outcome.dropped += [] if resets[0] else fell

    arm.reset, world.suck = lose_supply, switch  # type: ignore[method-assign]


def bring_back(world: World) -> None:
    """What the message asked for: every coin that is not where a rig can find it into its slot, obverse up."""
    slots = {coin: slot for slot, coin in TRAY.coins.items()}
    kept: list[LyingCoin] = world.state.coins
    for coin in kept:
        coin.place, coin.slot, coin.side = "slot", slots[coin.coin], "obverse"
        coin.x_mm = coin.y_mm = 0.0
    world.save()


def what_is_wrong(frame: Frame, truths: dict[tuple[str, int], Scene], config: StationConfig) -> list[str]:
    """What a frame says and does not show."""
    assert frame.shot_id is not None and frame.turntable_deg is not None and frame.light is not None
    scene = truths[frame.shot_id, frame.attempt]
    wrong = []
    if abs(apart_deg(scene.plate_angle_deg, frame.turntable_deg)) > 1.0 or scene.plate_speed_deg_s:
        wrong.append(f"angle {scene.plate_angle_deg:.2f} for {frame.turntable_deg:g}")
    if [(coin.coin, coin.side) for coin in scene.coins] != [(frame.coin_id, frame.side)]:
        wrong.append(f"coins {scene.coins} for {frame.coin_id} {frame.side}")
    azimuth_deg = config.lightbox.lights[frame.light].azimuth_deg
    if not scene.lamps or abs(apart_deg(light_deg(scene.lamps), azimuth_deg)) > 1.0:
        wrong.append(f"lamps {scene.lamps} for {frame.light}")
    return wrong


def light_deg(lamps: Sequence[Lamp]) -> float:
    """Where the light comes from on the whole."""
    return math.degrees(cmath.phase(sum(cmath.rect(lamp.intensity, math.radians(lamp.azimuth_deg)) for lamp in lamps)))


def apart_deg(one_deg: float, other_deg: float) -> float:
    """The way from one angle to another."""
    return (one_deg - other_deg + 180.0) % 360.0 - 180.0


@pytest.mark.slow  # by default the tests of recovery
def test_a_scan_with_faults_ends_complete_and_true(tmp_path: Path) -> None:
    outcome = scan(tmp_path, QUICK_SEED, QUICK_PLAN)
    assert outcome.faults and outcome.wrong == outcome.dropped == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_fifty_scans_with_faults_end_complete_and_true(tmp_path: Path, seed: int) -> None:
    outcome = scan(tmp_path, seed)
    assert outcome.wrong == outcome.dropped == []
