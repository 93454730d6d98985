"""Which coins are put together, and the images made of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.embedding.embedder import Embedder, to_tensor
from models.training.augmentation import Augmentation
from models.training.batches import (
    Batch,
    TrainingCoin,
    ahead,
    align_crops,
    companions,
    draw_coins,
    draw_images,
    make_batch,
    stream,
)
from tests.models.model_coins import crop_of

STILL = Augmentation(
    turn_deg=0, shift=0, scale=0, gradient=0, gamma=0, blur_px=0, noise=0, flatten=0, halftone=0, coarse=0, hide=0
)


def coin(number: int, group: str = "", lamps: tuple[float, ...] = (135.0, 200.0)) -> TrainingCoin:
    return TrainingCoin(str(number), group, tuple(crop_of(number, lamp) for lamp in lamps))


def test_companions_are_of_the_type_or_else_the_most_similar() -> None:
    coins = [coin(n, "a" if n < 3 else "") for n in range(7)]
    pooled = np.eye(7, dtype=np.float32)
    pooled[4] = pooled[6]
    near = companions(coins, pooled, 1)
    assert [each.tolist() for each in near[:3]] == [[1, 2], [0, 2], [0, 1]]
    assert near[4].tolist() == [6] and near[6].tolist() == [4]
    assert all(len(each) == 1 and each[0] > 2 for each in near[3:])


def test_a_batch_holds_each_coin_once_and_companions_together() -> None:
    coins = [coin(0, str(n % 5)) for n in range(40)]
    near = companions(coins, np.ones((40, 4), np.float32), 4)
    for seed in range(5):
        chosen = draw_coins(near, 12, 4, np.random.default_rng(seed))
        assert len(chosen) == len(set(chosen)) == 12
        types = [coins[number].group for number in chosen]
        assert max(types.count(each) for each in types) >= 4
    assert sorted(draw_coins(near, 100, 4, np.random.default_rng(0))) == list(range(40))


def test_images_of_a_coin_stand_in_both_halves() -> None:
    coins = [coin(n, lamps=(135.0,)) for n in range(4)]
    batch = draw_images(coins, [2, 0], STILL, np.random.default_rng(1))
    assert batch.shape == (4, 3, 224, 224)
    assert torch.allclose(batch[0], batch[2]) and torch.allclose(batch[1], batch[3])
    assert not torch.allclose(batch[0], batch[1])


def test_the_same_seed_draws_the_same_images() -> None:
    coins = [coin(n) for n in range(4)]
    lively = Augmentation(relight=0.5, halftone=0.5, coarse=0.5)
    one, two, other = (draw_images(coins, [3, 1], lively, np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_batches_made_ahead_are_those_made_one_by_one() -> None:
    coins = [coin(n) for n in range(5)]
    near = companions(coins, np.eye(5, dtype=np.float32), 2)

    def make(number: int) -> Batch:
        return make_batch(coins, near, 3, 2, Augmentation(relight=0.5), np.random.default_rng(stream(7, number)))

    for number, early in enumerate(ahead(make, range(2, 7), 3), 2):
        late = make(number)
        assert torch.equal(early.images, late.images) and torch.equal(early.labels, late.labels)
    assert number == 6


def test_a_batch_that_cannot_be_made_is_reported_where_it_is_wanted() -> None:
    def make(number: int) -> Batch:
        if number == 1:
            raise MemoryError
        return Batch(torch.zeros(0), torch.tensor([number]))

    batches = ahead(make, range(9), 2)
    assert next(batches).labels.tolist() == [0]
    with pytest.raises(MemoryError):
        next(batches)


def test_a_part_of_the_images_is_what_the_whole_has_there() -> None:
    coins = [coin(n) for n in range(3)]
    lively = Augmentation(relight=0.5)
    whole, part = (
        draw_images(coins, [2, 0, 1], lively, np.random.default_rng(3), part) for part in (slice(None), slice(2, 5))
    )
    assert torch.equal(whole[2:5], part)


def test_in_a_batch_relit_first_and_second_images_differ_in_light() -> None:
    coins = [coin(n, lamps=(135.0,)) for n in range(4)]
    batch = draw_images(coins, [0, 1], STILL.model_copy(update={"relight": 1.0}), np.random.default_rng(2))
    assert not torch.allclose(batch[0], batch[2], atol=0.1)


def test_crops_that_lie_anyhow_are_turned_to_lie_the_same_way(plain: Embedder) -> None:
    turns_deg = (0.0, 70.0, 200.0)
    crops = tuple(crop_of(6, 135.0 + turn, turn) for turn in turns_deg)
    upright = align_crops(TrainingCoin("6", "", crops, is_aligned=False), plain)
    assert upright.is_aligned
    first, *others = to_tensor(upright.crops)
    for other, before in zip(others, to_tensor(crops[1:]), strict=True):
        assert (other - first).abs().mean() < 0.6 * (before - first).abs().mean()
    untouched = TrainingCoin("6", "", crops)
    assert align_crops(untouched, plain) is untouched
