"""What the commands of `pipeline.commands.catalogue` print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.commands.terminal.output import print_line, reporter
from pipeline.wording import count, were

if TYPE_CHECKING:
    from pipeline.collection.catalogue import AddedEntries, CatalogueChange, CatalogueList
    from pipeline.collection.identify import BuiltCatalogue

MOST_LINES = 20  # of coins, before they are counted only
MOST_NAMED = 3


def print_added(added: AddedEntries) -> None:
    """Print what `catalogue add` added, and why the rest was not."""
    print_line(
        f"Added {count(added.entries, 'image')} of {count(added.coins, 'coin')}; {were(added.known)} there already, "
        f"{len(added.refused)} could not be used."
    )
    if added.replaced:
        print_line(f"{count(added.replaced, 'corrected image')} took the place of the former, which is kept.")
    if added.renamed:
        shown = ", ".join(f"{coin} is {name!r}" for coin, name in list(added.renamed.items())[:MOST_NAMED])
        more = f" and {len(added.renamed) - MOST_NAMED} more" if len(added.renamed) > MOST_NAMED else ""
        print_line(f"Names that another sale has as well: here {shown}{more}.")
    for line in added.refused:
        reporter.warn(line)
    if added.skipped:
        reporter.warn(f"left alone, as they are no images: {', '.join(added.skipped)}.")


def print_catalogue(listed: CatalogueList) -> None:
    """Print a line for each sale, or for each entry of one."""
    if not listed.sales:
        empty = "The catalogue is empty. Add images: rig catalogue add DIR."
        print_line("Nothing is removed from the catalogue." if listed.is_removed else empty)
    for sale in listed.sales:
        entries = count(len(sale.entries), "entry", "entries")
        print_line(f"{sale.name}: {count(sale.coins, 'coin')}, {entries}")
        for entry in sale.entries if listed.is_detailed else ():
            print_line(f"  {entry.coin_id}  {entry.side or 'side unknown'}  {entry.source}")


def print_built(built: BuiltCatalogue) -> None:
    """Print what `catalogue build` made searchable, and what it could not."""
    print_line(f"{count(built.entries, 'catalogue image')} can be searched (model {built.model_name}).")
    if built.same_coin:
        print_line("The same coin, as it seems, under two names:")
        for one, other, chance in built.same_coin:
            print_line(f"  {one} and {other} (probability {chance:.2f})")
    for entry in built.unusable:
        reporter.warn(f"no coin was found in {entry}. Crop the image to one coin side, and add it again.")


def print_change(change: CatalogueChange) -> None:
    """Print what `catalogue remove` or `restore` changed."""
    for coin, images in list(change.coins.items())[:MOST_LINES]:
        print_line(f"{change.what} {coin}: {count(images, 'image')}.")
    if len(change.coins) > MOST_LINES:
        print_line(
            f"{change.what} {count(len(change.coins), 'coin')}, {count(sum(change.coins.values()), 'image')} in all."
        )
