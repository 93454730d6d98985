"""What the commands of `pipeline.commands.bench` print."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.table import Table

from pipeline.commands.terminal.output import console, print_line
from pipeline.sentences import print_sentences
from pipeline.wording import count, literal

if TYPE_CHECKING:
    from pipeline.bench.device_checks import Check
    from pipeline.bench.devices import FoundDevices
    from pipeline.bench.doctor import Diagnosis
    from pipeline.bench.handwork import Snapshot
    from pipeline.bench.orders import BenchState
    from pipeline.bench.weigh import Weighed

STATUS_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "not tried": "cyan"}


def print_check(check: Check) -> None:
    """Print one check of `doctor`, as soon as it is made."""
    status = f"[{STATUS_COLOURS[check.status]}]{check.status:>9}[/]"
    print_sentences(console, f"{status}  {check.name}: {literal(check.found)}")


def print_state(state: BenchState) -> None:
    """Print a state of `rig bench`: a line of JSON, at once."""
    print(json.dumps(state.model_dump(mode="json")), flush=True)


def print_diagnosis(diagnosis: Diagnosis) -> None:
    """Print what the checks come to."""
    if diagnosis.failed:
        print_line(f"{diagnosis.failed} of {count(len(diagnosis.checks), 'check')} failed.")
        return
    print_line(f"Fit for a scan, as far as it was tried. Not tried: {', '.join(diagnosis.untried)}.")


def print_devices(result: FoundDevices) -> None:
    """Print what is plugged in, and what to write into rig.yaml."""
    if not result.found:
        print_line(
            "No serial ports and no cameras. Check cables and power, and that your user is in the group dialout."
        )
        return
    table = Table("Port", "System's name", "Role", "Device that answers")
    for each in result.found:
        device = f"{each.identity.kind}, {each.identity.firmware}" if each.identity else ""
        table.add_row(literal(each.port), literal(each.description), each.role or "", literal(device))
    console.print(table)
    if result.suggestion:
        print_line("For rig.yaml:", "", *result.suggestion.splitlines())


def print_weighed(weighed: Weighed) -> None:
    """Print what a coin weighs."""
    print_line(f"{literal(weighed.coin)}: {weighed.grams:g} g{'' if weighed.is_stable else ', not at rest'}.")


def print_snapshot(snapshot: Snapshot) -> None:
    """Print where the image was written, and what the quality check measured."""
    print_line(f"Written to {snapshot.path}.")
    for name, value in snapshot.quality.metrics.items():
        print_line(f"  {name}: {value}")
    if snapshot.quality.is_good:
        print_line("Good enough to keep.")
    else:
        console.print(f"[red]{literal(', '.join(snapshot.quality.reasons))}[/red]")
