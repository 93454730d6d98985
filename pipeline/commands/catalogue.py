"""The commands `rig catalogue ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capture.names import printable
from pipeline.commands.options import DONE, FAILED, LEFT_OVER, DebugOption, JsonOption, LabOption, ModelOption
from pipeline.commands.terminal.catalogue import (
    print_added,
    print_built,
    print_catalogue,
    print_change,
    print_cuts,
    print_exported,
    print_pages,
    print_records,
    print_shard,
    print_shown,
    print_stats,
)
from pipeline.commands.terminal.output import print_result, reporter
from pipeline.errors import UsageError
from pipeline.lab import IN_USE, open_lab

app = typer.Typer(no_args_is_help=True, help="The reference images that coins are compared with.")


SaleOption = Annotated[str | None, typer.Option("--sale", metavar="NAME", help="A whole sale (`rig catalogue list`).")]


@app.command(epilog='Example: `rig catalogue add hess1936.xlsx --sale "Hess 1936-03-18" --dry-run`')
def add(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of images (obverse beside reverse, or COIN_obv and COIN_rev); a table (CSV, Excel, JSON); "
            "a IIIF manifest or JSON-LD (Linked Art, Nomisma), also by its address; scanned pages (PDF, TIFF).",
        ),
    ],
    sale: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the sale is called, if not as the folder or file.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of stored images of the same name; those are kept.")
    ] = False,
    pages: Annotated[bool, typer.Option("--pages", help="The folder's images are whole pages of a catalogue.")] = False,
    mapping: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Which column of a table is what (docs/catalogue.md).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check a table or manifest and its images; change nothing.")
    ] = False,
    skip_wrong: Annotated[
        bool, typer.Option("--skip-wrong", help="Leave wrong lines of a table out, and add the rest.")
    ] = False,
    reference: Annotated[
        bool, typer.Option("--reference", help="Leave image files where they are, and link to them: they must stay.")
    ] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Add reference images, and what their sale says of each coin. What is there already is left alone."""
    from pipeline.collection.catalogue import add_directory
    from pipeline.collection.catalogue_pages import add_pages, holds_pages
    from pipeline.collection.records import AddOptions, add_records, holds_records

    if holds_records(source):
        options = AddOptions(sale, mapping, replace, dry_run, skip_wrong, reference)
        records = add_records(open_lab(lab), source, reporter, options)
        print_result(records, print_records, json=json)
        return DONE if not records.images.refused else LEFT_OVER if skip_wrong else FAILED
    if mapping or dry_run or skip_wrong:
        raise UsageError("--mapping, --dry-run and --skip-wrong are for tables and manifests. Leave them out.")
    if holds_pages(Path(source)) and reference:
        raise UsageError(
            "--reference is for images that are files: the pages of a PDF or TIFF are copied. Leave it out."
        )
    if holds_pages(Path(source)) or pages:
        plates = add_pages(open_lab(lab), Path(source), sale, reporter, by_reference=reference)
        print_result(plates, print_pages, json=json)
        return LEFT_OVER if plates.waiting or plates.refused else DONE
    added = add_directory(open_lab(lab), Path(source), reporter, sale=sale, replace=replace, by_reference=reference)
    print_result(added, print_added, json=json)
    return LEFT_OVER if added.refused else DONE


