"""What `rig init` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.commands.terminal.output import print_line
from pipeline.lab import command_for
from pipeline.wording import count

if TYPE_CHECKING:
    from pipeline.collection.init import MadeLab


def print_made_lab(made: MadeLab) -> None:
    """Print what the lab holds, and what to do next."""
    if made.kind == "bench":
        print_line(
            f"Made a lab for a bench in {made.folder}, without coins or catalogue.",
            f"Next: rig devices prints the lines for {made.folder / 'rig.yaml'}; enter the coins in "
            f"{made.folder / 'trays' / '1.yaml'}.",
        )
        return
    if made.kind == "collection":
        print_line(
            f"Made an empty lab for photographs in {made.folder}.",
            f"Next: {command_for(made.folder, 'rig catalogue add DIR')}",
        )
        return
    trays = f"tray {made.trays[0]}" if len(made.trays) == 1 else f"trays {made.trays[0]} to {made.trays[-1]}"
    print_line(
        f"Made a twin lab in {made.folder}: {count(made.coins, 'coin')} on {trays}, "
        f"{count(made.entries, 'catalogue image')}.",
        f"Next: {command_for(made.folder, f'rig scan --tray {made.trays[0]}')}",
    )
