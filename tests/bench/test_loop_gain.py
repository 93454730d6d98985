"""What four nights of newly confirmed coins bring: Rank-1 on frozen test coins after each round of the loop.

The 217 euro coins of the shared material arrive in four parts; 87 of the first are test coins and never train. Each
round is what `rig models improve` makes of it: a model in use, or a refusal. Hours on two cores: choose seeds by
``$LOOP_SEEDS`` ("1" for one of them) and steps by ``$LOOP_STEPS``. Nothing is asserted but the order of things; the
table is printed after each round.
"""

from __future__ import annotations

import csv
import os
import random
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from rich.table import Table

from tests.pipeline.conftest import run_well
from tests.processes import run

SHARED = Path(os.environ.get("RIG_SHARED", "."))
RECIPE = Path(__file__).parents[2] / "models" / "recipes" / "euro-loop.yaml"
SEEDS = os.environ.get("LOOP_SEEDS", "1,2,3").split(",")
STEPS = int(os.environ.get("LOOP_STEPS", "120"))
TEST, ROUNDS = 87, 4

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif("RIG_SHARED" not in os.environ, reason="$RIG_SHARED is not set: its euro coins are needed"),
]


def slices(seed: str, folder: Path) -> list[Path]:
    """Label tables of the coins that arrive before each round; the test coins come with the first."""
    data = SHARED / "data" / "euro_same_coin"
    with (data / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    coins = sorted({row["coin_id"] for row in rows})
    random.Random(int(seed)).shuffle(coins)
    each = (len(coins) - TEST) // ROUNDS
    parts = [coins[: TEST + each], *(coins[TEST + n * each : TEST + (n + 1) * each] for n in range(1, ROUNDS))]
    tables = []
    for number, part in enumerate(parts, 1):
        tables.append(folder / f"slice{number}.csv")
        with tables[-1].open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows({**row, "file": str(data / row["file"])} for row in rows if row["coin_id"] in part)
    return tables


@pytest.mark.parametrize("seed", SEEDS)
def test_rank_1_after_four_rounds(seed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_WEIGHTS", str(SHARED / "weights"))
    lab = tmp_path / "lab"
    recipe = yaml.safe_load(RECIPE.read_text()) | {"steps": STEPS, "validate_every": max(1, STEPS // 3)}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    run_well("init", "--collection", "--lab", lab)
    for number, labels in enumerate(slices(seed, tmp_path), 1):
        imported = ("import", SHARED / "data" / "euro_same_coin", "--labels", labels, "--lab", lab)
        assert run(*imported, timeout_s=3600).code in (0, 3)
        if number == 1:
            share = TEST / (TEST + (217 - TEST) // ROUNDS)
            run_well("dataset", "build", "loop", "--test", f"{share:.3f}", "--lab", lab)
        improve = ("models", "improve", "loop", "--recipe", tmp_path / "recipe.yaml", "--lab", lab, "--json")
        assert run(*improve, timeout_s=36_000).code in (0, 3)
        rounds = run_well("models", "rounds", "loop", "--lab", lab, "--json").json["rounds"]
        assert [each["version"] for each in rounds] == list(range(1, number + 1))
        table = Table(
            f"seed {seed}, {STEPS} steps", "train", "in use", "new", "points (95 %)", "coins for 2 points", ""
        )
        for each in rounds:
            low, high = each["interval95"]
            table.add_row(
                f"round {each['version']}",
                str(each["trained_coins"]),
                f"{each['before']['rank1']:.1%}",
                f"{each['after']['rank1']:.1%}",
                f"{100 * each['difference']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})",
                str(each["coins_for_gain"]),
                "in use" if each["promoted"] else "refused",
            )
        Console(width=110).print(table)
