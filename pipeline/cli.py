"""The command `rig`: arguments in, one job called, its answer printed. Each job stands in a module of its own.

Jobs are imported when their command runs: `rig --help` answers at once, and a Raspberry Pi without torch can scan.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands import answers
from pipeline.commands import batch as batch_cli
from pipeline.commands import bench as bench_cli
from pipeline.commands import models as models_cli
from pipeline.commands import store as store_cli
from pipeline.errors import UsageError, explain
from pipeline.lab import Lab, lab_folder, open_lab
from pipeline.options import (
    DONE,
    FAILED,
    IN_USE,
    LEFT_OVER,
    USAGE,
    DebugOption,
    JsonOption,
    LabOption,
    LogOption,
    ModelOption,
    NoIdentifyOption,
    PlanOption,
    RealtimeOption,
)
from pipeline.reporter import TerminalReporter
from pipeline.signals import Interrupted, interrupt_on_signals


def _exit(code: int, **_: object) -> None:
    raise typer.Exit(code)


app = typer.Typer(
    name="rig",
    result_callback=_exit,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Scan trays of coins under many poses and lights, and find the same physical coin in catalogues.\n\n"
    "Start with `rig scan --tray 3`: with no lab at all it makes a twin lab in ./lab and scans that.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with something left over.",
)
catalogue_app = typer.Typer(no_args_is_help=True, help="The reference pictures that coins are held against.")
app.add_typer(batch_cli.app)
app.add_typer(bench_cli.app)
app.add_typer(models_cli.app)
app.add_typer(catalogue_app, name="catalogue")
app.add_typer(store_cli.app, name="store")


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        answers.said(f"rig {importlib.metadata.version('coinlab')}")
        raise typer.Exit(DONE)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """What is said before the command's name."""


@app.command(
    epilog="Example: `rig init --lab mylab --coins photos/` makes a twin lab of the coins photographed in photos/."
)
def init(
    lab: LabOption = None,
    coins: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Photographs to make the twin's coins of: obverse and reverse side by side in one picture, or "
            "<coin>_obv and <coin>_rev. Without it the coins are procedural.",
        ),
    ] = None,
    trays: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="How many trays of procedural coins; without it, three small ones."),
    ] = None,
    tray_size: Annotated[int, typer.Option(min=1, max=20, help="Coins to a tray, with --coins or --trays.")] = 20,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Make a lab folder with a digital twin: rig.yaml, trays, a plan and a catalogue. Never overwrites one."""
    from pipeline.collection.init import make_lab

    folder = lab_folder(lab)
    answers.lab_made(make_lab(folder, coins, trays, tray_size, progress=answers.progress("Making the lab")), json)
    return DONE


@app.command(epilog="Example: `rig scan --tray 3`. Interrupted with Ctrl-C or a power cut, the same command goes on.")
def scan(
    tray: Annotated[str, typer.Option(help="Which tray: the name of a file in trays/.")],
    plan: PlanOption = "default",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print shots, motion and time; move nothing.")] = False,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Begin anew instead of going on with an interrupted scan; its frames are kept."),
    ] = False,
    no_identify: NoIdentifyOption = False,
    model: ModelOption = IN_USE,
    realtime: RealtimeOption = False,
    lab: LabOption = None,
    log: LogOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Scan a tray: every coin under every pose and light, calibrated, stored, and held against the catalogue."""
    from pipeline.scanning.identification import open_identifier
    from pipeline.scanning.options import ScanOptions
    from pipeline.scanning.scan import check_scan, scan_tray

    opened = _lab_for_newcomers(lab)
    options = ScanOptions(plan, fresh=fresh, realtime=realtime)
    preflight = check_scan(opened, tray, options)
    if dry_run:
        answers.dry_run(preflight, json)
        return DONE
    preflight.require_ready()  # before the catalogue is embedded
    identifier = None if no_identify else open_identifier(opened, model, answers.progress("Embedding the catalogue"))
    result = scan_tray(opened, tray, options, identifier, TerminalReporter())
    answers.scan(result, json)
    return LEFT_OVER if result.left_over else DONE


