"""`rig import`: hand-held photographs into the store, with their labels.

A photograph is known by its bytes: the same ones are not imported twice, whatever they are called; another photograph
under a name that is known already is another one. A label that was corrected since counts from then on, and the journal
keeps the former; where two folders label one photograph differently, nothing is changed, and it is reported.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from calibration.decoding import count_pages
from calibration.durable_files import hash_bytes
from calibration.image import ImageError, decode_image, read_image_bytes
from capture.names import printable
from capture.quality import check_photograph
from capture.store import Store
from capture.store.journal_lines import FramesRelabelled
from capture.store.labels import Labels
from capture.store.records import Photograph
from pipeline.collection.labels import Label, Labelled, label_by_name, read_labels
from pipeline.errors import UsageError
from pipeline.lab import Lab
from pipeline.people import name_of_user
from pipeline.reporter import Reporter

_BATCH = 64
_MOST_NAMES = 3  # of photographs that are reported, before they are counted only


@dataclass(frozen=True)
class Imported:
    """What `import_directory` did, or would do.

    Attributes
    ----------
    known
        Photographs whose very bytes were there already.
    relabelled
        Those of them whose label was corrected: what they show now, by file.
    quarantined
        Photographs that failed a check: they are kept, and never train; `failures` says which check, by file.
    refused
        Why files could not be taken, a sentence each.
    skipped
        Files of the folder that are no photographs.
    copies
        Photographs left out because another of this import has the same bytes: which, by file.
    more_pages
        Files of several pages, of which the first was taken: how many they have.
    several
        Photographs of several coins, which one name cannot label: the box of each coin (left, top, right, bottom), by
        file.
    """

    photographs: int
    coins: int
    sessions: int
    known: int
    quarantined: int
    refused: tuple[str, ...]
    is_dry_run: bool
    failures: dict[str, str] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    relabelled: dict[str, str] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)
    more_pages: dict[str, int] = field(default_factory=dict)
    several: dict[str, list[list[int]]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "photographs": self.photographs,
            "coins": self.coins,
            "sessions": self.sessions,
            "known": self.known,
            "relabelled": self.relabelled,
            "quarantined": self.quarantined,
            "failures": self.failures,
            "refused": self.refused,
            "skipped": self.skipped,
            "copies": self.copies,
            "more_pages": self.more_pages,
            "several": self.several,
        }


def import_directory(lab: Lab, directory: Path, labels: Path | None, reporter: Reporter, *, dry_run: bool) -> Imported:
    """Import a folder; its name becomes the session's.

    Raises
    ------
    UsageError
        If `directory` is no folder or holds no photographs.
    LabError
        If the label table is wrong; nothing is imported then.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a folder. Name the folder that holds the photographs.")
    labelled = read_labels(labels) if labels else label_by_name(directory)
    if not labelled.labels and labelled.skipped:
        raise UsageError(f"{directory} holds no photograph that can be used: {' '.join(labelled.skipped)}")
    if not labelled.labels:
        raise UsageError(
            f"{directory} holds no photographs (JPEG, PNG, TIFF, WebP, HEIC, raw, JPEG XL). "
            "Name the folder they are in."
        )
    with Store.open(lab.store) as store, reporter.progress("Importing photographs") as progress:
        progress(0, len(labelled.labels))
        run = _Run(store, directory, dry_run)
        waiting = iter(enumerate(labelled.labels, 1))
        while batch := list(islice(waiting, _BATCH)):
            run.take([label for _, label in batch])
            progress(batch[-1][0], len(labelled.labels))
        run.finish(reporter)
    return run.result(labelled)


