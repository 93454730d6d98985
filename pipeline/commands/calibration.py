"""The commands `rig calibrate ...` and `rig measure`: with the rig, or with photographs that exist already."""

from __future__ import annotations

from dataclasses import replace
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
    SideName,
)
from pipeline.commands.terminal.calibration import (
    print_calibration,
    print_colmap,
    print_colour,
    print_corrected,
    print_flat,
    print_imaging,
    print_lens,
    print_lights,
    print_measured,
    print_measured_coins,
    print_relief,
)
from pipeline.commands.terminal.output import print_result, reporter
from pipeline.errors import UsageError
from pipeline.lab import open_lab

PANEL = "At the bench"

app = typer.Typer(
    help="Measure lens, lights, colours, scale and the plate's zero: a dated calibration that frames name. With a "
    "step (`lens`, `flat`, `colour`, `lights`, `apply`) it works on photographs that exist already, without a rig; "
    "`report` judges what was measured.",
)
measure_app = typer.Typer()


def file_to_write(path: Path | None) -> Path | None:
    """Check, before any work is done, that a result can be kept there.

    Raises
    ------
    UsageError
        If it is a folder.
    """
    if path is not None and path.is_dir():
        raise UsageError(f"--out: {path} is a folder. Name a file in it.")
    return path


def code_of(done: int, failed: int) -> int:
    """The exit code of a job on several photographs."""
    return (LEFT_OVER if done else FAILED) if failed else DONE


class ColourModel(StrEnum):
    """How colours are corrected."""

    LINEAR = "linear"
    ROOT_POLYNOMIAL = "root-polynomial"


class StoredAs(StrEnum):
    """What a camera stores."""

    AUTO = "auto"
    LINEAR = "linear"
    SRGB = "srgb"


ImagesOption = Annotated[
    list[Path], typer.Option("--images", metavar="DIR", help="A folder of photographs, or one; may be repeated.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", callback=file_to_write, help="Keep the result in this file.")
]
LensOption = Annotated[Path | None, typer.Option("--lens", metavar="FILE", help="What `calibrate lens` kept.")]
FlatOption = Annotated[Path | None, typer.Option("--flat", metavar="FILE", help="What `calibrate flat` kept.")]
ColourOption = Annotated[Path | None, typer.Option("--colour", metavar="FILE", help="What `calibrate colour` kept.")]
SessionFramesOption = Annotated[list[str] | None, typer.Option("--session", help="Frames of a session; repeatable.")]
CoinFramesOption = Annotated[list[str] | None, typer.Option("--coin", help="Frames of a coin; repeatable.")]
TrayFramesOption = Annotated[list[str] | None, typer.Option("--tray", help="Frames of a tray; repeatable.")]
BOARD = "chessboard:9x6 (inner corners), chessboard:9x6:25 (square in mm), charuco:11x8:5:3.7:DICT_4X4_50."


