"""`rig catalogue` is killed, stopped or without room while a scan writes and others search: nothing is lost or half."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from calibration.image import encode_jpeg, read_image
from capture.store import Store
from models.matching.faiss_index import FaissIndex
from tests.kills import steps
from tests.kills.check import check_lab, check_readers, check_scans
from tests.kills.faults import Fault
from tests.kills.processes import KILLED, Kill, run, truth_of
from tests.kills.test_broken_disk import small_disk
from tests.kills.truth import keep_truth
from tests.pipeline.conftest import COINS, photographs  # noqa: F401 - a fixture
from tests.pipeline.learning.test_models import weak_model
from tests.processes import Command, Ran

pytestmark = pytest.mark.slow

SALE = "Hess 1936"
IN_ALL = 16  # catalogue images: those of the lab's six coins, and of two lots of the sale
INDEX = "store/index.sqlite"
ADDING = (
    Kill("rename store/files", 1),
    Kill(f"INSERT {INDEX}", 3),
    Kill("rename store/records/entry", 2, after=True),
    Kill("rename store/records/lot", 1),
    Kill(f"COMMIT {INDEX}", 1),
    Kill(f"COMMIT {INDEX}", 1, after=True),
)
BUILDING = (
    Kill("make catalogue", 1, after=True),
    Kill("open catalogue", 5),
    Kill("fsync catalogue", 6),
    Kill("rename catalogue", 1),  # the part takes its name
    Kill("rename catalogue", 1, after=True),
    Kill("rename catalogue", 2),  # the manifest names it: the swap
    Kill("rename catalogue", 2, after=True),
    Kill("rename catalogue", 3),  # of which state of the store that is
)
SHARING = (Kill("open catalogue", 4), Kill("rename catalogue", 1), Kill("rename catalogue", 1, after=True))
REMOVING = (Kill("rename store/records/removed", 2), Kill(f"COMMIT {INDEX}", 1))
TAKING_OUT = (Kill("rename catalogue", 1), Kill("rename catalogue", 1, after=True), Kill("rename catalogue", 2))
EMBEDDING = (("catalogue", "build"), ("catalogue", "build", "--shard", "1/1"))
STORY = (  # what is done to the catalogue, how often it is killed at that, and how many images are searched then
    (("catalogue", "add", "{sale}/hess.csv", "--sale", SALE), ADDING, None),
    (("catalogue", "build"), BUILDING, IN_ALL),
    (("catalogue", "remove", "--sale", SALE), REMOVING, None),
    (("catalogue", "build"), TAKING_OUT, IN_ALL - 4),
    (("catalogue", "restore", "--sale", SALE), REMOVING, None),
    (("catalogue", "build", "--shard", "1/1"), SHARING, None),
    (("catalogue", "build"), TAKING_OUT, IN_ALL),
)


@pytest.fixture
def sale(own_lab: Path, photographs: Path) -> Path:  # noqa: F811
    """A table of two lots, which are coins of the lab, with their images."""
    folder = own_lab.with_name("sale")
    folder.mkdir()
    with (folder / "hess.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["lot", "image", "metal"])
        for number, coin in enumerate(COINS[:2]):
            again = encode_jpeg(read_image(photographs / f"{coin}.jpg"), 90)  # of other bytes than the lab's own
            (folder / f"lot {number}.jpg").write_bytes(again)
            table.writerow([number, f"lot {number}.jpg", "AR"])
    return folder


def search(lab: Path, photograph: Path) -> None:
    """The first coin is found, whatever the catalogue is at just now."""
    command = Command("identify", photograph, "--coin", 1, "--lab", lab, "--json")
    out, err = command.communicate(300)
    assert command.wait() == 0 and '"verdict": "match"' in out, out + err


@contextmanager
def searching(lab: Path, photograph: Path) -> Iterator[list[int]]:
    """Somebody searches again and again; gives a list that grows with every answer."""
    answers, failures, is_over = list[int](), list[BaseException](), threading.Event()

    def ask() -> None:
        try:
            while not is_over.is_set():
                search(lab, photograph)
                answers.append(len(answers))
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        thread.join()
    if failures:
        raise failures[0]


def check_whole(lab: Path, photograph: Path, images: int) -> None:
    """Nothing is left to do or half done, and the store, the index and the answers agree."""
    built = run(lab, "catalogue", "build", "--json")
    assert built.code == 0 and built.json["entries"] == images, built.out + built.err
    index = FaissIndex.open(lab / "catalogue" / built.json["model"], built.json["model"])
    with Store.open(lab / "store", writing=False) as store:
        entries = {entry.id for entry in store.catalogue.entries()}
    assert {entry.entry_id for entry in index.entries(index.sample(images))} == entries
    assert len(index) == len(entries) and index.unlisted() == []
    search(lab, photograph)
    check_lab(lab)


def carry_out_story(lab: Path, sale: Path, *, is_alone: bool) -> int:
    """Do all of the story, every command killed again and again before it is let end; returns how many kills struck."""
    struck = 0
    for args, kills, images in STORY:
        args = tuple(each.replace("{sale}", str(sale)) for each in args)
        for kill in kills:
            killed = run(lab, *args, kill=kill)
            assert killed.code == KILLED or (killed.code == 0 and not is_alone), (args, kill, killed.out, killed.err)
            struck += killed.code == KILLED
            check_readers(lab)
        ended = run(lab, *args, "--json")
        assert ended.code == 0, (args, ended.err)
        assert images is None or ended.json["entries"] == images, (args, ended.out)
    return struck


def test_killed_at_its_steps_every_command_is_completed_by_itself(
    own_lab: Path,
    sale: Path,
    photographs: Path,  # noqa: F811
) -> None:
    assert carry_out_story(own_lab, sale, is_alone=True) == sum(len(kills) for _, kills, _ in STORY)
    check_whole(own_lab, photographs / f"{COINS[0]}.jpg", IN_ALL)


def test_killed_while_a_scan_writes_and_others_search(own_lab: Path, sale: Path, photographs: Path) -> None:  # noqa: F811
    photograph = photographs / f"{COINS[0]}.jpg"
    scans = Command("batch", "--trays", "1-2", "--lab", own_lab, before=partial(keep_truth, truth_of(own_lab)))
    with searching(own_lab, photograph) as answers:
        struck, was_scanning = 0, 0
        while scans.poll() is None or not was_scanning:
            was_scanning += scans.poll() is None
            struck += carry_out_story(own_lab, sale, is_alone=False)
            assert run(own_lab, "catalogue", "remove", "--sale", SALE).code == 0
            assert run(own_lab, "catalogue", "build").code == 0
            assert run(own_lab, "catalogue", "restore", "--sale", SALE).code == 0
    assert scans.wait() == 0, scans.err
    assert struck > 10 and answers
    check_scans(own_lab, "1", "2")
    check_whole(own_lab, photograph, IN_ALL)


def _halt_at(lab: Path, kind: str, number: int) -> None:
    """In the new process: stop before this step, until somebody lets it continue."""

    def on_step(step: steps.Step) -> None:
        if (step.kind, step.number) == (kind, number):
            os.kill(os.getpid(), signal.SIGSTOP)

    steps.watch(lab, on_step)


@contextmanager
def halted(lab: Path, *args: object, at: tuple[str, int]) -> Iterator[Command]:
    """A command that stands still at a step while the block lasts, and continues then."""
    command = Command(*args, "--lab", lab, "--json", before=partial(_halt_at, lab, *at))
    while Path(f"/proc/{command.pid}/stat").read_text().rsplit(") ", 1)[1][0] != "T":
        assert command.poll() is None, command.communicate()
        time.sleep(0.01)
    try:
        yield command
    finally:
        command.send_signal(signal.SIGCONT)


@pytest.fixture
def sold(own_lab: Path, sale: Path) -> Path:
    """Such a lab to which the sale was added, and is not embedded yet."""
    added = run(own_lab, "catalogue", "add", sale / "hess.csv", "--sale", SALE)
    assert added.code == 0, added.err
    return own_lab


@pytest.mark.parametrize("args", EMBEDDING, ids=" ".join)
def test_of_two_at_once_the_one_that_is_left_ends_with_everything(
    args: tuple[str, ...],
    sold: Path,
    photographs: Path,  # noqa: F811
) -> None:
    with halted(sold, *args, at=("rename catalogue", 1)) as first:
        second = Command(*args, "--lab", sold, "--json")
        while "Another command is" not in second.err:
            assert second.poll() is None, second.communicate()
            time.sleep(0.01)
        search(sold, photographs / f"{COINS[0]}.jpg")
        first.kill()
    assert first.wait() == KILLED
    assert second.wait(300) == 0 and f": {IN_ALL}" in second.out, second.out + second.err
    check_whole(sold, photographs / f"{COINS[0]}.jpg", IN_ALL)


def test_a_model_is_replaced_in_the_middle_of_a_build(sold: Path, photographs: Path) -> None:  # noqa: F811
    weak_model(sold / "models" / "weak")
    with halted(sold, "catalogue", "build", at=("rename catalogue", 2)) as build:
        for kill in (Kill("rename catalogue", 2), Kill("rename catalogue", 1, after=True), Kill("rename models", 1)):
            killed = run(sold, "models", "promote", "weak", "--force", kill=kill)
            assert killed.code == KILLED, (kill, killed.err)
            search(sold, photographs / f"{COINS[0]}.jpg")  # with the model that is in use still
        promoted = run(sold, "models", "promote", "weak", "--force", "--json")
        assert promoted.code == 0 and promoted.json["entries"] == IN_ALL, promoted.err
        found = run(sold, "identify", photographs / f"{COINS[0]}.jpg", "--coin", 1, "--json")
        assert found.code == 0, found.err
    assert build.wait(300) == 0 and f'"entries": {IN_ALL}' in build.out, build.err
    assert run(sold, "models", "promote", "starter", "--force").code == 0
    check_whole(sold, photographs / f"{COINS[0]}.jpg", IN_ALL)


def check_full(failed: Ran) -> None:
    """It says what to do."""
    assert failed.code == 1 and "Traceback" not in failed.err, failed.err
    assert "free some space" in failed.err.splitlines()[-1].lower(), failed.err


@pytest.mark.parametrize("args", EMBEDDING, ids=" ".join)
def test_a_full_disk_stops_a_build_which_resumes(args: tuple[str, ...], sold: Path, photographs: Path) -> None:  # noqa: F811
    for kind, first in (("open catalogue", 1), ("open catalogue", 5), ("fsync catalogue", 6), ("rename catalogue", 1)):
        failed = run(sold, *args, fault=Fault("files", "ENOSPC", (kind,), first))
        check_full(failed)
    with small_disk(sold / "catalogue", "300k") as disk:
        failed = run(sold, *args)
        check_full(failed)
        subprocess.run(("mount", "-o", "remount,size=10m", disk), check=True)
        assert run(sold, *args).code == 0
        check_whole(sold, photographs / f"{COINS[0]}.jpg", IN_ALL)


def test_a_full_disk_stops_an_addition_which_resumes(own_lab: Path, sale: Path, photographs: Path) -> None:  # noqa: F811
    args = ("catalogue", "add", sale / "hess.csv", "--sale", SALE)
    for kind, first in (("open store/tmp", 2), ("fsync store/files", 1), ("rename store/records", 4)):
        failed = run(own_lab, *args, fault=Fault("files", "ENOSPC", (kind,), first))
        check_full(failed)
    failed = run(own_lab, *args, fault=Fault("index", "ENOSPC", ("INSERT",), 3))
    assert failed.code == 1 and "Traceback" not in failed.err and "full" in failed.err, failed.err
    assert run(own_lab, *args).code == 0
    check_whole(own_lab, photographs / f"{COINS[0]}.jpg", IN_ALL)
