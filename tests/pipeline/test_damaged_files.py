"""Files that were torn, made up or held by another program: the message names file and remedy, and nothing hangs."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from calibration.image import ImageError, read_image
from capture.store import Store, StoreError, database
from models.embedding.embedder import CARD_FILE, STARTER_DIR, WEIGHTS_FILE
from tests.pipeline.conftest import Rig, run_well
from tests.processes import run

DEEP = "[" * 100_000


@pytest.fixture
def empty_lab(tmp_path: Path) -> Path:
    """A lab for photographs with a store."""
    lab = tmp_path / "lab"
    run_well("init", "--collection", "--lab", lab)
    run_well("catalogue", "list", "--lab", lab)
    return lab


def check_explained(rig: Rig, *args: object, words: tuple[str, ...]) -> None:
    ran = rig(*args)
    assert ran.code == 1, ran.out
    assert len(ran.err.strip().splitlines()) == 1 and "mistake in the program" not in ran.err, ran.err
    assert all(word in ran.err for word in words), ran.err


@pytest.mark.parametrize(
    "card",
    [
        "{}",
        "[]",
        '"x"',
        '{"name": "x", "training": {"config": 7}}',
        DEEP,
        "\x00",
        '{"name": 3}',
        '{"name": "x", "backbone": "no such"}',
    ],
)
def test_a_damaged_model_is_named(empty_lab: Path, rig: Rig, card: str) -> None:
    folder = empty_lab / "models" / "mine"
    folder.mkdir(parents=True)
    shutil.copy(STARTER_DIR / WEIGHTS_FILE, folder)
    (folder / CARD_FILE).write_text(card)
    check_explained(rig, "models", "promote", "mine", "--force", "--lab", empty_lab, words=(str(folder), "damaged"))
    listed = rig("models", "list", "--lab", empty_lab)
    assert (listed.code, "damaged" in listed.out) == (0, True), listed.err


@pytest.mark.parametrize("text", ["", DEEP, "{}", '{"model": ["a"]}', "[]", "null", "\ufeff{"])
def test_a_damaged_note_of_the_model_in_use_is_named(empty_lab: Path, rig: Rig, text: str) -> None:
    path = empty_lab / "models" / "in-use.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    check_explained(rig, "models", "list", "--lab", empty_lab, words=(str(path), "rig models promote"))


def test_pipes_and_devices_are_no_images(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    for path in (tmp_path / "fifo.jpg", Path("/dev/zero"), tmp_path):
        with pytest.raises(ImageError, match="a pipe or a device"):
            read_image(path)


def test_strays_in_the_store_neither_block_nor_vanish(empty_lab: Path, rig: Rig) -> None:
    store = empty_lab / "store"
    (store / "tmp" / "holiday").mkdir(parents=True)
    (store / "tmp" / "holiday" / "beach.jpg").write_bytes(b"sand")
    (store / "writers" / "notes.txt").write_text("mine")
    (store / "writers" / "999999-dead0000").write_text("rig scan")
    for _ in range(2):
        ran = rig("store", "gc", "--lab", empty_lab)
        assert ran.code == 0, ran.err
    assert (store / "leftovers" / "tmp" / "holiday" / "beach.jpg").exists()
    assert [path.name for path in (store / "writers").iterdir()] == ["notes.txt"]
    assert rig("store", "verify", "--lab", empty_lab).code == 0


def test_a_row_of_broken_json_is_named_and_rebuilt(scanned_copy: Path, rig: Rig) -> None:
    index = scanned_copy / "store" / "index.sqlite"
    with closing(sqlite3.connect(index)) as connection, connection:
        connection.execute("UPDATE frame SET quality = '{' WHERE number = (SELECT max(number) FROM frame)")
    ran = rig("store", "verify", "--json", "--lab", scanned_copy)
    (problem,) = ran.json["problems"]
    assert (ran.code, problem["kind"]) == (1, "index") and "is damaged" in problem["what"]
    check_explained(rig, "report", "--lab", scanned_copy, words=("quality", "rig store rebuild"))
    assert rig("store", "rebuild", "--lab", scanned_copy).code == 0
    assert rig("store", "verify", "--lab", scanned_copy).code == 0


def test_a_torn_world_of_the_twin_is_named(scanned_copy: Path, rig: Rig) -> None:
    world = scanned_copy / "twin" / "world.json"
    world.write_bytes(world.read_bytes()[:100])
    check_explained(rig, "calibrate", "--lab", scanned_copy, words=(str(world), "Delete it"))


@pytest.fixture
def scanned_copy(tiny_lab: Path, rig: Rig) -> Path:
    """A lab of one's own with a scan of tray 1."""
    run_well("scan", "--tray", 1, "--no-identify", "--lab", tiny_lab)
    return tiny_lab


def test_a_limit_on_memory_is_named_before_native_code_dies_of_it(empty_lab: Path) -> None:
    limit = partial(resource.setrlimit, resource.RLIMIT_AS, (900_000_000, resource.RLIM_INFINITY))
    ran = run("status", "--lab", empty_lab, before=limit)
    assert (ran.code, "`ulimit -v`" in ran.err, "0.9 GB" in ran.err) == (1, True, True), ran.err


def test_a_lock_that_another_program_holds_is_no_damage(empty_lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.01)
    with closing(sqlite3.connect(empty_lab / "store" / "index.sqlite", isolation_level=None)) as index:
        index.execute("PRAGMA locking_mode = EXCLUSIVE")
        index.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="another process has held it") as caught:
            Store.open(empty_lab / "store", writing=False).frames.find()
        assert "rebuild" not in str(caught.value)


def test_a_writer_does_not_blame_itself(empty_lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.01)
    with (
        Store.open(empty_lab / "store") as store,
        closing(sqlite3.connect(empty_lab / "store" / "index.sqlite", isolation_level=None)) as index,
    ):
        index.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program: a backup or an SQLite browser") as caught:
            store.coins.add("2024.1.1")
        assert f"pid {os.getpid()}" not in str(caught.value)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EMFILE])
def test_what_the_machine_is_out_of_is_named_with_the_file(
    empty_lab: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(descriptor: int, kind: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(StoreError) as caught:
        Store.open(empty_lab / "store")
    assert "writers.lock" in str(caught.value) and os.strerror(code) in str(caught.value)
    assert ("locks" if code == errno.ENOLCK else "ulimit -n") in str(caught.value)
