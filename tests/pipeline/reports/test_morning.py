"""The morning report: every coin accounted for, what needs a person named, in one file that needs nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from calibration.image import Image, encode_jpeg, encode_lossless
from capture.plan import Shot
from capture.store import Store
from capture.store.journal_lines import (
    BatchBegan,
    BatchEnded,
    BatchSession,
    BatchState,
    CoinMove,
    CoinSkipped,
    DeviceFailed,
    DeviceRecovered,
    LaidOnPlate,
    Lifting,
    Returned,
    Returning,
    SkipReason,
    TrayEnded,
    TrayState,
)
from capture.store.quarantine import QuarantineReason
from capture.store.records import Candidate, NewEntry, NewFrame, Session, now
from pipeline.errors import LabError
from pipeline.lab import Lab, open_lab
from pipeline.reports.morning import write_morning_report, write_morning_report_of
from pipeline.scanning.sessions import tray_state
from tests.pipeline.conftest import Rig
from tests.pipeline.html_page import Page

BATCH = "20261119T201500Z-abc123"
HOSTILE = '<script>alert("1")</script>&$x^2$'


def image(number: int, blurred: bool = False) -> Image:
    random = np.random.default_rng(number)
    image = np.full((120, 160, 3), 24, np.uint8)
    cv2.circle(image, (80, 60), 40, (150, 140, 120), cv2.FILLED)
    image[40:80, 60:100] = random.integers(60, 250, (40, 40, 3))
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 5), np.uint8) if blurred else image


class Night:
    """Writes a night into a lab's store as a batch does."""

    def __init__(self, lab: Lab, store: Store) -> None:
        self.lab, self.store = lab, store
        self.log = store.journal.log
        self.numbers = iter(range(10_000))

    def begin(self, trays: Sequence[str]) -> None:
        self.log(BatchBegan(batch=BATCH, trays=tuple(trays), plan="default", until="2026-11-20T06:30+00:00"))

    def session(self, tray: str) -> Session:
        devices = [{"kind": "grbl", "port": "twin://turntable", "firmware": "1.1h"}]
        session = self.store.sessions.begin_scan(self.lab.tray(tray), self.lab.plan("default"), devices)
        self.log(BatchSession(batch=BATCH, tray=tray), session.id)
        return session

    def move(self, session: Session, coin: str, step: type[CoinMove]) -> str:
        slot = next(slot for slot, each in session.frozen_tray().coins.items() if each == coin)
        return str(self.log(step(slot=slot, coin=coin, side="obverse"), session.id).number)

    def scan(self, session: Session, coin: str, bad: Sequence[int] = (), takes: int = 1, only: int = 99) -> None:
        """Photograph a coin; the `bad` shots are blurred, `takes` times."""
        self.move(session, coin, Lifting)
        placement = self.move(session, coin, LaidOnPlate)
        for number, shot in enumerate(
            [shot for shot in self.store.sessions.shots(session.id) if shot.coin == coin][:only]
        ):
            for attempt in range(1, takes + 1):
                self._frame(session, shot, placement, attempt, QuarantineReason.BLUR if number in bad else None)
                if number not in bad:
                    break
        self.move(session, coin, Returning)
        self.move(session, coin, Returned)

    def retake(self, session: Session, coin: str) -> None:
        """A shot that is good the second time."""
        shot = next(shot for shot in self.store.sessions.missing_shots(session.id) if shot.coin == coin)
        self._frame(session, shot, "1", 1, QuarantineReason.CLIPPING)
        self._frame(session, shot, "1", 2, None)

    def _frame(
        self, session: Session, shot: Shot, placement: str, attempt: int, reason: QuarantineReason | None
    ) -> None:
        quality: dict[str, Any] = {"coins": 1, "radius_px": 40.0, "centre_px": [80.0, 60.0], "mean": 120.0}
        new = NewFrame(
            shot=shot,
            attempt=attempt,
            placement=placement,
            raw=encode_lossless(image(next(self.numbers), reason == QuarantineReason.BLUR)),
            calibrated=None,
            calibration_id=None,
            camera={"kind": "twin"},
            turntable_read_deg=shot.turntable_deg,
            mm_per_pixel=0.25,
            quality=quality | {"sharpness": 0.02 if reason else 0.2, "clipped_fraction": 0.01},
            quarantine_reasons=(reason,) if reason else (),
            taken_at=now(),
        )
        self.store.frames.add(session.id, new)

    def skip(self, session: Session, coin: str, reason: SkipReason, why: str, looks_like: str | None = None) -> None:
        slot = next(slot for slot, each in session.frozen_tray().coins.items() if each == coin)
        self.log(CoinSkipped(slot=slot, coin=coin, reason=reason, why=why, looks_like=looks_like), session.id)

    def end_tray(self, tray: str, session: Session | None, state: TrayState, why: str | None = None) -> None:
        self.log(TrayEnded(batch=BATCH, tray=tray, session=session.id if session else None, state=state, why=why))

    def end(self, state: BatchState, why: str | None = None) -> None:
        self.log(BatchEnded(batch=BATCH, state=state, why=why))

    def page(self) -> Page:
        return Page(write_morning_report(self.lab, self.store, BATCH))


