"""A rough search over many entries: their pooled features reduced, in lists of similar ones, of which a few are read.

What it finds is compared again by the features as they are, so that it only has to lose nothing: it is asked for more
entries than are wanted. docs/catalogue.md has what it costs and loses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss as faiss_with_stubs
import numpy as np
import numpy.typing as npt

from calibration.durable_files import hash_file, replacing
from models.matching.gallery import Mask

faiss: Any = faiss_with_stubs  # its stubs do not know what its constructors take
Rows = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
DIMENSIONS = 256  # the features are reduced to
_REDUCED_BY = 20_000  # entries the reduction is fitted on
_PER_LIST = 39  # entries a list's centre is fitted on, at most
_LISTS_READ = 64  # for one vector
_FOUND = 4  # as many entries as are wanted, for one vector and of all together


@dataclass(frozen=True)
class Coarse:
    """The reduced features of the first ``rows`` entries of an index, searched by distance.

    Attributes
    ----------
    lists
        faiss.IndexPreTransform: principal components, then lists of 8-bit numbers.
    trained_on
        How many entries there were when it was fitted.
    """

    lists: Any
    rows: int
    trained_on: int

    @classmethod
    def train(cls, sample: Vectors, total: int) -> Coarse:
        """Fit it on a sample of all entries' pooled features."""
        dimensions = min(DIMENSIONS, sample.shape[1])
        reduction = faiss.PCAMatrix(sample.shape[1], dimensions)
        reduction.train(sample[:: max(1, len(sample) // _REDUCED_BY)])
        count = lists_for(total)
        lists = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatL2(dimensions), dimensions, count, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_L2
        )
        lists.cp.max_points_per_centroid = _PER_LIST
        index = faiss.IndexPreTransform(reduction, lists)
        index.train(sample)
        return cls(index, 0, total)

    def grow(self, blocks: Iterator[Vectors]) -> Coarse:
        """The same with more entries, which follow those that are there."""
        for block in blocks:
            self.lists.add(block)
        return Coarse(self.lists, int(self.lists.ntotal), self.trained_on)

    def search(self, asked: Vectors, count: int, mask: Mask | None) -> Rows:
        """A few times ``count`` entries that are near to any of the vectors, in no order.

        Parameters
        ----------
        mask
            (rows,), which of them may be found.
        """
        wanted = min(_FOUND * count, self.rows)
        probed: Any = faiss.SearchParametersIVF(nprobe=_LISTS_READ)
        if mask is not None:
            bits = np.packbits(mask, bitorder="little")
            probed = faiss.SearchParametersIVF(
                nprobe=_LISTS_READ * _more_lists(float(mask.mean())),
                sel=faiss.IDSelectorBitmap(bits),
            )
        parameters = faiss.SearchParametersPreTransform(index_params=probed)
        distances, rows = self.lists.search(asked, wanted, params=parameters)
        found = rows.ravel() >= 0
        rows, distances = rows.ravel()[found], distances.ravel()[found]
        _, first = np.unique(rows[(order := np.argsort(distances, kind="stable"))], return_index=True)
        return np.asarray(rows[order][np.sort(first)][:wanted], np.int64)

    def save(self, path: Path) -> dict[str, Any]:
        """Write it, and return what `load` needs to know of the file."""
        with replacing(path) as draft:
            faiss.write_index(self.lists, str(draft))
        return {"file": path.name, "sha256": hash_file(path), "rows": self.rows, "trained_on": self.trained_on}

    @classmethod
    def load(cls, path: Path, known: dict[str, Any]) -> Coarse:
        """Read what was saved.

        Raises
        ------
        ValueError
            If it is not that: FAISS would make room for whatever a damaged file promises.
        """
        if hash_file(path) != known["sha256"]:
            raise ValueError(f"{path} is damaged")
        lists = faiss.read_index(str(path))
        return cls(lists, int(lists.ntotal), int(known["trained_on"]))


def lists_for(total: int) -> int:
    """How many lists: four times the square root of the entries, rounded to a power of two."""
    return int(2 ** round(np.log2(4.0 * np.sqrt(total))))


def sample_size(total: int) -> int:
    """How many entries to fit it on."""
    return min(total, max(_REDUCED_BY, _PER_LIST * lists_for(total)))


def _more_lists(share: float) -> int:
    """The fewer entries may be found, the more lists are read."""
    return int(np.clip(np.ceil(0.5 / max(share, 1e-6)), 1, 8))
