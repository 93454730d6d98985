"""Coins that are not where the tray file says, and rigs that do not get well: named, skipped, never filed wrongly."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capture.engine.errors import ScanStopped, TransportError
from capture.engine.events import CoinFound, Event, Recovered, ShotTaken
from capture.engine.policy import Patience, Policy, Remedy
from capture.engine.run import Summary
from capture.engine.skips import in_words, latest_skips
from capture.engine.stray_coin import coin_out
from capture.plan import Plan, Tray
from capture.store.journal_lines import CoinMove, CoinSkipped, DeviceFailed, DeviceRecovered, LaidOnPlate
from rig.errors import DeviceError
from rig.twin.faults import Alarm, DeadLamp, Unplugged
from tests.capture.engine.bench import Bench, open_bench, swap_names
from tests.variants import usually

TRAY = Tray(id="3", slots={1: "2024.1.1", 4: "2024.1.2", 7: "2024.1.3"})
PLAN = Plan(lights=("az000", "az120", "az240"), turntable_deg=(0.0,), sides=("obverse",))
SHOTS = PLAN.shots(TRAY)
BRISK = Policy(patience=Patience(attempts=2, pause_s=1.0), recoveries_per_coin=3)


def scan(bench: Bench, on_event: Callable[[Event], None] = lambda event: None, **options: Any) -> Summary:
    """Scan the tray, and see at every shot that the coin on the plate is the one it is filed under."""

    def witness(event: Event) -> None:
        if isinstance(event, ShotTaken):
            on_plate = [(coin.coin, coin.side) for coin in bench.world.coins if coin.place == "plate"]
            assert on_plate == [(event.shot.coin, event.shot.side)]
        on_event(event)

    return bench.run(witness, plan=PLAN, tray=TRAY, **options)


def opened(folder: Path, **options: Any) -> Any:
    return open_bench(folder, tray=TRAY, **options)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab in which every coin of the tray was scanned once."""
    folder = tmp_path_factory.mktemp("scanned")
    with opened(folder) as bench:
        scan(bench)
    return folder


