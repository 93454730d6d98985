"""What is matched against, and what came of it: catalogue entries, models, embeddings and rankings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from capture.database import Database
from capture.files import Files, StoreError, canonical_json
from capture.records import Candidate, Entry, NewEntry, Ranking, now
from capture.rows import insert, keep_rows


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
        stored = self._files.keep(*[each.data for each in new])
        rows = [
            Entry(
                id=_entry_id(each),
                coin_id=each.coin,
                side=each.side,
                catalogue=each.catalogue,
                sha256=file.sha256,
                source=each.source,
                box=list(each.box) if each.box else None,
                added_at=now(),
            )
            for each, file in zip(new, stored, strict=True)
        ]
        keep_rows(
            self._files, self._database, "entry", list(zip(rows, [each.type for each in new], strict=True)), stored
        )
        return rows

    def entries(self, coin: str | None = None) -> list[Entry]:
        """Entries of the catalogue that are matched against, in the order they were added."""
        sql = "SELECT * FROM entry WHERE removed_at IS NULL AND coin_id = coalesce(?, coin_id) ORDER BY rowid"
        return [Entry.of(row) for row in self._database.read(sql, (coin,))]

    def remove_entries(self, coin: str) -> int:
        """Take a coin's entries out of the catalogue; their pictures are kept. Return how many there were."""
        at = now()
        entries = self.entries(coin)
        self._files.keep_records("removed", {entry.id: {"at": at} for entry in entries})
        with self._database.write() as connection:
            for entry in entries:
                connection.execute("UPDATE entry SET removed_at = ? WHERE id = ?", (at, entry.id))
        return len(entries)

    def restore_entries(self, coin: str) -> int:
        """Bring back a coin's entries that were taken out. Return how many there were."""
        sql = "SELECT id FROM entry WHERE removed_at NOT NULL AND coin_id = ?"
        removed = [row["id"] for row in self._database.read(sql, (coin,))]
        self._files.keep_records("removed", {entry_id: {"at": None} for entry_id in removed})
        with self._database.write() as connection:
            for entry_id in removed:
                connection.execute("UPDATE entry SET removed_at = NULL WHERE id = ?", (entry_id,))
        return len(removed)

    def add_model(self, model_id: str, name: str, card: dict[str, Any]) -> None:
        """Make a model known. Doing so twice changes nothing."""
        row = {"id": model_id, "name": name, "card": canonical_json(card), "added_at": now()}
        with self._database.write() as connection:
            insert(connection, "model", row, or_ignore=True)

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
        at = now()
        with self._database.write() as connection:
            for rank, candidate in enumerate(candidates, 1):
                insert(
                    connection,
                    "match",
                    {
                        "session_id": session_id,
                        "coin_id": coin,
                        "model_id": model_id,
                        "rank": rank,
                        "candidate_coin_id": candidate.coin,
                        "entry_id": candidate.entry_id,
                        "score": candidate.score,
                        "probability": candidate.probability,
                        "evidence": canonical_json(candidate.evidence),
                        "verdict": verdict,
                        "created_at": at,
                    },
                )

    def ranking(self, session_id: str, coin: str) -> Ranking | None:
        """The latest ranking of a coin in a session, or None."""
        rows = self._database.read(
            "SELECT * FROM match WHERE session_id = ? AND coin_id = ? ORDER BY id DESC", (session_id, coin)
        )
        if not rows:
            return None
        latest = rows[: [row["rank"] for row in rows].index(1) + 1][::-1]
        return Ranking(
            session_id=session_id,
            coin=coin,
            model_id=latest[0]["model_id"],
            verdict=latest[0]["verdict"],
            candidates=tuple(
                Candidate(
                    row["candidate_coin_id"],
                    row["entry_id"],
                    row["score"],
                    row["probability"],
                    json.loads(row["evidence"]),
                )
                for row in latest
            ),
            created_at=latest[0]["created_at"],
        )


def _entry_id(entry: NewEntry) -> str:
    """Catalogue, picture and side: what a person would cite. It names a record's file too, hence no slashes."""
    parts = [entry.catalogue, Path(entry.source).stem]
    if entry.side and not parts[1].endswith(entry.side):
        parts.append(entry.side)
    return ", ".join(parts).replace("/", "_")
