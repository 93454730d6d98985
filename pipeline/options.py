"""Exit codes, and the options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DONE, FAILED, USAGE, LEFT_OVER = 0, 1, 2, 3

LabOption = Annotated[
    Path | None, typer.Option("--lab", metavar="DIR", help="The lab folder; else $RIG_LAB, else ./lab.")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback when something fails.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON on standard output (docs/json.md).")]
ModelOption = Annotated[
    str, typer.Option("--model", help="`starter`, a backbone such as resnet50, or a trained embedder's folder.")
]
RealtimeOption = Annotated[bool, typer.Option("--realtime", help="Run the twin at the speed of the real devices.")]
