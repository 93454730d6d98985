"""The catalogue index in this process: parts mapped into memory, searched exactly, and beyond `EXACT` entries by FAISS.

Adding writes one more part; parts are merged when they are many (`tidy`). Rows that were removed are marked, and left
out when a quarter has gone. `models.matching.index_folder` is where it is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from models.embedding.embedder import Features
from models.matching.coarse import Coarse, Vectors, sample_size
from models.matching.gallery import LABELS, GalleryEntry, Keys, Mask, Where, hash_name, ids_by_coin
from models.matching.index import EVERYTHING, CatalogueIndexError, Rows
from models.matching.index_folder import IndexFolder, plan_merges
from models.matching.parts import Part

# Entries that are compared one by one. The rough search is as fast from 10,000 on (34 ms of processor a query; 43 at
# 20,000, 33 at 40,000, where comparing every one takes 44, 103 and 169), but misses 2 in 1,000 of the shortlist and
# takes 20 s to be made ready: it is used only where comparing would be slow (tests/bench/catalogue_threshold.py).
EXACT = 20_000
_TAIL = 5_000  # entries that are compared one by one beside those that the rough search knows
_BLOCK = 2048


class _Listed(NamedTuple):
    """A part, and its folder's name if it has one."""

    name: str
    part: Part


