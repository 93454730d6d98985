"""A dataset: a frozen, versioned set of crops from the store, split by coin.

``datasets/<name>/v<number>/`` holds ``manifest.json``, which says everything, and ``train.npy``, ``validation.npy`` and
``test.npy``, (N, 224, 224) uint8 each in the manifest's order, which can be made again from manifest and store.
"""

from __future__ import annotations

import glob
import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.durable_files import hash_bytes, hash_file, parse_json
from calibration.image import Image
from calibration.outline import crop_coin
from capture.names import printable
from capture.store import Store
from models.embedding.backbones import CROP_PX
from models.evaluation.samples import Sample, split
from models.training.batches import TrainingCoin
from models.training.splits import PARTS, Part
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab, is_plain_name, natural
from pipeline.reporter import Reporter

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Dataset:
    """A version of a dataset on disk."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def id(self) -> str:
        """Hash of the manifest: what a model's card names."""
        return hash_bytes(as_bytes(self.manifest))[:16]

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.manifest['name']} v{self.manifest['version']}"

    def rows(self, part: Part) -> list[dict[str, Any]]:
        """The frames of a part, in the order of its crops."""
        return [row for row in self.manifest["frames"] if row["part"] == part]

    def coins(self, part: Part) -> list[str]:
        """The coins of a part."""
        return sorted({row["coin"] for row in self.rows(part)})

    def crops(self, part: Part) -> npt.NDArray[np.uint8]:
        """(N, 224, 224) uint8, read as they are asked for."""
        return np.asarray(np.load(self.folder / f"{part}.npy", mmap_mode="r"))

    def training_coins(self, part: Part = "train") -> list[TrainingCoin]:
        """The coin sides of a part as `models.training.training.train` takes them."""
        crops = self.crops(part)
        sides: dict[tuple[str, str, str], list[Image]] = {}
        for number, row in enumerate(self.rows(part)):
            key = (row["type"] or "", row["coin"], row["side"] or "")
            sides.setdefault(key, []).append(as_image(crops[number]))
        return [
            TrainingCoin(f"{coin} {side}".strip(), type_, tuple(each), is_aligned=False)
            for (type_, coin, side), each in sides.items()
        ]

    def samples(self, part: Part) -> list[Sample]:
        """The samples of a part as `models.evaluation.evaluation.evaluate` takes them. Each side counts as a coin."""
        crops = self.crops(part)
        return [
            Sample(
                name=f"{row['sha256'][:12]} {row['frame']}",  # ordered by content: ids are drawn again in every lab
                crop=_reader(crops, number),
                coin=f"{row['coin']} {row['side'] or ''}".strip(),
                session=row["placement"],
                type=f"{row['type'] or ''} {row['side'] or ''}".strip(),
                specimen=row["coin"],
                is_scanned=row["light"] is not None,
            )
            for number, row in enumerate(self.rows(part))
        ]

    def choosing_samples(self) -> list[Sample]:
        """The samples by which a step of training is chosen; none if they cannot decide.

        They are the validation coins', and one of every training coin that they may be mistaken for: among few coins
        any network finds the right one.
        """
        others, _, _ = split(self.samples("train"))
        samples = [*self.samples("validation"), *others]
        return samples if split(samples)[1] else []


@dataclass(frozen=True)
class BuiltDataset:
    """A dataset that was built or rebuilt; ``is_new`` is false where nothing had changed since the last version."""

    dataset: Dataset
    is_new: bool
    without_coin: int

    @property
    def parts(self) -> dict[Part, tuple[int, int]]:
        """How many coins and frames each part has."""
        return {part: (len(self.dataset.coins(part)), len(self.dataset.rows(part))) for part in PARTS}

    @property
    def near_duplicates(self) -> int:
        """Pairs of frames of two coins that are one image."""
        return len(self.dataset.manifest["near_duplicates"])

    @property
    def copies(self) -> list[dict[str, str]]:
        """Frames that take no part, since they are copies of others (``copy_of``) of their coin."""
        return list(self.dataset.manifest.get("copies", ()))

    @property
    def left_out(self) -> list[str]:
        """Coins that take no part."""
        return list(self.dataset.manifest["left_out"])

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "dataset": self.dataset.manifest["name"],
            "version": self.dataset.manifest["version"],
            "id": self.dataset.id,
            "folder": str(self.dataset.folder),
            "is_new": self.is_new,
            **{part: {"coins": coins, "frames": frames} for part, (coins, frames) in self.parts.items()},
            "near_duplicates": self.near_duplicates,
            "copies": len(self.copies),
            "left_out": self.left_out,
            "without_coin": self.without_coin,
        }


