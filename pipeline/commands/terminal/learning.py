"""What the commands of `pipeline.commands.learning` print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from capture.names import printable
from pipeline.commands.terminal.output import console, print_line
from pipeline.reports.facts import describe_facts
from pipeline.wording import count, literal

if TYPE_CHECKING:
    from models.evaluation.verified import VerifiedEvaluation
    from pipeline.learning.evaluate import Evaluated
    from pipeline.learning.explain import Explained
    from pipeline.learning.low_data import LowDataCurve
    from pipeline.learning.suites import SuiteResult
    from pipeline.learning.train import Trained
    from pipeline.learning.tune import Tuned
    from rig.sides import Side

MOST_COPIES = 5  # that are listed


def print_trained(result: Trained) -> None:
    """Print where the model is, and what to do with it."""
    if result.last is not None:
        print_line(f"The network was busy {result.last.busy:.1%} of the time; it waited for images in the rest.")
    print_line(f"Trained: {result.folder}. Try it: rig evaluate --model {result.folder}")
    print_line(f"Its curves: tensorboard --logdir {result.folder}")


def print_tuned(result: Tuned) -> None:
    """Print the best numbers beside those that the search began with."""
    best, first = result.best, result.first
    table = Table("", "began with", "best", "importance")
    for name, value in best.numbers.items():
        share = result.importances.get(name)
        table.add_row(name, f"{first.numbers[name]:g}", f"{value:g}", f"{share:.0%}" if share is not None else "")
    table.add_row("mAP", f"{first.reached.map:.4f}", f"{best.reached.map:.4f}", "")
    table.add_row("Rank-1", f"{first.reached.rank1:.1%}", f"{best.reached.rank1:.1%}", "")
    console.print(table)
    print_line(f"{count(len(result.trials), 'trial')}, drawn in {result.page}")
    print_line(f"Train with the best: rig train {result.recipe}")


def print_evaluated(result: Evaluated) -> None:
    """Print real and synthetic figures and their gap, always together."""
    real, synthetic = result.real, result.synthetic
    table = Table(title=f"{real.model}: {literal(result.data)}", title_justify="left")
    for column in ("", "real", "synthetic", "gap, points"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row("queries, coins", f"{real.queries}, {real.labels}", f"{synthetic.queries}, {synthetic.labels}", "")
    _add_row(table, "Rank-1", real.rank1, synthetic.rank1)
    table.add_row("  95 % over coins", span(real.rank1_interval95), span(synthetic.rank1_interval95), "")
    for name, one, other in (
        ("Rank-5", real.rank5, synthetic.rank5),
        ("Rank-10", real.rank10, synthetic.rank10),
        ("mAP", real.map, synthetic.map),
        ("Rank-1, any type", real.any_type_rank1, synthetic.any_type_rank1),
        ("Rank-1, same die", real.same_die_rank1, synthetic.same_die_rank1),
        ("Rank-1 by the shortlist's features", real.pooled_rank1, synthetic.pooled_rank1),
        ("Rank-1 by one vector per image", real.rotation_invariant_rank1, synthetic.rotation_invariant_rank1),
        ("Rank-1 within a session, apart", real.within_session_rank1, synthetic.within_session_rank1),
    ):
        if one is not None or other is not None:
            _add_row(table, name, one, other)
    for far in real.tar_at_far:
        _add_row(table, f"TAR at FAR {float(far):g}", real.tar_at_far[far], synthetic.tar_at_far[far])
        hard = (real.tar_at_far_same_type[far], synthetic.tar_at_far_same_type[far])
        _add_row(table, f"TAR at FAR {float(far):g}, same type", *hard)
    for fpir in real.fnir_at_fpir:
        _add_row(table, f"FNIR at FPIR {float(fpir):g}", real.fnir_at_fpir[fpir], synthetic.fnir_at_fpir[fpir])
    spans = [span(each.fnir_at_fpir1_interval95) for each in (real, synthetic)]
    table.add_row("  95 % over coins", *spans, "")
    _add_row(table, "ECE of the probability", real.ece, synthetic.ece)
    console.print(table)
    if result.verified is not None:
        _print_verified(result.verified)
    if result.copies:
        print_line(
            f"{count(len(result.copies), 'image')} left out, as a copy of another image of the coin or of another:"
        )
        for copy in result.copies[:MOST_COPIES]:
            print_line(f"  {copy.name} ({copy.coin}) is {copy.copy_of} ({copy.copy_of_coin})")
        if len(result.copies) > MOST_COPIES:
            print_line(f"  and {len(result.copies) - MOST_COPIES} more (--json lists all)")
    print_line(f"Protocol: {real.protocol}")
    print_line(f"Curves and worst cases: {result.page}")


def print_suite(result: SuiteResult) -> None:
    """Print a published table with our figures beside it."""
    table = Table("", "published", "ours, or what it needs")
    for row in result.rows:
        published = f"{row.published:.2f} %" if row.published is not None else "not in print"
        table.add_row(row.name, published, f"{row.ours:.2f} %" if row.ours is not None else literal(row.needs or ""))
    console.print(table)


def print_explained(result: Explained) -> None:
    """Print how similar two coins are, and the strongest evidence."""
    explanation = result.explanation
    print_line(
        f"Similarity {explanation.score:.3f} {_compared(*result.sides)} ({result.model}), the first rotated by "
        f"{explanation.turn_deg:.0f} degrees."
    )
    for other in result.others:
        print_line(f"Less similar: {other.score:.3f} {_compared(other.first, other.second)}.")
    if explanation.common is not None:
        print_line(
            f"Any two coins share {explanation.common:.3f} of it ({result.reference}); "
            f"{explanation.score - explanation.common:+.3f} is their own. The strongest places:"
        )
        for pair in explanation.pairs[:5]:
            (x, y), (u, v) = pair.first_px, pair.second_px
            print_line(f"  {pair.part:+.4f}  at ({x:.0f}, {y:.0f}) and ({u:.0f}, {v:.0f}) px of the 224 px crops")
    for fact in describe_facts(result.facts):
        print_line(f"By the records: {printable(fact)}.")
    print_line(f"Drawn in {result.drawing}")


def _print_verified(result: VerifiedEvaluation) -> None:
    """Print the figures of the queries that were verified too, by stage."""
    title = (
        f"{count(result.queries, 'query', 'queries')} of {count(result.coins, 'coin')}, identified with verification"
    )
    table = Table("", *result.stages, title=title, title_justify="left")
    each = result.stages.values()
    table.add_row("Rank-1", *(f"{stage.rank1:.1%}" for stage in each))
    table.add_row("  95 % over coins", *(span(stage.rank1_interval95) for stage in each))
    table.add_row("a match with the coin", *(f"{stage.matched:.1%}" for stage in each))
    table.add_row("a match though it is not there", *(f"{stage.misnamed:.1%}" for stage in each))
    for fpir in next(iter(each)).fnir_at_fpir:
        table.add_row(f"FNIR at FPIR {float(fpir):g}", *(f"{stage.fnir_at_fpir[fpir]:.1%}" for stage in each))
    table.add_row("  95 % over coins", *(span(stage.fnir_at_fpir1_interval95) for stage in each))
    table.add_row("ECE of the probability", *(f"{stage.ece:.3f}" for stage in each))
    console.print(table)


def print_low_data(result: LowDataCurve) -> None:
    """Print accuracy by the number of coins learnt from."""
    table = Table("coins used", "coins", "images", "accuracy on unseen coins", "by chance")
    for each in result.points:
        figures = (str(each.coins), str(each.pictures), f"{each.accuracy:.1%}", f"{each.chance:.1%}")
        table.add_row(f"{each.share:.0%}", *figures)
    console.print(table)
    print_line(f"Kept in {result.path}")
    if result.path.with_suffix(".png").is_file():
        print_line(f"Where the types are seen: {result.path.with_suffix('.png')}")


def _compared(first: Side | None, second: Side | None) -> str:
    if first == second:
        return f"of the {first}s" if first else "of the images"
    named = f"first image with the {second} of the second" if second else f"{first} of the first with the second image"
    return f"of the {named}"


def span(interval: tuple[float, float]) -> str:
    """An interval of shares, for a person."""
    return f"{interval[0]:.1%} to {interval[1]:.1%}"


def _add_row(table: Table, name: str, real: float | None, synthetic: float | None) -> None:
    figures = [f"{value:.1%}" if value is not None else "too few" for value in (real, synthetic)]
    gap = f"{100 * (synthetic - real):+.1f}" if real is not None and synthetic is not None else ""
    table.add_row(name, *figures, gap)
