"""Which coins train, which choose, which judge: by coin, never by image, and for good.

What a coin was before it stays: a set that grows keeps its test coins, and none of them ever trains.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


class Shares(BaseModel):
    """How many of the coins each part gets; what is left trains."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    test: float = Field(default=0.2, gt=0.0, lt=1.0)
    validation: float = Field(default=0.1, ge=0.0, lt=1.0)


def split_by_coin(
    groups: Mapping[str, str], shares: Shares, seed: int, before: Mapping[str, Part], *, freeze_test: bool
) -> dict[str, Part | None]:
    """Assign every coin to a part.

    Parameters
    ----------
    groups
        Coin to its group: coins of one group (die-mates, near-duplicates) share a part.
    before
        Coins that had a part already. A group keeps the strictest of its members' (test before validation before
        train).
    freeze_test
        Whether new groups only validate or train.

    Returns
    -------
    dict
        Coin to part; None for a coin that must be left out, because it was in one part and now proves to belong to a
        coin of another.
    """
    members: dict[str, list[str]] = {}
    for coin in sorted(groups):
        members.setdefault(groups[coin], []).append(coin)
    parts: dict[str, Part | None] = {}
    new: list[str] = []
    for group, coins in members.items():
        kept = {before[coin] for coin in coins if coin in before}
        if not kept:
            new.append(group)
            continue
        part = max(kept, key=PARTS.index)
        parts |= {coin: part if before.get(coin, part) == part else None for coin in coins}
    wanted = {"test": 0 if freeze_test else round(shares.test * len(groups))}
    wanted["validation"] = round(shares.validation * len(groups))
    for group in sorted(new, key=lambda group: hashlib.sha256(f"{seed} {group}".encode()).digest()):
        chosen: Part = "train"
        for part in ("test", "validation"):
            if sum(each == part for each in parts.values()) < wanted[part]:
                chosen = part
                break
        parts |= dict.fromkeys(members[group], chosen)
    return parts
