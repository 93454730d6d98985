"""`kill -9` at random points of every command that writes, then the same command again: nothing is lost."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from tests.kills.chain import Tally, kill_and_resume, measure
from tests.kills.jobs import JOBS
from tests.kills.processes import copy_lab


@pytest.mark.parametrize("name", JOBS)
def test_killed_at_random_points_nothing_is_lost(
    name: str, made_lab: Path, tmp_path: Path, kills: int, first_chain: int
) -> None:
    job, tally = JOBS[name], Tally()
    if kills * job.share < 1.5:
        pytest.skip(f"more kills reach this command too: --kills {math.ceil(1.5 / job.share)}")
    wanted = math.ceil(kills * job.share)
    prepared = Path(shutil.copytree(made_lab, tmp_path / "prepared"))
    job.prepare(prepared)
    length = measure(job, copy_lab(prepared, tmp_path / "whole"))
    chain = first_chain
    while tally.kills < wanted:
        folder = tmp_path / f"{chain}"
        folder.mkdir()
        kill_and_resume(name, job, chain, prepared, folder / "lab", length, tally)
        shutil.rmtree(folder)
        chain += 1
    _print(name, tally, first_chain, chain)


def _print(name: str, tally: Tally, first: int, end: int) -> None:
    table = Table(
        f"{name}: {tally.kills} kills in {tally.chains} chains ({first} to {end - 1}), "
        f"{tally.wall_s / tally.kills:.1f} s each",
        "kills",
    )
    for point, count in sorted(tally.points.items()):
        table.add_row(point, str(count))
    Console(width=100).print(table)
