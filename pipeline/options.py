"""Exit codes, and the options that commands share."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UsageError

DONE, FAILED, USAGE, LEFT_OVER = 0, 1, 2, 3
IN_USE = "in use"  # the model that `rig models promote` put in service, else the starter


def keep_transcript(path: Path | None) -> Path | None:
    """Write every line that goes over a serial port from now on, either way, to the end of a file.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    if path is None:
        return None
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--log: {path} cannot be written ({error.strerror}). Name another file.") from error
    handler.setFormatter(logging.Formatter("%(asctime)s.%(msecs)03d %(message)s", "%Y-%m-%dT%H:%M:%S"))
    wire = logging.getLogger("rig.link")
    wire.addHandler(handler)
    wire.setLevel(logging.DEBUG)
    return path


LabOption = Annotated[
    Path | None, typer.Option("--lab", metavar="DIR", help="The lab folder; else $RIG_LAB, else ./lab.")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback when something fails.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON on standard output (docs/json.md).")]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        help="The one in use (`rig models promote`), `starter`, a model of the lab by its name, a backbone such as "
        "resnet50, or a trained embedder's folder.",
    ),
]
PlanOption = Annotated[str, typer.Option(help="Which plan: the name of a file in plans/.")]
NoIdentifyOption = Annotated[bool, typer.Option("--no-identify", help="Only photograph; identify later or elsewhere.")]
RealtimeOption = Annotated[bool, typer.Option("--realtime", help="Run the twin at the speed of the real devices.")]
LogOption = Annotated[
    Path | None,
    typer.Option(
        "--log",
        metavar="FILE",
        callback=keep_transcript,
        help="Add to this file every byte that goes to the devices and comes from them.",
    ),
]
