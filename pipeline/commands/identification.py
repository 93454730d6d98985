"""The commands `rig identify` and `rig import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.options import DONE, FAILED, LEFT_OVER, DebugOption, JsonOption, LabOption, ModelOption
from pipeline.commands.terminal.identification import print_answers, print_imported
from pipeline.commands.terminal.output import print_result, reporter
from pipeline.errors import UsageError
from pipeline.lab import IN_USE, open_lab

if TYPE_CHECKING:
    from pipeline.collection.answers import Answers

app = typer.Typer()


@app.command(
    epilog="Example: `rig identify photo.jpg`. Both sides of one coin: `rig identify obv.jpg rev.jpg --same-coin`. A "
    "tray that was scanned without identifying: `rig identify --tray 3`"
)
def identify(
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="[IMAGE...]", help="Photographs of one coin side each.")
    ] = None,
    tray: Annotated[
        str | None, typer.Option(help="The coins of the newest scan of this tray, by its frames; nothing moves.")
    ] = None,
    session: Annotated[str | None, typer.Option(metavar="ID", help="The same, of this scan.")] = None,
    top: Annotated[int, typer.Option(min=1, max=100, help="How many candidates to show.")] = 5,
    same_coin: Annotated[bool, typer.Option("--same-coin", help="All images show one coin: answer once.")] = False,
    coin: Annotated[
        int | None,
        typer.Option(min=1, help="Which coin, where an image shows several: counted row by row from the upper left."),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Write a page with images and evidence, as for a scan.")
    ] = False,
    side: Annotated[
        str | None, typer.Option(metavar="SIDE", help="Only compare with this side: `obverse` or `reverse`.")
    ] = None,
    sale: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only with this sale; may be repeated.")
    ] = None,
    metal: Annotated[
        str | None, typer.Option(help="Only with coins recorded as this metal: `silver` is also AR and Silber.")
    ] = None,
    weight: Annotated[
        str | None,
        typer.Option(metavar="GRAMS", help="Only with coins recorded within these: `3.7-4.1`, or 3 % around `3.87`."),
    ] = None,
    date: Annotated[
        str | None,
        typer.Option(metavar="DATES", help="Only with sales of this time: `1936-03-18`, `1936`, `1920-1939`."),
    ] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Lay the 12 best candidates on the coin, not 3: slower.")
    ] = False,
    model: ModelOption = IN_USE,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Which catalogue entry shows the same physical coin as these photographs, or as the frames of a scan?"""
    from pipeline.collection.answers import answer_without_model
    from pipeline.collection.catalogue import require_catalogue
    from pipeline.collection.filters import read_where
    from pipeline.collection.photographs import PhotographQuery, see_photographs

    if sum((bool(images), tray is not None, session is not None)) != 1:
        raise UsageError("Name photographs, or with --tray or --session a scan: one of the three.")
    where = read_where(side, sale or (), metal, weight, date)
    opened = open_lab(lab)
    require_catalogue(opened)
    if not images:
        if same_coin or report or coin is not None or side is not None:
            raise UsageError("--same-coin, --coin, --side and --report are for photographs: leave them out for a scan.")
        with reporter.step("Loading PyTorch"):
            from pipeline.collection.identify import identify_session
        answers = identify_session(opened, session, tray, model, reporter, top=top, thorough=thorough, where=where)
        return _print_answers(answers, json=json)
    photographs = see_photographs(PhotographQuery(images, same_coin, coin), reporter)
    if photographs.coins:  # only then is it worth seconds to load what a model needs
        with reporter.step("Loading PyTorch"):
            from pipeline.collection.identify import identify_photographs

        answers = identify_photographs(
            opened, photographs, model, reporter, top=top, report=report, thorough=thorough, where=where
        )
    else:
        answers = answer_without_model(photographs)
    return _print_answers(answers, json=json)


def _print_answers(answers: Answers, *, json: bool) -> int:
    print_result(answers, print_answers, json=json)
    if answers.page is not None:
        reporter.report(f"Report: {answers.page}")
    if answers.failed == len(answers.answers):
        return FAILED
    return LEFT_OVER if any(answer.error for answer in answers.answers) else DONE


@app.command("import", epilog="Example: `rig import photos/ --labels labels.csv`")
def import_(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of photographs, one coin side each.")],
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Columns `file` (relative to the CSV) and `coin`, and where known `side`, `type` and `session`. "
            "Without it the coin is the photograph's folder, or the part of its name before the last _.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be imported; change nothing.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Bring hand-held photographs into the store, with their labels."""
    from pipeline.collection.imports import import_directory

    imported = import_directory(open_lab(lab), directory, labels, reporter, dry_run=dry_run)
    print_result(imported, print_imported, json=json)
    return LEFT_OVER if imported.refused or imported.skipped or imported.more_pages else DONE
