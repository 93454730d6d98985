"""A rig that fails in mid-scan is brought back as often as patience allows, and no oftener."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from capture.engine.errors import ScanStopped
from capture.engine.events import CoinFinished, CoinStarted, Event, Recovered, ScanStarted, ShotTaken
from capture.engine.policy import Patience, Policy
from capture.plan import Plan, Tray
from rig.errors import DeviceError, NotConnectedError
from rig.twin.faults import Brownout, FrozenFrame, Unplugged
from rig.twin.scene import Scene
from tests.capture.engine.bench import IN_ORDER, SHOTS, Bench, open_bench, with_arm
from tests.variants import usually

ALL = sorted(shot.id for shot in SHOTS)


def unplug(bench: Bench, device: Any, seconds: float | None = None) -> None:
    """Pull a cable now."""
    bench.world.faults.append(
        Unplugged(device=device, after_messages=bench.world.wires[device].messages, seconds=seconds)
    )


def assert_complete(bench: Bench) -> None:
    assert sorted(frame.shot_id or "" for frame in bench.store.frames.find(good=None)) == ALL
    assert bench.lies() == IN_ORDER
    assert bench.store.verify() == []


@pytest.mark.parametrize("device", usually(("turntable",), ("turntable", "arm", "lightbox")))
def test_a_cable_that_is_plugged_in_again(tmp_path: Path, device: str) -> None:
    events: list[Event] = []
    with open_bench(tmp_path) as bench:

        def on_event(event: Event) -> None:
            events.append(event)
            if isinstance(event, ShotTaken) and event.done_shots in (1, 6, 12):
                unplug(bench, device, seconds=4.0)

        bench.run(on_event)
        assert_complete(bench)
    recovered = [event for event in events if isinstance(event, Recovered)]
    assert len(recovered) == 3
    assert {event.attempt for event in recovered} <= {1, 2}  # after 2 s it may still be out, 4 s later no more
    assert all("connection was lost" in event.problem.problem for event in recovered)
    counts = Counter(type(event) for event in events)
    assert (counts[ScanStarted], counts[ShotTaken], counts[CoinFinished]) == (1, len(SHOTS), 2)
    assert [event.number for event in events if isinstance(event, CoinStarted)] == [1, 2]


def test_what_does_not_heal_ends_with_its_message_and_nothing_is_lost(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        before_s = 0.0

        def pull(event: Event) -> None:
            nonlocal before_s
            assert not isinstance(event, Recovered)
            if isinstance(event, ShotTaken) and event.done_shots == 6:
                before_s = bench.station.clock.now()
                unplug(bench, "turntable")

        with pytest.raises(NotConnectedError, match=r"turntable .* connection was lost .* Plug the cable in"):
            bench.run(pull, policy=Policy(patience=Patience(attempts=2, pause_s=100.0)))
        assert 300 < bench.station.clock.now() - before_s < 400  # tried after 100 s, and 200 s later
        kept = len(bench.store.frames.find())
        assert kept >= 6
    with open_bench(tmp_path) as bench:
        bench.run()
        assert_complete(bench)


@pytest.mark.slow
def test_the_attempts_are_counted_for_each_failure(tmp_path: Path) -> None:
    recovered: list[Recovered] = []
    with open_bench(tmp_path) as bench:

        def on_event(event: Event) -> None:
            if isinstance(event, Recovered):
                recovered.append(event)
            if isinstance(event, ShotTaken):
                unplug(bench, "lightbox", seconds=1.0)

        bench.run(on_event, policy=Policy(patience=Patience(attempts=1), recoveries_per_coin=10))
        assert_complete(bench)
    assert len(recovered) > 3
    assert {event.attempt for event in recovered} == {1}


def test_without_patience_the_first_failure_ends_it(tmp_path: Path) -> None:
    with open_bench(tmp_path, [Unplugged(device="lightbox", after_messages=9, seconds=0.5)]) as bench:
        with pytest.raises(DeviceError, match="lightbox"):
            bench.run(policy=Policy(patience=Patience(attempts=0)))
        bench.run()
        assert_complete(bench)


# Lifted from its slot, turned over, and on its way back.
@pytest.mark.parametrize("grip", usually((3,), (1, 3, 6)))
@pytest.mark.parametrize("kind", usually(("uarm",), ("dobot", "roarm", "uarm")))
def test_a_cable_pulled_while_a_coin_hangs_on_the_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, grip: int
) -> None:
    config = with_arm(kind)
    tray = Tray(id="3", slots={1: "2024.1.1", 2: "2024.1.2"})
    plan = Plan(lights=("az000",), turntable_deg=(0.0,))
    recovered: list[Event] = []
    shown = []
    with open_bench(tmp_path, config=config, tray=tray) as bench:
        world, grips = bench.world, 0
        suck, scene = world.suck, world.scene
        seen: list[Scene] = []

        def count(on: bool) -> None:
            nonlocal grips
            grips += on and not world.suction
            suck(on)
            if on and grips == grip and not world.faults:
                unplug(bench, "arm", seconds=0.5)

        def note() -> Scene:
            seen.append(scene())
            return seen[-1]

        def on_event(event: Event) -> None:
            if isinstance(event, Recovered):
                recovered.append(event)
            if isinstance(event, ShotTaken):
                shown.append(seen[-1].coins[0].coin == event.shot.coin and seen[-1].coins[0].side == event.shot.side)

        monkeypatch.setattr(world, "suck", count)
        monkeypatch.setattr(world, "scene", note)
        bench.run(on_event, plan=plan, tray=tray)
        assert bench.lies() == {coin: ("slot", slot, "obverse") for slot, coin in tray.coins.items()}
        assert bench.store.sessions.missing_shots(bench.store.sessions.find()[-1].id) == []
    assert len(recovered) == 1
    assert shown == [True] * 4


@pytest.mark.parametrize("after_moves", usually((24,), (9, 24, 33)))
def test_a_coin_that_an_arm_lost_is_found_or_asked_for(tmp_path: Path, after_moves: int) -> None:
    events: list[Event] = []
    with open_bench(tmp_path, [Brownout(device="arm", after_moves=after_moves)]) as bench:
        summary = bench.run(events.append)
        if summary.skipped:
            (skipped,) = summary.skipped
            assert (skipped.slot, skipped.reason) == (1, "empty slot")
            assert "fallen off the arm" in skipped.why
            assert "table" in {place for place, _, _ in bench.lies().values()}
        else:
            assert_complete(bench)
        assert any(isinstance(event, Recovered) and event.problem.device.startswith("arm") for event in events)
        ended = bench.store.sessions.unfinished_scan("3") is None
    if not ended:
        with open_bench(tmp_path) as bench:  # who mounts the tray picks up what lies on the table
            bench.run()
            assert_complete(bench)


def test_a_coin_lost_on_its_way_back_is_missed_although_it_is_done(tmp_path: Path) -> None:
    with open_bench(tmp_path, [Brownout(device="arm", after_moves=38)]) as bench:
        (skipped,) = bench.run().skipped
        assert (skipped.slot, skipped.reason) == (1, "empty slot")
        assert sorted(frame.shot_id or "" for frame in bench.store.frames.find(good=None)) == ALL
        assert {coin: place for coin, (place, _, _) in bench.lies().items()} == {
            "2024.1.1": "table",
            "2024.1.2": "slot",
        }


def test_a_frozen_camera_does_not_show_the_rig_where_the_coin_was(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        taken = 0

        def on_event(event: Event) -> None:
            nonlocal taken
            if isinstance(event, ShotTaken):
                taken += 1
            if taken == 4:  # all of the obverse; the arm fails when the coin lies in the flip station
                taken += 1
                bench.world.faults.append(Brownout(device="arm", after_moves=bench.world.moves["arm"] + 6))
                bench.world.faults.append(FrozenFrame(after_frames=3, frames=1))

        bench.run(on_event)
        assert_complete(bench)


def test_a_stop_is_heeded_after_the_rig_was_brought_back(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        stop = threading.Event()

        def on_event(event: Event) -> None:
            if isinstance(event, ShotTaken) and event.done_shots == 5:
                unplug(bench, "turntable", seconds=1.0)
            if isinstance(event, Recovered):
                stop.set()

        with pytest.raises(ScanStopped):
            bench.run(on_event, stop=stop)
        assert bench.lies() == IN_ORDER
