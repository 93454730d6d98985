"""What the commands of `pipeline.commands.catalogue` print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.collection.sources.numbers import can_read_numbers
from pipeline.commands.terminal.output import print_failure, print_line, reporter
from pipeline.reports.sales import describe_sales
from pipeline.wording import count, minute, was, were

if TYPE_CHECKING:
    from capture.store.lot_details import LotDetails
    from pipeline.collection.catalogue import AddedEntries, CatalogueChange
    from pipeline.collection.catalogue_pages import AddedPages, CheckedCuts
    from pipeline.collection.contents import CatalogueList, CatalogueStats, ShownCoins
    from pipeline.collection.exports import ExportedCatalogue
    from pipeline.collection.identify import BuiltCatalogue, BuiltShard
    from pipeline.collection.records import AddedRecords

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
        print_line(_describe_renamed(added.renamed))
    for line in added.refused:
        reporter.warn(line)
    if added.skipped:
        reporter.warn(f"left alone, as they are no images: {', '.join(added.skipped)}.")


def print_records(added: AddedRecords) -> None:
    """Print what adding records did or would do, and what is wrong with them."""
    images = added.images
    would = "Would add" if not added.is_added else "Added"
    stated = f"{count(added.records, 'record')} ({added.corrected:,} corrected, {added.unchanged:,} unchanged)"
    print_line(
        f"{would} {stated} and {count(images.entries, 'image')} of {count(images.coins, 'coin')} to "
        f"{', '.join(added.sales) or 'no sale'}; {count(images.known, 'image')} {was(images.known)} there already."
    )
    if images.replaced:
        print_line(f"{count(images.replaced, 'corrected image')}: the former {was(images.replaced)} kept.")
    if images.renamed:
        print_line(_describe_renamed(images.renamed))
    for note in added.notes:
        reporter.warn(note)
    for wrong in images.refused:
        print_failure(wrong)
    if images.refused and not added.is_added and not added.is_dry_run:
        print_failure("Nothing was added. Correct these lines, or leave them out: --skip-wrong.")


def _describe_renamed(renamed: dict[str, str]) -> str:
    shown = ", ".join(f"{coin} is {name!r}" for coin, name in list(renamed.items())[:MOST_NAMED])
    more = f" and {len(renamed) - MOST_NAMED} more" if len(renamed) > MOST_NAMED else ""
    return f"Names that another sale has as well: here {shown}{more}."


def print_catalogue(listed: CatalogueList) -> None:
    """Print a line for each sale, or for each entry of one."""
    if not listed.sales:
        empty = "The catalogue is empty. Add images: rig catalogue add DIR."
        print_line("Nothing is removed from the catalogue." if listed.is_removed else empty)
    for sale in listed.sales:
        entries = count(len(sale.entries), "entry", "entries")
        print_line(f"{sale.name}: {count(sale.coins, 'coin')}, {entries}")
        for entry in sale.entries if listed.is_detailed else ():
            stated = _describe_lot(entry.lot) if entry.lot else ""
            print_line(
                "  " + "  ".join(filter(None, (entry.coin_id, entry.side or "side unknown", entry.source, stated)))
            )


def print_pages(added: AddedPages) -> None:
    """Print what was cut out of pages, and what waits for a person."""
    print_line(
        f"Added {count(added.coins, 'coin')} ({count(added.entries, 'image')}) of {count(added.pages, 'page')} to "
        f"{added.sale}; {count(added.known, 'page')} {was(added.known)} there already, {added.empty:,} without coins."
    )
    if added.numbered:
        others = ", the others by page and order" if added.numbered < added.coins + added.waiting else ""
        print_line(f"{count(added.numbered, 'coin')} named by the lot number on the page{others}.")
    elif not can_read_numbers() and added.pages:
        print_line(
            "Coins are named by page and order. To read the numbers beside them, install RapidOCR: "
            "pip install 'coinlab[plates]'."
        )
    if added.waiting:
        print_line(
            f"{count(added.waiting, 'coin')} to be checked, not matched against until then: rig catalogue check."
        )
    for line in added.refused:
        reporter.warn(line)


def print_cuts(checked: CheckedCuts) -> None:
    """Print what was decided, and what still waits."""
    for what, coins in (("Accepted", checked.accepted), ("Rejected", checked.rejected)):
        if coins:
            print_line(f"{what} {count(len(coins), 'coin')}.")
    for cut in checked.waiting[:MOST_LINES]:
        print_line(f"{cut.coin}: {cut.doubt}.")
    if len(checked.waiting) > MOST_LINES:
        print_line(f"and {len(checked.waiting) - MOST_LINES:,} more.")
    if checked.page:
        print_line(f"{count(len(checked.waiting), 'coin')} to be checked: {checked.page}")
    elif not checked.waiting:
        print_line("Nothing waits to be checked.")


def print_shown(shown: ShownCoins) -> None:
    """Print all that is known of a coin."""
    for each in shown.records:
        print_line(f"{each.coin} ({each.sale})")
        if each.versions:
            for name, value in each.versions[0].details.known().items():
                print_line(f"  {name.replace('_', ' ')}: {value}")
            print_line(f"  read from {each.versions[0].source}")
        for entry in each.entries:
            box = f", box {' '.join(map(str, entry.box))}" if entry.box else ""
            print_line(f"  {entry.side or 'side unknown'}: {entry.source}{box}")
        for former, later in zip(each.versions[1:], each.versions, strict=False):
            print_line(f"  until {minute(later.added_at)}: {_describe_lot(former.details)} ({former.source})")
    if len(shown.sales) > 1:
        print_line(f"Sold: {describe_sales(shown.sales)}")


def print_stats(stats: CatalogueStats) -> None:
    """Print figures of the catalogue."""
    waiting = f"; {stats.waiting:,} to be checked" if stats.waiting else ""
    removed = f"; {stats.removed:,} removed" if stats.removed else ""
    entries = count(stats.entries, "entry", "entries")
    print_line(f"{count(stats.sales, 'sale')}, {count(stats.coins, 'coin')}, {entries}{waiting}{removed}.")
    if stats.first_sale:
        print_line(f"Sales from {stats.first_sale} to {stats.last_sale}.")
    for name, coins in stats.known.items():
        print_line(f"  {name.replace('_', ' ')}: of {count(coins, 'coin')}")
    for metal, coins in stats.metals.items():
        print_line(f"  of {metal}: {count(coins, 'coin')}")


def print_exported(exported: ExportedCatalogue) -> None:
    """Print what was exported, and where it lies."""
    print_line(
        f"Exported {count(exported.entries, 'image')} of {count(exported.coins, 'coin')} in "
        f"{count(exported.sales, 'sale')} to {exported.folder}."
    )


def _describe_lot(lot: LotDetails) -> str:
    """The telling part of what is stated of a coin, in a line."""
    known = lot.known()
    units = (("plate", "pl. {}"), ("page", "p. {}"), ("type", "{}"), ("metal", "{}"), ("weight_g", "{:g} g"))
    return ", ".join(form.format(known[name]) for name, form in units if name in known)


def print_built(built: BuiltCatalogue) -> None:
    """Print what `catalogue build` made searchable, and what it could not."""
    print_line(f"{count(built.entries, 'catalogue image')} can be searched (model {built.model_name}).")
    if built.same_coin:
        print_line("The same coin, as it seems, under two names:")
        for one, other, chance in built.same_coin:
            print_line(f"  {one} and {other} (probability {chance:.2f})")
    for entry in built.unusable:
        reporter.warn(f"no coin was found in {entry}. Crop the image to one coin side, and add it again.")


def print_shard(built: BuiltShard) -> None:
    """Print how much of a share is embedded, and what to do with it."""
    print_line(
        f"{built.embedded} of {count(built.images, 'image')} of share {built.shard} of {built.shards} are embedded."
    )
    print_line(f"Copy what is in {built.folder} into the same folder of one machine's lab, and run there:")
    print_line("  rig catalogue build")


def print_change(change: CatalogueChange) -> None:
    """Print what `catalogue remove` or `restore` changed."""
    for coin, images in list(change.coins.items())[:MOST_LINES]:
        print_line(f"{change.what} {coin}: {count(images, 'image')}.")
    if len(change.coins) > MOST_LINES:
        print_line(
            f"{change.what} {count(len(change.coins), 'coin')}, {count(sum(change.coins.values()), 'image')} in all."
        )