def make_lab(folder: Path) -> Lab:
    for name in ("trays", "plans"):
        (folder / name).mkdir(parents=True)
    (folder / "rig.yaml").write_text("camera: {kind: twin}\n")
    (folder / "plans" / "default.yaml").write_text("lights: [az000, az180]\nturntable_deg: [0]\n")
    trays = {"1": ["1.1", "1.2", "1.3"], "2": ["2.1", "2.2", "2.3", "2.4", "2.5"], "3": [HOSTILE, "3.2"]}
    for name, coins in trays.items():
        slots = "".join(f"  {slot}: '{coin}'\n" for slot, coin in enumerate(coins, 1))
        (folder / "trays" / f"{name}.yaml").write_text(f"slots:\n{slots}")
    return open_lab(folder)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return make_lab(tmp_path / "lab")


@pytest.fixture
def night(lab: Lab) -> Iterator[Night]:
    with Store.open(lab.store) as store:
        yield Night(lab, store)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Page]]:
    """A lab after a night in which everything happened, and its report."""
    lab = make_lab(tmp_path_factory.mktemp("everything") / "lab")
    with Store.open(lab.store) as store:
        a_night_with_everything(Night(lab, store))
        session = store.sessions.find("scan", "1")[0]
        lab.reports.mkdir(exist_ok=True)
        (lab.reports / f"tray-1-{session.id}.html").write_text("the report of the tray")
        yield lab, Page(write_morning_report(lab, store, BATCH))


def a_night_with_everything(night: Night) -> None:
    store = night.store
    night.begin(["1", "2", "3"])
    first = night.session("1")
    night.scan(first, "1.1")
    night.scan(first, "1.2", bad=[1], takes=2)
    night.retake(first, "1.3")
    night.scan(first, "1.3", only=0)
    for _ in range(3):
        problem = {"device": "arm on twin://arm", "problem": "it lost the coin."}
        night.log(DeviceFailed(**problem, remedy="Clean the suction cup.", coin="1.3"), first.id)
        night.log(DeviceRecovered(**problem, attempt=1, pause_s=2.0), first.id)
    night.end_tray("1", first, "left over", "2 shots are not taken.")
    second = night.session("2")
    night.skip(second, "2.1", "wrong coin", "It looks like 2.2.", "2.2")
    night.skip(second, "2.2", "wrong coin", "It looks like 2.1.", "2.1")
    night.skip(second, "2.3", "empty slot", "Nothing was gripped, twice.")
    night.skip(second, "2.4", "wrong coin", "It is like no coin that was scanned before.")
    night.skip(second, "2.5", "empty slot", "It slipped off.")
    night.scan(second, "2.5")
    night.end_tray("2", second, "left over", "16 shots are not taken.")
    night.end_tray("3", None, "not begun", "The time was up.")
    entries = store.catalogue.add_entries(
        NewEntry(f"RRC {number}", encode_jpeg(image(900 + number)), f"{number}.jpg", "sale 12", "obverse")
        for number in (1, 2)
    )
    store.embeddings.add_model("m1", "starter", {})
    for coin, verdict, entry in (("1.1", "match", entries[0]), ("1.2", "possible", entries[1])):
        evidence = {"entries": [entry.id], "turns_deg": [30.0]}
        candidate = Candidate(entry.coin_id, entry.id, 0.8, 0.95, evidence)
        store.rankings.add(first.id, coin, "m1", verdict, [candidate])
    night.end("left over", "Something is left over on trays 1, 2, 3.")


