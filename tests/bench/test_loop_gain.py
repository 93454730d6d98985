"""What four nights of newly confirmed coins bring: Rank-1 on frozen test coins after each round of the loop.

Of the 217 euro coins of the shared material 87 are test coins and never train; the others arrive in four parts. Each
round is what `rig models improve` does with its dataset: a model trained by the recipe on the coins that are known by
then, a sixth of which choose its step, compared with the model in use on the test coins, and in use from then on if it
is surely better. Left out is what has no part in that figure: the store, and the probability. Coins are cut out and
aligned once for all rounds. A seed takes some 13 CPU-minutes; ``$LOOP_SEEDS`` ("1" for one of them) and
``$LOOP_STEPS`` choose.
"""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from capture.store.journal_lines import Judgement, ModelFigures
from models.embedding.backbones import backbone, pretrained
from models.embedding.embedder import Embedder, EmbedderNetwork
from models.evaluation.evaluation import Evaluation, evaluate
from models.evaluation.measures import interval_over_coins
from models.evaluation.samples import Sample
from models.training.batches import TrainingCoin, align_crops
from models.training.training import train
from pipeline.documents import read_document
from pipeline.learning.recipe import Recipe
from pipeline.learning.train import TURNS_TO_VALIDATE
from pipeline.learning.training_coins import coins_of, labelled_samples

SHARED = Path(os.environ.get("RIG_SHARED", "."))
RECIPE = Path(__file__).parents[2] / "models" / "recipes" / "euro-loop.yaml"
SEEDS = os.environ.get("LOOP_SEEDS", "1,2,3").split(",")
STEPS = int(os.environ.get("LOOP_STEPS", "40"))  # of 120, models of 40 and 80 were kept in docs/models.md's rounds
TEST, ROUNDS, CHOOSING = 87, 4, 6

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif("RIG_SHARED" not in os.environ, reason="$RIG_SHARED is not set: its euro coins are needed"),
]


@dataclass(frozen=True)
class Division:
    """Coins by their labels: those that judge, and those that are confirmed before each round."""

    test: Sequence[str]
    parts: Sequence[Sequence[str]]

    @classmethod
    def drawn(cls, labels: Sequence[str], seed: str) -> Division:
        coins = sorted(labels)
        random.Random(int(seed)).shuffle(coins)
        return cls(coins[:TEST], [coins[TEST + number :: ROUNDS] for number in range(ROUNDS)])


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    os.environ.setdefault("RIG_WEIGHTS", str(SHARED / "weights"))
    return read_document(RECIPE, Recipe).model_copy(update={"steps": STEPS, "validate_every": max(1, STEPS // 2)})


@pytest.fixture(scope="module")
def samples() -> dict[str, list[Sample]]:
    """Every photograph's crop, by coin."""
    labels = SHARED / "data" / "euro_same_coin" / "labels.csv"
    found: dict[str, list[Sample]] = {}
    for sample in labelled_samples(labels, 1.0, 0, rest=False, progress=lambda done, total: None):
        found.setdefault(sample.coin, []).append(sample)
    return found


@pytest.fixture(scope="module")
def aligned(samples: dict[str, list[Sample]], recipe: Recipe) -> Callable[[str], TrainingCoin]:
    """A coin as it trains, turned as every training would turn it; once, however often it trains."""
    card = {"name": "start", "backbone": recipe.backbone, "channels": backbone(recipe.backbone).channels}
    start = Embedder(EmbedderNetwork(recipe.backbone, pretrained(recipe.backbone)), card)
    return functools.cache(lambda coin: align_crops(coins_of(samples[coin])[0], start))


def test_rank_1_after_four_rounds(
    samples: dict[str, list[Sample]], aligned: Callable[[str], TrainingCoin], recipe: Recipe
) -> None:
    for seed in SEEDS:
        divided = Division.drawn(list(samples), seed)
        judging = [sample for coin in divided.test for sample in samples[coin]]
        in_use, before = "starter", evaluate(Embedder.load("starter"), judging, turns=TURNS_TO_VALIDATE)
        known: list[str] = []
        table = Table(f"seed {seed}, {STEPS} steps", "train", "in use", "new", "points (95 %)", "for 2 points", "")
        for number, part in enumerate(divided.parts, 1):
            known += part
            assert not set(known) & set(divided.test)
            choosing = [sample for coin in known[::CHOOSING] for sample in samples[coin]]
            training = [aligned(coin) for place, coin in enumerate(known) if place % CHOOSING]
            new = train(
                recipe.model_copy(update={"name": f"round-{number}"}),
                training,
                real_figure=lambda now, own=choosing: evaluate(now, own, turns=TURNS_TO_VALIDATE).rank1,  # type: ignore[misc]
            )
            after = evaluate(new, judging, turns=TURNS_TO_VALIDATE)
            judged = judge(before, after, {sample.name: sample.coin for sample in judging}, len(training))
            is_better = judged.interval95[0] > 0.0
            low, high = (100 * each for each in judged.interval95)
            table.add_row(
                f"round {number}",
                str(len(training)),
                f"{before.rank1:.1%} ({in_use})",
                f"{after.rank1:.1%}",
                f"{100 * judged.difference:+.1f} ({low:+.1f} to {high:+.1f})",
                str(judged.coins_for(0.02)),
                "in use" if is_better else "refused",
            )
            Console(width=110).print(table)
            if is_better:
                assert after.rank1 > before.rank1
                in_use, before = f"round {number}", after


def judge(before: Evaluation, after: Evaluation, coins: dict[str, str], trained: int) -> Judgement:
    """As `rig models promote` judges: the same queries, resampled by coin."""
    gained = np.array([new.rank == 1 for new in after.outcomes], np.float64)
    gained -= [old.rank == 1 for old in before.outcomes]
    names = [coins[outcome.name] for outcome in before.outcomes]
    figures = [
        ModelFigures(rank1=each.rank1, rank1_interval95=each.rank1_interval95, map=each.map) for each in (before, after)
    ]
    return Judgement(
        version=1,
        dataset_id="",
        test_set="",
        trained_coins=trained,
        trained_frames=0,
        test_coins=len(set(names)),
        queries=len(names),
        before=figures[0],
        after=figures[1],
        difference=float(gained.mean()),
        interval95=interval_over_coins(gained, names),
        verdict="",
    )