@app.command(epilog="Example: `rig calibrate`")
def calibrate(
    realtime: RealtimeOption = False,
    lab: LabOption = None,
    log: LogOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Measure lens, lights, scale and the plate's zero: a dated bundle that every later frame names."""
    from pipeline.bench.calibrate import calibrate_lab

    opened = open_lab(lab_folder(lab))
    answers.calibration(calibrate_lab(opened, realtime=realtime, tell=answers.told, ask=answers.ask), json)
    return DONE


@catalogue_app.command("add", epilog="Example: `rig catalogue add plates/1936/`")
def catalogue_add(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Pictures: obverse|reverse in one, or <coin>_obv, <coin>_rev.")
    ],
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Add reference pictures. Those that are there already are left alone."""
    from pipeline.collection.catalogue import add_directory

    added = add_directory(open_lab(lab_folder(lab)), directory, answers.progress("Adding pictures"))
    answers.catalogue_added(added, json)
    return LEFT_OVER if added.refused else DONE


@catalogue_app.command("build", epilog="Example: `rig catalogue build`")
def catalogue_build(
    model: ModelOption = IN_USE, lab: LabOption = None, json: JsonOption = False, debug: DebugOption = False
) -> int:
    """Embed every new picture, and make the search index. `scan` and `identify` do this by themselves."""
    from pipeline.collection.identify import Identifier

    identifier = Identifier.open(open_lab(lab_folder(lab)), model, answers.progress("Embedding the catalogue"))
    answers.catalogue_built(identifier, json)
    return LEFT_OVER if identifier.unusable else DONE


@catalogue_app.command("remove", epilog="Example: `rig catalogue remove 2024.3.6 --dry-run`")
def catalogue_remove(
    coins: Annotated[list[str], typer.Argument(metavar="COIN...", help="Coins whose pictures leave the catalogue.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; change nothing.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Take coins out of the catalogue. Their pictures stay in the store; `catalogue restore` brings them back."""
    from pipeline.collection.catalogue import remove_coins

    counts = remove_coins(open_lab(lab_folder(lab)), coins, dry_run=dry_run)
    answers.catalogue_changed(counts, "Would remove" if dry_run else "Removed", json)
    return DONE


@catalogue_app.command("restore", epilog="Example: `rig catalogue restore 2024.3.6`")
def catalogue_restore(
    coins: Annotated[list[str], typer.Argument(metavar="COIN...", help="Coins taken out before.")],
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Bring back coins that `catalogue remove` took out."""
    from pipeline.collection.catalogue import restore_coins

    answers.catalogue_changed(restore_coins(open_lab(lab_folder(lab)), coins), "Restored", json)
    return DONE


@app.command(
    epilog="Example: `rig identify photo.jpg`. Both sides of one coin: `rig identify obv.jpg rev.jpg --same-coin`"
)
def identify(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photographs of one coin side each.")],
    top: Annotated[int, typer.Option(min=1, max=100, help="How many candidates to show.")] = 5,
    same_coin: Annotated[bool, typer.Option("--same-coin", help="All pictures show one coin: answer once.")] = False,
    model: ModelOption = IN_USE,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Which catalogue entry shows the same physical coin as these photographs?"""
    from pipeline.collection.identify import Identifier, identify_images

    identifier = Identifier.open(open_lab(lab_folder(lab)), model, answers.progress("Embedding the catalogue"))
    identified = identify_images(identifier, images, same_coin=same_coin)
    answers.identified(identified, top, json)
    failed = [answer for answer in identified if answer.error]
    return DONE if not failed else FAILED if len(failed) == len(identified) else LEFT_OVER


@app.command("import", epilog="Example: `rig import photos/ --labels labels.csv`")
def import_(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of photographs, one coin side each.")],
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Columns `file` (relative to the CSV) and `coin`, and where known `side`, `type` and `session`. "
            "Without it a photograph's folder, or the name before its last _, is its coin.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be imported; change nothing.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Bring hand-held photographs into the store, with their labels."""
    from pipeline.collection.imports import import_directory

    imported = import_directory(open_lab(lab_folder(lab)), directory, labels, dry_run, answers.progress("Importing"))
    answers.imported(imported, dry_run, json)
    return LEFT_OVER if imported.refused else DONE


@app.command(epilog="Example: `rig report --tray 3`")
def report(
    session: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="Of a session; with --batch, of a batch. Without it, the newest."),
    ] = None,
    tray: Annotated[str | None, typer.Option(help="The newest scan of this tray.")] = None,
    batch: Annotated[bool, typer.Option("--batch", help="The morning report of a batch, also while it works.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Write the HTML report of a scan or a batch again: one file with its pictures, that opens offline."""
    if batch:
        from pipeline.reports.morning import write_morning_report_of

        answers.reported(write_morning_report_of(open_lab(lab_folder(lab)), session), json)
        return DONE
    from pipeline.reports.report import write_report_of

    answers.reported(write_report_of(open_lab(lab_folder(lab)), session, tray), json)
    return DONE


@app.command(epilog="Example: `rig train recipe.yaml`, a file like models/recipes/starter.yaml.")
def train(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="A YAML file; without it, the recipe of the starter.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="Train on this dataset too (`rig dataset build`).")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The model's name; without it, the recipe's.")] = None,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Train an embedder by a recipe, and fit how sure it may be. Broken off, the same command goes on."""
    from pipeline.learning.train import train_embedder

    trained = train_embedder(
        open_lab(lab_folder(lab)),
        config,
        dataset=dataset,
        name=name,
        drawing=answers.progress("Drawing coins"),
        training=answers.training(),
        fitting=answers.progress("Fitting the probability"),
    )
    if trained is not None:
        answers.trained(trained, json)
    return DONE


def main() -> None:
    """Run `rig` and exit with its code; a failure is told in a paragraph, with a traceback only on ``--debug``."""
    interrupt_on_signals()
    try:
        app()
    except Interrupted:
        answers.failed("interrupted. Nothing is lost: run the same command again to resume.")
        sys.exit(LEFT_OVER)
    except Exception as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        answers.failed(explain(error))
        sys.exit(USAGE if isinstance(error, UsageError) else FAILED)


def _lab_for_newcomers(option: Path | None) -> Lab:
    """The lab that is meant. Only where none is named and ./lab is not there, a twin lab is made in it first."""
    folder = lab_folder(option)
    if option is None and "RIG_LAB" not in os.environ and not folder.exists():
        from pipeline.collection.init import make_lab

        answers.told(f"There is no lab yet: making a twin lab in ./{folder} (`rig init --help` tells of others).")
        make_lab(folder, progress=answers.progress("Making the lab"))
    return open_lab(folder)


if __name__ == "__main__":  # torchrun starts modules: `torchrun --nproc-per-node 2 -m pipeline.cli train recipe.yaml`
    main()
