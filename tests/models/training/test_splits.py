"""Coins are divided for good: what tests never trains."""

from __future__ import annotations

from collections import Counter

from models.training.splits import Part, Shares, split_by_coin

COINS = {f"c{number}": f"c{number}" for number in range(100)}
SHARES = Shares(test=0.2, validation=0.1)


def test_the_shares_are_kept_and_the_seed_decides() -> None:
    parts = split_by_coin(COINS, SHARES, 0, {}, freeze_test=False)
    assert Counter(parts.values()) == {"train": 70, "test": 20, "validation": 10}
    assert parts == split_by_coin(dict(reversed(COINS.items())), SHARES, 0, {}, freeze_test=False)
    assert parts != split_by_coin(COINS, SHARES, 1, {}, freeze_test=False)


def test_a_set_that_grows_keeps_its_parts_and_its_test_coins() -> None:
    before = split_by_coin(COINS, SHARES, 0, {}, freeze_test=False)
    more = COINS | {f"d{number}": f"d{number}" for number in range(100)}
    after = split_by_coin(more, SHARES, 0, {k: v for k, v in before.items() if v}, freeze_test=True)
    assert all(after[coin] == part for coin, part in before.items())
    assert Counter(after[coin] for coin in more if coin not in COINS) == {"train": 90, "validation": 10}


def test_a_group_is_never_divided() -> None:
    groups = {coin: f"g{number // 5}" for number, coin in enumerate(COINS)}
    parts = split_by_coin(groups, SHARES, 0, {}, freeze_test=False)
    assert all(len({parts[coin] for coin in COINS if groups[coin] == group}) == 1 for group in set(groups.values()))


def test_what_trained_and_proves_to_be_a_test_coin_is_left_out() -> None:
    before: dict[str, Part] = {"a": "test", "b": "train", "c": "train"}
    groups = {"a": "a", "b": "a", "c": "c", "new": "a", "d": "d"}
    parts = split_by_coin(groups, SHARES, 0, before, freeze_test=True)
    assert parts == {"a": "test", "b": None, "new": "test", "c": "train", "d": "train"}