@app.command("list", epilog="Example: `rig catalogue list`, then `rig catalogue list --sale 1936`")
def list_(
    sale: Annotated[str | None, typer.Option(metavar="NAME", help="The entries of this sale.")] = None,
    removed: Annotated[bool, typer.Option("--removed", help="What was removed, and can be restored.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """List the sales of the catalogue (the folders that were added), or the entries of one."""
    from pipeline.collection.contents import list_catalogue

    print_result(list_catalogue(open_lab(lab), sale, removed=removed), print_catalogue, json=json)
    return DONE


@app.command(epilog='Example: `rig catalogue show "lot 231"`, or `rig catalogue show 231 --sale "Hess 1936-03-18"`')
def show(
    coin: Annotated[str, typer.Argument(metavar="COIN", help="A coin, a lot's number, or an entry.")],
    sale: Annotated[str | None, typer.Option(metavar="NAME", help="Of this sale alone.")] = None,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Print what the catalogue says of a coin, where it was read, what was stated before, and its images."""
    from pipeline.collection.contents import show_coin

    print_result(show_coin(open_lab(lab), coin, sale), print_shown, json=json)
    return DONE


@app.command(epilog="Example: `rig catalogue stats`")
def stats(lab: LabOption = None, json: JsonOption = False, debug: DebugOption = False) -> int:
    """Count sales, coins and images, and of how many coins weight, type and the like are known."""
    from pipeline.collection.contents import count_catalogue

    print_result(count_catalogue(open_lab(lab)), print_stats, json=json)
    return DONE


@app.command(epilog='Example: `rig catalogue export out/hess --sale "Hess 1936-03-18"`')
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    sale: Annotated[str | None, typer.Option(metavar="NAME", help="This sale alone.")] = None,
    base_url: Annotated[
        str, typer.Option("--base-url", metavar="URL", help="Where the folder will be found on the web.")
    ] = "http://localhost:8000/",
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Export the catalogue with its images: CSV, JSON, a IIIF 3 manifest, and JSON-LD in Nomisma's terms."""
    from pipeline.collection.exports import export_catalogue

    print_result(export_catalogue(open_lab(lab), folder, sale, base_url, reporter), print_exported, json=json)
    return DONE


@app.command(epilog='Example: `rig catalogue check`, then `rig catalogue check --accept "Hess 1936, page 3, coin 7"`')
def check(
    accept: Annotated[list[str] | None, typer.Option(metavar="COIN", help="This cut is a coin, whole.")] = None,
    reject: Annotated[list[str] | None, typer.Option(metavar="COIN", help="This cut is none.")] = None,
    accept_all: Annotated[bool, typer.Option("--accept-all", help="All others that wait are coins.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """List coins cut out of pages that are doubtful and not matched against, with a page of them; decide about them."""
    from pipeline.collection.catalogue_pages import check_cuts

    checked = check_cuts(open_lab(lab), accept or (), reject or (), accept_all=accept_all)
    print_result(checked, print_cuts, json=json)
    return LEFT_OVER if checked.waiting else DONE


@app.command(epilog="Example: `rig catalogue build`. Shared by eight machines: `rig catalogue build --shard 2/8`")
def build(
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            help="Only embed the K-th of N shares, on one of N machines that each have a copy of the lab.",
        ),
    ] = None,
    model: ModelOption = IN_USE,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Embed every new image and update the search index. `scan` and `identify` do this by themselves."""
    from pipeline.collection.identify import build_catalogue, build_shard

    if shard is not None:
        share = build_shard(open_lab(lab), model, _read_shard(shard), reporter)
        print_result(share, print_shard, json=json)
        return LEFT_OVER if share.embedded < share.images else DONE
    built = build_catalogue(open_lab(lab), model, reporter)
    print_result(built, print_built, json=json)
    return LEFT_OVER if built.unusable or built.unreadable else DONE


def _read_shard(text: str) -> tuple[int, int]:
    parts = text.split("/")
    if len(parts) == 2 and all(part.isdecimal() for part in parts) and 1 <= int(parts[0]) <= int(parts[1]):
        return int(parts[0]), int(parts[1])
    raise UsageError(f"--shard {printable(text)} is no share. Give 2/8 for the second of eight.")


@app.command(epilog="Example: `rig catalogue remove 2024.3.6 --dry-run`, or `rig catalogue remove --sale 1936`")
def remove(
    coins: Annotated[
        list[str] | None, typer.Argument(metavar="[COIN...]", help="Coins whose images leave the catalogue.")
    ] = None,
    sale: SaleOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would go; change nothing.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Remove coins or a sale from the catalogue. The images stay in the store; `catalogue restore` brings them back."""
    from pipeline.collection.catalogue import remove_entries

    print_result(remove_entries(open_lab(lab), coins or (), sale, dry_run=dry_run), print_change, json=json)
    return DONE


@app.command(epilog="Example: `rig catalogue restore 2024.3.6`")
def restore(
    coins: Annotated[list[str] | None, typer.Argument(metavar="[COIN...]", help="Coins removed before.")] = None,
    sale: SaleOption = None,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Bring back coins or a sale that `catalogue remove` removed."""
    from pipeline.collection.catalogue import restore_entries

    print_result(restore_entries(open_lab(lab), coins or (), sale), print_change, json=json)
    return DONE