def test_every_coin_is_accounted_for_and_what_needs_a_person_is_named(everything: tuple[Lab, Page]) -> None:
    page = everything[1]
    assert page.sentence.startswith("2 of 10 coins done, 8 things need you")
    states = {
        "t1s1": "1.1 ✓ done 4/4",
        "t1s2": "1.2 ◐ partly 3/4",
        "t1s3": "1.3 ◐ partly 1/4",
        "t2s1": "2.1 ✕ skipped 0/4",
        "t2s2": "2.2 ✕ skipped 0/4",
        "t2s3": "2.3 ✕ skipped 0/4",
        "t2s4": "2.4 ✕ skipped 0/4",
        "t2s5": "2.5 ✓ done 4/4",
        "t3s1": f"{HOSTILE} ○ not begun 0/4",
        "t3s2": "3.2 ○ not begun 0/4",
    }
    assert set(page.by_id) == set(states)
    for anchor, shown in states.items():
        coin, glyph, *_ = shown.split(" ")
        row = page.by_id[anchor].text
        assert coin in row and f"{glyph} {' '.join(shown.split(' ')[2:-1])}" in row and shown.split(" ")[-1] in row
    needs = [row.text for row in page.rows[1:9]]
    for what, remedy in (
        ("Slots 1 and 2 are swapped", "Swap them, then run rig scan --tray 2"),
        ("Slot 3 is empty: 2.3 is missing", "Look for the coin"),
        ("Slot 4 holds a coin that was never scanned here", "Find out which coin it is"),
        ("1 coin is not done", "Run rig scan --tray 1 to resume"),
        ("It was not begun", "rig scan --tray 3"),
        ("It failed 3 times", "Clean the suction cup."),
        ("1 shot of 1 coin in quarantine", "rig scan --tray 1 --fresh"),
        ("1 possible match to review", "Compare the images"),
    ):
        assert any(what in need and remedy in need for need in needs), what
    coins = page.sections["coins"].text
    assert "blur" in coins and "clipping" in coins and "Skipped at first: It slipped off." in coins
    assert "20.0" in page.by_id["t1s1"].text  # mm: 80 px of 0.25 mm
    assert "RRC 1" in page.sections["matches"].text and "RRC 2" not in page.sections["matches"].text
    assert "starter" not in page.html and "m1" in page.sections["provenance"].text
    for panel in ("tray 1", "arm", "Sharpness", "Coin diameter"):
        assert panel in page.sections["timeline"].text


def test_the_page_needs_nothing_from_outside_and_takes_names_as_text(everything: tuple[Lab, Page]) -> None:
    lab, page = everything
    (report,) = (path.name for path in lab.reports.glob("tray-1-*.html"))
    assert "script" not in page.tags and "svg" in page.tags
    assert [each for each in page.addresses if not each.startswith("#")] == [report]
    assert "http" not in page.html and page.html.count("url(") == page.html.count("url(#")
    anchors = {each[1:] for each in page.addresses if each.startswith("#t") and each[2:3].isdigit()}
    assert anchors == set(page.by_id)
    assert HOSTILE in page.by_id["t3s1"].text


def test_images_show_each_shot_once_and_mark_the_rejected(everything: tuple[Lab, Page]) -> None:
    page = everything[1]
    # 1.1 and its match are shown small in the table, and large among the matches
    assert [each.shape for each in page.by_id["t1s1"].images] == [(56, 112, 3), (56, 56, 3)]
    assert [each.shape for each in page.sections["matches"].images] == [(128, 256, 3), (128, 128, 3)]
    sheets = [each for each in page.sections["coins"].images if each.shape == (112, 112, 3)]
    assert len(sheets) == 4  # two sides by two lights of each coin that was photographed
    rejected = sheets[1][2:54, 58:60].reshape(-1, 3).mean(axis=0)
    good = sheets[1][2:54, 2:4].reshape(-1, 3).mean(axis=0)
    assert rejected[0] > 150 > 90 > rejected[2] and good[0] < 150
    blank = sheets[2][60:110, 60:110]
    assert blank.min() > 220  # of 1.3 one shot was taken


def test_it_is_written_while_the_batch_works_and_after_it_was_killed(night: Night) -> None:
    night.begin(["1", "2"])
    session = night.session("1")
    night.scan(session, "1.1")
    night.move(session, "1.2", Lifting)
    page = night.page()
    assert page.sentence.startswith("It has not ended: 1 of 8 coins done, ")
    assert "Coin 1.2 of slot 2 was out of its slot then." in page.sections["needs"].text
    assert "not begun" in page.by_id["t2s1"].text
    # the same batch resumes, and ends
    night.begin(["1", "2"])
    night.move(session, "1.2", Returned)
    night.log(BatchSession(batch=BATCH, tray="1"), session.id)
    for coin in ("1.2", "1.3"):
        night.scan(session, coin)
    night.end_tray("1", session, "done")
    other = night.session("2")
    for coin in other.frozen_tray().coins.values():
        night.scan(other, coin)
    night.end_tray("2", other, "done")
    night.end("done")
    page = night.page()
    assert page.sentence == "8 of 8 coins done, nothing needs you." and "needs" not in page.sections
    # what is done at the bench later is not this batch's
    night.log(DeviceFailed(device="arm", problem="later", remedy=""), other.id)
    assert "later" not in night.page().html


