"""The command `rig init`, and the lab that a newcomer's first scan makes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import DONE, DebugOption, JsonOption, LabOption
from pipeline.commands.terminal.labs import print_made_lab
from pipeline.commands.terminal.output import print_result, reporter
from pipeline.lab import Lab, lab_folder, open_lab

app = typer.Typer()


@app.command(
    epilog="Example: `rig init --lab mylab --coins photos/` makes a twin lab of the coins photographed in photos/."
)
def init(
    lab: LabOption = None,
    coins: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Photographs to make the twin's coins from: obverse and reverse side by side in one image, or "
            "COIN_obv and COIN_rev. Without it the coins are procedural.",
        ),
    ] = None,
    trays: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="How many trays of procedural coins; without it, three small ones."),
    ] = None,
    tray_size: Annotated[int, typer.Option(min=1, max=20, help="Coins on a tray, with --coins or --trays.")] = 20,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Make a lab folder with a digital twin: rig.yaml, trays, a plan and a catalogue. Never overwrites one."""
    from pipeline.collection.init import make_lab

    print_result(make_lab(lab_folder(lab), coins, trays, tray_size, reporter=reporter), print_made_lab, json=json)
    return DONE


def open_lab_for_newcomer(option: Path | None) -> Lab:
    """Open the lab that is meant. Only where none is named and ./lab is missing, a twin lab is made there first."""
    if option is None and "RIG_LAB" not in os.environ and not lab_folder(None).exists():
        from pipeline.collection.init import make_lab

        reporter.report(
            f"There is no lab yet: making a twin lab in ./{lab_folder(None)} (`rig init --help` has others)."
        )
        make_lab(lab_folder(None), reporter=reporter)
    return open_lab(option)
