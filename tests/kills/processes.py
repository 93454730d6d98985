"""`rig` as a process that can be killed, or failed, at a given moment or durable step."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests import processes
from tests.kills import steps
from tests.kills.faults import Fault, strike
from tests.kills.truth import keep_truth

KILLED = -9
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Kill:
    """At which step to die: the ``number``-th of its ``kind``; right before it or right ``after`` it."""

    kind: str
    number: int
    after: bool = False


@dataclass(frozen=True)
class Watched(processes.Ran):
    """What a process came to, and the kinds of the durable steps it took in the lab, in order."""

    steps: tuple[str, ...]

    @property
    def last_step(self) -> str:
        return self.steps[-1] if self.steps else "before the first step"

    def kinds(self) -> Counter[str]:
        return Counter(self.steps)


def run(
    lab: Path,
    *args: object,
    kill: Kill | None = None,
    kill_after_s: float | None = None,
    fault: Fault | None = None,
) -> Watched:
    """Run `rig *args --lab LAB` until it ends or is killed; ``{lab}`` in an argument is the lab's folder."""
    notes = lab.with_name(f"{lab.name}.steps")
    notes.unlink(missing_ok=True)
    arguments = [str(each).replace("{lab}", str(lab)) for each in (*args, "--lab", lab)]
    command = processes.Command(*arguments, before=partial(_watch, lab, notes, kill, fault))
    if kill_after_s is not None:
        with suppress(subprocess.TimeoutExpired):
            command.wait(kill_after_s)
        command.kill()
    out, err = command.communicate(TIMEOUT_S)
    return Watched(command.wait(), out, err, tuple(notes.read_text().splitlines()) if notes.exists() else ())


def _watch(lab: Path, notes: Path, kill: Kill | None, fault: Fault | None) -> None:
    """In the new process: note its steps and what its images truly show, and kill or fail it when its time comes."""
    keep_truth(truth_of(lab))
    kinds = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    fails: Callable[[steps.Step], None] = strike(fault) if fault else lambda step: None

    def on_step(step: steps.Step) -> None:
        os.write(kinds, f"{step.kind}\n".encode())
        if kill and (kill.kind, kill.number) == (step.kind, step.number):
            steps.die(kill.after)
        fails(step)

    steps.watch(lab, on_step)


def copy_lab(lab: Path, target: Path) -> Path:
    """Another lab like this one, and what is known of its images."""
    shutil.copytree(lab, target)
    if truth_of(lab).exists():
        shutil.copy(truth_of(lab), truth_of(target))
    return target


def truth_of(lab: Path) -> Path:
    """Where it is noted what the lab's images truly show."""
    return lab.with_name(f"{lab.name}.truth")