def test_coins_swapped_across_trays_and_one_lost_after_its_last_shot_are_asked_for(night: Night) -> None:
    night.begin(["1", "2"])
    first, second = night.session("1"), night.session("2")
    for session in (first, second):
        for coin in session.frozen_tray().coins.values():
            if coin not in ("1.2", "2.4"):
                night.scan(session, coin)
    night.skip(first, "1.2", "wrong coin", "It looks like 2.4.", "2.4")
    night.skip(second, "2.4", "wrong coin", "It looks like 1.2.", "1.2")
    night.skip(first, "1.3", "empty slot", "It may have fallen off the arm.")
    night.skip(second, "2.1", "device", "The arm failed 6 times.")  # it lies in its slot, and is done
    night.end_tray("1", first, "left over")
    night.end_tray("2", second, "left over")
    night.end("left over")
    page = night.page()
    assert page.sentence == "6 of 8 coins done, 2 things need you."
    needs = page.sections["needs"].text
    assert "Coins 1.2 and 2.4 are swapped: 2.4 is in tray 1, slot 2, 1.2 in tray 2, slot 4." in needs
    assert "run rig scan --tray 1 for 1.2, and rig scan --tray 2 for 2.4." in needs
    assert "Slot 3 is empty: 1.3 is missing." in needs and "all its shots were taken before" in needs
    assert "It may have fallen off the arm." in page.sections["coins"].text
    night.scan(first, "1.2")  # swapped back, and the same command run again
    night.scan(second, "2.4")
    assert tray_state(night.store, first) == ("left over", "Slot 3 is empty: 1.3 is missing.")
    assert tray_state(night.store, second) == ("done", None)


def test_images_are_read_once_and_a_damaged_one_is_named(night: Night) -> None:
    night.begin(["1"])
    session = night.session("1")
    for coin in ("1.1", "1.2", "1.3"):
        night.scan(session, coin)
    night.end_tray("1", session, "done")
    night.end("done")
    before = night.page()
    thumbnail = sorted((night.lab.reports / "thumbnails").rglob("*.jpg"))[0]
    thumbnail.write_bytes(thumbnail.read_bytes()[:700])  # a power failure
    assert all(np.array_equal(a, b) for a, b in zip(before.images, night.page().images, strict=True))
    damaged = night.store.path(night.store.frames.find(session.id, "1.2")[0].sha256)
    damaged.chmod(0o644)
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    after = night.page()
    assert all(np.array_equal(a, b) for a, b in zip(before.images, after.images, strict=True))
    shutil.rmtree(night.lab.reports / "thumbnails")
    page = night.page()
    assert "1 thing needs you" in page.sentence and str(damaged) in page.sections["needs"].text
    assert "rig store verify" in page.sections["needs"].text


def test_rig_report_batch_is_the_newest_or_the_one_that_is_named(lab: Lab, rig: Rig) -> None:
    with Store.open(lab.store) as store:
        with pytest.raises(LabError, match="rig batch"):
            write_morning_report_of(lab, None)
        night = Night(lab, store)
        night.begin(["1"])
        night.end_tray("1", None, "not begun", "The time was up.")
        night.end("left over")
    newest = rig("report", "--batch", "--lab", lab.folder, "--json")
    assert newest.code == 0, newest.err
    assert Path(newest.json["report"]) == lab.reports / f"batch-{BATCH}.html"
    assert "0 of 3 coins done" in Page(Path(newest.json["report"])).sentence
    unknown = rig("report", "--batch", "nosuchbatch", "--lab", lab.folder)
    assert unknown.code == 1 and "nosuchbatch" in unknown.err and "Traceback" not in unknown.err
    assert sorted(path.suffix for path in lab.reports.iterdir()) == [".html"]


def test_a_tray_whose_file_is_gone_is_named(night: Night) -> None:
    night.begin(["1", "7"])
    night.end("failed", "The disk is full.")
    page = night.page()
    assert "tray 7 does not exist" in page.sections["needs"].text and "The disk is full." in page.sections["needs"].text
    assert set(page.by_id) == {"t1s1", "t1s2", "t1s3"}  # the other tray's coins are there nevertheless
