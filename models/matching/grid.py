"""Which catalogue coin is this? Rotation search over the spatial grid, fused over the frames and sides of one coin.

The turn of a coin in a picture is unknown, and a network's grid does not turn with it: the query is turned step by
step, and at every turn its grid is compared cell by cell with each candidate's.

Frames of a scan say more than one photograph. Turning a coin under a fixed lamp is not image rotation: shadows move.
But with lamps all around and a turntable, for every turn that is tried there is a frame whose lamp then stands where
catalogue photographers put theirs, at the upper left; that frame is the one compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image
from calibration.outline import GREY_MEAN
from models.embedding.embedder import Embedder, Features, disc
from models.matching.index import CatalogueIndex, Entry, Rows

TURNS = 36
ENTRY_TURNS = 12
SHORTLIST = 300
CATALOGUE_LAMP_DEG = 135.0  # upper left, the convention of coin photography
_CHUNK = 128

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """One picture of a coin.

    Attributes
    ----------
    crop
        From `calibration.outline.normalise`, as the camera saw it (not turned back).
    side
        ``obverse``, ``reverse``, or None when unknown.
    turned_deg
        How far the coin is turned in this picture (counter-clockwise) against its other pictures of this side, None
        when unknown.
    lamp_deg
        Where in this picture the light comes from (counter-clockwise from the right), None when unknown.
    """

    crop: Image
    side: str | None = None
    turned_deg: float | None = None
    lamp_deg: float | None = None


@dataclass(frozen=True)
class Candidate:
    """A catalogue coin and how alike it is.

    Attributes
    ----------
    score
        Mean of the likeness in each search (of a side, or of a photograph), which are in ``side_scores``.
    entries, turns_deg
        What was compared, and how far the query was turned for it.
    """

    coin: str
    score: float
    entries: tuple[str, ...] = ()
    turns_deg: tuple[float, ...] = ()
    side_scores: tuple[float, ...] = ()


def match(
    embedder: Embedder,
    index: CatalogueIndex,
    views: Sequence[View],
    *,
    allowed: Rows | None = None,
    shortlist: int = SHORTLIST,
) -> list[Candidate]:
    """Rank the catalogue's coins by likeness to one coin seen in some views.

    Parameters
    ----------
    views
        Pictures of one coin. Views of one side whose turns are known are fused into one search, every other view is
        searched by itself, then the searches are fused.
    allowed
        Rows of the index that may be candidates (all).
    shortlist
        How many entries a side are compared cell by cell, those nearest by pooled features.

    Returns
    -------
    list of Candidate
        Best first, one per coin.
    """
    if len(index) == 0 or not views:
        return []
    found = []
    for together in _searches(views):
        turned = embedder.embed(turned_crops(together))
        found.append(_best_of_coins(index, turned, together[0].side, allowed, shortlist))
    return _fuse(found)


def _searches(views: Sequence[View]) -> list[list[View]]:
    """Views that can be searched together: of one side, with known turns."""
    alone = [[view] for view in views if view.turned_deg is None]
    by_side: dict[str | None, list[View]] = {}
    for view in views:
        if view.turned_deg is not None:
            by_side.setdefault(view.side, []).append(view)
    return [*by_side.values(), *alone]


def turned_crops(views: Sequence[View], turns: int = TURNS) -> list[Image]:
    """For each of ``turns`` turns of the coin, the crop to compare: the view lit most like a catalogue photograph."""
    crops = []
    for step in range(turns):
        turn = 360.0 * step / turns
        chosen = min(views, key=lambda view: _lamp_error_deg(view, turn))
        crops.append(turn_crop(chosen.crop, turn - (chosen.turned_deg or 0.0)))
    return crops


def turn_crop(crop: Image, turn_deg: float) -> Image:
    """Turn a crop counter-clockwise about its centre."""
    size = crop.shape[0]
    matrix = cv2.getRotationMatrix2D(((size - 1) / 2.0, (size - 1) / 2.0), turn_deg, 1.0)
    grey = (round(GREY_MEAN),) * 3
    turned = cv2.warpAffine(crop, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=grey)
    return np.asarray(turned, np.uint8)


def embed_entries(embedder: Embedder, crops: Sequence[Image]) -> Features:
    """Embed catalogue pictures, each with as much of its turnless part in the grid as the embedder's card says.

    Lit by one lamp in a room a coin turned between two photographs is shaded otherwise, and the best turn finds the
    coin whose shading agrees. The mean over all turns has no shading: it keeps what lies how far from the centre, in
    no direction. `compare` is linear in the entry, so that with a share s of it in the grid a query scores (1 - s)
    times its likeness at the best turn plus s times its likeness to the turnless part.
    """
    features = embedder.embed(crops)
    share = turnless_share(embedder)
    if share == 0.0 or not crops:
        return features
    total = features.grid.astype(np.float32)
    for step in range(1, ENTRY_TURNS):
        total += embedder.embed([turn_crop(crop, 360.0 * step / ENTRY_TURNS) for crop in crops]).grid
    length = np.linalg.norm(cells_on_coin(total), axis=1)[:, None, None, None]
    return Features(features.pooled, ((1.0 - share) * features.grid + share * total / length).astype(np.float16))


def turnless_share(embedder: Embedder) -> float:
    """How much of the score is likeness to the turnless part of an entry, 0 to 1: nothing unless the card says so."""
    return float(embedder.card.get("turnless_share", 0.0))


def compare(queries: npt.NDArray[np.float16], gallery: npt.NDArray[np.float16]) -> Scores:
    """Mean cosine over the coin's cells: (Q, C, h, w) against (G, C, h, w) gives (Q, G)."""
    left = cells_on_coin(queries)
    scores = np.empty((len(queries), len(gallery)), np.float32)
    for start in range(0, len(gallery), _CHUNK):
        scores[:, start : start + _CHUNK] = left @ cells_on_coin(gallery[start : start + _CHUNK]).T
    return scores


