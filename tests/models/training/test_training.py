"""Training."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from models.embedding.embedder import Embedder
from models.training.augmentation import Augmentation
from models.training.batches import TrainingCoin, TrainingError
from models.training.config import TrainingConfig
from models.training.log import LOG_FOLDER
from models.training.losses import LossConfig
from models.training.state import STATE_FILE
from models.training.training import Step, train
from tests.models.model_coins import crop_of

SMALL = TrainingConfig(
    name="small",
    backbone="mobilenet_v3_small",
    channels=16,
    steps=24,
    coins_per_batch=4,
    learning_rate=2e-3,
    warm_up_steps=2,
)


def some_coins(count: int) -> list[TrainingCoin]:
    return [
        TrainingCoin(str(n), f"type {n % 3}", (crop_of(n), crop_of(n, 200.0), crop_of(n, 300.0))) for n in range(count)
    ]


@pytest.mark.slow  # by default a training that stops early is followed
def test_training_lowers_the_loss(random_weights: Path) -> None:
    steps: list[Step] = []
    train(SMALL.model_copy(update={"steps": 12}), some_coins(9), steps.append, every=4)
    assert [step.step for step in steps] == [4, 8, 12]
    assert steps[-1].loss < steps[0].loss
    assert all(0.0 < step.busy <= 1.0 for step in steps)
    assert steps[0].learning_rate > steps[-1].learning_rate > 0.0


@pytest.mark.slow
def test_the_same_seed_gives_the_same_embedder(random_weights: Path, tmp_path: Path) -> None:
    short = SMALL.model_copy(update={"steps": 3})
    one, two = (train(short, some_coins(7)) for _ in range(2))
    assert one.id == two.id
    assert train(short.model_copy(update={"seed": 1}), some_coins(7)).id != one.id
    one.save(tmp_path / "one")
    assert Embedder.load(tmp_path / "one").id == one.id
    assert one.card["training"]["coin_sides"] == 7


@pytest.mark.slow
def test_broken_off_and_taken_up_it_ends_with_the_same_weights(random_weights: Path, tmp_path: Path) -> None:
    recipe = SMALL.model_copy(
        update={"steps": 6, "save_every": 2, "augmentation": Augmentation(relight=0.5), "loss": LossConfig(memory=32)}
    )
    whole = train(recipe, some_coins(7))

    def break_off(step: Step) -> None:
        if step.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, some_coins(7), break_off, every=1, state=tmp_path / "run")
    seen: list[int] = []
    resumed = train(recipe, some_coins(7), lambda step: seen.append(step.step), every=1, state=tmp_path / "run")
    assert seen == [5, 6]
    assert resumed.id == whole.id
    curves = EventAccumulator(str(tmp_path / "run" / LOG_FOLDER)).Reload()
    assert {"loss", "retrieved", "learning_rate", "busy"} <= set(curves.Tags()["scalars"])
    assert [each.step for each in curves.Scalars("loss")] == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_a_state_of_another_recipe_or_damaged_is_refused(random_weights: Path, tmp_path: Path) -> None:
    recipe = SMALL.model_copy(update={"steps": 1})
    train(recipe, some_coins(7), state=tmp_path)
    with pytest.raises(TrainingError, match="another recipe"):
        train(recipe.model_copy(update={"learning_rate": 1e-3}), some_coins(7), state=tmp_path)
    path = tmp_path / STATE_FILE
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(TrainingError, match="damaged"):
        train(recipe, some_coins(7), state=tmp_path)


def test_it_stops_when_real_coins_are_found_no_better_and_keeps_the_best(random_weights: Path) -> None:
    recipe = SMALL.model_copy(update={"steps": 24, "validate_every": 2, "patience": 2})
    figures = iter([0.2, 0.5, 0.4, 0.5, 0.9])
    ids: list[str] = []

    def real_figure(embedder: Embedder) -> float:
        ids.append(embedder.id)
        return next(figures)

    steps: list[Step] = []
    best = train(recipe, some_coins(7), steps.append, real_figure=real_figure)
    assert best.id == ids[1] and len(set(ids)) == 4
    assert [(step.step, step.real) for step in steps] == [(2, 0.5), (4, 0.4), (6, 0.5)]
    assert best.card["training"]["kept_step"] == 2
    assert best.card["training"]["real_figures"] == [(0, 0.2), (2, 0.5), (4, 0.4), (6, 0.5)]


def test_too_few_coins_are_refused() -> None:
    with pytest.raises(TrainingError, match="at least two"):
        train(SMALL, some_coins(1))


def test_a_memory_smaller_than_a_batch_is_refused() -> None:
    with pytest.raises(TrainingError, match="batch of 8 images"):
        train(SMALL.model_copy(update={"loss": LossConfig(memory=7)}), some_coins(7))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "mib", "remedy"), [("memory", 400, "coins_per_batch"), ("disk", 1, "Free some space")]
)
def test_too_little_memory_or_disk_is_reported_with_the_remedy(
    random_weights: Path, tmp_path: Path, what: str, mib: int, remedy: str
) -> None:
    script = Path(__file__).with_name("train_short_of.py")
    ran = subprocess.run(
        [sys.executable, script, what, str(mib), tmp_path / "run"],
        env=os.environ | {"PYTHONPATH": str(script.parents[3])},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert remedy in ran.stdout


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="learning_rat"):
        TrainingConfig.model_validate({"learning_rat": 1e-3})
    with pytest.raises(ValidationError, match="steps"):
        TrainingConfig(steps=0)
