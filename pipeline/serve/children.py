"""`rig` commands that the page starts: they drive the devices, the page itself opens none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from pipeline.lab import Lab

_starter = ThreadPoolExecutor(1, "children")


def stay_in_front() -> None:
    """Call it before the page steps back behind scans: what is started afterwards does not step back with it."""
    _starter.submit(lambda: None).result()


def start_rig(lab: Lab, *args: str) -> subprocess.Popen[str]:
    """Start a `rig` command for a lab, with pipes to its streams; Ctrl-C in the page's terminal does not reach it.

    It ends when its standard input does, or its work.
    """

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", *args, "--lab", str(lab.folder.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )

    return _starter.submit(start).result()


def complaint(lines: Iterable[str]) -> str:
    """Why a `rig` command failed, of the last lines that it wrote to its standard error; empty if it wrote none."""
    return " ".join(line.strip() for line in lines).removeprefix("rig: ")
