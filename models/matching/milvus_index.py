"""The catalogue index in Milvus, for catalogues that outgrow one machine: a server's address, or a file (Milvus Lite).

A row is an entry's key. Features lie beside what is known of the entry, so that any machine can search.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from models.embedding.embedder import Features, disc
from models.matching.gallery import (
    LABELS,
    GalleryEntry,
    Keys,
    Where,
    as_text,
    hash_name,
    ids_by_coin,
    label,
)
from models.matching.index import EVERYTHING, CatalogueIndexError, Rows
from models.matching.parts import Part, unpack_grids

_BATCH = 256  # entries in one message, of which a server takes 64 MB
_LONGEST = 65_532  # characters of a text field, in fours
_TEXT = 8192  # characters that an entry's text may have
_LABELLED = [name for name in LABELS.names or () if name not in ("key", "text_end")]


class MilvusIndex:
    """`CatalogueIndex` in a Milvus collection, which is called by the model.

    Parameters
    ----------
    address
        ``http://host:19530`` of a server, or the path of a file.

    Raises
    ------
    CatalogueIndexError
        If pymilvus is not installed, or nothing answers there; so does every method.
    """

    def __init__(self, model_id: str, address: str) -> None:
        try:
            import pymilvus
        except ImportError as error:
            raise CatalogueIndexError(
                "rig.yaml keeps the catalogue's index in Milvus, and pymilvus is not installed. Install it: "
                "`pip install 'coinlab[milvus]'`."
            ) from error
        self.model_id = model_id
        self._types: Any = pymilvus.DataType
        self._address = address
        self._failures: tuple[type[Exception], ...] = (pymilvus.MilvusException, OSError)
        self._name = f"coins_{model_id}".replace("-", "_")
        with self._asking():
            self._client: Any = pymilvus.MilvusClient(address)
            self._is_made = bool(self._client.has_collection(self._name))
            if self._is_made:
                self._client.load_collection(self._name)  # or it cannot be searched after it was closed

    def __len__(self) -> int:
        return self.count(EVERYTHING)

    def keys(self) -> Keys:
        """What names each entry."""
        return np.array([found["row"] for found in self._all("row")], np.int64)

    def add(self, entries: Sequence[GalleryEntry], features: Features) -> None:
        """Add entries with their features; see `CatalogueIndex`."""
        part = Part.of(entries, features)
        keys = [int(key) for key in part.labels["key"]]
        if len(set(keys)) < len(keys) or self._find(keys, "row"):
            raise ValueError("an entry is in the index already, or given twice; remove it first.")
        if not entries:
            return
        with self._asking():
            self._make(part)
            for start in range(0, len(entries), _BATCH):
                places = range(start, min(start + _BATCH, len(entries)))
                self._client.insert(self._name, [self._stored(part, n, entries[n], features) for n in places])

    def remove(self, keys: Iterable[int]) -> int:
        """Remove entries; returns how many were there."""
        there = list(self._find(list(keys), "row"))
        with self._asking():
            for start in range(0, len(there), _BATCH):
                self._client.delete(self._name, ids=there[start : start + _BATCH])
        return len(there)

    def relabel(self, entries: Sequence[GalleryEntry]) -> int:
        """Replace what is known of entries that are there; returns how many are."""
        called = {entry.key: entry for entry in entries}
        texts = self._find(list(called), "text")
        changed = [key for key, found in texts.items() if _entry(found["text"]) != called[key]]
        with self._asking():
            for start in range(0, len(changed), _BATCH):
                rows = self._find(changed[start : start + _BATCH], "*")
                self._client.upsert(self._name, [{**row, **_labels(called[key])} for key, row in rows.items()])
        return len(texts)

    def search(self, pooled: npt.NDArray[np.float32], count: int, where: Where = EVERYTHING) -> Rows:
        """The ``count`` rows most similar to any of the given pooled vectors, most similar first."""
        if not self._is_made or count == 0:
            return np.zeros(0, np.int64)
        with self._asking():
            found = self._client.search(
                self._name,
                data=[vector.tolist() for vector in pooled],
                limit=count,
                filter=_expression(where),
                output_fields=["row"],
            )
        best: dict[int, float] = {}
        for hits in found:
            for hit in hits:
                best[hit["row"]] = max(hit["distance"], best.get(hit["row"], -np.inf))
        return np.array(sorted(best, key=lambda row: (-best[row], row))[:count], np.int64)

    def count(self, where: Where) -> int:
        """How many entries a search would consider."""
        if not self._is_made:
            return 0
        with self._asking():
            found = self._client.query(self._name, filter=_expression(where), output_fields=["count(*)"])
        return int(found[0]["count(*)"])

    def entries(self, rows: Rows) -> list[GalleryEntry]:
        """Entries by row."""
        found = self._find([int(row) for row in rows], "text")
        return [_entry(found[int(row)]["text"]) for row in rows]

    def of_coin(self, coin: str) -> list[GalleryEntry]:
        """The entries of a coin, by id."""
        found = self._all("text", f"coin == {hash_name(coin)}")
        return sorted((_entry(each["text"]) for each in found), key=lambda entry: entry.entry_id)

    def coins(self) -> dict[str, list[str]]:
        """Every coin and the ids of its entries; see `CatalogueIndex`."""
        return ids_by_coin(_entry(found["text"]) for found in self._all("text"))

    def grids(self, rows: Rows) -> npt.NDArray[np.float16]:
        """Grids (len(rows), C, h, w) of some rows."""
        found = self._find([int(row) for row in rows], "*")
        if not found:
            raise CatalogueIndexError("the catalogue is empty. Fill it with `rig catalogue add DIR`.")
        stored = [found[int(row)] for row in rows]
        size = int(stored[0]["size"])
        packed = (
            "".join(each[name] for name in sorted(each, key=_place) if name.startswith("cells")) for each in stored
        )
        cells = [np.frombuffer(base64.b64decode(each), np.int8).reshape(-1, int(disc(size).sum())) for each in packed]
        scales = np.array([each["scale"] for each in stored], np.float32)
        return unpack_grids(np.stack(cells), scales, size)

    def sample(self, count: int) -> Rows:
        """So many rows, those with the lowest keys: a key is a hash, so that these are any."""
        if not self._is_made:
            return np.zeros(0, np.int64)
        with self._asking():
            found = self._client.query(self._name, filter="row >= 0", output_fields=["row"], limit=count)
        return np.array(sorted(row["row"] for row in found), np.int64)

    def tidy(self) -> None:
        """Have the server write what it holds in memory."""
        if self._is_made:
            with self._asking():
                self._client.flush(self._name)

    def close(self) -> None:
        """Let go of the server, or the file."""
        self._client.close()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except self._failures as error:
            raise CatalogueIndexError(
                f"the catalogue's index in Milvus at {self._address} does not answer. Check that it is running, and "
                "that `catalogue: milvus:` in rig.yaml is its address."
            ) from error

    def _make(self, part: Part) -> None:
        """Make the collection for features of this shape, unless it is there."""
        if self._is_made:
            return
        types = self._types
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("row", types.INT64, is_primary=True)
        schema.add_field("text", types.VARCHAR, max_length=_TEXT)
        for name in _LABELLED:
            schema.add_field(name, types.FLOAT if name == "weight_g" else types.INT64)
        schema.add_field("size", types.INT64)
        schema.add_field("scale", types.FLOAT)
        for number in range(len(_packed(part, 0))):
            schema.add_field(f"cells{number}", types.VARCHAR, max_length=_LONGEST)
        schema.add_field("pooled", types.FLOAT_VECTOR, dim=part.pooled.shape[1])
        searched = self._client.prepare_index_params()
        searched.add_index("pooled", index_type="AUTOINDEX", metric_type="IP")
        self._client.create_collection(self._name, schema=schema, index_params=searched, consistency_level="Strong")
        self._is_made = True

    def _stored(self, part: Part, place: int, entry: GalleryEntry, features: Features) -> dict[str, Any]:
        cells = {f"cells{number}": text for number, text in enumerate(_packed(part, place))}
        return {
            **_labels(entry),
            **cells,
            "size": part.size,
            "scale": float(part.scales[place]),
            "pooled": features.pooled[place].astype(np.float32).tolist(),
        }

    def _find(self, keys: Sequence[int], *fields: str) -> dict[int, dict[str, Any]]:
        """What is stored under some keys, by key; those that are not there are left out."""
        if not self._is_made:
            return {}
        found: dict[int, dict[str, Any]] = {}
        with self._asking():
            for start in range(0, len(keys), _BATCH):
                asked = [int(key) for key in keys[start : start + _BATCH]]
                rows = self._client.query(self._name, filter=f"row in {asked}", output_fields=["row", *fields])
                found |= {int(row["row"]): dict(row) for row in rows}
        return found

    def _all(self, field: str, expression: str = "") -> Iterator[dict[str, Any]]:
        """One field of all entries, or of those that an expression names."""
        if not self._is_made:
            return
        with self._asking():
            iterator = self._client.query_iterator(
                self._name, filter=expression, output_fields=["row", field], batch_size=1000
            )
            while batch := iterator.next():
                yield from batch
            iterator.close()


def _labels(entry: GalleryEntry) -> dict[str, Any]:
    labels = dict(zip(["row", *_LABELLED], label(entry), strict=True))
    return {**labels, "weight_g": -1.0 if entry.weight_g is None else entry.weight_g, "text": as_text(entry)}


def _entry(text: str) -> GalleryEntry:
    return GalleryEntry(*json.loads(text))


def _packed(part: Part, place: int) -> list[str]:
    """An entry's cells as texts that a field can hold."""
    text = base64.b64encode(part.cells[place].tobytes()).decode()
    return [text[start : start + _LONGEST] for start in range(0, len(text), _LONGEST)]


def _place(name: str) -> int:
    return int(name.removeprefix("cells")) if name.startswith("cells") else -1


def _expression(where: Where) -> str:
    """`Where` in Milvus's words."""
    return " and ".join(f"{name} {how} {value}" for name, how, value in where.limits())
