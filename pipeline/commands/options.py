"""Exit codes, and the options that commands share."""

from __future__ import annotations

import logging
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UsageError

DONE, FAILED, USAGE, LEFT_OVER = 0, 1, 2, 3


class SideName(StrEnum):
    """A side of a coin."""

    OBVERSE = "obverse"
    REVERSE = "reverse"


def keep_transcript(path: Path | None) -> Path | None:
    """Append every line that crosses a serial port from now on, in either direction, to a file.

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
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback if something fails.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON (docs/json.md).")]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        help="The model in use (`rig models promote`), `starter`, a model of this lab by name, a backbone such as "
        "resnet50, or the folder of a trained embedder.",
    ),
]
PlanOption = Annotated[
    str | None,
    typer.Option(
        "--plan",
        help="Which plan: the name of a file in plans/. Without it that of the interrupted scan, else `default`.",
    ),
]
NoIdentifyOption = Annotated[bool, typer.Option("--no-identify", help="Only photograph; identify later or elsewhere.")]
AllowUncalibratedOption = Annotated[
    bool,
    typer.Option(
        "--allow-uncalibrated",
        help="Photograph though the calibration is missing, expired or another camera's; every frame is marked.",
    ),
]
RealtimeOption = Annotated[bool, typer.Option("--realtime", help="Run the twin at the speed of real devices.")]
LogOption = Annotated[
    Path | None,
    typer.Option(
        "--log",
        metavar="FILE",
        callback=keep_transcript,
        help="Append everything sent to the devices and received from them to this file.",
    ),
]
