"""Where an index is kept: parts in folders of their own, and a manifest that says which of them count, in order.

manifest.json       replaced at once, so that whoever opens the index finds it whole
parts/NAME/         see `models.matching.parts`; those that the manifest does not name do not count
gone-HEX.npy        (rows,) bool: which rows were removed, if any
coarse-HEX.faiss    see `models.matching.coarse`, if there is one
"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from calibration.durable_files import parse_json, replacing, write_atomically
from models.matching.coarse import Coarse
from models.matching.gallery import Mask
from models.matching.parts import Part, Rows, save_parts

_MANIFEST, _PARTS, _FORMAT = "manifest.json", "parts", 2
_DRAFT = ".unfinished"
_OF_0_1 = ("pooled.faiss", "grids.npy", "entries.json")  # the index of version 0.1.0
_ABANDONED_S = 86_400.0  # a share's draft that old is nobody's
_TIERS = (64, 512, 4096, 32_768, 131_072)  # entries; of parts of each size, no more than seven stand side by side
_TOO_MANY = 8


@dataclass(frozen=True)
class IndexFolder:
    """The folder of one model's index."""

    path: Path
    model_id: str

    def read(self) -> dict[str, Any] | None:
        """The manifest; None if there is none.

        Raises
        ------
        OSError, ValueError, KeyError, TypeError
            If it is damaged.
        """
        try:
            manifest = parse_json((self.path / _MANIFEST).read_bytes())
        except FileNotFoundError:
            return None
        if manifest["format"] != _FORMAT:
            raise ValueError("it is of another format")
        return dict(manifest)

    def write(self, parts: Sequence[str], gone: Mask, coarse: dict[str, Any] | None) -> None:
        """Say which parts count; what does not count any more beside them is deleted."""
        gone_file = f"gone-{secrets.token_hex(4)}.npy" if gone.any() else None
        if gone_file is not None:
            with replacing(self.path / gone_file) as draft, draft.open("wb") as stream:
                np.save(stream, gone)
        manifest = {"format": _FORMAT, "model_id": self.model_id, "parts": parts, "gone": gone_file, "coarse": coarse}
        write_atomically(self.path / _MANIFEST, json.dumps(manifest))
        kept = {gone_file, coarse["file"] if coarse else None}
        for path in self.path.iterdir():
            if path.name in _OF_0_1 or (path.name.startswith(("gone-", "coarse-")) and path.name not in kept):
                path.unlink()

    def gone(self, name: str, rows: int) -> Mask:
        """Which of so many rows were removed; ValueError if it is of another shape."""
        gone: Mask = np.load(self.path / Path(name).name)
        if gone.dtype != np.bool_ or gone.shape != (rows,):
            raise ValueError("what was removed is of another shape")
        return gone

    def coarse(self, known: dict[str, Any]) -> Coarse:
        """The rough search that the manifest names; ValueError if it is damaged."""
        return Coarse.load(self.path / Path(known["file"]).name, known)

    def save_coarse(self, coarse: Coarse) -> dict[str, Any]:
        """Keep a rough search; return what the manifest says of it."""
        return coarse.save(self.path / f"coarse-{secrets.token_hex(4)}.faiss")

    def load(self, name: str) -> Part:
        """Map a part; see `Part.load`."""
        return Part.load(self.path / _PARTS / Path(name).name, self.model_id)

    def save(self, sources: Sequence[tuple[Part, Rows]], share: str = "") -> str:
        """Keep rows of some parts as one part, which does not count yet; return its name.

        Parameters
        ----------
        share
            What the share is called that they are of, beside which another process may change the index.
        """
        name = secrets.token_hex(8)
        draft = self.path / _PARTS / f"{name}{_draft_of(share)}"
        save_parts(sources, draft, draft.with_name(name), self.model_id)
        return name

    def unlisted(self, listed: Iterable[str]) -> list[str]:
        """Parts that do not count: of another machine, or left by what was interrupted."""
        folder = self.path / _PARTS
        if not folder.is_dir():
            return []
        names = {path.name for path in folder.iterdir() if path.suffix != _DRAFT}
        return sorted(names - {*listed})

    def clear(self, share: str = "") -> None:
        """Delete drafts of killed processes: of a share, or else of what changes the index, and what is abandoned.

        For the one process that may write such just now.
        """
        for draft in (self.path / _PARTS).glob(f"*{_DRAFT}"):
            if draft.name.partition(".")[2] == _draft_of(share)[1:] or is_abandoned(draft):
                shutil.rmtree(draft, ignore_errors=True)

    def is_abandoned(self, name: str) -> bool:
        """Whether a part that is not whole is not just being copied here."""
        return is_abandoned(self.path / _PARTS / name)

    def delete(self, names: Iterable[str]) -> None:
        """Delete parts that do not count."""
        for name in names:
            shutil.rmtree(self.path / _PARTS / name, ignore_errors=True)


def _draft_of(share: str) -> str:
    """How the drafts of a share end, or of what changes the index."""
    return f".share-{share}{_DRAFT}" if share else _DRAFT


def is_abandoned(path: Path) -> bool:
    """Whether nobody has written to it for a day."""
    return time.time() - path.stat().st_mtime > _ABANDONED_S


def plan_merges(sizes: Sequence[int]) -> tuple[int, int] | None:
    """Which parts to merge next, of those that stand side by side; None if there are not too many of any size.

    Smaller than a tier, and too many of them no smaller than the tier below. A merged part is larger than the last tier
    by less than one part, so that not much is copied at once.
    """
    for below, tier in zip((0, *_TIERS), _TIERS, strict=False):
        begin = 0
        for is_small, run in groupby([size < tier for size in sizes]):
            end = begin + len(list(run))
            if is_small and sum(size >= below for size in sizes[begin:end]) >= _TOO_MANY:
                while sum(sizes[begin : end - 1]) >= _TIERS[-1]:
                    end -= 1
                return begin, end
            begin = end
    return None
