"""Damaged records, journals and rows: what is whole is read, and whatever else is wrong is a `StoreError`."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from calibration.durable_files import canonical_json, hash_bytes
from capture.store import Store, StoreError
from capture.store.files import seal
from capture.store.journal_lines import JournalLine
from capture.store.record_kinds import KINDS
from capture.store.repair import restore_rows
from tests.mutations import mutate

RUBBISH = (None, -1, 1 << 70, 0.5, "", "\ud800", "x" * 300, [], {}, {"a": [1]}, True, "2024.1.1", "obverse")
JSON_COLUMNS = {"session": ("tray", "plan", "devices"), "frame": ("camera", "quality"), "event": ("detail",)}


def change(content: Any, chance: random.Random) -> Any:
    """Put rubbish somewhere into what a record says, or leave something out."""
    if isinstance(content, dict) and content and chance.random() < 0.85:
        key = chance.choice(sorted(content))
        if chance.random() < 0.15:
            return {name: value for name, value in content.items() if name != key}
        return {**content, key: change(content[key], chance)}
    if isinstance(content, list) and content and chance.random() < 0.7:
        at = chance.randrange(len(content))
        return [*content[:at], change(content[at], chance), *content[at + 1 :]]
    return chance.choice(RUBBISH)


def seal_anything(content: Any) -> bytes:
    """A record with the right checksum, whatever it says."""
    text = canonical_json(content)
    return canonical_json({"content": content, "sha256": hash_bytes(text.encode())}).encode()


def test_damaged_records_are_refused_and_the_others_restored(filled: Path, fuzz_rounds: int) -> None:
    """As bytes, and with a right checksum over rubbish: whoever makes it up knows how."""
    chance = random.Random(1)
    with Store.open(filled) as store:
        paths = {path: path.read_bytes() for kind in KINDS for _, path in store.storage.files.all_records(kind.name)}
        for _ in range(fuzz_rounds):
            path = chance.choice(sorted(paths))
            whole = paths[path]
            if chance.random() < 0.5:
                path.chmod(0o644)
                path.write_bytes(mutate(whole, chance))
                with suppress(StoreError):
                    assert isinstance(store.storage.files.read_record(path), dict)
            else:
                path.chmod(0o644)
                path.write_bytes(seal_anything(change(json.loads(whole)["content"], chance)))
            with store.storage.database.write() as connection:
                connection.execute("PRAGMA defer_foreign_keys = ON")
                for table in ("match", "embedding", "deletion", "frame", "entry", "finished", "model"):
                    with suppress(sqlite3.OperationalError):
                        connection.execute(f"DELETE FROM {table}")
            restored = restore_rows(store.storage, set_aside=False)
            assert all("\n" not in line for line in restored.unfit + restored.unreadable)
            path.write_bytes(whole)
        restore_rows(store.storage, set_aside=False)


def test_damaged_lines_of_the_journal_are_passed_over(filled: Path, fuzz_rounds: int) -> None:
    chance = random.Random(2)
    (path,) = (filled / "records" / "journal").glob("*.jsonl")
    whole = path.read_bytes()
    line = json.loads(whole.splitlines()[-1])["content"]
    with Store.open(filled) as store:
        before = store.journal.on_disk()
        for _ in range(fuzz_rounds):
            path.write_bytes(mutate(whole, chance))
            assert all(before.get(number) == line for number, line in store.journal.on_disk().items())
            made_up = change({**line, "number": 10_000}, chance)
            with suppress(ValueError, RecursionError):
                path.write_bytes(whole + (seal(made_up) if isinstance(made_up, dict) else "").encode() + b"\n")
            try:
                store.journal.restore_rows()
                store.journal.lines(JournalLine)
            except StoreError:
                pass
            with store.storage.database.write() as connection:
                connection.execute("DELETE FROM event WHERE id > ?", (max(before),))
        path.write_bytes(whole)


def test_damaged_rows_are_a_store_error_and_verify_names_them(filled: Path, fuzz_rounds: int) -> None:
    chance = random.Random(3)
    for _ in range(fuzz_rounds):
        table = chance.choice(sorted(JSON_COLUMNS))
        column = chance.choice(JSON_COLUMNS[table])
        with closing(sqlite3.connect(filled / "index.sqlite")) as index:
            rows = index.execute(f"SELECT rowid, {column} FROM {table} WHERE {column} NOT NULL").fetchall()
            row, value = chance.choice(rows)
            broken = mutate(value.encode(), chance).decode(errors="replace")
            with index:
                index.execute("DROP INDEX IF EXISTS event_coin")
                index.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (broken, row))
        with Store.open(filled, writing=False) as store:
            for ask in (store.frames.find, store.sessions.find, lambda: store.journal.lines(JournalLine)):
                with suppress(StoreError):
                    ask()  # type: ignore[operator]
            problems = store.verify()
        assert problems or broken == value or json.loads(broken) == json.loads(value)
        with closing(sqlite3.connect(filled / "index.sqlite")) as index, index:
            index.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))


def test_a_damaged_index_is_a_store_error(filled: Path, tmp_path: Path, fuzz_rounds: int) -> None:
    chance = random.Random(4)
    whole = (filled / "index.sqlite").read_bytes()
    copy = tmp_path / "copy"
    shutil.copytree(filled, copy)
    for _ in range(fuzz_rounds):
        for suffix in ("-wal", "-shm"):
            (copy / f"index.sqlite{suffix}").unlink(missing_ok=True)
        (copy / "index.sqlite").write_bytes(mutate(whole, chance))
        with suppress(StoreError), Store.open(copy, writing=False) as store:
            store.verify()
            store.frames.find()
