"""Commands for a technician at the bench, one thing at a time."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import (
    DONE,
    FAILED,
    LEFT_OVER,
    DebugOption,
    JsonOption,
    LabOption,
    LogOption,
    RealtimeOption,
)
from pipeline.commands.terminal.bench import (
    print_check,
    print_devices,
    print_diagnosis,
    print_snapshot,
    print_state,
    print_weighed,
)
from pipeline.commands.terminal.output import print_line, print_result, reporter
from pipeline.lab import open_lab, open_lab_if_any

app = typer.Typer()

PANEL = "At the bench"

LightOption = Annotated[str, typer.Option("--light", help="A light of rig.yaml.")]
ExposureOption = Annotated[int, typer.Option(min=10, help="Exposure time in microseconds.")]
GainOption = Annotated[float, typer.Option(min=1.0, help="Camera gain as a factor.")]


class Target(StrEnum):
    """What `rig print` prints."""

    BOARD = "board"
    RING = "ring"


@app.command(rich_help_panel=PANEL, epilog="Example: `rig doctor`")
def doctor(
    realtime: RealtimeOption = False,
    lab: LabOption = None,
    log: LogOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Check everything that can be checked without a coin, and say what to do about what is wrong."""
    from pipeline.bench.doctor import Diagnosis, diagnose

    checks = []
    for check in diagnose(open_lab(lab), realtime=realtime):
        checks.append(check)
        if not json:
            print_check(check)
    diagnosis = Diagnosis(tuple(checks))
    print_result(diagnosis, print_diagnosis, json=json)
    return FAILED if diagnosis.failed else DONE


