"""Searches for coins with their entry in the catalogue and without, a line of `answers.jsonl` each, and their figures.

What is answered already is not searched for again: a long measurement can be interrupted, and continues.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.evaluation.measures import interval_over_coins, reliability
from models.evaluation.open_set import Searches, fnir_at_fpir, fnir_interval
from models.matching.gallery import Where
from models.matching.index import EVERYTHING
from models.matching.views import View
from pipeline.collection.identify import Identifier

Read = Callable[[], Sequence[View]]
"""Reads the images of one coin."""


def answer_each(identifier: Identifier, queries: Iterable[tuple[str, str | None, Read]], kept: Path) -> None:
    """Search for coins: what the query is called, the coin's name in the catalogue (None if it has none), its views."""
    done = {each["query"] for each in _read(kept)} if kept.is_file() else set()
    for query, own, read in queries:
        if query in done:
            continue
        views = read()
        found: dict[str, Any] = {"query": query, "name": own}
        for mated, where in ((True, EVERYTHING), (False, Where(but_coin=own))):
            ranked = identifier.matcher.match(views, identifier.probability, identifier.links, where)
            called = [{each.scored.coin, *(other.coin for other in each.also)} for each in ranked]
            rank = next((n for n, names in enumerate(called, 1) if own in names), None)
            best = {"rank": rank, "probability": ranked[0].probability, "first": ranked[0].scored.coin}
            found["mated" if mated else "impostor"] = best
        with kept.open("a") as stream:
            print(json.dumps(found), file=stream)
        print(json.dumps(found), flush=True)


def report(title: str, kept: Path) -> None:
    """What the answers so far come to."""
    answers = _read(kept)
    coins = tuple(str(each["name"]) for each in answers)
    ranks = np.array([each["mated"]["rank"] or np.inf for each in answers])
    chances = np.array([each["mated"]["probability"] for each in answers])
    others = np.array([each["impostor"]["probability"] for each in answers])
    print(f"{title}: {len(answers)} searches for {len(set(coins))} coins")
    for rank in (1, 5, 10):
        hit = ranks <= rank
        print(f"Rank-{rank}: {hit.mean():.1%}, {[round(side, 3) for side in interval_over_coins(hit, coins)]}")
    searches = Searches(coins, chances, ranks == 1, coins, others)
    for fpir in (0.01, 0.1):
        interval = [round(side, 3) for side in fnir_interval(searches, fpir)]
        print(f"FNIR at FPIR {fpir:.0%}: {fnir_at_fpir(searches, fpir):.1%}, {interval}")
    right = np.concatenate([ranks == 1, np.zeros(len(others), bool)])
    print(f"ECE {reliability(np.concatenate([chances, others]), right).ece:.3f}")
    matched, misnamed = (chances >= 0.9) & (ranks == 1), others >= 0.9
    print(f"match, with the entry: {matched.mean():.1%}; without: {misnamed.mean():.1%}, {others.max():.3f} at most")


def _read(kept: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in kept.read_text().splitlines()]