@app.callback(invoke_without_command=True, epilog="Example: `rig calibrate`")
def calibrate(
    context: typer.Context,
    realtime: RealtimeOption = False,
    lab: LabOption = None,
    log: LogOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Calibrate the lab's camera and lights, unless a step on photographs is asked for."""
    if context.invoked_subcommand is not None:
        return DONE
    from pipeline.bench.calibrate import calibrate_lab

    print_result(calibrate_lab(open_lab(lab), reporter, realtime=realtime), print_calibration, json=json)
    return DONE


@app.command(epilog="Example: `rig calibrate lens --images boards/ --board chessboard:9x6 --out lens.yaml`")
def lens(
    images: ImagesOption,
    board: Annotated[str, typer.Option("--board", help=f"The board: {BOARD}")],
    out: OutOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """The lens of a camera, from photographs of a chessboard or ChArUco board from all sides.

    Of a ChArUco board, old or new pattern, size, markers and dictionary may be left out (charuco:11x8): they are then
    found out. Boards may be partly hidden. Exit code 3: some photographs were left out.
    """
    from pipeline.measuring.lens import calibrate_lens_of

    result = calibrate_lens_of(images, board, out, reporter)
    print_result(result, print_lens, json=json)
    return LEFT_OVER if result.left_out else DONE


@app.command(epilog="Example: `rig calibrate flat --bias bias/ --dark dark/ --flat flat/ --out flat.npz`")
def flat(
    flats: Annotated[list[Path], typer.Option("--flat", metavar="DIR", help="Frames of an evenly coloured ground.")],
    biases: Annotated[
        list[Path] | None, typer.Option("--bias", metavar="DIR", help="Frames of the shortest exposure, lens covered.")
    ] = None,
    darks: Annotated[
        list[Path] | None, typer.Option("--dark", metavar="DIR", help="Frames of the usual exposure, lens covered.")
    ] = None,
    out: OutOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """What camera and light add, from bias, dark and flat frames: dark level, hot pixels, uneven light.

    Objects in the flat, such as a board, do not matter: only how light changes from place to place is taken from it.
    """
    from pipeline.measuring.flat import calibrate_flat_of

    print_result(calibrate_flat_of(biases or [], darks or [], flats, out), print_flat, json=json)
    return DONE


@app.command(epilog="Example: `rig calibrate colour --image chart.jpg --out colour.yaml`")
def colour(
    images: Annotated[
        list[Path],
        typer.Option(
            "--image", "--images", metavar="FILE", help="A photograph of a ColorChecker of 24 patches, or a folder."
        ),
    ],
    corners: Annotated[
        str | None,
        typer.Option(
            help="Where the chart is, if it is not found: centres of the dark brown, bluish green, black and white "
            "patch in pixels, as x,y x,y x,y x,y."
        ),
    ] = None,
    model: Annotated[ColourModel, typer.Option(help="How colours are corrected.")] = ColourModel.LINEAR,
    out: OutOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """True colours under one lamp, from a photograph of a ColorChecker: white balance and correction matrix.

    A chart that is clipped, badly lit or upside down is refused.
    """
    from pipeline.measuring.colour import calibrate_colour_of

    result = calibrate_colour_of(images, corners, model.value, out, reporter)
    print_result(result, print_colour, json=json)
    return code_of(len(result.charts), len(result.failed))


@app.command(epilog="Example: `rig calibrate lights --images chrome/ --mask mask.png --out lights.lp`")
def lights(
    images: ImagesOption,
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask", metavar="FILE", help="White where the sphere is; else the file with `mask` in its name."
        ),
    ] = None,
    sphere: Annotated[str | None, typer.Option(metavar="X,Y,R", help="Where the sphere is, in pixels.")] = None,
    lens: LensOption = None,
    out: OutOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Where lights come from, from photographs of a chrome sphere, one under each light."""
    from pipeline.measuring.lights import calibrate_lights_of

    print_result(calibrate_lights_of(images, mask, sphere, lens, out), print_lights, json=json)
    return DONE


@app.command(epilog="Example: `rig calibrate keep --lens lens.yaml --flat az000=flat.npz --colour az000=colour.yaml`")
def keep(
    lens: LensOption = None,
    flat: Annotated[
        list[str] | None, typer.Option("--flat", metavar="LIGHT=FILE", help="What `calibrate flat` kept of a light.")
    ] = None,
    colour: Annotated[
        list[str] | None,
        typer.Option("--colour", metavar="LIGHT=FILE", help="What `calibrate colour` kept of a light."),
    ] = None,
    lights: Annotated[
        Path | None, typer.Option("--lights", metavar="FILE", help="What `calibrate lights` kept, named by lights.")
    ] = None,
    mm_per_pixel: Annotated[float | None, typer.Option(min=1e-4, max=10, help="The scale on the plate.")] = None,
    camera: Annotated[
        str | None, typer.Option(help="The rig's camera as it identifies itself (`rig devices`), for the first one.")
    ] = None,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Keep what was measured on photographs as the lab's next calibration; what is not given is the latest one's."""
    from pipeline.measuring.keep import Parts, keep_parts

    parts = Parts(lens, tuple(flat or ()), tuple(colour or ()), lights, mm_per_pixel, camera)
    print_result(keep_parts(open_lab(lab), parts), print_calibration, json=json)
    return DONE


@app.command(epilog="Example: `rig calibrate report`")
def report(
    bundle: Annotated[
        str, typer.Option(metavar="ID", help="The calibration: its id, its number, its folder, or `latest`.")
    ] = "latest",
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """What a calibration's images are worth by FADGI 2023 and ISO 19264-1, and the trend over the lab's calibrations.

    Scale, tone, white balance, colour, noise, uniformity and sharpness, each with its limits, where those were read,
    and a verdict; as a page in the lab's reports.
    """
    from pipeline.measuring.apply import bundle_folder
    from pipeline.reports.imaging import report_imaging
    from pipeline.reports.imaging_page import write_imaging_page

    opened = open_lab(lab)
    found = report_imaging(opened, bundle_folder(opened, bundle), reporter)
    print_result(replace(found, page=write_imaging_page(opened, found)), print_imaging, json=json)
    return DONE


class ImageFormat(StrEnum):
    """How images are written."""

    TIFF = "tiff"
    PNG = "png"


@app.command(epilog="Example: `rig calibrate apply coins/ --flat flat.npz --colour colour.yaml --out corrected/`")
def apply(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write them.")],
    images: Annotated[list[Path] | None, typer.Argument(metavar="IMAGES", help="Photographs, or folders.")] = None,
    lens: LensOption = None,
    flat: FlatOption = None,
    colour: ColourOption = None,
    bundle: Annotated[
        str | None,
        typer.Option(metavar="ID", help="A calibration of the lab: its id, its number, its folder, or `latest`."),
    ] = None,
    light: Annotated[str | None, typer.Option(help="The light that photographs were taken under.")] = None,
    session: SessionFramesOption = None,
    coin: CoinFramesOption = None,
    tray: TrayFramesOption = None,
    rectify: Annotated[
        float | None,
        typer.Option(
            min=-5,
            max=50,
            metavar="MM",
            help="Of frames of the store: bring the plane this high above the plate straight, as if seen from above. "
            "A usual coin's upper side is at 2, the plate at 0.",
        ),
    ] = None,
    format_: Annotated[ImageFormat, typer.Option("--format", help="How they are written.")] = ImageFormat.TIFF,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Correct images: evenly lit, true in colour, straight. The originals stay; 16 bits stay 16; sRGB is tagged.

    Photographs are corrected by what the other steps kept (--flat, --colour, --lens), or by a calibration of the lab
    (--bundle with --light). Frames of the store (--session, --coin, --tray) are made again of raw frame and
    calibration, and compared with what is stored: exit code 3 if one differs. With --rectify, whole frames of a tilted
    camera are brought straight: one pixel is as many mm in both directions.
    """
    from capture.store import Store
    from pipeline.measuring.apply import apply_bundle_to, apply_to, apply_to_frames, bundle_of, load_corrections
    from pipeline.measuring.rectified import rectify_frames

    by_steps = lens is not None or flat is not None or colour is not None
    frames = bool(session or coin or tray)
    if frames and (images or by_steps or light):
        raise UsageError("--session, --coin and --tray mean frames of the store: give no IMAGES, steps or --light.")
    if not frames and not images:
        raise UsageError("Give IMAGES, or frames of the store by --session, --coin or --tray.")
    if bundle is not None and by_steps:
        raise UsageError("Correct either by a calibration of the lab (--bundle) or by single steps.")
    if not frames and (bundle is None) != (light is None):
        raise UsageError("--bundle and --light belong together: which calibration, and under which of its lights.")
    if rectify is not None and not frames:
        raise UsageError("--rectify is for frames of the store: name them by --session, --coin or --tray.")
    if frames:
        opened = open_lab(lab)
        used = None if bundle is None else bundle_of(opened, bundle)
        with Store.open(opened.store, writing=False) as store:
            chosen = [each for each in store.frames.select((), session or (), coin or (), tray or ()) if each.is_good]
            if rectify is None:
                result = apply_to_frames(opened, store, chosen, used, out, format_.value)
            else:
                result = rectify_frames(opened, store, chosen, used, rectify, out, format_.value)
    elif bundle is not None and light is not None:
        result = apply_bundle_to(images or [], bundle_of(open_lab(lab), bundle), light, out, format_.value, reporter)
    else:
        result = apply_to(images or [], load_corrections(lens, flat, colour), out, format_.value, reporter)
    print_result(result, print_corrected, json=json)
    return code_of(len(result.written), len(result.failed) + len(result.differing))


@measure_app.command(
    rich_help_panel=PANEL, epilog="Example: `rig measure coins.jpg --board chessboard:7x6:12.5 --flat flat.npz`"
)
def measure(
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGES", help="Photographs, or folders of them.")
    ] = None,
    board: Annotated[str | None, typer.Option("--board", help=f"The board beside the coins: {BOARD}")] = None,
    mm_per_pixel: Annotated[float | None, typer.Option(min=1e-4, max=10, help="The scale, without a board.")] = None,
    lens: LensOption = None,
    flat: FlatOption = None,
    coin: CoinFramesOption = None,
    tray: TrayFramesOption = None,
    session: SessionFramesOption = None,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Measure coins, in mm: diameters and area; of coins in the store (--coin, --tray, --session) also the die axis.

    Photographs are measured by a board that lies beside the coins, or by a scale. What coins of the store measure, in
    the frames of their latest session, is kept in its journal, and goes to exports and reports.
    """
    from capture.store import Store
    from pipeline.measuring.apply import load_corrections
    from pipeline.measuring.measure import measure_photographs
    from pipeline.measuring.stored import measure_stored

    if coin or tray or session:
        if images or board or mm_per_pixel or lens or flat:
            raise UsageError("--coin, --tray and --session mean frames of the store: give no IMAGES or corrections.")
        opened = open_lab(lab)
        with Store.open(opened.store) as store:
            frames = store.frames.select((), session or (), coin or (), tray or ())
            measured = measure_stored(opened, store, frames, reporter)
        print_result(measured, print_measured_coins, json=json)
        return code_of(len(measured.coins), len(measured.failed))
    if not images:
        raise UsageError("Give IMAGES, or coins of the store by --coin, --tray or --session.")
    result = measure_photographs(images, board, mm_per_pixel, load_corrections(lens, flat, None), reporter)
    print_result(result, print_measured, json=json)
    return code_of(sum(bool(each.coins) for each in result.photographs), len(result.failed))


@measure_app.command(rich_help_panel=PANEL, epilog="Example: `rig colmap --coin 1994.1 --side obverse --out colmap/`")
def colmap(
    coin: Annotated[str, typer.Option(help="A coin of the store.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.")],
    side: Annotated[SideName, typer.Option(help="Of the coin.")] = SideName.OBVERSE,
    light: Annotated[
        str | None, typer.Option(help="The frames' light; else the one that most were taken under.")
    ] = None,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Write a coin's frames of several tilts and turns as a folder for photogrammetry with COLMAP, cameras known.

    Calibrated whole frames in images/, cameras.txt, images.txt with each camera's pose by the plate's ring, and
    points3D.txt with the ring's markers, in mm. Exit code 3: frames that show too little of the ring were left out.
    """
    from capture.store import Store
    from pipeline.measuring.colmap import write_colmap

    opened = open_lab(lab)
    with Store.open(opened.store, writing=False) as store:
        written = write_colmap(opened, store, coin, side.value, light, out, reporter)
    print_result(written, print_colmap, json=json)
    return LEFT_OVER if written.left_out else DONE


@measure_app.command(
    rich_help_panel=PANEL, epilog="Example: `rig relief coin/ --lights lights.lp --mask mask.png --out relief/`"
)
def relief(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write it.")],
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGES", help="A photograph under each light, or a folder.")
    ] = None,
    lights: Annotated[
        Path | None,
        typer.Option("--lights", metavar="FILE", help="Where the lights come from: .lp, or three numbers a line."),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option("--mask", metavar="FILE", help="White where the coin is; else the file with `mask` in its name."),
    ] = None,
    response: Annotated[StoredAs, typer.Option(help="Whether the images store light or sRGB.")] = StoredAs.AUTO,
    mm_per_pixel: Annotated[float | None, typer.Option(min=1e-4, max=10, help="The scale, for heights in mm.")] = None,
    coin: Annotated[str | None, typer.Option(help="A coin of the store, instead of IMAGES and --lights.")] = None,
    side: Annotated[SideName, typer.Option(help="Of the coin.")] = SideName.OBVERSE,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Measure a relief from images under many lights: normals, albedo, height, and a relightable image (RTI).

    Shadows and highlights are left out. Written: normals.png, albedo.png and height.png with 16 bits, relief.ptm, rti/
    for Relight and OpenLIME, lights.lp, relief.json.
    """
    from capture.store import Store
    from pipeline.measuring.relief import measure_relief_of
    from pipeline.measuring.stored_relief import measure_stored_relief

    if coin is not None:
        if images or lights or mask or mm_per_pixel:
            raise UsageError(
                "--coin means frames of the store, whose lights are known: give no IMAGES, --lights, --mask."
            )
        opened = open_lab(lab)
        with Store.open(opened.store, writing=False) as store:
            measured = measure_stored_relief(opened, store, coin, side.value, out, reporter)
        print_result(measured, print_relief, json=json)
        return DONE
    if not images or lights is None:
        raise UsageError("Give IMAGES and --lights; or --coin, of a coin in the store.")
    result = measure_relief_of(images, lights, mask, response.value, mm_per_pixel, out, reporter)
    print_result(result, print_relief, json=json)
    return DONE
