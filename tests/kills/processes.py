"""`rig` as a process of its own, that can be killed at a given moment or step."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.pipeline.conftest import environment

KILLED = -9


@dataclass(frozen=True)
class Kill:
    """At which step to die: the ``number``-th of its ``kind``; right before it or right ``after`` it."""

    kind: str
    number: int
    after: bool = False


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and when.

    Attributes
    ----------
    what
        ``"files"``: steps fail with ``error``; ``"index"``: every write to the index does, from the ``first`` on;
        ``"clock"``: at the ``first`` it is set back an hour.
    error
        Name of an errno.
    kinds
        Steps whose kind begins with one of these count.
    first, last
        Which of those fail, from 1.
    """

    what: str
    error: str
    kinds: tuple[str, ...]
    first: int
    last: int = 1_000_000


@dataclass(frozen=True)
class Ran:
    """What a process came to, and the kinds of the durable steps it took in the lab, in order."""

    code: int
    out: str
    err: str
    steps: tuple[str, ...]

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def last_step(self) -> str:
        return self.steps[-1] if self.steps else "before the first step"

    def kinds(self) -> Counter[str]:
        return Counter(self.steps)


class Processes:
    """Runs `rig` on a lab, each time in a process of its own; a context manager."""

    def __init__(self, notes: Path) -> None:
        self._notes = notes
        self._server: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.kills.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None and self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()

    def run(
        self,
        lab: Path,
        *args: object,
        kill: Kill | None = None,
        kill_after_s: float | None = None,
        fault: Fault | None = None,
    ) -> Ran:
        """Run `rig *args --lab LAB` until it ends or is killed."""
        assert self._server is not None and self._server.stdin is not None and self._server.stdout is not None
        files = {name: self._notes / name for name in ("notes", "out", "err")}
        files["notes"].unlink(missing_ok=True)
        request = {
            "args": [str(each).replace("{lab}", str(lab)) for each in (*args, "--lab", lab)],
            "folder": str(lab),
            "truth": str(truth_of(lab)),
            "kill": kill and vars(kill),
            "kill_after_s": kill_after_s,
            "fault": fault and vars(fault),
            **{name: str(path) for name, path in files.items()},
        }
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        answer = json.loads(self._server.stdout.readline())
        return Ran(
            answer["code"],
            *(files[name].read_text() if files[name].exists() else "" for name in ("out", "err")),
            tuple(files["notes"].read_text().splitlines()) if files["notes"].exists() else (),
        )


def copy_lab(lab: Path, target: Path) -> Path:
    """Another lab like this one, and what is known of its pictures."""
    shutil.copytree(lab, target)
    if truth_of(lab).exists():
        shutil.copy(truth_of(lab), truth_of(target))
    return target


def truth_of(lab: Path) -> Path:
    """Where it is noted what the lab's pictures truly show."""
    return lab.with_name(f"{lab.name}.truth")
