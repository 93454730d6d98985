"""The command `rig init`, and the lab that a newcomer's first scan makes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import DONE, DebugOption, JsonOption, LabOption
from pipeline.commands.terminal.labs import print_made_lab
from pipeline.commands.terminal.output import print_result, reporter
from pipeline.errors import UsageError
from pipeline.lab import Lab, lab_folder, open_lab

app = typer.Typer()


@app.command(
    epilog="Example: `rig init --lab mylab --coins photos/` makes a twin lab of the coins photographed in photos/."
)
def init(
    lab: LabOption = None,
    twin: Annotated[
        bool, typer.Option("--twin", help="A twin lab: simulated devices, coins and a catalogue. The default.")
    ] = False,
    bench: Annotated[
        bool, typer.Option("--bench", help="A lab for real devices: lines to fill in, no coins, no catalogue.")
    ] = False,
    collection: Annotated[
        bool, typer.Option("--collection", help="A lab without devices, for photographs and catalogues. Empty.")
    ] = False,
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
    """Make a lab folder: with a digital twin, for the devices of a bench, or for photographs. Never overwrites one."""
    from pipeline.collection.init import make_bench_lab, make_collection
    from pipeline.collection.twin_lab import make_twin_lab

    if sum((twin, bench, collection)) > 1:
        raise UsageError("--twin, --bench and --collection exclude one another.")
    if (bench or collection) and (coins is not None or trays is not None):
        raise UsageError(
            "--coins and --trays are for a twin lab: leave them out, or leave out --bench and --collection."
        )
    folder = lab_folder(lab)
    if bench:
        made = make_bench_lab(folder)
    elif collection:
        made = make_collection(folder)
    else:
        made = make_twin_lab(folder, reporter, coins=coins, trays=trays, tray_size=tray_size)
    print_result(made, print_made_lab, json=json)
    return DONE


def open_lab_for_newcomer(option: Path | None) -> Lab:
    """Open the lab that is meant. Only where none is named and ./lab is missing, a twin lab is made there first."""
    if option is None and "RIG_LAB" not in os.environ and not lab_folder(None).exists():
        from pipeline.collection.twin_lab import make_twin_lab

        reporter.report(
            f"There is no lab yet: making a twin lab in ./{lab_folder(None)} (`rig init --help` has others)."
        )
        make_twin_lab(lab_folder(None), reporter)
    return open_lab(option)