class _Run:
    """One import under way: what is known, what was taken, and the session that it goes into."""

    def __init__(self, store: Store, directory: Path, dry_run: bool) -> None:
        self._store, self._directory, self._dry_run = store, directory, dry_run
        self._name = printable(directory.resolve().name) or "photographs"
        past = store.sessions.find("import", self._name)
        frames = [
            frame for session in store.sessions.find("import") for frame in store.frames.find(session.id, good=None)
        ]
        self._known = {frame.sha256: frame for frame in reversed(frames)}
        self._new_hashes: dict[str, Label] = {}
        self._labels = Labels.read(store)
        self._types = store.coins.types()
        self._names = {session.id: session.name for session in store.sessions.find("import")}
        self._session = past[-1] if past else None
        own = [frame for frame in frames if self._session and frame.session_id == self._session.id]
        self._sources = {frame.source: frame.id for frame in own}
        self._count: Counter[str] = Counter()
        self._coins: set[str] = set()
        self._sessions: set[str] = set()
        self._refused: list[str] = []
        self._failures: dict[str, str] = {}
        self._relabelled: dict[str, str] = {}
        self._same_names: dict[str, str] = {}
        self._copies: dict[str, str] = {}
        self._more_pages: dict[str, int] = {}
        self._several: dict[str, list[list[int]]] = {}

    def take(self, labels: list[Label]) -> None:
        """Check some photographs, and store those that are new."""
        new = list(self._new(labels))
        self._count["photographs"] += len(new)
        if not new or self._dry_run:
            return
        same = {photo.source: self._sources[photo.source] for photo in new if photo.source in self._sources}
        self._same_names |= same
        if self._session is None or same:
            self._session = self._store.sessions.begin_import(self._name)  # of another card or folder of that name
            self._sources = {}
        stored = self._store.frames.add_photographs(self._session.id, new)
        self._sources |= {frame.source: frame.id for frame in stored}

    def finish(self, reporter: Reporter) -> None:
        """Close the session, and report what bears a name that was there."""
        for source, frame_id in list(self._same_names.items())[:_MOST_NAMES]:
            reporter.report(
                f"{source}: another photograph of this name was imported from a folder {self._name} before. Both are "
                f"kept; if the new one corrects it: rig store delete --frame {frame_id} --why ..."
            )
        if len(self._same_names) > _MOST_NAMES:
            reporter.report(f"And {len(self._same_names) - _MOST_NAMES} more of this kind.")
        if self._session is not None and not self._dry_run:
            self._store.sessions.finish(self._session.id)

    def result(self, labelled: Labelled) -> Imported:
        """What it came to."""
        return Imported(
            photographs=self._count["photographs"],
            coins=len(self._coins),
            sessions=len(self._sessions),
            known=self._count["known"],
            quarantined=len(self._failures),
            refused=tuple(self._refused),
            is_dry_run=self._dry_run,
            failures=self._failures,
            skipped=labelled.skipped,
            relabelled=self._relabelled,
            copies=self._copies,
            more_pages=self._more_pages,
            several=self._several,
        )

    def _new(self, labels: list[Label]) -> Iterator[Photograph]:
        for label in labels:
            source = _source(label.path, self._directory)
            try:
                data = read_image_bytes(label.path)
                sha256 = hash_bytes(data)
                if sha256 in self._new_hashes:
                    self._leave_out_copy(label, source, self._new_hashes[sha256])
                    continue
                if sha256 in self._known:
                    self._count["known"] += 1
                    self._compare_label(label, source, sha256)
                    continue
                photograph = _photograph(label, source, data)
            except ImageError as error:
                self._refused.append(printable(str(error)))
            else:
                self._new_hashes[sha256] = label
                self._coins.add(label.coin)
                self._sessions.add(label.session)
                if boxes := photograph.quality.get("boxes"):
                    self._several[source] = boxes
                if photograph.quarantine_reasons:
                    self._failures[source] = ", ".join(photograph.quarantine_reasons)
                pages = count_pages(data)
                if pages > 1:
                    self._more_pages[source] = pages
                yield photograph

    def _leave_out_copy(self, label: Label, source: str, first: Label) -> None:
        """Leave out what has the bytes of another photograph of this import; report a contradiction."""
        if (first.coin, first.side) == (label.coin, label.side):
            self._copies[source] = _source(first.path, self._directory)
        else:
            self._refused.append(
                f"{printable(str(label.path))} is the same photograph as {printable(str(first.path))}, of coin "
                f"{first.coin}: it was not imported. If both names are right, they are one coin."
            )

    def _compare_label(self, label: Label, source: str, sha256: str) -> None:
        """Apply what a table says of a known photograph if it was corrected; report a contradiction."""
        frame = self._labels.by_table(self._known[sha256])
        now = (label.coin, label.side or frame.side, label.session if label.is_from_table else frame.placement)
        if now == (frame.coin_id, frame.side, frame.placement):
            self._correct_type(label)
            return
        name = self._names[frame.session_id]
        if (name, frame.source) != (self._name, source):
            (current,) = self._labels.apply([frame])
            if label.coin != current.coin_id:
                self._refused.append(
                    f"{printable(str(label.path))} was imported from {name} as coin {current.coin_id}, not "
                    f"{label.coin}: nothing was changed. If that was wrong: rig label {label.coin} --frame {frame.id}"
                )
            return
        was = f"{frame.coin_id} {frame.side or ''}".strip()
        self._relabelled[source] = f"{label.coin} {now[1] or ''}".strip()
        if not self._dry_run:
            self._store.coins.add(label.coin, label.type)
            self._store.journal.log(
                FramesRelabelled(
                    frames=(frame.id,),
                    coin=label.coin,
                    side=now[1],
                    was=(was,),
                    table=self._name,
                    placement=now[2],
                    who=name_of_user(),
                    why="the label table was corrected",
                )
            )

    def _correct_type(self, label: Label) -> None:
        if label.type is not None and label.type != self._types.get(label.coin) and not self._dry_run:
            self._store.coins.add(label.coin, label.type)


def _photograph(label: Label, source: str, data: bytes) -> Photograph:
    quality = check_photograph(decode_image(data, str(label.path)))
    found = quality.outline
    metrics = {"coin_radius_px": found.radius_px, "outline_confidence": found.confidence} if found else {}
    return Photograph(
        label.coin,
        data,
        source,
        label.side,
        placement=label.session,
        type=label.type,
        quality=quality.metrics | metrics,
        quarantine_reasons=quality.reasons,
    )


def _source(path: Path, directory: Path) -> str:
    resolved, folder = Path(os.path.realpath(path)), directory.resolve()  # realpath: a link may lead to itself
    source = resolved.relative_to(folder).as_posix() if resolved.is_relative_to(folder) else str(path)
    return printable(source)
