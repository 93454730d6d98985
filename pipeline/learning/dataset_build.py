"""Building a dataset: every good frame cropped once, doubles found, coins divided, crops sorted into parts."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.outline import NoCoinError
from capture.store import Store
from capture.store.journal_lines import DatasetBuilt
from capture.store.records import Frame
from models.embedding.backbones import CROP_PX
from models.embedding.embedder import Embedder
from models.matching.duplicates import find_duplicates, joined, perceptual_hash
from models.training.splits import PARTS, Part, Shares, split_by_coin
from pipeline.collection.catalogue import Progress
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab, natural
from pipeline.learning.dataset import (
    MANIFEST,
    Dataset,
    as_bytes,
    as_image,
    digest_of,
    every_version,
    latest,
    stored_crop,
    writer,
)

FEWEST_COINS = 3


@dataclass(frozen=True)
class Built:
    """What `build_dataset` made; ``is_new`` is false where nothing had changed since the last version."""

    dataset: Dataset
    is_new: bool
    without_coin: int


def build_dataset(
    lab: Lab,
    name: str,
    progress: Progress,
    *,
    test: float | None = None,
    validation: float | None = None,
    seed: int | None = None,
    together: Path | None = None,
) -> Built:
    """Make the next version of a dataset of all good frames of the store, scanned and imported.

    A version made before lends its parts: its test coins and their frames stay as they are, and no coin that tests in
    any dataset of the lab trains.

    Parameters
    ----------
    test, validation, seed
        Shares of the coins, and what divides them; None for those of the version before, else the defaults.
    together
        A CSV file with the columns coin and group: coins of one group, such as die-mates, share a part.

    Raises
    ------
    UsageError
        If `name` is no name for a folder, the shares leave nothing to train on, or the share of a test set that is
        there already is to be another.
    LabError
        If there are too few coins, or `together` cannot be read.
    """
    mates = _mates(together) if together is not None else []
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"{name!r} is no name for a dataset. Use letters, digits, - and _.")
    home = lab.folder / "datasets" / name
    former = latest(lab, name)
    shares, seed = _settled(former, test, validation, seed)
    version = 1 if former is None else int(former.manifest["version"]) + 1
    fresh = home / f"v{version}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        with Store.open(lab.store) as store:
            cut = _cut_out(store, fresh / "all.npy", progress)
            rows, manifest = _divided(lab, store, cut, former, mates, shares, seed)
            manifest |= {"name": name, "version": version, "files": _sorted_out(cut, rows, fresh)}
            if former is not None and _content(former.manifest) == _content(manifest):
                return Built(former, False, cut.without_coin)
            (fresh / "all.npy").unlink()
            (fresh / MANIFEST).write_bytes(as_bytes(manifest))
            dataset = Dataset(home / f"v{version}", manifest)
            fresh.rename(dataset.folder)
            store.journal.log(DatasetBuilt(dataset=dataset.title, id=dataset.id, frames=len(rows)))
        return Built(dataset, True, cut.without_coin)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def frames_to_come(lab: Lab, name: str) -> list[Frame]:
    """Good frames that the next version of a dataset may train on, and that no version so far has."""
    versions = every_version(lab, name)
    known = {row["frame"] for dataset in versions for row in dataset.manifest["frames"]}
    barred = {coin for dataset in versions for coin in (*dataset.coins("test"), *dataset.manifest["left_out"])}
    with Store.open(lab.store, writing=False) as store:
        return [frame for frame in _good_frames(store) if frame.id not in known and frame.coin_id not in barred]


def _settled(
    former: Dataset | None, test: float | None, validation: float | None, seed: int | None
) -> tuple[Shares, int]:
    """What divides the coins: what is asked for, else what did so before."""
    if former is None:
        before, seed_before = Shares(), 0
    else:
        before, seed_before = Shares(**former.manifest["shares"]), int(former.manifest["seed"])
        if test not in (None, before.test):
            raise UsageError(
                f"--test: the test coins of {former.manifest['name']} are those of its first version ({before.test:g} "
                "of the coins then) and stay so. Leave it out, or build a dataset of another name."
            )
    asked = {"test": test, "validation": validation}
    shares = before.model_copy(update={part: share for part, share in asked.items() if share is not None})
    if shares.test + shares.validation >= 1.0:
        raise UsageError("--test and --validation leave nothing to train on. Their sum must be below 1.")
    return shares, seed_before if seed is None else seed


def _divided(
    lab: Lab,
    store: Store,
    cut: _CutOut,
    former: Dataset | None,
    mates: list[list[str]],
    shares: Shares,
    seed: int,
) -> tuple[list[tuple[int, dict[str, Any]]], dict[str, Any]]:
    """Give every coin its part; returns the frames that take part, and what the manifest says of it."""
    coins = sorted({frame.coin_id for frame in cut.frames})
    if len(coins) < FEWEST_COINS:
        raise LabError(
            f"{lab.folder} holds good frames of {len(coins)} coins; a dataset takes at least {FEWEST_COINS}. "
            "Scan a tray, or bring photographs in: `rig import DIR --labels CSV`."
        )
    doubles = _doubles(cut)
    mates = sorted([*mates, *(pair for pair in (former.manifest["together"] if former else []) if pair not in mates)])
    pairs = [*mates, *(pair["coins"] for pair in doubles)]
    groups = joined(coins, [(one, other) for one, other in pairs if {one, other} <= set(coins)])
    before = _parts_before(lab, former)
    parts = split_by_coin(groups, shares, seed, before, freeze_test=former is not None)
    rows = _rows(cut, parts, former, store.coin_types())
    empty = [part for part in ("train", "test") if not any(row["part"] == part for _, row in rows)]
    if empty:
        raise LabError(f"no coin is left to {empty[0]} with. Scan or import more coins, then build again.")
    return rows, {
        "seed": seed,
        "shares": shares.model_dump(),
        "crop_px": CROP_PX,
        "frames": [row for _, row in rows],
        "left_out": sorted(coin for coin, part in parts.items() if part is None),
        "near_duplicates": doubles,
        "together": mates,
    }


def _mates(path: Path) -> list[list[str]]:
    """Pairs of coins that share a part, from a file of coins and their groups."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [(row["coin"].strip(), row["group"].strip()) for row in csv.DictReader(stream)]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, AttributeError) as error:
        raise LabError(f"{path} cannot be read ({error}). It needs the columns coin and group, in UTF-8.") from error
    first: dict[str, str] = {}
    return sorted([first[group], coin] for coin, group in rows if first.setdefault(group, coin) != coin)


