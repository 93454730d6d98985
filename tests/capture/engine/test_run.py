"""The engine on the twin: every shot once, every coin back in its slot, whatever happens."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest

from calibration.apply import apply
from capture.engine.counts import FrameCounts
from capture.engine.errors import PlanError, ScanStopped, TransportError
from capture.engine.events import (
    CoinFinished,
    CoinFound,
    CoinPhotographed,
    CoinStarted,
    Event,
    FrameKept,
    FrameRejected,
    ScanStarted,
    ShotTaken,
)
from capture.plan import Plan, Tray
from capture.store import Store, StoreError
from capture.store.journal_lines import Returned, TurningOver
from rig.errors import DeviceError
from rig.twin.faults import DeadLamp, FrozenFrame, Unplugged
from tests.capture.engine.bench import (
    IN_ORDER,
    PLAN,
    SHORT_PLAN,
    SHORTEST_PLAN,
    SHOTS,
    TRAY,
    Bench,
    open_bench,
    scan_until_killed,
    swap_names,
    true_bundle,
    with_arm,
)
from tests.processes import Process
from tests.variants import usually


def kept(store: Store) -> list[str | None]:
    return sorted(frame.shot_id or "" for frame in store.frames.find())


ALL = sorted(shot.id for shot in SHOTS)


def test_a_scan_takes_every_shot_once(tmp_path: Path) -> None:
    events: list[Event] = []
    shown = []
    with open_bench(tmp_path) as bench:

        def witness(event: Event) -> None:
            events.append(event)
            if isinstance(event, ShotTaken):
                coin = bench.world.scene().coins[0]
                shown.append((coin.coin, coin.side) == (event.shot.coin, event.shot.side))

        summary = bench.run(witness)
        assert shown == [True] * len(SHOTS)
        assert kept(bench.store) == ALL
        assert bench.lies() == IN_ORDER
        assert bench.store.verify() == []
        assert bench.store.sessions.unfinished_scan("3") is None
        frames = bench.store.frames.find()
    assert summary.frames == FrameCounts(len(SHOTS), 0, 0)
    assert 0 < summary.hardware_s < 300
    assert Counter(type(event) for event in events) == {
        ScanStarted: 1,
        CoinStarted: 2,
        ShotTaken: len(SHOTS),
        FrameKept: len(SHOTS),
        CoinPhotographed: 2,
        CoinFinished: 2,
    }
    last = [event for event in events if isinstance(event, ShotTaken)][-1]
    assert (last.done_shots, last.shots) == (len(SHOTS), len(SHOTS))
    for frame in frames:
        assert frame.turntable_deg is not None
        assert frame.turntable_read_deg == pytest.approx(frame.turntable_deg, abs=0.2)
        assert frame.camera is not None
        assert frame.camera["kind"] == "twin"
    # frames of one coin and side share a placement, and no others do
    assert len({frame.placement for frame in frames}) == len({(f.coin_id, f.side, f.placement) for f in frames}) == 4


def test_frames_are_calibrated_beside_the_motion(tmp_path: Path) -> None:
    bundle = true_bundle()
    kept_events: list[FrameKept] = []
    with open_bench(tmp_path) as bench:
        bench.store.calibrations.add(bundle.id, bundle.created_at.isoformat(), "somewhere")
        bench.run(lambda event: kept_events.append(event) if isinstance(event, FrameKept) else None, bundle=bundle)
        frame = bench.store.frames.find()[-1]
        assert (frame.calibration_id, frame.mm_per_pixel) == (bundle.id, bundle.mm_per_pixel)
        raw, calibrated = bench.store.image(frame.sha256), bench.store.image(frame.calibrated_sha256 or "")
        left, top, right, bottom = frame.quality["calibrated_box_px"]
        assert (calibrated == apply(raw, bundle, frame.light or "")[top:bottom, left:right]).all()
        assert (calibrated == kept_events[-1].image).all()
        assert len(kept_events) == len(SHOTS)
        assert bench.store.verify() == []


def test_a_light_that_was_not_calibrated_is_refused(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench, pytest.raises(PlanError, match="az060 is not in calibration"):
        bench.run(plan=PLAN.replace(lights=["az060"]), bundle=true_bundle())


def test_a_plan_of_the_reverse_alone_turns_every_coin_back(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        bench.run(plan=PLAN.replace(sides=["reverse"]))
        assert {frame.side for frame in bench.store.frames.find()} == {"reverse"}
        assert bench.lies() == IN_ORDER


def test_a_frozen_frame_is_taken_again(tmp_path: Path) -> None:
    with open_bench(tmp_path, [FrozenFrame(after_frames=7, frames=2)]) as bench:
        rejected: list[Event] = []
        summary = bench.run(lambda event: rejected.append(event) if isinstance(event, FrameRejected) else None)
        assert kept(bench.store) == ALL
        assert summary.frames == FrameCounts(len(SHOTS), 2, 0)
        bad = bench.store.frames.find(good=False)
        assert [(frame.quarantine_reason, frame.attempt) for frame in bad] == [("stale", 1)] * 2
        assert all(isinstance(event, FrameRejected) and event.is_retaken for event in rejected)
        assert bench.store.verify() == []


def test_a_dead_lamp_leads_to_quarantine(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        leds = bench.station.config.lightbox.leds
        bench.world.faults.append(DeadLamp(first=0, last=leds // 4))
        bench.world.faults.append(DeadLamp(first=3 * leds // 4, last=leds - 1))
        summary = bench.run()
        dark = [shot for shot in SHOTS if shot.light == "az000"]
        assert (summary.frames.good, summary.frames.quarantined) == (len(SHOTS) - len(dark), len(dark))
        bad = bench.store.frames.find(good=False)
        assert {frame.quarantine_reason for frame in bad} == {"dark"}
        assert Counter(frame.shot_id for frame in bad) == {shot.id: PLAN.retakes + 1 for shot in dark}
        assert all(frame.calibrated_sha256 is None for frame in bad)
        assert bench.store.sessions.unfinished_scan("3") is None
        assert bench.lies() == IN_ORDER


@pytest.mark.slow
def test_after_a_device_failed_the_next_run_resumes(tmp_path: Path) -> None:
    with open_bench(tmp_path, [Unplugged(device="lightbox", after_messages=24)]) as bench:
        with pytest.raises(DeviceError, match="lightbox"):
            bench.run()
        done = kept(bench.store)
        assert 0 < len(done) < len(ALL)
    events: list[Event] = []
    with open_bench(tmp_path) as bench:
        bench.run(events.append)
        assert kept(bench.store) == ALL
        assert bench.lies() == IN_ORDER
    assert any(isinstance(event, CoinFound) for event in events)
    assert sum(isinstance(event, ShotTaken) for event in events) == len(ALL) - len(done)


def _stop(bench: Bench, after: int) -> None:
    """Ask the run to stop after so many shots."""
    stop = threading.Event()

    def on_event(event: Event) -> None:
        if isinstance(event, ShotTaken) and event.done_shots == after:
            stop.set()

    bench.run(on_event, stop=stop)


def _interrupt(bench: Bench, after: int, plan: Plan = PLAN) -> None:
    """Interrupt the run at once after so many shots."""

    def on_event(event: Event) -> None:
        if isinstance(event, ShotTaken) and event.done_shots == after:
            raise KeyboardInterrupt

    bench.run(on_event, plan=plan)


@pytest.mark.parametrize("after", usually((8,), (8, 1, 6, 13)))
def test_a_stop_puts_the_coin_back_and_the_next_run_resumes(tmp_path: Path, after: int) -> None:
    with open_bench(tmp_path) as bench:
        with pytest.raises(ScanStopped, match=f"after {after} of {len(SHOTS)} shots"):
            _stop(bench, after)
        assert len(kept(bench.store)) == after
        assert bench.lies() == IN_ORDER
    with open_bench(tmp_path) as bench:
        bench.run()
        assert kept(bench.store) == ALL
        assert len(bench.store.frames.find(good=None)) == len(ALL)
        assert bench.lies() == IN_ORDER
        assert bench.store.verify() == []


def test_an_interrupt_stops_at_once_and_loses_nothing(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        with pytest.raises(KeyboardInterrupt):
            _interrupt(bench, 5)
        assert len(kept(bench.store)) == 5
    with open_bench(tmp_path) as bench:
        bench.run()
        assert kept(bench.store) == ALL
        assert bench.lies() == IN_ORDER


def test_a_coin_is_known_by_a_side_of_which_there_is_one_light_only(tmp_path: Path) -> None:
    plan = Plan(lights=("az060", "az180", "az300"), turntable_deg=(0.0, 180.0))
    with open_bench(tmp_path) as bench:
        with pytest.raises(KeyboardInterrupt):
            _interrupt(bench, 19, plan)
        assert [frame.side for frame in bench.store.frames.find(coin="2024.1.2")] == 6 * ["obverse"] + ["reverse"]
    with open_bench(tmp_path) as bench:
        assert bench.run(plan=plan).skipped == ()
        assert kept(bench.store) == sorted(shot.id for shot in plan.shots(TRAY))


def test_a_coin_let_go_into_its_slot_in_mid_turn_is_looked_at_though_nothing_misses(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:
        bench.run(plan=SHORT_PLAN)
        session = bench.store.sessions.find()[-1]
        bench.store.journal.log(TurningOver(slot=7, coin="2024.1.2", side="reverse"), session.id)
        bench.store.journal.log(Returned(slot=7, coin="2024.1.2", found="arm"), session.id)
        lying = next(coin for coin in bench.world.state.coins if coin.coin == "2024.1.2")
        lying.side = "reverse"
        bench.run(plan=SHORT_PLAN, tray=TRAY)
        assert bench.lies() == IN_ORDER


def test_when_frames_cannot_be_kept_the_coin_goes_back(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench:

        def break_disk(event: Event) -> None:
            if isinstance(event, ShotTaken) and event.done_shots == 6:
                (tmp_path / "store" / "tmp").rename(tmp_path / "store" / "gone")

        with pytest.raises(StoreError, match="cannot be written"):
            bench.run(break_disk)
        assert bench.lies() == IN_ORDER
        (tmp_path / "store" / "gone").rename(tmp_path / "store" / "tmp")
    with open_bench(tmp_path) as bench:
        bench.run()
        assert kept(bench.store) == ALL
        assert bench.store.verify() == []


@pytest.mark.parametrize(
    ("plan", "tray", "message"),
    [
        (PLAN.replace(lights=["az999"]), TRAY, "no az999"),
        (PLAN.replace(tilt_deg=[30]), TRAY, "tilts the camera"),
        (PLAN, Tray(id="3", slots={99: "2024.1.1"}), "slot 99"),
    ],
)
def test_what_the_rig_cannot_do_is_refused_before_it_moves(
    tmp_path: Path, plan: Plan, tray: Tray, message: str
) -> None:
    with open_bench(tmp_path) as bench:
        before = bench.station.clock.now()
        with pytest.raises(PlanError, match=message):
            bench.run(plan=plan, tray=tray)
        assert bench.station.clock.now() == before


def test_a_coin_of_another_tray_left_outside_is_asked_for(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench, pytest.raises(KeyboardInterrupt):
        _interrupt(bench, 5)
    other = Tray(id="4", slots={1: "2024.1.9"})
    with open_bench(tmp_path) as bench, pytest.raises(TransportError, match=r"Coin 2024\.1\.1 of slot 1 was out"):
        bench.run(tray=other)


def test_a_swapped_coin_on_the_plate_is_not_filed_under_the_wrong_number(tmp_path: Path) -> None:
    with open_bench(tmp_path) as bench, pytest.raises(KeyboardInterrupt):
        _interrupt(bench, 6)
    swap_names(tmp_path, "2024.1.1", "2024.1.2")
    with open_bench(tmp_path) as bench:
        before = len(bench.store.frames.find(good=None))
        summary = bench.run()
        assert [(each.slot, each.reason, each.looks_like) for each in summary.skipped] == [(1, "wrong coin", None)]
        assert {frame.coin_id for frame in bench.store.frames.find(good=None)[before:]} == {"2024.1.2"}
        assert {coin.coin: coin.slot for coin in bench.world.coins} == {"2024.1.2": 1, "2024.1.1": 7}


def _kill_and_resume(
    folder: Path, kill_after_s: float, arm: str = "uarm", hangs: bool = False, plan: Plan = PLAN
) -> None:
    assert Process(scan_until_killed, folder, kill_after_s, with_arm(arm), plan).wait(120) == -signal.SIGKILL
    with open_bench(folder, config=with_arm(arm)) as bench:
        if hangs:
            assert "cup" in {place for place, _, _ in bench.lies().values()}
        assert bench.store.verify() == []
        truly = []

        def witness(event: Event) -> None:
            if isinstance(event, ShotTaken):
                coin = bench.world.scene().coins[0]
                truly.append((coin.coin, coin.side) == (event.shot.coin, event.shot.side))

        bench.run(witness)
        assert all(truly)
        assert kept(bench.store) == sorted(shot.id for shot in plan.shots(TRAY))
        assert len(bench.store.frames.find(good=None)) == len(plan.shots(TRAY))
        assert bench.lies() == IN_ORDER
        assert bench.store.verify() == []
        assert list((folder / "store" / "tmp").iterdir()) == []


# Hardware seconds at which the coin hangs on the arm, lies in the flip station, is photographed, is being turned back.
@pytest.mark.slow  # by default a scan is killed at the command line
@pytest.mark.parametrize(
    ("kill_after_s", "plan"),
    [(18.1, SHORT_PLAN), *((at_s, PLAN) for at_s in (32.4, 42.5, 49.7))],
)
def test_killed_and_started_again(tmp_path: Path, kill_after_s: float, plan: Plan) -> None:
    _kill_and_resume(tmp_path, kill_after_s, plan=plan)


# While it lifts a coin, and on the way back: this arm has no sense of what it holds.
@pytest.mark.slow  # by default a scan is killed at the command line
@pytest.mark.parametrize(("kill_after_s", "plan"), [(26.0, SHORTEST_PLAN), (102.0, PLAN)])
def test_killed_while_a_coin_hangs_on_an_arm_that_does_not_know(
    tmp_path: Path, kill_after_s: float, plan: Plan
) -> None:
    _kill_and_resume(tmp_path, kill_after_s, "roarm", hangs=True, plan=plan)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_killed_at_any_moment(tmp_path: Path, seed: int) -> None:
    _kill_and_resume(tmp_path, random.Random(seed).uniform(3.0, 75.0))