@app.command(rich_help_panel=PANEL, epilog="Example: `rig devices`")
def devices(
    no_probe: Annotated[
        bool, typer.Option("--no-probe", help="Only list the ports: opening them restarts many controllers.")
    ] = False,
    lab: LabOption = None,
    log: LogOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """List what is plugged in, ask every port which device answers, and suggest lines for rig.yaml. Nothing moves."""
    from pipeline.bench.devices import find_devices

    print_result(find_devices(open_lab_if_any(lab), reporter, probe=not no_probe), print_devices, json=json)
    return DONE


@app.command(rich_help_panel=PANEL, epilog="Example: `rig home`")
def home(
    realtime: RealtimeOption = False, lab: LabOption = None, log: LogOption = None, debug: DebugOption = False
) -> int:
    """Find the reference positions of arm and turntable. Needed after an alarm, a reset or a push."""
    from pipeline.bench.handwork import home_devices

    home_devices(open_lab(lab), reporter, realtime=realtime)
    return DONE


@app.command(rich_help_panel=PANEL, epilog="Example: `rig park`")
def park(
    realtime: RealtimeOption = False, lab: LabOption = None, log: LogOption = None, debug: DebugOption = False
) -> int:
    """Move the arm to its rest position beside the plate and switch all lights off."""
    from pipeline.bench.handwork import park_devices

    park_devices(open_lab(lab), reporter, realtime=realtime)
    return DONE


@app.command(rich_help_panel=PANEL, epilog="Example: `rig light az060`")
def light(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A light of rig.yaml.")],
    seconds: Annotated[float | None, typer.Option(min=0, help="For how long; without it, until Enter.")] = None,
    realtime: RealtimeOption = False,
    lab: LabOption = None,
    log: LogOption = None,
    debug: DebugOption = False,
) -> int:
    """Switch one light on, to check it or to focus."""
    from pipeline.bench.handwork import show_light

    show_light(open_lab(lab), name, seconds, reporter, realtime=realtime)
    return DONE


@app.command(rich_help_panel=PANEL, epilog="Example: `rig snap coin.jpg --light az060`")
def snap(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it: .jpg; lossless: .png, .jxl.")],
    light_name: LightOption = "az000",
    exposure_us: ExposureOption = 20_000,
    gain: GainOption = 1.0,
    turntable_deg: Annotated[
        float | None, typer.Option(min=0, max=360, help="Home, and rotate the plate there first.")
    ] = None,
    tilt_deg: Annotated[float | None, typer.Option(help="Home, and tilt the camera first; 0 is straight down.")] = None,
    realtime: RealtimeOption = False,
    lab: LabOption = None,
    log: LogOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Take one image of what lies on the plate and measure it. Nothing is stored but the file."""
    from pipeline.bench.handwork import ExposureSettings, take_snapshot

    settings = ExposureSettings(light_name, exposure_us, gain)
    snapshot = take_snapshot(open_lab(lab), file, settings, turntable_deg, tilt_deg, realtime=realtime)
    print_result(snapshot, print_snapshot, json=json)
    return DONE if snapshot.quality.is_good else LEFT_OVER


@app.command(rich_help_panel=PANEL, epilog="Example: `rig weigh 2024.1.11`")
def weigh(
    coin: Annotated[str, typer.Argument(metavar="COIN", help="Accession number.")],
    unstable: Annotated[bool, typer.Option("--unstable", help="Keep a weight that does not stand, marked.")] = False,
    realtime: RealtimeOption = False,
    lab: LabOption = None,
    log: LogOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Weigh a coin on the balance of rig.yaml, and keep its weight in the store."""
    from pipeline.bench.weigh import weigh_coin

    weighed = weigh_coin(open_lab(lab), coin, reporter, keep_unstable=unstable, realtime=realtime)
    print_result(weighed, print_weighed, json=json)
    return DONE if weighed.is_stable else LEFT_OVER


@app.command(rich_help_panel=PANEL, epilog="Example: `rig jog`")
def jog(
    camera: Annotated[
        bool, typer.Option("--camera", help="Teach the arm that holds the camera its poses: camera_poses.yaml.")
    ] = False,
    tilts: Annotated[
        str | None, typer.Option(metavar="DEG,DEG", help="With --camera: find these tilts by the ring, without keys.")
    ] = None,
    realtime: RealtimeOption = False,
    lab: LabOption = None,
    log: LogOption = None,
    debug: DebugOption = False,
) -> int:
    """Move plate and arm in small steps, to measure where things stand: prints the line for rig.yaml.

    Arrow keys rotate the plate; t/g tilt the camera, if a motor does; w/s, a/d and r/f move the cup along x, y and z;
    1, 2, 3 set the step; q ends. With --camera these keys move the arm that holds the camera, t/g turn the servo at its
    end, c brings the plate to the middle of the image, and k keeps the pose.
    """
    if camera or tilts is not None:
        return _teach_camera(lab, tilts, realtime=realtime)
    from pipeline.bench.handwork import bench_line, jog_devices
    from pipeline.bench.keyboard import require_terminal

    require_terminal()
    opened = open_lab(lab)
    reporter.report("Arrows rotate the plate; w s, a d, r f move the cup in x, y, z; 1 2 3 set the step; q ends.")
    place = jog_devices(opened, reporter, realtime=realtime)
    if place.cup_mm is not None:
        reporter.report("For rig.yaml, under `station:`, the position there that is nearest:")
        print_line(bench_line(opened.rig.station.bench, place.cup_mm))
    return DONE


def _teach_camera(lab: Path | None, tilts: str | None, *, realtime: bool) -> int:
    from pipeline.bench.camera_poses import jog_camera, parse_tilts, teach_tilts

    if tilts is not None:
        teach_tilts(open_lab(lab), parse_tilts(tilts), reporter, realtime=realtime)
        return DONE
    reporter.report("w s, a d, r f move the arm in x, y, z; t g turn its servo; 1 2 3 set the step; c centres the")
    reporter.report("plate in the image; k keeps the pose; q ends.")
    jog_camera(open_lab(lab), reporter, realtime=realtime)
    return DONE


@app.command(
    rich_help_panel=PANEL, epilog='Example: `echo \'{"do": "home"}\' | rig bench`. docs/json.md has every order.'
)
def bench(
    realtime: RealtimeOption = False, lab: LabOption = None, log: LogOption = None, debug: DebugOption = False
) -> int:
    """Hold the rig and do what lines of JSON on standard input say, as the page's Bench does; to its end, or `end`.

    What moves is stopped when nothing was read for 3 seconds, and the rig is let go after a minute.
    """
    from pipeline.bench.session import drive_bench

    drive_bench(open_lab(lab), sys.stdin, print_state, realtime=realtime)
    return DONE


@app.command(rich_help_panel=PANEL, epilog="Example: `rig focus --light az060`. Ctrl-C ends it.")
def focus(
    light_name: LightOption = "az000",
    exposure_us: ExposureOption = 20_000,
    gain: GainOption = 1.0,
    realtime: RealtimeOption = False,
    lab: LabOption = None,
    log: LogOption = None,
    debug: DebugOption = False,
) -> int:
    """Show how sharp the coin on the plate is, now and at best, while you focus the lens."""
    from pipeline.bench.handwork import ExposureSettings, measure_focus

    settings = ExposureSettings(light_name, exposure_us, gain)
    best = measure_focus(open_lab(lab), settings, reporter, realtime=realtime)
    print_line(f"Best sharpness: {best:.3f}.")
    return DONE


@app.command("print", rich_help_panel=PANEL, epilog="Example: `rig print board board.png`")
def print_(
    what: Annotated[Target, typer.Argument(metavar="board|ring", help="The ChArUco board, or the plate's ring.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it: .png.")],
    lab: LabOption = None,
    debug: DebugOption = False,
) -> int:
    """Write the calibration board or the plate's ring of markers as an image that prints at true scale."""
    from pipeline.bench.printing import write_print

    print_line(write_print(open_lab_if_any(lab), what.value, file))
    return DONE
