"""Parts of a catalogue index: entries that were added together, their features and what they are called.

A part is never changed. On disk it is a folder, mapped into memory: only what is asked for is read.

    labels.npy    a row of `LABELS` for each entry
    texts.bin     each entry as JSON, one after the other
    pooled.npy    (N, D) float16
    cells.npy     (N, C, cells on the coin) int8, each entry's times its scale
    scales.npy    (N,) float32
    part.json     the model, and the size of its grids
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from calibration.durable_files import install_folder, make_folder, parse_json
from models.embedding.embedder import Features, disc
from models.matching.gallery import LABELS, GalleryEntry, as_text, label

Rows = npt.NDArray[np.int64]
_BLOCK = 2048  # entries copied at a time


@dataclass(frozen=True)
class Part:
    """Entries and their features, in memory or mapped from a folder.

    Attributes
    ----------
    labels
        (N,) `LABELS`.
    texts
        Each entry as JSON, up to its ``text_end``.
    pooled
        (N, D) float16 of unit length.
    cells, scales
        (N, C, cells on the coin) int8, and by how much to multiply each entry's: together its grid.
    size
        Cells of the grid across and down.
    """

    labels: npt.NDArray[np.void]
    texts: npt.NDArray[np.uint8]
    pooled: npt.NDArray[np.float16]
    cells: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    size: int

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(cls, entries: Sequence[GalleryEntry], features: Features) -> Part:
        """Make a part in memory.

        Raises
        ------
        ValueError
            If there are not as many features as entries.
        """
        if len(entries) != len(features.pooled) or len(entries) != len(features.grid):
            raise ValueError(f"{len(entries)} entries but {len(features.pooled)} features.")
        size = features.grid.shape[-1]
        inside = features.grid.reshape(*features.grid.shape[:2], -1)[:, :, disc(size).ravel()].astype(np.float32)
        scales = np.abs(inside).max(axis=(1, 2), initial=0.0) / 127.0
        cells = np.rint(inside / np.where(scales > 0.0, scales, 1.0)[:, None, None]).astype(np.int8)
        labels, texts = _write_labels(entries)
        return cls(labels, texts, features.pooled.astype(np.float16), cells, scales.astype(np.float32), size)

    def entries(self, rows: Iterable[int]) -> list[GalleryEntry]:
        """Some entries, by row.

        Raises
        ------
        ValueError
            If they are damaged.
        """
        found = []
        for row in rows:
            begin = int(self.labels["text_end"][row - 1]) if row else 0
            try:
                found.append(GalleryEntry(*parse_json(self.texts[begin : int(self.labels["text_end"][row])].tobytes())))
            except TypeError as error:
                raise ValueError("an entry's text is none") from error
        return found

    def grids(self, rows: Rows) -> npt.NDArray[np.float16]:
        """Grids (len(rows), C, h, w); nothing outside of the coin."""
        return unpack_grids(self.cells[rows], self.scales[rows], self.size)

    def take(self, rows: Rows, entries: Sequence[GalleryEntry] | None = None) -> Part:
        """Some rows as a part in memory, with their entries as they are or as they are called now."""
        labels, texts = _write_labels(self.entries(rows) if entries is None else entries)
        return Part(labels, texts, self.pooled[rows], self.cells[rows], self.scales[rows], self.size)

    @classmethod
    def load(cls, folder: Path, model_id: str) -> Part:
        """Map a part that was saved.

        Raises
        ------
        OSError, ValueError, KeyError, TypeError
            If it is not there, is damaged, or of another model.
        """
        labels: Any = np.load(folder / "labels.npy", mmap_mode="r")
        pooled: Any = np.load(folder / "pooled.npy", mmap_mode="c")  # PyTorch takes nothing that is only for reading
        cells: Any = np.load(folder / "cells.npy", mmap_mode="r")
        scales = np.load(folder / "scales.npy", mmap_mode="r")
        texts: Any = np.memmap(folder / "texts.bin", np.uint8, "r")
        about = parse_json((folder / "part.json").read_bytes())
        size = round(about["size"])
        if about["model_id"] != model_id:
            raise ValueError(f"it is of model {about['model_id']}")
        if (labels.dtype, pooled.dtype, cells.dtype) != (LABELS, np.float16, np.int8) or not 0 < size < 1000:
            raise ValueError("it is of other kinds of numbers")
        if not len(labels) == len(pooled) == len(cells) == len(scales) or len(labels) == 0:
            raise ValueError("its files are of different lengths")
        if cells.shape[2:] != (int(disc(size).sum()),) or pooled.ndim != 2 or labels["text_end"][-1] != len(texts):
            raise ValueError("its files are of different shapes")
        return cls(labels, texts, pooled, cells, scales, size)


def unpack_grids(cells: npt.NDArray[np.int8], scales: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float16]:
    """Grids (N, C, size, size) of what is kept of them: cells on the coin (N, C, cells), and their scales (N,)."""
    grids = np.zeros((len(cells), cells.shape[1], size * size), np.float16)
    grids[:, :, disc(size).ravel()] = cells * scales[:, None, None]
    return grids.reshape(len(cells), -1, size, size)


def save_parts(sources: Sequence[tuple[Part, Rows]], draft: Path, folder: Path, model_id: str) -> None:
    """Write rows of some parts into one folder, at once or not at all; a block at a time is in memory.

    Parameters
    ----------
    draft
        Beside `folder`, which it becomes when it is whole.
    """
    total = sum(len(rows) for _, rows in sources)
    first = sources[0][0]
    make_folder(draft.parent)
    draft.mkdir()
    try:
        end = 0
        with ExitStack() as opened:  # written in order, not mapped: a full disk is an error then, not a signal
            files = {name: opened.enter_context((draft / name).open("wb")) for name in (*_arrays(first), "texts.bin")}
            for name, array in _arrays(first).items():
                _write_header(files[name], array, total)
            for part, rows in _blocks(sources):
                block = {name: array[rows] for name, array in _arrays(part).items()}
                written, lengths = _texts(part, rows)
                block["labels.npy"]["text_end"] = end + np.cumsum(lengths)
                for name, array in block.items():
                    files[name].write(array.tobytes())
                files["texts.bin"].write(written)
                end += len(written)
        (draft / "part.json").write_text(json.dumps({"model_id": model_id, "size": first.size}))
        install_folder(draft, folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _write_header(file: BinaryIO, array: npt.NDArray[Any], total: int) -> None:
    """The head of a .npy file of so many rows (numpy.lib.format, version 1.0)."""
    np.lib.format.write_array_header_1_0(
        file,
        {
            "descr": np.lib.format.dtype_to_descr(array.dtype),
            "fortran_order": False,
            "shape": (total, *array.shape[1:]),
        },
    )


def _arrays(part: Part) -> dict[str, npt.NDArray[Any]]:
    return {"labels.npy": part.labels, "pooled.npy": part.pooled, "cells.npy": part.cells, "scales.npy": part.scales}


def _blocks(sources: Sequence[tuple[Part, Rows]]) -> Iterator[tuple[Part, Rows]]:
    for part, rows in sources:
        for start in range(0, len(rows), _BLOCK):
            yield part, rows[start : start + _BLOCK]


def _texts(part: Part, rows: Rows) -> tuple[bytes, npt.NDArray[np.int64]]:
    """The texts of some rows, one after the other, and the length of each."""
    ends = part.labels["text_end"]
    begins = np.where(rows > 0, ends[np.maximum(rows - 1, 0)], 0)
    lengths = ends[rows] - begins
    return b"".join(part.texts[begin : begin + n].tobytes() for begin, n in zip(begins, lengths, strict=True)), lengths


def _write_labels(entries: Sequence[GalleryEntry]) -> tuple[npt.NDArray[np.void], npt.NDArray[np.uint8]]:
    texts = [as_text(entry).encode() for entry in entries]
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    rows = [(*label(entry), end) for entry, end in zip(entries, ends, strict=True)]
    return np.array(rows, LABELS), np.frombuffer(b"".join(texts), np.uint8)
