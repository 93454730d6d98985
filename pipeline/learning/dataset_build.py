"""Building a dataset: every image cropped once, doubles found, coins divided, crops sorted into parts."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.durable_files import hash_file, install_folder, make_folder
from calibration.outline import NoCoinError
from capture.store import Store
from capture.store.journal_lines import DatasetBuilt
from models.embedding.backbones import CROP_PX
from models.matching.duplicates import SAME_PHOTOGRAPH, Unrolled, find_duplicates, join_names, unroll
from models.training.splits import PARTS, Part, Shares, split_by_coin
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.learning.dataset import (
    MANIFEST,
    BuiltDataset,
    Dataset,
    as_bytes,
    as_image,
    every_version,
    latest,
    stored_crop,
    writer,
)
from pipeline.learning.sources import Source, read_sources
from pipeline.reporter import Progress, Reporter
from pipeline.tables import read_table
from pipeline.wording import count

FEWEST_COINS = 3


@dataclass(frozen=True)
class Division:
    """How coins are divided into parts; what is None is as in the version before, or the default.

    Attributes
    ----------
    test, validation
        Shares of the coins.
    seed
        Which coins fall where.
    together
        A CSV file with the columns coin and group: coins of one group, such as die-mates, share a part.
    """

    test: float | None = None
    validation: float | None = None
    seed: int | None = None
    together: Path | None = None


def build_dataset(lab: Lab, name: str, reporter: Reporter, division: Division = Division()) -> BuiltDataset:
    """Make the next version of a dataset: of all good frames, scanned and imported, and of confirmed catalogue images.

    A version made before lends its parts: its test coins and their frames stay as they are, and no coin that tests in
    any dataset of the lab trains.

    Raises
    ------
    UsageError
        If `name` is no name for a folder, the shares leave nothing to train on, or the share of a test set that is
        there already is to be another.
    LabError
        If there are too few coins, or the file of groups cannot be read.
    """
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"{name!r} is no name for a dataset. Use letters, digits, - and _.")
    home = lab.folder / "datasets" / name
    former = latest(lab, name)
    shares, seed = _settle_shares(former, division)
    version = 1 if former is None else int(former.manifest["version"]) + 1
    fresh = home / f"v{version}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    make_folder(fresh)
    try:
        with Store.open(lab.store) as store:
            mates = _read_mates(division.together, store) if division.together is not None else []
            sources = read_sources(store)
            with reporter.progress("Cutting coins out") as progress:
                cut = _crop_sources(store, sources.sources, fresh / "all.npy", progress)
            mates = [*mates, *(sorted(pair) for pair in sources.same)]
            found = _find_doubles(cut)
            doubles = [
                pair
                for pair in found
                if len(set(pair["coins"])) == 2 and frozenset(pair["coins"]) not in sources.different
            ]
            parts = _divide(lab, cut, former, _Kept(mates, doubles), shares, seed)
            copies = _copies(found, former)
            rows = _rows(cut, parts.by_coin, former, store.coins.types(), {each["frame"] for each in copies})
            manifest = _manifest(rows, parts, shares, seed)
            if copies:
                manifest["copies"] = copies
            manifest |= {"name": name, "version": version, "files": _write_parts(cut, rows, fresh)}
            if former is not None and _content(former.manifest) == _content(manifest):
                return BuiltDataset(former, False, cut.without_coin)
            (fresh / "all.npy").unlink()
            (fresh / MANIFEST).write_bytes(as_bytes(manifest))
            dataset = Dataset(home / f"v{version}", manifest)
            install_folder(fresh, dataset.folder)
            store.journal.log(DatasetBuilt(dataset=dataset.title, id=dataset.id, frames=len(rows)))
        return BuiltDataset(dataset, True, cut.without_coin)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def sources_to_come(lab: Lab, name: str) -> list[Source]:
    """Images that the next version of a dataset may train on, and that no version so far has."""
    versions = every_version(lab, name)
    known = {row["frame"] for dataset in versions for row in dataset.manifest["frames"]}
    barred = {coin for dataset in versions for coin in (*dataset.coins("test"), *dataset.manifest["left_out"])}
    with Store.open(lab.store, writing=False) as store:
        sources = read_sources(store).sources
    return [source for source in sources if source.id not in known and source.coin not in barred]


def _settle_shares(former: Dataset | None, division: Division) -> tuple[Shares, int]:
    """Shares and seed: those that are asked for, else those of the version before."""
    if former is None:
        before, seed_before = Shares(), 0
    else:
        before, seed_before = Shares(**former.manifest["shares"]), int(former.manifest["seed"])
        if division.test not in (None, before.test):
            raise UsageError(
                f"--test: the test coins of {former.manifest['name']} are those of its first version ({before.test:g} "
                "of the coins then) and stay so. Leave it out, or build a dataset of another name."
            )
    asked = {"test": division.test, "validation": division.validation}
    shares = before.model_copy(update={part: share for part, share in asked.items() if share is not None})
    if shares.test + shares.validation >= 1.0:
        raise UsageError("--test and --validation leave nothing to train on. Their sum must be below 1.")
    return shares, seed_before if division.seed is None else division.seed


@dataclass(frozen=True)
class _Kept:
    """Coins that are kept in one part: mates, and those of which two frames are one image."""

    mates: list[list[str]]
    doubles: list[dict[str, Any]]


@dataclass(frozen=True)
class _Parts:
    """Which part each coin is in, None for those left out, and what was kept together because of what."""

    by_coin: dict[str, Part | None]
    kept: _Kept


def _divide(lab: Lab, cut: _Crops, former: Dataset | None, kept: _Kept, shares: Shares, seed: int) -> _Parts:
    """Give every coin its part."""
    coins = sorted({source.coin for source in cut.sources})
    if len(coins) < FEWEST_COINS:
        raise LabError(
            f"{lab.folder} holds good frames of {count(len(coins), 'coin')}; a dataset takes at least {FEWEST_COINS}. "
            f"Scan a tray, or import photographs: `{lab.command('rig import DIR --labels CSV')}`."
        )
    former_mates = former.manifest["together"] if former else []
    mates = sorted([*kept.mates, *(pair for pair in former_mates if pair not in kept.mates)])
    pairs = [*mates, *(pair["coins"] for pair in kept.doubles)]
    groups = join_names(coins, [(one, other) for one, other in pairs if {one, other} <= set(coins)])
    before = _parts_before(lab, former)
    by_coin = split_by_coin(groups, shares, seed, before, freeze_test=former is not None)
    return _Parts(by_coin, _Kept(mates, kept.doubles))


def _manifest(rows: list[tuple[int, dict[str, Any]]], parts: _Parts, shares: Shares, seed: int) -> dict[str, Any]:
    """What the manifest says of the frames that take part.

    Raises
    ------
    LabError
        If no coin is left to train or to test with.
    """
    empty = [part for part in ("train", "test") if not any(row["part"] == part for _, row in rows)]
    if empty:
        raise LabError(f"no coin is left to {empty[0]} with. Scan or import more coins, then build again.")
    return {
        "seed": seed,
        "shares": shares.model_dump(),
        "crop_px": CROP_PX,
        "frames": [row for _, row in rows],
        "left_out": sorted(coin for coin, part in parts.by_coin.items() if part is None),
        "near_duplicates": parts.kept.doubles,
        "together": parts.kept.mates,
    }


def _read_mates(path: Path, store: Store) -> list[list[str]]:
    """Pairs of coins that share a part, from a table of coins and their groups.

    Raises
    ------
    LabError
        If it cannot be read, or names a coin that the store does not know.
    """
    table = read_table(path)
    if not {"coin", "group"} <= set(table.columns):
        raise LabError(f"{path}, line 1: it needs the columns coin and group. Name them in the first line.")
    known = [coin.id for coin in store.coins.all()]
    first: dict[str, str] = {}
    pairs = []
    for row in table.rows:
        coin, group = row.values["coin"], row.values["group"]
        if coin and coin not in known:
            near = difflib.get_close_matches(coin, known, 1, 0.6)
            hint = f"Did you mean {near[0]}?" if near else "Scan or import it first, or check the spelling."
            raise LabError(f"{path}, line {row.line}: no coin is called {coin}. {hint} Nothing was built.")
        if coin and group and first.setdefault(group, coin) != coin:
            pairs.append([first[group], coin])
    return sorted(pairs)


@dataclass(frozen=True)
class _Crops:
    """Every source with a coin in it, its crop by number, and how many had none."""

    sources: list[Source]
    unrolled: list[Unrolled]
    crops: npt.NDArray[np.uint8]
    without_coin: int


def _crop_sources(store: Store, sources: Sequence[Source], path: Path, progress: Progress) -> _Crops:
    """Crop every source once, into a file."""
    kept: list[Source] = []
    unrolled = []
    with writer(path, len(sources)) as put:
        for number, source in enumerate(sources, 1):
            try:
                crop = stored_crop(store, source.sha256, source.box)
            except NoCoinError:
                continue
            put(len(kept), crop)
            unrolled.append(unroll(as_image(crop)))
            kept.append(source)
            progress(number, len(sources))
    return _Crops(kept, unrolled, np.load(path, mmap_mode="r"), len(sources) - len(kept))


def _find_doubles(cut: _Crops) -> list[dict[str, Any]]:
    """Frames that are one image, of two coins or of one.

    What the rig took it took: two scans of a coin are alike, and no copies.
    """
    names = [
        f"{source.coin}\n{source.side}\n{'' if source.is_scanned else source.session}\n"
        f"{'' if source.is_scanned else source.placement}"
        for source in cut.sources
    ]
    found = find_duplicates(cut.unrolled, names)
    pairs = [(cut.sources[pair.first], cut.sources[pair.second], pair.score) for pair in found]
    return [
        {"frames": [one.id, other.id], "coins": [one.coin, other.coin]}
        for one, other, score in pairs
        if not (one.is_scanned and other.is_scanned) and (one.coin != other.coin or score >= SAME_PHOTOGRAPH)
    ]


def _copies(doubles: Sequence[dict[str, Any]], former: Dataset | None) -> list[dict[str, str]]:
    """Frames that take no part, since they are copies of others of their coin; what is in a version already stays."""
    kept = {row["frame"] for row in former.manifest["frames"]} if former else set()
    copies: dict[str, str] = {}
    for pair in doubles:
        one, other = sorted(pair["frames"], key=lambda frame: frame not in kept) if kept else pair["frames"]
        if len(set(pair["coins"])) == 1 and one not in copies and other not in kept:
            copies.setdefault(other, one)
    return [{"frame": frame, "copy_of": original} for frame, original in copies.items()]


def _rows(
    cut: _Crops,
    parts: dict[str, Part | None],
    former: Dataset | None,
    types: dict[str, str | None],
    copies: set[str],
) -> list[tuple[int, dict[str, Any]]]:
    """Each source that takes part, with the number of its crop. Test coins keep the images they began with."""
    frozen = {row["frame"] for row in former.rows("test")} if former else None
    rows = []
    for number, source in enumerate(cut.sources):
        part = parts[source.coin]
        if part is None or source.id in copies or (part == "test" and frozen is not None and source.id not in frozen):
            continue
        rows.append((number, source.as_row(part, types.get(source.coin))))
    return rows


def _write_parts(cut: _Crops, rows: list[tuple[int, dict[str, Any]]], folder: Path) -> dict[str, str]:
    """Write each part's crops, and return the files' hashes."""
    files = {}
    for part in PARTS:
        chosen = [number for number, row in rows if row["part"] == part]
        with writer(folder / f"{part}.npy", len(chosen)) as put:
            for place, number in enumerate(chosen):
                put(place, cut.crops[number])
        files[f"{part}.npy"] = hash_file(folder / f"{part}.npy")
    return files


def _parts_before(lab: Lab, former: Dataset | None) -> dict[str, Part]:
    """What coins were in the former version, and those that test in any other dataset."""
    before: dict[str, Part] = {}
    if former is not None:
        before |= {row["coin"]: row["part"] for row in former.manifest["frames"]}
    for dataset in every_version(lab):
        before |= dict.fromkeys(dataset.coins("test"), "test")
    return before


def _content(manifest: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in manifest.items() if key != "version"}