@dataclass(frozen=True)
class _CutOut:
    """Every good frame with a coin in it, its crop by number, and how many had none."""

    frames: list[Frame]
    hashes: npt.NDArray[np.uint8]
    crops: npt.NDArray[np.uint8]
    without_coin: int


def _cut_out(store: Store, path: Path, progress: Progress) -> _CutOut:
    """Crop every good frame once, into a file."""
    frames = _good_frames(store)
    kept: list[Frame] = []
    hashes = []
    with writer(path, len(frames)) as put:
        for number, frame in enumerate(frames, 1):
            try:
                crop = stored_crop(store, _picture(frame))
            except NoCoinError:
                continue
            put(len(kept), crop)
            hashes.append(perceptual_hash(as_image(crop)))
            kept.append(frame)
            progress(number, len(frames))
    return _CutOut(kept, np.array(hashes, np.uint8), np.load(path, mmap_mode="r"), len(frames) - len(kept))


def _doubles(cut: _CutOut) -> list[dict[str, Any]]:
    """Frames of two coins that are one picture."""
    coins = [frame.coin_id for frame in cut.frames]
    found = find_duplicates(cut.hashes, coins, Embedder.load("starter"), lambda number: as_image(cut.crops[number]))
    pairs = [(cut.frames[pair.first], cut.frames[pair.second]) for pair in found]
    return [{"frames": [one.id, other.id], "coins": [one.coin_id, other.coin_id]} for one, other in pairs]


def _rows(
    cut: _CutOut, parts: dict[str, Part | None], former: Dataset | None, types: dict[str, str | None]
) -> list[tuple[int, dict[str, Any]]]:
    """Each frame that takes part, with the number of its crop. Test coins keep the frames they began with."""
    frozen = {row["frame"] for row in former.rows("test")} if former else None
    rows = []
    for number, frame in enumerate(cut.frames):
        part = parts[frame.coin_id]
        if part is None or (part == "test" and frozen is not None and frame.id not in frozen):
            continue
        rows.append((number, _row(frame, part, types.get(frame.coin_id))))
    return rows


def _sorted_out(cut: _CutOut, rows: list[tuple[int, dict[str, Any]]], folder: Path) -> dict[str, str]:
    """Write each part's crops, and return the files' hashes."""
    files = {}
    for part in PARTS:
        chosen = [number for number, row in rows if row["part"] == part]
        with writer(folder / f"{part}.npy", len(chosen)) as put:
            for place, number in enumerate(chosen):
                put(place, cut.crops[number])
        files[f"{part}.npy"] = digest_of(folder / f"{part}.npy")
    return files


def _good_frames(store: Store) -> list[Frame]:
    """Every frame that is not quarantined, in an order that depends neither on when it came nor on ids drawn then."""
    frames = [frame for session in store.sessions() for frame in store.frames(session.id)]
    return sorted(
        frames, key=lambda each: (natural(each.coin_id), each.side or "", each.placement, _picture(each), each.id)
    )


def _parts_before(lab: Lab, former: Dataset | None) -> dict[str, Part]:
    """What coins were in the former version, and those that test in any other dataset."""
    before: dict[str, Part] = {}
    if former is not None:
        before |= {row["coin"]: row["part"] for row in former.manifest["frames"]}
    for dataset in every_version(lab):
        before |= dict.fromkeys(dataset.coins("test"), "test")
    return before


def _row(frame: Frame, part: Part, type_: str | None) -> dict[str, Any]:
    return {
        "frame": frame.id,
        "sha256": _picture(frame),
        "coin": frame.coin_id,
        "side": frame.side,
        "type": type_,
        "session": frame.session_id,
        "placement": frame.placement,
        "light": frame.light,
        "part": part,
    }


def _picture(frame: Frame) -> str:
    return frame.calibrated_sha256 or frame.sha256


def _content(manifest: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in manifest.items() if key != "version"}
