"""What the commands of `pipeline.commands.reviews` print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.commands.terminal.output import print_line, reporter
from pipeline.wording import minute

if TYPE_CHECKING:
    from pipeline.collection.reviews import Review, Reviews


def print_review(review: Review) -> None:
    """Print a decision that was just recorded."""
    print_line(f"{review.sentence} Recorded for {review.line.who}.")
    if review.hint:
        reporter.warn(f"{review.hint} To undo it, give the same frames their former label.")


def print_reviews(result: Reviews) -> None:
    """Print every decision, the oldest first."""
    if not result.reviews:
        print_line("Nothing was decided yet: `rig confirm COIN ENTRY`, `rig reject COIN ENTRY`, `rig label NEW ...`.")
    for each in result.reviews:
        why = f" {each.line.why}" if each.line.why else ""
        past = "" if each.counts else " (decided again later)"
        print_line(f"{minute(each.line.at)}  {each.line.who}: {each.sentence}{why}{past}")
