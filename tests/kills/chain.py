"""A command, killed again and again at seeded random points, then let end."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.kills.check import check_lab, check_readers
from tests.kills.jobs import Job
from tests.kills.processes import KILLED, Kill, copy_lab, run

AGAIN = 0.75  # chance that a run after a kill is killed as well
LONGEST = 6  # kills in a chain
BY_TIME = 1 / 3  # of the kills; the others are at durable steps
READ_BETWEEN = 0.5  # chance that somebody reads after a kill; else the index is left just as it was


@dataclass
class Length:
    """How long a whole run takes, and the durable steps it has, as measured once."""

    wall_s: float
    kinds: Counter[str]


@dataclass
class Tally:
    """What the kills hit: by time or step, and the step that was last begun."""

    kills: int = 0
    points: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    chains: int = 0
    wall_s: float = 0.0


def measure(job: Job, lab: Path) -> Length:
    """Run a job to its end, unharmed."""
    started_s = time.monotonic()
    ran = run(lab, *job.args)
    assert ran.code == 0, ran.err
    length = Length(time.monotonic() - started_s, ran.kinds())
    job.check(lab)
    check_lab(lab)
    return length


def kill_and_resume(name: str, job: Job, number: int, prepared: Path, lab: Path, length: Length, tally: Tally) -> None:
    """Do a chain of kills, the ``number``-th of this job: the same number gives the same points."""
    chance = random.Random(f"{name} {number}")
    copy_lab(prepared, lab)
    started_s = time.monotonic()
    points: list[str] = []
    is_killed = True
    while is_killed:
        kill, kill_after_s = _point(chance, length)
        ran = run(lab, *job.args, kill=kill, kill_after_s=kill_after_s)
        tally.runs += 1
        is_killed = ran.code == KILLED
        assert is_killed or ran.code == 0, _describe(name, number, points, ran.err)
        if is_killed:
            how = "by time, after" if kill is None else "after" if kill.after else "before"
            points.append(f"{how} {ran.last_step}")
            tally.kills += 1
            tally.points[points[-1]] += 1
            try:
                if chance.random() < READ_BETWEEN:
                    check_readers(lab)
            except BaseException as error:
                error.add_note(_describe(name, number, points, ran.err))
                raise
            if job.is_done(lab):
                assert run(lab, "store", "gc").code == 0  # whatever writes next puts things right
                break
            if chance.random() >= AGAIN or len(points) == LONGEST:
                ran = run(lab, *job.args)
                tally.runs += 1
                assert ran.code == 0, _describe(name, number, points, ran.err)
                break
    try:
        job.check(lab)
        check_lab(lab)
    except BaseException as error:
        error.add_note(_describe(name, number, points, ran.err))
        raise
    tally.chains += 1
    tally.wall_s += time.monotonic() - started_s


def _point(chance: random.Random, length: Length) -> tuple[Kill | None, float | None]:
    if chance.random() < BY_TIME:
        return None, chance.uniform(0, length.wall_s)
    # Half of them among the kinds of steps, so that rare ones are hit; half among the steps. What the twin keeps of
    # itself is no step of the program's: kills by time are there often enough.
    kinds = [kind for kind in sorted(length.kinds) if not kind.endswith(" twin")]
    weights = None if chance.random() < 0.5 else [length.kinds[kind] for kind in kinds]
    (kind,) = chance.choices(kinds, weights)
    return Kill(kind, chance.randint(1, length.kinds[kind]), after=chance.random() < 0.5), None


def _describe(name: str, number: int, points: list[str], err: str) -> str:
    return f"{name}, chain {number}, killed {'; '.join(points) or 'never'}. It printed: {err[-2000:]}"
