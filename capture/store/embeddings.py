"""The store's models, and the embeddings of frames and entries that they made: computed again when they are lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.durable_files import canonical_json
from capture.store.errors import StoreError
from capture.store.record_kinds import MODEL
from capture.store.records import Model, from_json, now
from capture.store.transaction import Storage


class Embeddings:
    """Reached as ``store.embeddings``."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def has_model(self, model_id: str) -> bool:
        """Whether a model is known."""
        return bool(self._storage.read("SELECT 1 FROM model WHERE id = ?", (model_id,)))

    def add_model(self, model_id: str, name: str, card: dict[str, Any]) -> None:
        """Make a model known. Doing so twice changes nothing."""
        with self._storage.transaction() as transaction:
            if not transaction.exists("model", model_id):
                model = Model(model_id, name, json.loads(canonical_json(card)), now(), transaction.number())
                transaction.add(MODEL, model_id, {"row": model.as_record()})

    def add(
        self,
        model_id: str,
        image_ids: Sequence[str],
        pooled: npt.NDArray[np.float32],
        grid: npt.NDArray[np.float16] | None = None,
    ) -> None:
        """Store embeddings, in one transaction; one given again replaces the former.

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
        sql = "INSERT OR REPLACE INTO embedding (model_id, image_id, pooled, grid, grid_shape) VALUES (?, ?, ?, ?, ?)"
        with self._storage.rows_alone() as transaction:
            for number, image_id in enumerate(image_ids):
                pooled_bytes = pooled[number].astype(np.float32).tobytes()
                grid_bytes = grid[number].astype(np.float16).tobytes() if grid is not None else None
                transaction.execute(sql, (model_id, image_id, pooled_bytes, grid_bytes, shape))

    def remove(self, model_id: str, image_ids: Sequence[str]) -> None:
        """Delete embeddings that are kept elsewhere now."""
        with self._storage.rows_alone() as transaction:
            for image_id in image_ids:
                transaction.execute("DELETE FROM embedding WHERE model_id = ? AND image_id = ?", (model_id, image_id))

    def image_ids(self, model_id: str) -> set[str]:
        """Ids of the frames and entries that have an embedding by this model."""
        rows = self._storage.read("SELECT image_id FROM embedding WHERE model_id = ?", (model_id,))
        return {row["image_id"] for row in rows}

    def get(
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
            rows = self._storage.read(sql, (model_id, image_id))
            if not rows:
                raise StoreError(f"{image_id} has no embedding by model {model_id}. Run `rig catalogue build`.")
            pooled.append(np.frombuffer(rows[0]["pooled"], np.float32))
            if rows[0]["grid"] is not None:
                grids.append(np.frombuffer(rows[0]["grid"], np.float16).reshape(from_json(rows[0], "grid_shape")))
        stacked = np.stack(pooled) if pooled else np.zeros((0, 0), np.float32)
        return stacked, np.stack(grids) if grids and len(grids) == len(pooled) else None
