"""What an interrupted process left behind, put right or set aside when the store is next opened for writing.

A frame whose record is there but whose row is missing was taken: its row is made. Images without a record were never
stored, and their shot will be taken again; they are moved to ``leftovers/``, never deleted. What cannot be read is left
where it is, for a person to restore.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from capture.store.deletion import finish_deletions
from capture.store.errors import StoreError
from capture.store.files import Content
from capture.store.journal import Journal
from capture.store.record_kinds import FRAME, KINDS
from capture.store.transaction import BATCH, RecordKind, Storage, Transaction
from capture.wording import count, was

_NUMBERED = ("session", "frame", "entry", "lot", "model", "match", "deletion")

_UNFIT = (
    KeyError,
    TypeError,
    AttributeError,
    ValueError,
    OverflowError,
    FileNotFoundError,
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    StoreError,
)
"""What making rows fails with where a record contradicts the index, or is no record of something that was stored."""

Progress = Callable[[int, int], None]


@dataclass
class Restored:
    """What became of records without rows: how many of each kind have rows now, and sentences on the others."""

    counts: dict[str, int] = field(default_factory=dict)
    unfit: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def repair(storage: Storage) -> list[str]:
    """Put right what can be, set aside the rest, and return what was done, a sentence each.

    Only for a writer that is alone: what another is just writing would look like a leftover.
    """
    files = storage.files
    done = []
    for path in files.temporary.iterdir():
        if path.is_dir():
            done.append(f"the folder {path} is none of the store's and is set aside: {files.set_aside(path)}.")
        else:
            path.unlink()
            done.append(f"{path.name} was only half written and is removed.")
    restored = restore_rows(storage)
    for kind, number in restored.counts.items():
        is_ = "is" if number == 1 else "are"
        done.append(f"{count(number, f'{kind} record')} {was(number)} whole and {is_} in the index again.")
    done += restored.unfit + restored.unreadable
    deleted = finish_deletions(storage)
    if deleted:
        done.append(f"a deletion of {count(deleted, 'frame')} was interrupted and is finished.")
    written = write_missing_records(storage)
    if written:
        records = count(written, "record")
        done.append(f"{records} {was(written)} written that the index had and the files lacked.")
    indexed = {row["sha256"] for row in storage.read("SELECT sha256 FROM file")}
    for sha256, path in files.all_files():
        if sha256 not in indexed:
            files.set_aside(path)
            done.append(f"image {sha256[:12]} belonged to no stored frame and is set aside.")
    return done


def lacks_records(storage: Storage) -> bool:
    """Whether the index was never compared with the files: an earlier version made it, or making it was interrupted."""
    rows = storage.read("SELECT has_all_records FROM sequence")
    return not rows or not rows[0]["has_all_records"]


def restore_rows(storage: Storage, progress: Progress = lambda done, total: None, set_aside: bool = True) -> Restored:
    """Make the rows of records that have none, and of the journal's lines.

    Parameters
    ----------
    set_aside
        Set records aside that contradict what is in the index; else they are left where they are.
    """
    restored = Restored()
    waiting = {kind.name: _without_rows(storage, kind) for kind in KINDS}
    total = sum(map(len, waiting.values()))
    done = 0
    for kind in KINDS:
        unnumbered = []
        for names in _batches(waiting[kind.name]):
            unnumbered += _restore(storage, kind, names, restored, set_aside)
            done += len(names)
            progress(done, total)
        for names in _batches(name for _, name in sorted(unnumbered)):
            _restore(storage, kind, names, restored, set_aside, number=True)
    with storage.rows_alone() as transaction:
        _restore_slots(transaction)
        highest = " UNION ALL ".join(f"SELECT max(number) AS number FROM {table}" for table in _NUMBERED)
        transaction.execute(f"UPDATE sequence SET last = max(last, (SELECT coalesce(max(number), 0) FROM ({highest})))")
    lines = Journal(storage).restore_rows()
    if lines:
        restored.counts["journal"] = lines
    return restored


def write_missing_records(storage: Storage) -> int:
    """Write the records of rows that have none; return how many. The first time, those of an earlier form, too."""
    compare = lacks_records(storage)
    written = 0
    for kind in KINDS:
        missing = (
            (name, content)
            for name, content in kind.contents(storage.read)
            if _must_write(storage, kind, name, content, compare)
        )
        while batch := dict(islice(missing, BATCH)):
            storage.files.keep_records(kind.name, batch)
            written += len(batch)
    if compare:
        written += Journal(storage).write_missing_lines()
        with storage.rows_alone() as transaction:
            transaction.execute("UPDATE sequence SET has_all_records = 1")
    return written


def _must_write(storage: Storage, kind: RecordKind, name: str, content: Content, compare: bool) -> bool:
    path = storage.files.record_path(kind.name, name)
    if not path.exists():
        return True
    if not compare:
        return False
    try:
        return storage.files.read_record(path) != content
    except StoreError:
        return False  # damaged: `verify` names it; it is not for us to decide that the row is right


def _without_rows(storage: Storage, kind: RecordKind) -> list[str]:
    """Names of the records that the index does not have, or has otherwise."""
    records = storage.files.all_records(kind.name)
    if not kind.is_state:
        known_names = kind.names(storage.read)
        return [name for name, _ in records if name not in known_names]
    known = dict(kind.contents(storage.read))
    changed = []
    for name, path in records:
        try:
            content = storage.files.read_record(path)
        except StoreError:
            continue  # `verify` names it, and the store can be used without
        if content != known.get(name, {"at": None}):
            changed.append(name)
    return changed


def _restore(
    storage: Storage, kind: RecordKind, names: list[str], restored: Restored, set_aside: bool, number: bool = False
) -> list[tuple[str, str]]:
    """Make the rows of some records in one transaction.

    Returns
    -------
    list
        Time and name of those of version 0.1, which have no number: left for later unless they are to be numbered now.
    """
    unnumbered = []
    with storage.rows_alone() as transaction:
        for name in names:
            path = storage.files.record_path(kind.name, name)
            try:
                content = storage.files.read_record(path)
            except StoreError as error:
                restored.unreadable.append(str(error))
                continue
            if kind is FRAME and _is_deleted(transaction, name):
                continue
            row = content.get("row")
            if kind.time is not None and isinstance(row, dict) and "number" not in row:
                if not number:
                    unnumbered.append((str(row.get(kind.time, "")), name))
                    continue
                row["number"] = transaction.number()
            transaction.execute("SAVEPOINT one")
            try:
                kind.insert(transaction, name, content)
            except _UNFIT as error:
                transaction.execute("ROLLBACK TO one")
                what = f"the record of {kind.name} {name} does not fit what else is stored ({error})"
                if set_aside:
                    storage.files.set_aside(path)
                    what += " and is set aside"
                restored.unfit.append(f"{what}.")
            else:
                restored.counts[kind.name] = restored.counts.get(kind.name, 0) + 1
            transaction.execute("RELEASE one")
    return unnumbered


def _is_deleted(transaction: Transaction, name: str) -> bool:
    sql = "SELECT 1 FROM deletion WHERE frame_id = ?"
    return transaction.execute(sql, (name.split("/")[-1],)).fetchone() is not None


def _restore_slots(transaction: Transaction) -> None:
    """Let slots be what the latest session of each tray says: sessions may have been restored in another order."""
    transaction.execute("DELETE FROM slot")
    transaction.execute(
        "INSERT INTO slot (tray_id, number, coin_id) SELECT session.name, cast(each.key AS INTEGER), each.value "
        "FROM session, json_each(session.tray, '$.slots') AS each WHERE session.number = "
        "(SELECT max(number) FROM session AS latest WHERE latest.kind = 'scan' AND latest.name = session.name)"
    )


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(names)
    while batch := list(islice(remaining, BATCH)):
        yield batch
