"""What is matched against, and what came of it: catalogue entries, models, embeddings and rankings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from capture.store.database import Database
from capture.store.files import Files, StoreError, canonical_json
from capture.store.kinds import entry_record, ranking_name, ranking_record
from capture.store.records import Candidate, Entry, Model, NewEntry, Ranking, now
from capture.store.rows import add_ranking
from capture.store.transaction import keeping, on_its_way


class Catalogue:
    """The store's catalogue, reached as ``store.catalogue``."""

    def __init__(self, files: Files, database: Database) -> None:
        self._files = files
        self._database = database

    def add_entries(self, entries: Iterable[NewEntry]) -> list[Entry]:
        """Add pictures to the catalogue, in one transaction. Sources the catalogue has, or had, are passed over.

        Raises
        ------
        StoreError
            If they cannot be written.
        """
        known = {row["id"] for row in self._database.read("SELECT id FROM entry")}
        new = [each for each in entries if _entry_id(each) not in known]
        rows = []
        with on_its_way(self._files):
            stored = self._files.keep(*[each.data for each in new])
            with keeping(self._files, self._database, stored) as kept:
                kept.pictures(stored)
                for each, file in zip(new, stored, strict=True):
                    entry = Entry(
                        id=_entry_id(each),
                        coin_id=each.coin,
                        side=each.side,
                        catalogue=each.catalogue,
                        sha256=file.sha256,
                        source=each.source,
                        box=list(each.box) if each.box else None,
                        added_at=now(),
                        number=kept.number(),
                    )
                    kept.coin(entry.coin_id, each.type)
                    kept.insert("entry", entry.columns())
                    kept.record("entry", entry.id, entry_record(entry, file))
                    rows.append(entry)
        return rows

    def entries(self, coin: str | None = None) -> list[Entry]:
        """Entries of the catalogue that are matched against, in the order they were added."""
        of_coin, parameters = ("1", ()) if coin is None else ("coin_id = ?", (coin,))
        sql = f"SELECT * FROM entry WHERE removed_at IS NULL AND {of_coin} ORDER BY number"
        return [Entry.of(row) for row in self._database.read(sql, parameters)]

    def remove_entries(self, coin: str) -> int:
        """Take a coin's entries out of the catalogue; their pictures are kept. Return how many there were."""
        return self._mark_removed([entry.id for entry in self.entries(coin)], now())

    def restore_entries(self, coin: str) -> int:
        """Bring back a coin's entries that were taken out. Return how many there were."""
        sql = "SELECT id FROM entry WHERE removed_at NOT NULL AND coin_id = ?"
        return self._mark_removed([row["id"] for row in self._database.read(sql, (coin,))], None)

    def add_model(self, model_id: str, name: str, card: dict[str, Any]) -> None:
        """Make a model known. Doing so twice changes nothing."""
        with on_its_way(self._files), keeping(self._files, self._database) as kept:
            if not kept.connection.execute("SELECT 1 FROM model WHERE id = ?", (model_id,)).fetchone():
                model = Model(model_id, name, json.loads(canonical_json(card)), now(), kept.number())
                kept.insert("model", model.columns())
                kept.record("model", model_id, {"row": asdict(model)})

    def add_embeddings(
        self,
        model_id: str,
        image_ids: Sequence[str],
        pooled: npt.NDArray[np.float32],
        grid: npt.NDArray[np.float16] | None = None,
    ) -> None:
        """Keep embeddings, in one transaction; one given again replaces the former.

        Parameters
        ----------
        image_ids
            Ids of N frames or entries.
        pooled
            (N, D) float32.
        grid
            (N, C, rows, columns) float16.
        """
        shape = canonical_json(list(grid.shape[1:])) if grid is not None else None
        with self._database.write() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO embedding (model_id, image_id, pooled, grid, grid_shape) "
                "VALUES (?, ?, ?, ?, ?)",
                [
                    (
                        model_id,
                        image_id,
                        pooled[number].astype(np.float32).tobytes(),
                        grid[number].astype(np.float16).tobytes() if grid is not None else None,
                        shape,
                    )
                    for number, image_id in enumerate(image_ids)
                ],
            )

    def embedded(self, model_id: str) -> set[str]:
        """Ids of the frames and entries that have an embedding by this model."""
        sql = "SELECT image_id FROM embedding WHERE model_id = ?"
        return {row["image_id"] for row in self._database.read(sql, (model_id,))}

    def embeddings(
        self, model_id: str, image_ids: Sequence[str]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float16] | None]:
        """Return embeddings in the order asked for: pooled (N, D), and grid (N, C, rows, columns) where all have one.

        Raises
        ------
        StoreError
            If one of them is not there.
        """
        sql = "SELECT pooled, grid, grid_shape FROM embedding WHERE model_id = ? AND image_id = ?"
        pooled, grids = [], []
        for image_id in image_ids:
            rows = self._database.read(sql, (model_id, image_id))
            if not rows:
                raise StoreError(f"{image_id} has no embedding by model {model_id}. Run `rig catalogue build`.")
            pooled.append(np.frombuffer(rows[0]["pooled"], np.float32))
            if rows[0]["grid"] is not None:
                grids.append(np.frombuffer(rows[0]["grid"], np.float16).reshape(json.loads(rows[0]["grid_shape"])))
        stacked = np.stack(pooled) if pooled else np.zeros((0, 0), np.float32)
        return stacked, np.stack(grids) if grids and len(grids) == len(pooled) else None

    def add_ranking(
        self, session_id: str, coin: str, model_id: str, verdict: str, candidates: Sequence[Candidate]
    ) -> None:
        """Keep the matches of a coin, best first, beside any earlier ranking of it."""
        if not candidates:
            return
        with on_its_way(self._files), keeping(self._files, self._database) as kept:
            ranking = Ranking(session_id, coin, model_id, verdict, tuple(candidates), now(), kept.number())
            add_ranking(kept.connection, ranking)
            kept.record("ranking", ranking_name(ranking), ranking_record(ranking))

    def ranking(self, session_id: str, coin: str) -> Ranking | None:
        """The latest ranking of a coin in a session, or None."""
        rows = self._database.read(
            "SELECT * FROM match WHERE number = (SELECT max(number) FROM match WHERE session_id = ? AND coin_id = ?) "
            "ORDER BY rank",
            (session_id, coin),
        )
        return Ranking.of_rows(rows) if rows else None

    def _mark_removed(self, entry_ids: list[str], at: str | None) -> int:
        with on_its_way(self._files), keeping(self._files, self._database) as kept:
            for entry_id in entry_ids:
                kept.connection.execute("UPDATE entry SET removed_at = ? WHERE id = ?", (at, entry_id))
                kept.record("removed", entry_id, {"at": at})
        return len(entry_ids)


def _entry_id(entry: NewEntry) -> str:
    """Catalogue, picture and side: what a person would cite. It names a record's file too, hence no slashes."""
    parts = [entry.catalogue, Path(entry.source).stem]
    if entry.side and not parts[1].endswith(entry.side):
        parts.append(entry.side)
    return ", ".join(parts).replace("/", "_")
