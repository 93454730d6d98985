"""Commands for a technician at the bench, one thing at a time; see `pipeline.cli`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands import answers, bench_answers
from pipeline.lab import lab_folder, open_lab, open_lab_if_any
from pipeline.options import (
    DONE,
    FAILED,
    LEFT_OVER,
    DebugOption,
    JsonOption,
    LabOption,
    LogOption,
    RealtimeOption,
)

app = typer.Typer()

BENCH = "At the bench"


class Target(StrEnum):
    """What `rig print` prints."""

    BOARD = "board"
    RING = "ring"


@app.command(rich_help_panel=BENCH, epilog="Example: `rig doctor`")
def doctor(
    realtime: RealtimeOption = False,
    lab: LabOption = None,
    log: LogOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Check everything that can be checked without a coin, and say what to do about what is not right."""
    from pipeline.bench.doctor import diagnose

    checks = diagnose(
        open_lab(lab_folder(lab)), realtime=realtime, tell=bench_answers.nothing if json else bench_answers.checked
    )
    bench_answers.diagnosed(checks, json)
    return FAILED if any(check.status == "fail" for check in checks) else DONE


@app.command(rich_help_panel=BENCH, epilog="Example: `rig devices`")
def devices(
    no_probe: Annotated[bool, typer.Option("--no-probe", help="Only list: asking restarts many controllers.")] = False,
    lab: LabOption = None,
    log: LogOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """List what is plugged in, ask at every port who is there, and suggest lines for rig.yaml. Nothing moves."""
    from pipeline.bench.devices import find_devices, suggestion

    opened = open_lab_if_any(lab)
    found = find_devices(opened, probe=not no_probe, tell=answers.told)
    bench_answers.devices(found, suggestion(found), json)
    return DONE


@app.command(rich_help_panel=BENCH, epilog="Example: `rig home`")
def home(
    realtime: RealtimeOption = False, lab: LabOption = None, log: LogOption = None, debug: DebugOption = False
) -> int:
    """Find the reference positions of arm and turntable. Needed after an alarm, a reset or a push."""
    from pipeline.bench.handwork import home as home_rig

    for line in home_rig(open_lab(lab_folder(lab)), realtime=realtime):
        answers.told(line)
    answers.told("Homed.")
    return DONE


@app.command(rich_help_panel=BENCH, epilog="Example: `rig park`")
def park(
    realtime: RealtimeOption = False, lab: LabOption = None, log: LogOption = None, debug: DebugOption = False
) -> int:
    """Bring the arm to rest beside the plate and switch all lights off."""
    from pipeline.bench.handwork import park as park_rig

    park_rig(open_lab(lab_folder(lab)), realtime=realtime)
    answers.told("Parked; lights off.")
    return DONE


@app.command(rich_help_panel=BENCH, epilog="Example: `rig light az060`")
def light(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A light of rig.yaml.")],
    seconds: Annotated[float | None, typer.Option(min=0, help="How long; without it, until Enter is pressed.")] = None,
    realtime: RealtimeOption = False,
    lab: LabOption = None,
    log: LogOption = None,
    debug: DebugOption = False,
) -> int:
    """Show one light, to look at it or to focus."""
    import time

    from pipeline.bench.handwork import light as show_light

    def hold() -> None:
        answers.ask(f"{name} is lit.") if seconds is None else time.sleep(seconds)

    show_light(open_lab(lab_folder(lab)), name, hold, realtime=realtime)
    return DONE


@app.command(rich_help_panel=BENCH, epilog="Example: `rig snap look.jpg --light az060`")
def snap(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it: .jpg, or .jxl without loss.")],
    light_name: Annotated[str, typer.Option("--light", help="A light of rig.yaml.")] = "az000",
    exposure_us: Annotated[int, typer.Option(min=10, help="Exposure time in microseconds.")] = 20_000,
    gain: Annotated[float, typer.Option(min=1.0, help="Camera gain as a factor.")] = 1.0,
    turntable_deg: Annotated[float | None, typer.Option(min=0, max=360, help="Home, and turn the plate there.")] = None,
    realtime: RealtimeOption = False,
    lab: LabOption = None,
    log: LogOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Take one picture of what lies on the plate and measure it. The store is left alone."""
    from pipeline.bench.handwork import snap as take

    opened = open_lab(lab_folder(lab))
    snapped = take(opened, file, light_name, exposure_us, gain, turntable_deg, realtime=realtime)
    bench_answers.snapped(snapped, json)
    return DONE if snapped.quality.is_good else LEFT_OVER


@app.command(rich_help_panel=BENCH, epilog="Example: `rig jog`")
def jog(
    realtime: RealtimeOption = False, lab: LabOption = None, log: LogOption = None, debug: DebugOption = False
) -> int:
    """Move plate and arm in small steps, to measure where things stand: prints the line for rig.yaml.

    Arrow keys turn the plate; w/s, a/d and r/f move the cup along x, y and z; 1, 2, 3 set the step; q ends.
    """
    from pipeline.bench.handwork import bench_line
    from pipeline.bench.handwork import jog as jog_rig
    from pipeline.bench.keyboard import require_terminal

    require_terminal()
    opened = open_lab(lab_folder(lab))
    answers.told("Arrows turn the plate; w s, a d, r f move the cup in x, y, z; 1 2 3 set the step; q ends.")
    place = jog_rig(opened, bench_answers.jogged, realtime=realtime)
    bench_answers.line_ends()
    if place.cup_mm is not None:
        answers.told("For rig.yaml, under `station:`, the place there that lies nearest:")
        answers.said(bench_line(opened.rig.station.bench, place.cup_mm))
    return DONE


@app.command(rich_help_panel=BENCH, epilog="Example: `rig focus --light az060`. Ctrl-C ends it.")
def focus(
    light_name: Annotated[str, typer.Option("--light", help="A light of rig.yaml.")] = "az000",
    exposure_us: Annotated[int, typer.Option(min=10, help="Exposure time in microseconds.")] = 20_000,
    gain: Annotated[float, typer.Option(min=1.0, help="Camera gain as a factor.")] = 1.0,
    realtime: RealtimeOption = False,
    lab: LabOption = None,
    log: LogOption = None,
    debug: DebugOption = False,
) -> int:
    """Show how sharp the coin on the plate is, now and at best, while the lens is turned."""
    from pipeline.bench.handwork import focus as focus_rig

    best = focus_rig(open_lab(lab_folder(lab)), light_name, exposure_us, gain, bench_answers.focused, realtime=realtime)
    bench_answers.line_ends()
    answers.said(f"Best sharpness: {best:.3f}.")
    return DONE


@app.command("print", rich_help_panel=BENCH, epilog="Example: `rig print board board.png`")
def print_(
    what: Annotated[Target, typer.Argument(metavar="board|ring", help="The ChArUco board, or the plate's ring.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it: .png.")],
    lab: LabOption = None,
    debug: DebugOption = False,
) -> int:
    """Write the calibration board or the plate's ring of markers as a picture to print at true scale."""
    from pipeline.bench.printing import write_print

    opened = open_lab_if_any(lab)
    answers.said(write_print(opened, what.value, file))
    return DONE