class FaissIndex:
    """`CatalogueIndex` in this process.

    Parameters
    ----------
    folder
        Where it is kept, and written to by every change; in memory alone without one.
    """

    def __init__(self, model_id: str, folder: Path | None = None) -> None:
        self.model_id = model_id
        self._folder = None if folder is None else IndexFolder(folder, model_id)
        self._listed: list[_Listed] = []
        self._gone = np.zeros(0, np.bool_)
        self._coarse: Coarse | None = None
        self._coarse_file: dict[str, Any] | None = None
        self._update()

    def __len__(self) -> int:
        return len(self._gone) - int(self._gone.sum())

    def keys(self) -> Keys:
        """What names each entry."""
        return np.asarray(self._labels["key"][~self._gone], np.int64)

    def add(self, entries: Sequence[GalleryEntry], features: Features) -> None:
        """Add entries with their features; see `CatalogueIndex`."""
        part = Part.of(entries, features)
        known = np.isin(part.labels["key"], self.keys())
        if known.any() or len(np.unique(part.labels["key"])) < len(part):
            twice = entries[int(known.argmax())].entry_id
            raise ValueError(f"entry {twice} is in the index already, or given twice; remove it first.")
        if entries:
            self._append(part)
            self._commit()

    def remove(self, keys: Iterable[int]) -> int:
        """Mark entries as gone; returns how many were there."""
        gone = np.isin(self._labels["key"], np.fromiter(keys, np.int64)) & ~self._gone
        if gone.any():
            self._gone = self._gone | gone
            self._commit()
        return int(gone.sum())

    def relabel(self, entries: Sequence[GalleryEntry]) -> int:
        """Replace what is known of entries: they move to a part of their own, with the features that they have."""
        called = {entry.key: entry for entry in entries}
        there = np.flatnonzero(np.isin(self._labels["key"], np.fromiter(called, np.int64)) & ~self._gone)
        is_new = [called[entry.key] != entry for entry in self.entries(there)]
        rows = there[np.array(is_new, np.bool_)]
        for part, within, places in self._by_part(rows):
            self._append(part.take(within, [called[int(key)] for key in part.labels["key"][within]]))
            self._gone[rows[places]] = True
        if len(rows):
            self._commit()
        return len(there)

    def count(self, where: Where) -> int:
        """How many entries a search would consider."""
        mask = self._mask(where)
        return len(self) if mask is None else int(mask.sum())

    def search(self, pooled: npt.NDArray[np.float32], count: int, where: Where = EVERYTHING) -> Rows:
        """The ``count`` rows most similar to any of the given pooled vectors, most similar first."""
        mask = self._mask(where)
        asked = np.ascontiguousarray(pooled, np.float32)
        total = len(self._gone) if mask is None else int(mask.sum())
        count = min(count, total)
        if count == 0:
            return np.zeros(0, np.int64)
        if self._coarse is None or total <= EXACT:
            rows = np.arange(total, dtype=np.int64) if mask is None else np.flatnonzero(mask)
            return self._compare(asked, rows, count)
        begin = self._coarse.rows
        near = self._coarse.search(asked, count, None if mask is None else mask[:begin])
        late = np.arange(begin, len(self._gone), dtype=np.int64)
        late = late if mask is None else late[mask[begin:]]
        return self._compare(asked, np.concatenate([np.sort(near), late]), count)

    def entries(self, rows: Rows) -> list[GalleryEntry]:
        """Entries by row."""
        found: list[GalleryEntry | None] = [None] * len(rows)
        try:
            for part, within, places in self._by_part(rows):
                for place, entry in zip(places, part.entries(within), strict=True):
                    found[place] = entry
        except ValueError as error:
            raise self._damaged() from error
        return [entry for entry in found if entry is not None]

    def of_coin(self, coin: str) -> list[GalleryEntry]:
        """The entries of a coin, by id."""
        rows = np.flatnonzero((self._labels["coin"] == hash_name(coin)) & ~self._gone)
        return sorted(self.entries(rows), key=lambda entry: entry.entry_id)

    def coins(self) -> dict[str, list[str]]:
        """Every coin and the ids of its entries; see `CatalogueIndex`."""
        rows = np.flatnonzero(~self._gone)
        blocks = (self.entries(rows[start : start + _BLOCK]) for start in range(0, len(rows), _BLOCK))
        return ids_by_coin(entry for block in blocks for entry in block)

    def grids(self, rows: Rows) -> npt.NDArray[np.float16]:
        """Grids (len(rows), C, h, w) of some rows."""
        if not self._listed:
            raise CatalogueIndexError("the catalogue is empty. Fill it with `rig catalogue add DIR`.")
        first = self._listed[0].part
        grids = np.empty((len(rows), first.cells.shape[1], first.size, first.size), np.float16)
        for part, within, places in self._by_part(rows):
            grids[places] = part.grids(within)
        return grids

    def sample(self, count: int) -> Rows:
        """So many rows, evenly spread."""
        rows = np.flatnonzero(~self._gone)
        return rows[:: max(1, len(rows) // count)][:count] if count else rows[:0]

    def tidy(self) -> None:
        """Merge small parts, leave out what is gone when it is much, and keep the rough search up to date.

        Drafts in the folder are deleted: no other process may change the index meanwhile.
        """
        if self._folder is not None:
            self._folder.clear()
            if self._gone.sum() > max(1000, len(self._gone) // 4):
                self._coarse, self._coarse_file = None, None
                for place in reversed(range(len(self._listed))):
                    if self._gone[self._starts[place] : self._starts[place + 1]].any():
                        self._merge(self._folder, place, place + 1)
            while (run := plan_merges([len(each.part) for each in self._listed])) is not None:
                self._merge(self._folder, *run)
        behind = len(self._gone) - (self._coarse.rows if self._coarse else 0)
        if len(self._gone) > EXACT and (self._coarse is None or behind > _TAIL):
            self._renew_coarse()
            self._commit()

    @classmethod
    def open(cls, folder: Path, model_id: str) -> FaissIndex:
        """Open the index in a folder, which may still be empty.

        Raises
        ------
        CatalogueIndexError
            If it is damaged, or of another model.
        """
        for _ in range(3):  # parts may be merged just now, and be gone before they are opened
            index = cls(model_id, folder)
            try:
                index._read()
            except FileNotFoundError:
                continue
            except CatalogueIndexError:
                raise
            except Exception as error:  # of damaged files faiss and numpy raise what they like
                raise index._damaged() from error
            return index
        raise index._damaged()

    def unlisted(self) -> list[Part]:
        """Parts in the folder that do not count: of another machine, or left by an addition that was interrupted."""
        return [part for _, part in self._unlisted() if part is not None]

    def begin_share(self, share: str) -> None:
        """Delete what was half written of a share, which no other process is at."""
        if self._folder is not None:
            self._folder.clear(share)

    def leave(self, part: Part, share: str) -> None:
        """Keep a part of a share in the folder, which does not count until it is taken over."""
        if self._folder is not None:
            self._folder.save([(part, np.arange(len(part)))], share)

    def adopt(self, wanted: Keys) -> int:
        """Take over what unlisted parts hold of the entries that are wanted and not there; delete the rest of them.

        Returns
        -------
        int
            How many entries were taken over.
        """
        taken, used, seen = 0, set[str](), set[str]()  # what is left here from now on is for the next time
        for name, part in self._unlisted():
            seen.add(name)
            if part is not None and self._fits(part):
                rows = np.flatnonzero(np.isin(part.labels["key"], wanted) & ~np.isin(part.labels["key"], self.keys()))
                if len(rows) == len(part):
                    self._listed.append(_Listed(name, part))
                    used.add(name)
                elif len(rows):
                    self._append(part.take(rows))
                taken += len(rows)
                self._update()
            elif part is None and self._folder and not self._folder.is_abandoned(name):
                used.add(name)  # it may just be being copied here
        if taken:
            self._commit()
        if self._folder is not None:
            self._folder.delete(seen - used)
        return taken

    def _unlisted(self) -> Iterator[tuple[str, Part | None]]:
        """Parts that do not count, by name; None for one that is not whole."""
        for name in self._folder.unlisted(each.name for each in self._listed) if self._folder else ():
            try:
                yield name, self._folder.load(name) if self._folder else None
            except Exception:  # of damaged files numpy raises what it likes
                yield name, None

    def _read(self) -> None:
        manifest = self._folder.read() if self._folder else None
        if self._folder is None or manifest is None:
            return
        if manifest["model_id"] != self.model_id:
            raise CatalogueIndexError(
                f"the catalogue index in {self._folder.path} was made by model {manifest['model_id']}, and model "
                f"{self.model_id} is in use. Build it again: `rig catalogue build`."
            )
        for name in manifest["parts"]:
            part = self._folder.load(name)
            if not self._fits(part):
                raise ValueError("its parts are of different shapes")
            self._listed.append(_Listed(name, part))
        self._update()
        if manifest["gone"] is not None:
            self._gone = self._folder.gone(manifest["gone"], len(self._labels))
        if manifest["coarse"] is not None:
            self._coarse_file, self._coarse = manifest["coarse"], self._folder.coarse(manifest["coarse"])
            if self._coarse.rows > len(self._gone) or self._coarse.lists.d != self._listed[0].part.pooled.shape[1]:
                raise ValueError("its rough search is of other entries")

    def _commit(self) -> None:
        """Write which parts count."""
        self._update()
        if self._folder is not None:
            self._folder.write([each.name for each in self._listed], self._gone, self._coarse_file)

    # --- rows and parts -------------------------------------------------------------------------------------------

    def _append(self, part: Part) -> None:
        if not self._fits(part):
            raise ValueError("these features are of another shape than those in the index.")
        name = ""
        if self._folder is not None:
            name = self._folder.save([(part, np.arange(len(part)))])
            part = self._folder.load(name)
        self._listed.append(_Listed(name, part))

    def _fits(self, part: Part) -> bool:
        """Whether its features are of the same shape as those that are there."""
        first = self._listed[0].part if self._listed else part
        return (part.pooled.shape[1:], part.cells.shape[1:]) == (first.pooled.shape[1:], first.cells.shape[1:])

    def _update(self) -> None:
        """After parts were listed: the table of all their labels, and none of the new rows gone."""
        parts = [each.part for each in self._listed]
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        self._labels = np.concatenate([part.labels for part in parts]) if parts else np.zeros(0, LABELS)
        self._gone = np.concatenate([self._gone, np.zeros(len(self._labels) - len(self._gone), np.bool_)])

    def _by_part(self, rows: Rows) -> Iterator[tuple[Part, Rows, Rows]]:
        """Each part that has some of the rows: the part, which of its rows, and where among the given these stand."""
        of_part = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(of_part):
            places = np.flatnonzero(of_part == number)
            yield self._listed[number].part, rows[places] - self._starts[number], places

    def _mask(self, where: Where) -> Mask | None:
        """Which rows may be found; None for all."""
        asked = where.mask(self._labels)
        if not self._gone.any():
            return asked
        return ~self._gone if asked is None else asked & ~self._gone

    def _compare(self, asked: Vectors, rows: Rows, count: int) -> Rows:
        """The best ``count`` of some rows, which ascend, by the features as they are."""
        best = np.empty(len(rows), np.float32)
        room = np.empty((min(_BLOCK, len(rows)), asked.shape[1]), np.float32)
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            best[start : start + _BLOCK] = (self.vectors(block, room) @ asked.T).max(axis=1)
        if count < len(rows):
            nearest = np.argpartition(-best, count - 1)[:count]
            nearest.sort()
        else:
            nearest = np.arange(len(rows))
        return rows[nearest[np.argsort(-best[nearest], kind="stable")]]

    def vectors(self, rows: Rows, room: Vectors | None = None) -> Vectors:
        """Pooled features (len(rows), D) of rows that ascend, in ``room`` if there is any."""
        if room is None:
            room = np.empty((len(rows), self._listed[0].part.pooled.shape[1]), np.float32)
        for part, within, places in self._by_part(rows):
            is_run = len(within) == within[-1] - within[0] + 1  # which need not be gathered
            read = part.pooled[within[0] : within[-1] + 1] if is_run else part.pooled[within]
            # PyTorch converts half precision several times as fast as NumPy
            torch.from_numpy(room[places[0] : places[-1] + 1]).copy_(torch.from_numpy(read))
        return room[: len(rows)]

    def _merge(self, folder: IndexFolder, begin: int, end: int) -> None:
        """Put one part in the place of some that stand side by side, or of one: their rows stay in order.

        What is gone is left out where there is no rough search, which knows rows by their place.
        """
        first, last = self._starts[begin], self._starts[end]
        rows = np.arange(first, last)
        if self._coarse is None:
            rows = rows[~self._gone[rows]]
        left = self._gone[rows]
        chosen = [(part, within) for part, within, _ in self._by_part(rows)]
        names = [folder.save(chosen)] if chosen else []
        replaced = [each.name for each in self._listed[begin:end]]
        self._listed[begin:end] = [_Listed(name, folder.load(name)) for name in names]
        self._gone = np.concatenate([self._gone[:first], left, self._gone[last:]])
        self._commit()
        folder.delete(replaced)

    def _renew_coarse(self) -> None:
        total = len(self._gone)
        if self._coarse is None or total > 4 * self._coarse.trained_on:
            rows = np.sort(np.random.default_rng(0).choice(total, sample_size(total), replace=False))
            self._coarse = Coarse.train(self.vectors(rows), total)
        begin = self._coarse.rows
        blocks = (np.arange(start, min(start + _BLOCK, total)) for start in range(begin, total, _BLOCK))
        self._coarse = self._coarse.grow(self.vectors(block) for block in blocks)
        if self._folder is not None:
            self._coarse_file = self._folder.save_coarse(self._coarse)

    def _damaged(self) -> CatalogueIndexError:
        where = "" if self._folder is None else f" in {self._folder.path}"
        return CatalogueIndexError(
            f"the catalogue index{where} is damaged or incomplete. Build it again: `rig catalogue build`."
        )
