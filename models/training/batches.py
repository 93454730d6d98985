"""What training looks at: coin sides, and batches of changed images of some of them.

What a batch holds hangs on the seed and its number alone, never on the batches before it: so they can be made ahead, in
any thread, and again after a run was interrupted, and are the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from calibration.image import Image
from models.embedding.embedder import Embedder, to_tensor
from models.matching.rotation import search_rotation, turn_crop, turned_crops
from models.training import processes
from models.training.augmentation import Augmentation
from models.training.relight import Relief

Numbers = npt.NDArray[np.int64]


class TrainingError(Exception):
    """The images given cannot be trained on."""


@dataclass(frozen=True)
class TrainingCoin:
    """Normalised crops of one coin side.

    Attributes
    ----------
    group
        Its type, empty where unknown: coins of one group are put into one batch.
    is_aligned
        Whether all crops are the same way up; `align_crops` turns those that are not.
    relief
        Its measured relief (`models.training.relight.measured_relief`), the same way up, where there is one.
    """

    label: str
    group: str
    crops: tuple[Image, ...]
    is_aligned: bool = True
    relief: Relief | None = None


@dataclass(frozen=True)
class Batch:
    """Two images of each of some coins: all the first, then all the second.

    Attributes
    ----------
    images
        (n, 3, 224, 224), those that this process computes on (`models.training.processes.part`).
    labels
        (2 * coins,) int64, the coins' numbers, of all images.
    """

    images: torch.Tensor
    labels: torch.Tensor


def make_batch(
    coins: Sequence[TrainingCoin],
    near: Sequence[Numbers],
    count: int,
    per_group: int,
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> Batch:
    """Draw coins (`draw_coins`) and this process's part of their images (`draw_images`)."""
    chosen = draw_coins(near, count, per_group, rng)
    images = draw_images(coins, chosen, augmentation, rng, processes.part(2 * len(chosen)))
    return Batch(images, torch.tensor(chosen).repeat(2))


def ahead(make: Callable[[int], Batch], numbers: range, threads: int) -> Generator[Batch]:
    """Batches by their numbers, in order; ``threads`` of them are always being made, or lie ready."""
    waiting: deque[Future[Batch]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="batch")
    try:
        for number in numbers:
            waiting.append(pool.submit(make, number))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def stream(seed: int, *place: int) -> np.random.SeedSequence:
    """The random numbers of one place in a run."""
    return np.random.SeedSequence(seed, spawn_key=place)


def align_crops(coin: TrainingCoin, embedder: Embedder) -> TrainingCoin:
    """Turn all crops of a coin to lie as its first does, by the rotation search that matching uses."""
    if coin.is_aligned or len(coin.crops) < 2:
        return coin
    first, *others = coin.crops
    found = search_rotation(embedder.embed(turned_crops(first)).grid, embedder.embed(others).grid)
    upright = (turn_crop(crop, -turn_deg) for crop, turn_deg in zip(others, found.turns_deg, strict=True))
    return replace(coin, crops=(first, *upright), is_aligned=True)


def companions(coins: Sequence[TrainingCoin], pooled: npt.NDArray[np.float32], count: int) -> list[Numbers]:
    """For each coin those that are hard to tell from it: of its type, or where that is unknown the most similar.

    Parameters
    ----------
    pooled
        (len(coins), dim) features of unit length, of one crop of each.
    count
        How many of the most similar.
    """
    groups: dict[str, list[int]] = {}
    for number, coin in enumerate(coins):
        groups.setdefault(coin.group, []).append(number)
    untyped = np.array(groups.pop("", []), np.int64)
    near: list[Numbers] = [untyped[:0]] * len(coins)
    for number in untyped:
        nearest = untyped[np.argsort(-(pooled[untyped] @ pooled[number]), kind="stable")]
        near[number] = nearest[nearest != number][:count]
    for members in groups.values():
        for number in members:
            near[number] = np.array([other for other in members if other != number], np.int64)
    return near


def draw_coins(near: Sequence[Numbers], count: int, per_group: int, rng: np.random.Generator) -> list[int]:
    """Draw coins for a batch: some at random, each with up to ``per_group`` - 1 of its companions."""
    chosen: dict[int, None] = {}
    for number in rng.permutation(len(near)):
        together = [number, *rng.permutation(near[number])[: per_group - 1]]
        chosen |= dict.fromkeys(int(each) for each in together)
        if len(chosen) >= count:
            break
    return list(chosen)[:count]


def draw_images(
    coins: Sequence[TrainingCoin],
    chosen: Sequence[int],
    augmentation: Augmentation,
    rng: np.random.Generator,
    part: slice = slice(None),
) -> torch.Tensor:
    """Two changed images of each chosen coin, (2 * len(chosen), 3, 224, 224): all the first, then all the second.

    Of them ``part`` is made; the others may well be made elsewhere.

    All are turned by one random angle: turned each by its own, they could be distinguished by that alone, and the
    rotation search aligns them when it matters. In a batch that is relit all the first share one lamp and all the
    second another: what agrees in light is then another coin, and only the relief finds the partner.
    """
    turn = float(rng.uniform(0.0, 360.0))
    relight = rng.random() < augmentation.relight
    lamps = rng.uniform(0.0, 360.0, 2)
    wanted = [
        (coins[number], view, crop)
        for number in chosen
        for view, crop in enumerate(rng.choice(len(coins[number].crops), 2, replace=len(coins[number].crops) < 2))
    ]
    wanted.sort(key=lambda each: each[1])
    streams = rng.spawn(len(wanted))  # a stream for each, so that the part does not change what is drawn

    return to_tensor(
        [
            augmentation.apply(coin.crops[crop], turn, stream, float(lamps[view]) if relight else None, coin.relief)
            for (coin, view, crop), stream in zip(wanted[part], streams[part], strict=True)
        ]
    )
