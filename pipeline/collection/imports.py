"""`rig import`: hand-held photographs into the store, with their labels."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.image import IMAGE_SUFFIXES, ImageError, decode_image
from calibration.outline import NoCoinError, find_coin
from capture.store import Store
from capture.store.records import Photograph
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.reporter import Reporter
from rig.sides import Side

# Other people's label files call the same things by these names.
COLUMNS = {
    "file": ("file", "path", "image", "filename"),
    "coin": ("coin", "coin_id", "label"),
    "side": ("side",),
    "type": ("type", "denomination", "rrc"),
    "session": ("session", "placement"),
}
SIDES: dict[str, Side] = {"obverse": "obverse", "obv": "obverse", "reverse": "reverse", "rev": "reverse"}
_BATCH = 64


@dataclass(frozen=True)
class Label:
    """One photograph and what its label file has on it."""

    path: Path
    coin: str
    side: Side | None = None
    type: str | None = None
    session: str = "1"


@dataclass(frozen=True)
class Imported:
    """What `import_directory` did, or would do. Photographs on which no coin is found are kept, in quarantine."""

    photographs: int
    coins: int
    sessions: int
    known: int
    quarantined: int
    refused: tuple[str, ...]
    is_dry_run: bool

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "photographs": self.photographs,
            "coins": self.coins,
            "sessions": self.sessions,
            "known": self.known,
            "quarantined": self.quarantined,
            "refused": self.refused,
        }


def import_directory(lab: Lab, directory: Path, labels: Path | None, reporter: Reporter, *, dry_run: bool) -> Imported:
    """Import a folder; its name becomes the session's.

    Raises
    ------
    UsageError
        If `directory` is no folder or holds no photographs.
    LabError
        If the label file is wrong; nothing is imported then.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a folder. Name the folder that holds the photographs.")
    found = read_labels(labels) if labels else label_by_name(directory)
    if not found:
        raise UsageError(
            f"{directory} holds no photographs (JPEG, PNG, TIFF, WebP, JPEG XL). Name the folder they are in."
        )
    refused: list[str] = []
    waiting: list[Photograph] = []
    count: Counter[str] = Counter()
    coins: set[str] = set()
    sessions: set[str] = set()
    name = directory.resolve().name
    with Store.open(lab.store) as store, reporter.progress("Importing photographs") as progress:
        progress(0, len(found))
        past = store.sessions("import", name)
        session = past[-1] if past else None
        known = {frame.source for frame in store.frames(session.id, good=None)} if session else set()
        for number, label in enumerate(found, 1):
            source = _source(label.path, directory)
            if source in known:
                count["known"] += 1
            else:
                try:
                    waiting.append(_photograph(label, source))
                except (ImageError, OSError) as error:
                    refused.append(str(error))
                else:
                    coins.add(label.coin)
                    sessions.add(label.session)
            if waiting and (len(waiting) >= _BATCH or number == len(found)):
                count["photographs"] += len(waiting)
                count["quarantined"] += sum(photo.quarantine_reason is not None for photo in waiting)
                if not dry_run:
                    session = session or store.begin_import(name)
                    store.add_photographs(session.id, waiting)
                waiting = []
            progress(number, len(found))
        if session and not dry_run:
            store.finish_session(session.id)
    return Imported(
        photographs=count["photographs"],
        coins=len(coins),
        sessions=len(sessions),
        known=count["known"],
        quarantined=count["quarantined"],
        refused=tuple(refused),
        is_dry_run=dry_run,
    )


def read_labels(path: Path) -> list[Label]:
    """Read a label file: a CSV with a header; see `COLUMNS`. File names are relative to it.

    Raises
    ------
    LabError
        Naming the line, if a column, a coin or a file is missing, or a side is neither obverse nor reverse.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabError(f"{path} cannot be read as a CSV file: {error}. Save the labels as CSV in UTF-8.") from error
    if not rows:
        raise LabError(f"{path} has no lines below its header. It needs the columns file and coin.")
    names = {key.strip().lower(): key for key in rows[0] if key}
    column = {word: next((names[name] for name in also if name in names), None) for word, also in COLUMNS.items()}
    for word in ("file", "coin"):
        if column[word] is None:
            raise LabError(
                f"{path}, line 1: there is no column {word!r} (or {', '.join(COLUMNS[word][1:])}); "
                f"found: {', '.join(names) or 'none'}. Name the columns in the first line."
            )

    def value(row: dict[str, str], word: str) -> str:
        key = column[word]
        return (row.get(key) or "").strip() if key else ""

    labels = []
    for line, row in enumerate(rows, 2):
        file, coin, side = value(row, "file"), value(row, "coin"), value(row, "side").lower()
        if not file or not coin:
            raise LabError(f"{path}, line {line}: file and coin must both be given. Nothing was imported.")
        if side and side not in SIDES:
            raise LabError(f"{path}, line {line}: side is {side!r}. Give obverse or reverse. Nothing was imported.")
        labels.append(
            Label(path.parent / file, coin, SIDES.get(side), value(row, "type") or None, value(row, "session") or "1")
        )
    return labels


def label_by_name(directory: Path) -> list[Label]:
    """Without a label file: the coin is the photograph's folder, or its name without ``_obv`` or ``_rev``."""
    labels = []
    for path in sorted(directory.rglob("*")):
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        stem, _, ending = path.stem.rpartition("_")
        side = SIDES.get(ending.lower()) if stem else None
        if path.parent != directory:
            coin = path.parent.relative_to(directory).as_posix()
        else:
            coin = stem if side else path.stem
        labels.append(Label(path, coin, side))
    return labels


def _photograph(label: Label, source: str) -> Photograph:
    data = label.path.read_bytes()
    image = decode_image(data, str(label.path))
    quality: dict[str, float] = {}
    reason = None
    try:
        outline = find_coin(image)
    except NoCoinError:
        reason = "no coin"
    else:
        quality = {"coin_radius_px": outline.radius_px, "outline_confidence": outline.confidence}
    return Photograph(
        label.coin,
        data,
        source,
        label.side,
        placement=label.session,
        type=label.type,
        quality=quality,
        quarantine_reason=reason,
    )


def _source(path: Path, directory: Path) -> str:
    resolved = path.resolve()
    return (
        resolved.relative_to(directory.resolve()).as_posix()
        if resolved.is_relative_to(directory.resolve())
        else str(path)
    )
