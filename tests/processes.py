"""Processes forked from a server that has everything imported: one starts in 30 ms, not in 4 s."""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from typing import Any
from unittest import mock

# A command lives in the terminal's session of whoever runs the tests, which may ignore signals (nohup, a shell's &).
DEFAULTS = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGCHLD: signal.SIG_DFL,
}


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Process:
    """A function in a process of its own, used like a ``subprocess.Popen`` whose output is collected.

    Parameters
    ----------
    target, args
        What to call; has to be picklable.
    cwd
        Folder to run it in; without one, where the tests run.
    env
        Variables to set beside those of the tests.
    """

    def __init__(
        self,
        target: Callable[..., object],
        *args: object,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.args = args
        self._folder = tempfile.TemporaryDirectory(prefix="rig-")
        self._files = tuple(Path(self._folder.name) / name for name in ("out", "err"))
        env = environment() | dict(env or {})
        self._process = server().Process(  # type: ignore[attr-defined]
            target=_settle_and_call, args=(target, args, cwd or Path.cwd(), env, self._files)
        )
        self._process.start()
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative where a signal ended it; None while it runs."""
        return self._process.exitcode  # type: ignore[no-any-return]

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises
        ------
        subprocess.TimeoutExpired
            If it still runs then.
        """
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return self.returncode

    @property
    def out(self) -> str:
        """What it has written to standard output so far."""
        return self._files[0].read_text() if self._files[0].exists() else ""

    @property
    def err(self) -> str:
        """What it has written to standard error so far."""
        return self._files[1].read_text() if self._files[1].exists() else ""

    def wait_for_lines(self, count: int) -> list[str]:
        """Wait until it has written that many lines to standard output; all that it has."""
        while self.out.count("\n") < count:
            assert self.returncode is None, self.communicate()
            time.sleep(0.001)
        return self.out.splitlines()

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what it wrote to standard output and to standard error."""
        self.wait(timeout)
        return self.out, self.err

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Command(Process):
    """`rig` with these arguments; ``before`` is called first in the new process, and has to be picklable."""

    def __init__(self, *args: object, before: Callable[[], object] | None = None, **how: Any) -> None:
        super().__init__(_be_rig, tuple(map(str, args)), before, **how)


def run(*args: object, timeout_s: float = 300.0, **how: Any) -> Ran:
    """Run `rig` with these arguments to its end; ``how`` as for `Command`."""
    command = Command(*args, **how)
    try:
        out, err = command.communicate(timeout_s)
    except BaseException:
        command.kill()
        raise
    return Ran(command.wait(), out, err)


def environment() -> dict[str, str]:
    """Variables for a `rig` that knows of no lab and writes long lines."""
    return {**{k: v for k, v in os.environ.items() if k != "RIG_LAB"}, "OMP_WAIT_POLICY": "PASSIVE", "COLUMNS": "200"}


@functools.cache
def server() -> BaseContext:
    """Where new processes come from: they have everything imported. One thread alone, so that forking it is safe."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.preload"])
    with mock.patch.dict(os.environ, environment(), clear=True):
        ensure_running()
    return context


def _settle_and_call(
    target: Callable[..., object],
    args: tuple[object, ...],
    cwd: Path,
    env: Mapping[str, str],
    files: tuple[Path, Path],
) -> None:
    for number, handler in DEFAULTS.items():
        signal.signal(number, handler)
    for file, number in zip(files, (1, 2), strict=True):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    target(*args)


def _be_rig(args: tuple[str, ...], before: Callable[[], object] | None) -> None:
    sys.argv = ["rig", *args]
    if before is not None:
        before()
    from pipeline.cli import main

    main()
