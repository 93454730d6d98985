"""What the commands of `pipeline.commands.models` print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from pipeline.commands.terminal.learning import span
from pipeline.commands.terminal.output import console, print_line
from pipeline.wording import count, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.evaluation.evaluation import Evaluation
    from pipeline.learning.compare import Comparison, Promotion
    from pipeline.learning.dataset import BuiltDataset
    from pipeline.learning.listing import ModelList
    from pipeline.learning.rounds import Figures, FinishedRound, PlannedRound, Round, Rounds
    from pipeline.learning.verifier import FittedVerifier

_NOTHING_NEW = "Nothing new: every usable frame is in a version of {dataset}, and its model has been judged."


def print_dataset(built: BuiltDataset) -> None:
    """Print where a dataset is and what its parts hold."""
    dataset = built.dataset
    print_line(f"{dataset.title} ({dataset.id}) in {dataset.folder}")
    for part, (coins, frames) in built.parts.items():
        print_line(f"  {part}: {count(coins, 'coin')}, {count(frames, 'frame')}")
    if built.near_duplicates:
        pairs = count(built.near_duplicates, "pair")
        print_line(f"  {pairs} of near-duplicates under two names; their coins are kept in one part")
    if built.copies:
        print_line(f"  {count(len(built.copies), 'frame')} left out: copies of other frames of the same coin")
    if built.left_out:
        print_line(f"  left out, since they belong to coins of another part: {', '.join(built.left_out)}")
    if built.without_coin:
        print_line(f"  {count(built.without_coin, 'frame')} left out: no coin is found in them")


def print_models(result: ModelList) -> None:
    """Print each model, what it was made of and what it reached."""
    for each in result.models:
        mark = " [bold]in use[/bold]" if each.is_in_use else ""
        console.print(f"[bold]{literal(each.name)}[/bold] {each.id or ''}{mark}")
        print_line(f"  made of: {each.lineage}", f"  reached: {each.figures}")


def print_comparison(result: Comparison) -> None:
    """Print two models' figures and the difference."""
    table = Table("", "Rank-1", "95 % over coins", "mAP", title=literal(result.data), title_justify="left")
    for name, one in ((result.first_name, result.first), (result.second_name, result.second)):
        table.add_row(literal(name), *_figures(one))
    console.print(table)
    low, high = result.interval95
    print_line(
        f"{result.second_name} against {result.first_name}: {100 * result.difference:+.1f} points "
        f"(95 % over coins {100 * low:+.1f} to {100 * high:+.1f}): {result.verdict}."
    )


def print_promotion(result: Promotion) -> None:
    """Print whether a model was put in use."""
    if result.comparison is not None:
        print_comparison(result.comparison)
    if result.is_promoted:
        forced = " by --force" if result.is_forced else ""
        print_line(
            f"{result.model} is in use{forced}; {count(result.entries, 'catalogue entry', 'catalogue entries')} "
            "embedded with it."
        )
    else:
        print_line(
            f"{result.model} was not promoted: it is not significantly better. `--force` puts it in use all the same."
        )


def print_planned_round(planned: PlannedRound) -> None:
    """Print what `models improve` would do."""
    if planned.resumes:
        print_line(
            f"The round of {planned.dataset} v{planned.version} resumes: {planned.model} against {planned.in_use}. "
            f"{count(planned.new_frames, 'frame')} came since; the next round takes them."
        )
    elif planned.new_frames:
        print_line(
            f"{count(planned.new_frames, 'new frame')} of {count(planned.new_coins, 'coin')} make {planned.dataset} "
            f"v{planned.version}; {planned.model} is trained on it and compared with {planned.in_use}."
        )
    else:
        print_line(_NOTHING_NEW.format(dataset=planned.dataset))


def print_round(finished: FinishedRound) -> None:
    """Print what a round came to."""
    judged = finished.round
    if judged is None:
        print_line(_NOTHING_NEW.format(dataset=finished.dataset))
        return
    _print_table([judged])
    if judged.promoted:
        print_line(f"{judged.after.model} is in use.")
    else:
        print_line(
            f"{judged.after.model} is not significantly better, and was refused: {judged.before.model} stays in use. "
            f"With more coins it may be; `rig models rounds {finished.dataset}` shows all rounds."
        )


def print_rounds(result: Rounds) -> None:
    """Print all rounds of a dataset."""
    if not result.rounds:
        print_line(f"No round yet. Begin: `rig models improve {result.dataset}`.")
        return
    _print_table(result.rounds)
    if result.plot is not None:
        print_line(f"Drawn in {result.plot}")


def _print_table(rounds: Sequence[Round]) -> None:
    table = Table("", "training coins", "in use before", "Rank-1", "new model", "Rank-1", "points")
    table.add_column("", no_wrap=True)
    for each in rounds:
        low, high = each.interval95
        table.add_row(
            f"v{each.version}",
            str(each.trained_coins),
            *_reached(each.before),
            *_reached(each.after),
            f"{100 * each.difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})",
            "promoted by --force" if each.forced else "promoted" if each.promoted else "refused",
        )
    console.print(table)
    coins = ", then ".join(dict.fromkeys(f"{each.test_coins} test coins, {each.queries} queries" for each in rounds))
    print_line(f"On {coins}; intervals are 95 % over coins, of the difference too.")
    wanted = rounds[-1].coins_for_gain
    if wanted > rounds[-1].test_coins:
        print_line(f"To detect a gain of 2 points four times in five, {wanted} test coins are needed.")
    if len({each.test_set for each in rounds}) > 1:
        print_line("The test coins' images changed between rounds: compare within a round only.")


def _figures(result: Evaluation) -> tuple[str, str, str]:
    return f"{result.rank1:.1%}", span(result.rank1_interval95), f"{result.map:.3f}"


def _reached(figures: Figures) -> tuple[str, str]:
    low, high = figures.rank1_interval95
    return literal(figures.model), f"{figures.rank1:.1%} ({low:.1%} to {high:.1%})"


def print_verifier(result: FittedVerifier) -> None:
    """Print what a verifier was fitted on, and its errors."""
    print_line(
        f"{result.path}: fitted on {result.pairs} pairs and {result.searches} searches.",
        f"Of pairs left out, {result.missed:.1%} of those of one coin are taken for two, and {result.mistaken:.1%} of "
        "the others for one.",
        f"Of searches left out, {result.matched:.1%} of those whose coin is there end in a match with it, and "
        f"{result.misnamed:.1%} of the others in one.",
    )
