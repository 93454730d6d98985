"""The power is cut while a command writes, on a disk that keeps only what was forced onto it: nothing is lost."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from models.embedding.embedder import Embedder
from tests.crash.check import check_reopened, check_repeated, read_records
from tests.crash.disk import Disk
from tests.crash.trace import STRACE, record
from tests.pipeline.conftest import COINS, SHORT_PLAN
from tests.variants import usually

MODEL = "sharper"
REPEATED = 20  # every such state: the same command again


@dataclass(frozen=True)
class Job:
    """A command, and how a lab is brought to where it has something to do; ``{lab}`` is the lab's folder.

    Given again when it is done, it may fail with `when_done`.
    """

    args: tuple[object, ...]
    prepare: Callable[[Path, Path], None]
    when_done: str = ""


def _with_short_plan(lab: Path, photographs: Path) -> None:
    (lab / "plans" / "default.yaml").write_text(SHORT_PLAN)


def _with_photographs(lab: Path, photographs: Path) -> None:
    shutil.copytree(photographs, lab / "photographs")


def _with_model(lab: Path, photographs: Path) -> None:
    """A model of other weights: it has another id, and sees the whole catalogue otherwise."""
    starter = Embedder.load("starter")
    torch.manual_seed(1)
    with torch.no_grad():
        for weights in starter.network.parameters():
            weights += 0.05 * weights.std(correction=0) * torch.randn_like(weights)
    sharper = Embedder(starter.network, {**starter.card, "name": MODEL})
    assert sharper.id != starter.id
    sharper.save(lab / "models" / MODEL)


SCANNED = ("delete",)  # begins in a lab that is scanned
JOBS = {
    "import": Job(("import", "{lab}/photographs"), _with_photographs),
    "scan": Job(("scan", "--tray", 1, "--no-identify"), _with_short_plan),
    "delete": Job(("store", "delete", "--coin", COINS[0], "--why", "not ours", "--yes"), lambda lab, photographs: None),
    "calibrate": Job(("calibrate",), lambda lab, photographs: None),
    "promote": Job(("models", "promote", MODEL, "--force"), _with_model, "is in use already"),
}


@pytest.mark.skipif(STRACE is None, reason="what a command does to its disk is seen by strace, which is not installed")
@pytest.mark.parametrize("name", usually(("import",), JOBS))
def test_a_power_cut_loses_nothing_that_was_acknowledged(
    name: str, request: pytest.FixtureRequest, photographs: Path, tmp_path: Path, states: range
) -> None:
    job, lab, before = JOBS[name], tmp_path / "lab", tmp_path / "before"
    source = request.getfixturevalue("scanned").lab if name in SCANNED else request.getfixturevalue("made_lab")
    shutil.copytree(source, lab)
    job.prepare(lab, photographs)
    shutil.copytree(lab, before)
    calls = record(lab, *_args(job, lab))
    disk, was, became = Disk(before, lab, calls), read_records(before), read_records(lab)
    check_reopened(lab, was, became, disk.promises(disk.end))
    points = disk.points()
    for number in states:
        chance = random.Random(f"{name} {number}")
        point = points[-1] if number % 10 == 0 else chance.choice(points)
        found = tmp_path / "found"
        disk.build(found, point, chance)
        try:
            check_reopened(found, was, became, disk.promises(point))
            if number % REPEATED == 1:
                check_repeated(found, _args(job, found), job.when_done)
        except BaseException as error:
            error.add_note(f"{name}, state {number}: the power was cut at call {point} of {disk.end}")
            raise
        shutil.rmtree(found)
    counts = f"{len(states)} states of {len(points)} moments and {len(disk.changes)} changes"
    print(f"{name}: {counts}, nothing acknowledged is lost")


def _args(job: Job, lab: Path) -> list[str]:
    return [str(each).replace("{lab}", str(lab)) for each in job.args]
