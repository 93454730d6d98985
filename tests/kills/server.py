"""Runs `rig` in processes of their own, each forked from one that has imported everything: a start costs 20 ms.

``python -m tests.kills.server``; a request is a line of JSON on stdin, its answer one on stdout.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pipeline
from tests.kills import steps
from tests.kills.faults import strike
from tests.kills.truth import keep_truth

TORCH = {"evaluate", "identify", "train", "training_coins"}  # its threads do not survive a fork


def serve() -> None:
    """Answer requests until stdin ends; in a forked process, return to carry one out."""
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        child = os.fork()
        if not child:
            be(request)
            return
        code = _wait(child, request["kill_after_s"])
        print(json.dumps({"code": code}), flush=True)


def be(request: dict[str, Any]) -> None:
    """Become the process that was asked for."""
    notes = os.open(request["notes"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_TRUNC | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = open(0)  # noqa: SIM115
    sys.stdout, sys.stderr = open(1, "w"), open(2, "w")  # noqa: SIM115
    keep_truth(Path(request["truth"]))
    kill, fault = request["kill"], request["fault"]

    def on_step(step: steps.Step) -> None:
        os.write(notes, f"{step.kind}\n".encode())
        if kill and (kill["kind"], kill["number"]) == (step.kind, step.number):
            steps.die(kill["after"])
        if fault:
            strike(fault, step)

    steps.watch(Path(request["folder"]), on_step)
    sys.argv = ["rig", *request["args"]]
    from pipeline.cli import main

    main()


def _wait(child: int, kill_after_s: float | None) -> int:
    if kill_after_s is not None:
        deadline_s = time.monotonic() + kill_after_s
        while time.monotonic() < deadline_s:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    for module in pkgutil.iter_modules(pipeline.__path__, "pipeline."):
        if module.name.rpartition(".")[2] not in TORCH:
            importlib.import_module(module.name)
    assert threading.active_count() == 1, "a fork would lose the other threads"
    serve()