def rebuild_dataset(lab: Lab, manifest: Path, reporter: Reporter) -> BuiltDataset:
    """Make a dataset's files again beside its manifest, from the store.

    Raises
    ------
    LabError
        If the manifest cannot be read, or the bytes differ from those it names.
    """
    document = read_manifest(manifest)
    rows, files = document["frames"], document["files"]
    dataset = Dataset(manifest.parent, document)
    with Store.open(lab.store, writing=False) as store, reporter.progress("Cutting coins out") as progress:
        done = 0
        progress(0, len(rows))
        for part in PARTS:
            with writer(manifest.parent / f"{part}.npy", len(dataset.rows(part))) as put:
                for number, row in enumerate(dataset.rows(part)):
                    put(number, stored_crop(store, row["sha256"], row.get("box")))
                    done += 1
                    progress(done, len(rows))
    wrong = [file for file, digest in files.items() if hash_file(manifest.parent / file) != digest]
    if wrong:
        raise LabError(
            f"{', '.join(wrong)} in {manifest.parent} came out other than {manifest} says: another version of the "
            "program or of OpenCV made it. Build a new version: `rig dataset build`."
        )
    return BuiltDataset(dataset, is_new=False, without_coin=0)


def read_manifest(path: Path) -> dict[str, Any]:
    """Read what a version of a dataset holds.

    Raises
    ------
    LabError
        If the file is no manifest.
    """
    try:
        document: dict[str, Any] = parse_json(path.read_bytes())
        if not (isinstance(document["frames"], list) and isinstance(document["files"], dict)):
            raise TypeError("its frames or files are missing")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(
            f"{path} is no manifest of a dataset, or damaged ({error}). Bring it back from a backup, or name another."
        ) from error
    return document


def latest(lab: Lab, name: str) -> Dataset | None:
    """The newest version of a dataset, or None."""
    versions = every_version(lab, name)
    return versions[-1] if versions else None


def every_version(lab: Lab, name: str | None = None) -> list[Dataset]:
    """All versions of a dataset, or of every dataset of the lab, the oldest first."""
    paths = (lab.folder / "datasets").glob(f"{glob.escape(name) if name else '*'}/v*/{MANIFEST}")
    whole = [path for path in paths if path.parent.name[1:].isdigit()]  # one under way is called v3.new
    return [Dataset(path.parent, read_manifest(path)) for path in sorted(whole, key=lambda path: natural(str(path)))]


def open_dataset(lab: Lab, name: str) -> Dataset:
    """The newest version of a dataset, or the one that is named (``euro/v2``).

    Raises
    ------
    LabError
        If there is none, or its files were lost.
    """
    if not all(is_plain_name(part) for part in name.split("/")):  # of `euro/v2`
        raise UsageError(f"{printable(name)} is no name for a dataset. Give a name, or a version such as euro/v2.")
    path = lab.folder / "datasets" / name / MANIFEST
    dataset = Dataset(path.parent, read_manifest(path)) if path.is_file() else latest(lab, name)
    if dataset is None:
        known = ", ".join(sorted(path.name for path in (lab.folder / "datasets").glob("*"))) or "none yet"
        build = lab.command(f"rig dataset build {shlex.quote(name)}")
        raise LabError(f"there is no dataset {name} in {lab.folder} ({known}). Make it: `{build}`.")
    lost = [part for part in PARTS if not (dataset.folder / f"{part}.npy").is_file()]
    if lost:
        manifest = shlex.quote(str(dataset.folder / MANIFEST))
        build = lab.command(f"rig dataset build {shlex.quote(dataset.manifest['name'])} --from {manifest}")
        raise LabError(f"{dataset.folder} lacks {lost[0]}.npy. Make it again: `{build}`.")
    return dataset


def stored_crop(store: Store, sha256: str, box: Sequence[int] | None = None) -> npt.NDArray[np.uint8]:
    """The grey crop of a stored image, (224, 224), or of the part of it in a box (left, top, right, bottom).

    Raises
    ------
    NoCoinError
        If no coin is found there.
    """
    image = store.image(sha256)
    if box is not None:
        left, top, right, bottom = box
        image = np.ascontiguousarray(image[top:bottom, left:right])
    return crop_coin(image)[:, :, 0]


def as_image(grey: npt.NDArray[np.uint8]) -> Image:
    """A crop as `calibration.outline.normalise` gives it, of its one channel."""
    return np.repeat(np.asarray(grey)[:, :, None], 3, axis=2)


def _reader(crops: npt.NDArray[np.uint8], number: int) -> Callable[[], Image]:
    return lambda: as_image(crops[number])


@contextmanager
def writer(path: Path, count: int) -> Iterator[Callable[[int, npt.NDArray[np.uint8]], None]]:
    """Write so many crops to a file, one by one, in little memory."""
    if count == 0:
        np.save(path, np.zeros((0, CROP_PX, CROP_PX), np.uint8))
        yield lambda number, crop: None
        return
    crops = np.lib.format.open_memmap(path, "w+", np.uint8, (count, CROP_PX, CROP_PX))
    yield crops.__setitem__
    crops.flush()


def as_bytes(manifest: dict[str, Any]) -> bytes:
    """A manifest as it is written, always the same."""
    return (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
