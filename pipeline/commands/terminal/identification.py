"""What the commands of `pipeline.commands.identification` print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capture.names import printable
from pipeline.commands.terminal.output import (
    coloured_verdict,
    console,
    print_failure,
    print_line,
    reporter,
)
from pipeline.fitted_table import Column, FittedTable
from pipeline.reports.cards import MATCH, POSSIBLE
from pipeline.reports.facts import describe_facts
from pipeline.reports.sales import describe_sale, describe_sales
from pipeline.reports.scan_results import other_names, sales_of
from pipeline.sentences import print_sentences
from pipeline.wording import count, describe_pages, literal, were

if TYPE_CHECKING:
    from pipeline.collection.answers import Answers
    from pipeline.collection.imports import Imported

MOST_COPIES = 10  # before they are counted only

CANDIDATE_COLUMNS = (
    Column("", is_number=True),
    Column("Coin"),
    Column("Entry", is_prose=True),
    Column("Score", is_number=True, rank=1),
    Column("Probability", is_number=True),
)


def print_answers(result: Answers) -> None:
    """Print a table of candidates for each coin that was asked about."""
    for answer in result.answers:
        if answer.error:
            print_failure(answer.error)
        if answer.verdict is None:
            continue
        if answer.fails:
            reporter.warn(f"{answer.name} fails a check ({', '.join(answer.fails)}): the answer is less certain.")
        print_sentences(console, f"{literal(answer.name)}: {coloured_verdict(answer.verdict)}")
        if answer.candidates and answer.verdict in (MATCH, POSSIBLE):
            chain = describe_sales(sales_of(answer.candidates[0]))
            if chain:
                print_line(f"  {printable(chain)}")
        for fact in describe_facts(answer.candidates[0].evidence.get("facts", ()) if answer.candidates else ()):
            print_line(f"  {printable(fact)}")
        rows = []
        for rank, each in enumerate(answer.candidates, 1):
            chance = f"{each.probability:.3f}"
            cited = {sale["coin"]: describe_sale(sale) for sale in sales_of(each) if "lot" in sale}
            entry = cited.get(each.coin, each.entry_id)
            rows.append((str(rank), literal(each.coin), literal(entry), f"{each.score:.3f}", chance))
            for other in other_names(each):
                chance = f"{other['probability']:.3f} same coin"
                entry = cited.get(other["coin"], other["entry"])
                rows.append(("", f"also {literal(other['coin'])}", literal(entry), "", chance))
        console.print(FittedTable(CANDIDATE_COLUMNS, rows))


def print_imported(done: Imported) -> None:
    """Print what `import` brought in, and why the rest was not."""
    print_line(
        f"{'Would import' if done.is_dry_run else 'Imported'} {count(done.photographs, 'photograph')} of "
        f"{count(done.coins, 'coin')} from {count(done.sessions, 'session')}; {were(done.known)} there already."
    )
    if done.copies:
        copies = count(len(done.copies), "file", "files")
        print_line(f"Left out {copies} with the same bytes as another of this import:")
        for file, other in list(done.copies.items())[:MOST_COPIES]:
            print_line(f"  {file} = {other}")
        if len(done.copies) > MOST_COPIES:
            print_line(f"  and {len(done.copies) - MOST_COPIES:,} more (`--json` lists them)")
    if done.relabelled:
        print_line(
            f"{'Would correct' if done.is_dry_run else 'Corrected'} {count(len(done.relabelled), 'label')}; the former "
            "stay in the journal (`rig reviews`):"
        )
        for file, label in done.relabelled.items():
            print_line(f"  {file}: {label}")
    if done.quarantined:
        print_line(f"{count(done.quarantined, 'photograph')} failed a check and will not train:")
        for file, reason in done.failures.items():
            print_line(f"  {file}: {reason}")
    for file, boxes in done.several.items():
        reporter.warn(f"{file} shows {len(boxes)} coins. Cut it into images of one coin each, and import these.")
    for file, pages in done.more_pages.items():
        reporter.warn(describe_pages(file, pages))
    for line in (*done.refused, *done.skipped):
        reporter.warn(line)