def cells_on_coin(grids: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Grids (N, C, h, w) as vectors (N, C * cells on the coin) whose inner product is the mean cosine of the cells."""
    inside = disc(grids.shape[-1]).ravel()
    cells = grids.reshape(len(grids), grids.shape[1], -1)[:, :, inside]
    return cells.reshape(len(grids), -1).astype(np.float32) / np.float32(np.sqrt(inside.sum()))


def _lamp_error_deg(view: View, turn_deg: float) -> float:
    """How far from the upper left the lamp stands once the coin is turned so."""
    if view.lamp_deg is None:
        return 0.0
    lamp = view.lamp_deg + turn_deg - (view.turned_deg or 0.0)
    return abs((lamp - CATALOGUE_LAMP_DEG + 180.0) % 360.0 - 180.0)


def _best_of_coins(
    index: CatalogueIndex, turned: Features, side: str | None, allowed: Rows | None, shortlist: int
) -> dict[str, tuple[float, Entry, float]]:
    """For every shortlisted coin its best entry of this side: score, entry, turn (deg)."""
    entries = index.entries
    rows = np.arange(len(index), dtype=np.int64) if allowed is None else allowed
    if side is not None:
        rows = np.array([row for row in rows if entries[row].side in (side, None)], np.int64)
    rows = index.search(turned.pooled, shortlist, rows)
    if len(rows) == 0:
        return {}
    scores = compare(turned.grid, index.grids(rows))
    best: dict[str, tuple[float, Entry, float]] = {}
    for column, row in enumerate(rows):
        step = int(np.argmax(scores[:, column]))
        score, entry = float(scores[step, column]), entries[row]
        if entry.coin not in best or score > best[entry.coin][0]:
            best[entry.coin] = (score, entry, 360.0 * step / len(scores))
    return best


def _fuse(found: Sequence[dict[str, tuple[float, Entry, float]]]) -> list[Candidate]:
    """Mean over searches; a coin that one search's shortlist left out scores there as the last on it."""
    floors = [min((score for score, _, _ in side.values()), default=0.0) for side in found]
    candidates = []
    for coin in sorted(set().union(*found)):
        hits = [side[coin] for side in found if coin in side]
        scores = tuple(side[coin][0] if coin in side else floor for side, floor in zip(found, floors, strict=True))
        entries = tuple(entry.entry_id for _, entry, _ in hits)
        candidates.append(Candidate(coin, float(np.mean(scores)), entries, tuple(turn for _, _, turn in hits), scores))
    return sorted(candidates, key=lambda candidate: -candidate.score)