@pytest.fixture
def folder(scanned: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    copy = tmp_path / "lab"
    shutil.copytree(scanned, copy)
    return copy


def skipped_coins(bench: Bench) -> list[CoinSkipped]:
    """The latest session's, as the journal has them."""
    return latest_skips(bench.store.journal.lines(CoinSkipped, session_id=bench.store.sessions.find()[-1].id))


def places(bench: Bench) -> list[tuple[str, str, int | None]]:
    """Where every coin truly is."""
    return sorted((coin.coin, coin.place, coin.slot) for coin in bench.world.coins)


def test_swapped_coins_are_named_in_each_others_place(folder: Path) -> None:
    events: list[Event] = []
    contents = {"3": {1: "2024.1.3", 7: "2024.1.1"}}
    with opened(folder, contents=contents) as bench:
        before = len(bench.store.frames.find())
        summary = scan(bench, events.append)
        assert [(each.slot, each.coin, each.reason, each.looks_like) for each in summary.skipped] == [
            (1, "2024.1.1", "wrong coin", "2024.1.3"),
            (7, "2024.1.3", "wrong coin", "2024.1.1"),
        ]
        assert in_words(skipped_coins(bench)) == [
            "Slots 1 and 7 are swapped: 2024.1.3 lies in slot 1, 2024.1.1 in slot 7."
        ]
        assert places(bench) == [("2024.1.1", "slot", 7), ("2024.1.2", "slot", 4), ("2024.1.3", "slot", 1)]
        assert {frame.coin_id for frame in bench.store.frames.find()[before:]} == {"2024.1.2"}
        unfinished = bench.store.sessions.unfinished_scan("3")
        assert unfinished is not None
    assert [event.looks_like for event in events if isinstance(event, CoinSkipped)] == ["2024.1.3", "2024.1.1"]
    with opened(folder) as bench:  # somebody laid them right
        assert scan(bench).skipped == ()
        assert bench.store.sessions.get(unfinished.id).finished_at is not None
        assert bench.store.verify() == []


def test_an_empty_slot_an_unknown_coin_and_a_doubled_slot(folder: Path) -> None:
    contents = {"3": {1: None, 4: "unknown.1", 7: ["2024.1.3", "unknown.2"]}}
    with opened(folder, contents=contents) as bench:
        before = len(bench.store.frames.find(good=None))
        summary = scan(bench)
        assert [each.reason for each in summary.skipped] == ["empty slot", "wrong coin", "two coins"]
        assert [each.looks_like for each in summary.skipped] == [None] * 3
        assert in_words(summary.skipped) == [
            "Slot 1 is empty: 2024.1.1 is missing.",
            "Slot 4 holds a coin that was never scanned here; 2024.1.2 belongs there.",
            "Slot 7 holds two coins; only 2024.1.3 belongs there.",
        ]
        assert len(bench.store.frames.find(good=None)) == before
        assert places(bench) == [("2024.1.3", "slot", 7), ("unknown.1", "slot", 4), ("unknown.2", "slot", 7)]


def test_after_every_grip_that_failed_the_pump_is_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(folder, contents={"3": {1: None, 4: None, 7: None}}) as bench:
        switched: list[bool] = []
        runs: list[bool] = []
        suck = bench.world.suck
        monkeypatch.setattr(bench.world, "suck", lambda on: (switched.append(on), suck(on)))
        summary = scan(
            bench, lambda event: runs.append(bench.world.suction) if isinstance(event, CoinSkipped) else None
        )
        assert [each.reason for each in summary.skipped] == ["empty slot"] * 3
        assert switched.count(True) >= 6 and runs == [False] * 3
        assert not bench.world.suction


def test_the_policy_may_give_the_tray_up_or_stop(folder: Path) -> None:
    with opened(folder, contents={"3": {1: None}}) as bench:
        summary = scan(bench, policy=Policy(empty_slot=Remedy(attempts=0, then="skip tray")))
        reasons = [(each.slot, each.reason) for each in summary.skipped]
        assert reasons == [(1, "empty slot"), (4, "not begun"), (7, "not begun")]
        assert in_words(skipped_coins(bench)) == [
            "Slot 1 is empty: 2024.1.1 is missing.",
            "Not begun: 2024.1.2 (slot 4), 2024.1.3 (slot 7). Given up after coin 2024.1.1: Suction found no coin in "
            "slot 1.",
        ]
        with pytest.raises(TransportError, match=r"Slot 1, coin 2024\.1\.1: Suction found no coin in slot 1"):
            scan(bench, policy=Policy(empty_slot=Remedy(attempts=0, then="stop")))


def test_coins_need_not_be_compared(folder: Path) -> None:
    with opened(folder, contents={"3": {1: "cleaned.1"}}) as bench:
        assert bench.run(plan=PLAN, tray=TRAY, policy=Policy(compare_coins=False)).skipped == ()


def test_nothing_is_laid_on_a_plate_that_is_not_free(folder: Path) -> None:
    path = folder / "world.json"
    state = json.loads(path.read_text())
    state["coins"].append({"coin": "forgotten.1", "place": "plate"})
    path.write_text(json.dumps(state))
    with opened(folder) as bench:
        with pytest.raises(TransportError, match="Something lies on the plate"):
            scan(bench)
        assert [coin.coin for coin in bench.world.coins if coin.place == "plate"] == ["forgotten.1"]


def test_a_reason_not_to_go_on_is_heeded_between_coins(tmp_path: Path) -> None:
    shots = 0

    def count(event: Event) -> None:
        nonlocal shots
        shots += isinstance(event, ShotTaken)

    with opened(tmp_path) as bench:
        with pytest.raises(ScanStopped, match=r"^It is 06:30\.$"):
            scan(bench, count, find_reason_to_end=lambda: "It is 06:30." if shots > 1 else None)
        assert len(bench.store.frames.find()) == len(PLAN.lights)  # the coin that was begun is done
        assert {coin.place for coin in bench.world.coins} == {"slot"}
        assert scan(bench).frames.good == len(SHOTS)


def unplug(bench: Bench, device: Any, seconds: float | None) -> None:
    wire = bench.world.wires[device]
    bench.world.faults.append(Unplugged(device=device, after_messages=wire.messages, seconds=seconds))


def test_a_reason_not_to_go_on_after_a_failure_puts_the_coin_back(tmp_path: Path) -> None:
    failed = False

    def fail_once(event: Event) -> None:
        nonlocal failed
        if isinstance(event, ShotTaken) and not failed:
            failed = True
            unplug(bench, "lightbox", 0.5)

    with opened(tmp_path) as bench:
        with pytest.raises(ScanStopped, match="Enough"):
            scan(bench, fail_once, policy=BRISK, find_reason_to_end=lambda: "Enough." if failed else None)
        assert {coin.place for coin in bench.world.coins} == {"slot"}
        assert len(bench.store.frames.find()) < len(PLAN.lights)


def test_a_coin_that_costs_too_many_recoveries_is_skipped(tmp_path: Path) -> None:
    """The lightbox fails again after every good frame, at the first coin alone."""
    events: list[Event] = []

    def fail(event: Event) -> None:
        events.append(event)
        if isinstance(event, ShotTaken) and event.shot.coin == "2024.1.1":
            unplug(bench, "lightbox", 0.5)

    with opened(tmp_path) as bench:
        summary = scan(bench, fail, policy=BRISK.model_copy(update={"recoveries_per_coin": 1}))
        (skipped,) = summary.skipped
        assert (skipped.slot, skipped.reason) == (1, "device")
        assert "lightbox" in skipped.why and "failed 2 times" in skipped.why
        assert {coin.place for coin in bench.world.coins} == {"slot"}
        assert {shot.coin for shot in bench.store.sessions.missing_shots(bench.store.sessions.find()[-1].id)} == {
            "2024.1.1"
        }
        journal = bench.store.journal
        assert (len(journal.lines(DeviceFailed)), len(journal.lines(DeviceRecovered))) == (2, 2)
        assert bench.store.verify() == []
    assert sum(isinstance(event, Recovered) for event in events) == 2


def test_a_rig_that_fails_again_and_again_gives_the_tray_up(tmp_path: Path) -> None:
    def fail(event: Event) -> None:
        if isinstance(event, ShotTaken):
            unplug(bench, "lightbox", 0.5)

    with opened(tmp_path) as bench:
        begun_s = bench.station.clock.now()
        summary = scan(bench, fail, policy=BRISK.model_copy(update={"recoveries_per_coin": 1}))
        assert [each.reason for each in summary.skipped] == ["device", "device", "not begun"]
        assert {coin.place for coin in bench.world.coins} == {"slot"}
        assert bench.station.clock.now() - begun_s < 600


def test_a_rig_that_never_gets_well_ends_and_says_where_the_coin_is(tmp_path: Path) -> None:
    def fail(event: Event) -> None:
        if isinstance(event, ShotTaken):
            unplug(bench, "lightbox", None)

    with opened(tmp_path) as bench:
        with pytest.raises(DeviceError, match="lightbox"):
            scan(bench, fail, policy=BRISK)
        last = bench.store.journal.last(CoinMove)
        assert isinstance(last, LaidOnPlate) and last.coin == "2024.1.1"
        assert [coin.coin for coin in bench.world.coins if coin.place == "plate"] == ["2024.1.1"]
    with opened(tmp_path) as bench:
        assert scan(bench).frames.good == len(SHOTS)


def test_a_coin_that_takes_too_long_is_skipped(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        summary = scan(bench, policy=Policy(coin_minutes=0.1, device_skips_in_a_row=1))
        assert [each.reason for each in summary.skipped] == ["time", "not begun", "not begun"]
        assert {coin.place for coin in bench.world.coins} == {"slot"}


def interrupt_at_the_first_shot(folder: Path) -> None:
    """A run that ended with coin 2024.1.1 on the plate."""

    def interrupt(event: Event) -> None:
        if isinstance(event, ShotTaken):
            raise KeyboardInterrupt

    with opened(folder) as bench, pytest.raises(KeyboardInterrupt):
        scan(bench, interrupt)


def test_what_is_on_the_plate_after_a_kill_goes_into_the_slot_if_that_is_empty(folder: Path) -> None:
    interrupt_at_the_first_shot(folder)
    swap_names(folder, "2024.1.1", "2024.1.2")
    with opened(folder) as bench:
        before = len(bench.store.frames.find(good=None))
        summary = scan(bench)
        assert [(each.slot, each.reason, each.looks_like) for each in summary.skipped] == [
            (1, "wrong coin", "2024.1.2"),
            (4, "wrong coin", "2024.1.1"),
        ]
        assert {frame.coin_id for frame in bench.store.frames.find(good=None)[before:]} == {"2024.1.3"}
        assert places(bench) == [("2024.1.1", "slot", 4), ("2024.1.2", "slot", 1), ("2024.1.3", "slot", 7)]
    swap_names(folder, "2024.1.1", "2024.1.2")
    with opened(folder) as bench:
        assert scan(bench).skipped == ()


def test_what_is_on_the_plate_after_a_kill_is_laid_on_no_other_coin(folder: Path) -> None:
    interrupt_at_the_first_shot(folder)
    path = folder / "world.json"
    state = json.loads(path.read_text())
    coin = next(coin for coin in state["coins"] if coin["place"] == "plate")
    state["coins"].append({"coin": "unknown.1", "place": "plate"})  # and the coin itself is laid into its slot
    coin |= {"place": "slot", "slot": 1, "x_mm": 0.0, "y_mm": 0.0}
    path.write_text(json.dumps(state))
    with opened(folder) as bench:
        before, there = len(bench.store.frames.find(good=None)), places(bench)
        with pytest.raises(TransportError, match=r"cannot be recognised as coin 2024\.1\.1"):
            scan(bench)
        assert len(bench.store.frames.find(good=None)) == before
        assert places(bench) == there


@pytest.mark.parametrize(
    "held",
    [*(pytest.param(held, marks=pytest.mark.slow) for held in ("unknown.1", "2024.1.3")), ("2024.1.1", "unknown.2")],
)
def test_a_device_that_fails_while_the_wrong_coin_lies_on_the_plate(
    folder: Path, monkeypatch: pytest.MonkeyPatch, held: str | tuple[str, ...]
) -> None:
    """It goes back into its slot, and the others have their turn."""
    events: list[Event] = []
    with opened(folder, contents={"3": {1: held, 7: None}}) as bench:
        world, there = bench.world, places(bench)
        turn = world.turn

        def fail(by_deg: float, speed: float, acceleration: float, start_s: float) -> None:
            if not world.faults and any(coin.place == "plate" for coin in world.coins):
                world.faults.append(Alarm(after_moves=world.moves["turntable"]))
            turn(by_deg, speed, acceleration, start_s)

        monkeypatch.setattr(world, "turn", fail)
        summary = scan(bench, events.append, policy=BRISK)
        assert sum(isinstance(event, Recovered) for event in events) == 1
        assert [(each.slot, each.reason) for each in summary.skipped] == [
            (1, "two coins" if isinstance(held, tuple) else "wrong coin"),
            (7, "empty slot"),
        ]
        assert places(bench) == there
        assert [shot.coin for shot in bench.store.sessions.missing_shots(bench.store.sessions.find()[-1].id)] == [
            *["2024.1.1"] * 3,
            *["2024.1.3"] * 3,
        ]


@pytest.mark.parametrize("seconds", usually((1.0,), (1.0, None)))
def test_an_empty_slot_is_skipped_also_after_the_arm_failed_over_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: float | None
) -> None:
    with opened(folder, contents={"3": {1: None}}) as bench:
        suck = bench.world.suck

        def fail(on: bool) -> None:
            suck(on)
            if on and not bench.world.faults:
                unplug(bench, "arm", seconds)

        monkeypatch.setattr(bench.world, "suck", fail)
        if seconds is None:  # and nobody is there: the next command finds it so
            with pytest.raises(DeviceError, match="arm"):
                scan(bench, policy=BRISK)
            monkeypatch.undo()
            bench.world.repair()
        summary = scan(bench, policy=BRISK)
        (skipped,) = summary.skipped
        assert (skipped.slot, skipped.reason) == (1, "empty slot")
        assert "fallen off the arm" in skipped.why
        assert {shot.coin for shot in bench.store.sessions.missing_shots(bench.store.sessions.find()[-1].id)} == {
            "2024.1.1"
        }


def test_whatever_goes_wrong_in_the_program_the_coin_goes_back(folder: Path) -> None:
    def fail(event: Event) -> None:
        if isinstance(event, ShotTaken | CoinFound):
            raise ZeroDivisionError

    with opened(folder) as bench:
        with pytest.raises(ZeroDivisionError):
            scan(bench, fail)
        assert {coin.place for coin in bench.world.coins} == {"slot"}
        assert coin_out(bench.store) is None
    interrupt_at_the_first_shot(folder)
    with opened(folder) as bench:
        assert coin_out(bench.store) is not None
        with pytest.raises(ZeroDivisionError):
            scan(bench, fail)
        assert {coin.place for coin in bench.world.coins} == {"slot"}
        assert coin_out(bench.store) is None


def test_nothing_is_believed_of_a_plate_in_the_dark(folder: Path) -> None:
    with opened(folder) as bench:

        def darken(event: Event) -> None:
            if isinstance(event, ShotTaken) and event.shot.coin == "2024.1.1":
                bench.world.faults.append(DeadLamp(first=0, last=1000))

        summary = scan(bench, darken, policy=BRISK.model_copy(update={"device_skips_in_a_row": 1}))
        assert [each.reason for each in summary.skipped] == ["device", "not begun"]
        assert "the camera sees none of their light" in summary.skipped[0].why
        assert {coin.place for coin in bench.world.coins} == {"slot"}


def test_a_coin_that_lies_the_wrong_way_up_is_turned(tmp_path: Path) -> None:
    """Known by a single light, and laid down obverse up in the end."""
    tray = Tray(id="3", slots={1: "2024.1.1"})
    plan = PLAN.replace(sides=["obverse", "reverse"], lights=["az000"])
    seen = []
    with open_bench(tmp_path, tray=tray) as bench:
        bench.run(plan=plan, tray=tray)
    state = json.loads((tmp_path / "world.json").read_text())
    state["coins"][0] |= {"side": "reverse", "rotation_deg": 200.0}
    (tmp_path / "world.json").write_text(json.dumps(state))
    with open_bench(tmp_path, tray=tray) as bench:

        def witness(event: Event) -> None:
            if isinstance(event, ShotTaken):
                seen.append(bench.world.scene().coins[0].side == event.shot.side)

        summary = bench.run(witness, plan=plan, tray=tray)
        assert (summary.frames.good, summary.skipped, seen) == (2, (), [True, True])
        assert [(coin.place, coin.side) for coin in bench.world.coins] == [("slot", "obverse")]
