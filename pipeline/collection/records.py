"""`rig catalogue add` of records: tables, JSON, IIIF, JSON-LD, each checked as a whole before anything is added."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from calibration.durable_files import hash_bytes, hash_file, parse_json
from capture.names import NameProblem, clean_name, printable
from capture.store import Store
from capture.store.journal_lines import EntriesReplaced
from capture.store.lot_details import LotDetails
from capture.store.lots import Lot, NewLot
from capture.store.records import NewEntry
from pipeline.collection.additions import Addition, plan_additions
from pipeline.collection.catalogue import AddedEntries
from pipeline.collection.catalogue_images import ReadEntries, read_entries
from pipeline.collection.source_images import ImageProblem, SourceImages, find_by_coin
from pipeline.collection.sources.columns import ColumnMapping, read_mapping
from pipeline.collection.sources.downloads import download, is_address
from pipeline.collection.sources.linked_records import is_linked, read_linked
from pipeline.collection.sources.lots import SourceLot, SourceLots, plain_coin
from pipeline.collection.sources.manifests import is_manifest, read_manifest
from pipeline.collection.sources.tables import read_json, read_lots_json, read_lots_table
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.reporter import Reporter

RECORD_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".xls", ".json", ".jsonld")
_BATCH = 64  # coins to a transaction
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")


@dataclass(frozen=True)
class AddOptions:
    """How records are added.

    Attributes
    ----------
    sale
        What the sale is called, whatever the records say; without it as they say, else as their file.
    mapping
        A mapping file (`ColumnMapping`).
    replace
        Whether images that contradict what is stored take its place.
    dry_run
        Check everything, and change nothing.
    skip_wrong
        Add the rest where some records are wrong; else nothing is added.
    by_reference
        Leave images that are files where they are, and link to them; what was downloaded is copied.
    """

    sale: str | None = None
    mapping: Path | None = None
    replace: bool = False
    dry_run: bool = False
    skip_wrong: bool = False
    by_reference: bool = False


@dataclass(frozen=True)
class AddedRecords:
    """What `add_records` did, or would do.

    Attributes
    ----------
    records, corrected, unchanged
        Of how many coins something is stated now that was not before; something else than before; the same.
    images
        What came, or would come, of their images. Refused are records: why, a sentence each, naming the line.
    is_added
        Whether the catalogue was changed: not on a dry run, nor where records are wrong and were not to be skipped.
    """

    records: int
    corrected: int
    unchanged: int
    images: AddedEntries
    sales: tuple[str, ...]
    notes: tuple[str, ...]
    is_dry_run: bool
    is_added: bool

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            **self.images.as_json(),
            "records": self.records,
            "corrected": self.corrected,
            "unchanged": self.unchanged,
            "sales": self.sales,
            "notes": self.notes,
            "added": self.is_added,
        }


@dataclass
class _Planned:
    """A coin as it will be added: its record and what is stated of it, and its new images."""

    lot: SourceLot
    sale: str
    coin: str
    details: NewLot | None
    is_corrected: bool
    new: list[Addition] = field(default_factory=list)


def holds_records(source: str) -> bool:
    """Whether something is added as records: a table, JSON, or an address."""
    return is_address(source) or (Path(source).suffix.lower() in RECORD_SUFFIXES and not Path(source).is_dir())


def add_records(lab: Lab, source: str, reporter: Reporter, options: AddOptions) -> AddedRecords:
    """Add the records of a table, a JSON file, a IIIF manifest or JSON-LD, and their images.

    Raises
    ------
    LabError
        If the source cannot be read or understood.
    """
    mapping = read_mapping(options.mapping)
    with reporter.step("Reading the records"):
        read = _read_source(source, mapping)
    wrong = list(read.lots.wrong)
    with Store.open(lab.store) as store, read.images as images:
        with reporter.step("Fetching the images"):
            images.fetch(read.lots.lots)
        run = _Run(store, options, read, wrong)
        for sale, lots in _by_sale(read, options.sale).items():
            run.plan(sale, lots, images)
        checked = run.check(reporter)
        is_added = not options.dry_run and (not wrong or options.skip_wrong)
        if is_added:
            run.write(checked, reporter)
    return run.result(is_added)


@dataclass(frozen=True)
class _Source:
    lots: SourceLots
    images: SourceImages
    name: str
    sha256: str
    stem: str


def _read_source(source: str, mapping: ColumnMapping) -> _Source:
    if is_address(source):
        data = download(source)
        try:
            document = parse_json(data.decode("utf-8-sig"))
        except ValueError as error:
            raise LabError(f"{source} is no JSON, and so no IIIF manifest. Download the file and add that.") from error
        if is_manifest(document):
            lots = read_manifest(document, mapping)
        elif is_linked(document):
            lots = read_linked(document)
        else:
            raise LabError(f"{source} is neither a IIIF manifest nor JSON-LD. Download the file and add that.")
        return _Source(lots, SourceImages(Path()), printable(source), hash_bytes(data), _last(source))
    path = Path(source)
    folder = path.parent / mapping.images if mapping.images else path.parent
    base = None
    if path.suffix.lower() in (".json", ".jsonld"):
        document = read_json(path)
        if is_manifest(document):
            base = str(document.get("id") or document.get("@id") or "").rpartition("/")[0] + "/"
            lots = read_manifest(document, mapping)
        elif is_linked(document):
            lots = read_linked(document)
        else:
            lots = read_lots_json(path, document, mapping)
    else:
        lots = read_lots_table(path, mapping)
    return _Source(lots, SourceImages(folder, base), printable(path.name), hash_file(path), path.stem)


def _last(address: str) -> str:
    """The telling part of an address: that of the folder where its last part is called manifest."""
    parts = [part for part in address.partition("?")[0].split("/") if part]
    telling = [part for part in parts[2:] if not part.lower().startswith("manifest")]
    return telling[-1] if telling else parts[1]


def _by_sale(read: _Source, sale: str | None) -> dict[str, list[SourceLot]]:
    sales: dict[str, list[SourceLot]] = {}
    for lot in read.lots.lots:
        try:
            name = clean_name(sale) if sale is not None else lot.sale or clean_name(read.stem)
        except NameProblem as problem:
            raise UsageError(f"the name of the sale {problem} Give one with --sale NAME.") from problem
        sales.setdefault(name, []).append(lot)
    return sales


class _Run:
    """One addition under way."""

    def __init__(self, store: Store, options: AddOptions, source: _Source, wrong: list[str]) -> None:
        self._store, self._options, self._source, self._wrong = store, options, source, wrong
        self._planned: list[_Planned] = []
        self._known = 0
        self._unchanged = 0
        self._renamed: dict[str, str] = {}
        self._sales: list[str] = []
        self._known_files: dict[str, Path] = {}

    def plan(self, sale: str, lots: Sequence[SourceLot], images: SourceImages) -> None:
        """Compare the records of a sale with what the catalogue has of it."""
        self._sales.append(sale)
        stored = self._store.catalogue.entries(sale=sale)
        by_name = {plain_coin(entry.coin_id.removeprefix(f"{sale}, ")): entry.coin_id for entry in stored}
        additions: list[Addition] = []
        usable: list[SourceLot] = []
        names: dict[str, str] = {}
        for lot in lots:
            try:
                shown = images.find(lot)
            except ImageProblem as problem:
                self._wrong.append(printable(f"{lot.where}: {problem}"))
                continue
            if not shown:
                if (coin := find_by_coin(lot, by_name)) is None:
                    self._wrong.append(
                        f"{lot.where}: {lot.coin} has no image, neither here nor in the sale {sale} of the catalogue. "
                        "Add a column `image`, or add the images first."
                    )
                    continue
                names[lot.coin] = coin
            additions += shown
            usable.append(lot)
        plan = plan_additions(self._store, sale, additions, replace=self._options.replace)
        self._wrong += plan.refused
        self._known += plan.known
        self._known_files |= {sha256: path for sha256, path in plan.files.items() if not images.is_downloaded(path)}
        self._renamed |= plan.renamed
        latest = {lot.coin_id: lot for lot in self._store.catalogue.lots(sale)}
        for lot in usable:
            coin = names.get(lot.coin) or plan.renamed.get(lot.coin, lot.coin)
            if {lot.coin, coin} & plan.left_out:
                continue
            stated = self._compare(lot, sale, coin, latest.get(coin))
            self._unchanged += stated is None
            planned = _Planned(lot, sale, coin, stated, coin in latest)
            planned.new = [each for each in plan.new if each.coin == coin] if lot.images or coin not in names else []
            self._planned.append(planned)

    def _compare(self, lot: SourceLot, sale: str, coin: str, former: Lot | None) -> NewLot | None:
        """What is to be stored of a record; None if the same is. What a source does not speak of stays as it was."""
        before = former.details.known() if former else {}
        kept = {name: value for name, value in before.items() if name not in lot.states}
        dated = _DATE.search(sale)
        now = {**({"date": dated[0]} if dated else {}), **kept, **lot.details.known()}
        if now == before:
            return None
        return NewLot(coin, sale, LotDetails(**now), f"{self._source.name}, {lot.where}", self._source.sha256)

    def check(self, reporter: Reporter) -> dict[Path, ReadEntries]:
        """Look at every new image; those that cannot be used are wrong, and so is all of their record."""
        of_path = {each.photo.path: planned for planned in self._planned for each in planned.new}
        checked: dict[Path, ReadEntries] = {}
        bad: list[_Planned] = []
        for sale in self._sales:
            shown = [each for planned in self._planned if planned.sale == sale for each in planned.new]
            files = [list(each) for _, each in groupby(shown, key=lambda addition: addition.photo.path)]
            with ThreadPoolExecutor(os.cpu_count()) as pool, reporter.progress("Checking the images") as progress:
                for number, (file, read) in enumerate(
                    zip(files, pool.map(partial(_check, sale=sale), files), strict=True)
                ):
                    progress(number, len(files))
                    path = file[0].photo.path
                    if isinstance(read, str):
                        self._wrong.append(printable(f"{of_path[path].lot.where}: {read}"))
                        bad.append(of_path[path])
                    else:
                        checked[path] = read
                progress(len(files), len(files))
        self._planned = [planned for planned in self._planned if planned not in bad]
        return checked

    def write(self, checked: dict[Path, ReadEntries], reporter: Reporter) -> None:
        """Add what was planned: each coin with all its images and what is stated of it, or not at all."""
        self._store.catalogue.find_again(self._known_files, by_reference=self._options.by_reference)
        with reporter.progress("Adding records") as progress:
            for start in range(0, len(self._planned), _BATCH):
                progress(start, len(self._planned))
                batch = self._planned[start : start + _BATCH]
                old = [entry for planned in batch for each in planned.new for entry in each.replaces]
                self._store.catalogue.add_entries(
                    self._with_bytes(batch, checked), old, [planned.details for planned in batch if planned.details]
                )
                if old:
                    self._store.journal.log(EntriesReplaced(entries=tuple(entry.id for entry in old)))
            progress(len(self._planned), len(self._planned))

    def _with_bytes(self, batch: Sequence[_Planned], checked: dict[Path, ReadEntries]) -> Iterator[NewEntry]:
        for path in dict.fromkeys(each.photo.path for planned in batch for each in planned.new):
            data = path.read_bytes()
            is_linked = self._options.by_reference and not self._source.images.is_downloaded(path)
            for entry in checked[path].entries:
                yield replace(entry, data=data, reference=path if is_linked else None)

    def result(self, is_added: bool) -> AddedRecords:
        """What it came to, or would."""
        stated = [planned for planned in self._planned if planned.details]
        new = [each for planned in self._planned for each in planned.new]
        replaced: set[str] = {entry.id for each in new for entry in each.replaces}
        return AddedRecords(
            records=sum(not planned.is_corrected for planned in stated),
            corrected=sum(planned.is_corrected for planned in stated),
            unchanged=self._unchanged,
            images=AddedEntries(
                entries=len(new),
                coins=len({planned.coin for planned in self._planned}),
                known=self._known,
                refused=tuple(self._wrong),
                skipped=(),
                replaced=len(replaced),
                renamed=self._renamed,
            ),
            sales=tuple(self._sales),
            notes=tuple(map(printable, self._source.lots.notes)),
            is_dry_run=self._options.dry_run,
            is_added=is_added,
        )


def _check(shown: Sequence[Addition], sale: str) -> ReadEntries | str:
    """The entries of one image without its bytes, which are read again when it is stored; or why it cannot be used."""
    read = read_entries(shown, sale)
    return read if isinstance(read, str) else ReadEntries(tuple(replace(each, data=b"") for each in read.entries))
