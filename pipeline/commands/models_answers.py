"""How the commands about models answer; see `pipeline.commands.answers`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from pipeline.commands.answers import as_json, console, errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from models.classification.classification import Point
    from models.evaluation.evaluation import Evaluation
    from models.training.tuning import Trial
    from pipeline.learning.compare import Comparison, Promotion
    from pipeline.learning.dataset import Dataset
    from pipeline.learning.dataset_build import Built
    from pipeline.learning.evaluate import Evaluated
    from pipeline.learning.explain import Explained
    from pipeline.learning.listing import Listed
    from pipeline.learning.rounds import Figures, Outlook, Round
    from pipeline.learning.suites import Answered
    from pipeline.learning.tune import Tuned

_NOTHING_NEW = "Nothing new: every usable frame is in a version of {dataset}, and its model has been judged."


def evaluated(result: Evaluated, json: bool) -> None:
    """Answer of `evaluate`: real and synthetic figures and their gap, always together."""
    if json:
        as_json(result.as_dict())
        return
    real, synthetic = result.real, result.synthetic
    table = Table(title=f"{real.model}: {escape(result.data)}", title_justify="left")
    for column in ("", "real", "synthetic", "gap, points"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row("queries, coins", f"{real.queries}, {real.labels}", f"{synthetic.queries}, {synthetic.labels}", "")
    _row(table, "Rank-1", real.rank1, synthetic.rank1)
    table.add_row("  95 % over coins", _span(real.rank1_interval95), _span(synthetic.rank1_interval95), "")
    for name, one, other in (
        ("Rank-5", real.rank5, synthetic.rank5),
        ("Rank-10", real.rank10, synthetic.rank10),
        ("mAP", real.map, synthetic.map),
        ("Rank-1, any type", real.any_type_rank1, synthetic.any_type_rank1),
        ("Rank-1, same die", real.same_die_rank1, synthetic.same_die_rank1),
        ("Rank-1 by the shortlist's features", real.pooled_rank1, synthetic.pooled_rank1),
        ("Rank-1 by one vector a picture", real.rotation_invariant_rank1, synthetic.rotation_invariant_rank1),
        ("Rank-1 within a session, apart", real.within_session_rank1, synthetic.within_session_rank1),
    ):
        if one is not None or other is not None:
            _row(table, name, one, other)
    for far in real.tar_at_far:
        _row(table, f"TAR at FAR {float(far):g}", real.tar_at_far[far], synthetic.tar_at_far[far])
        hard = (real.tar_at_far_same_type[far], synthetic.tar_at_far_same_type[far])
        _row(table, f"TAR at FAR {float(far):g}, same type", *hard)
    for fpir in real.fnir_at_fpir:
        _row(table, f"FNIR at FPIR {float(fpir):g}", real.fnir_at_fpir[fpir], synthetic.fnir_at_fpir[fpir])
    spans = [_span(each.fnir_at_fpir1_interval95) for each in (real, synthetic)]
    table.add_row("  95 % over coins", *spans, "")
    _row(table, "ECE of the probability", real.ece, synthetic.ece)
    console.print(table)
    console.print(f"Protocol: {real.protocol}", soft_wrap=True)
    console.print(f"Curves and worst cases: {escape(str(result.page))}", soft_wrap=True)


def _row(table: Table, name: str, real: float | None, synthetic: float | None) -> None:
    told = [f"{value:.1%}" if value is not None else "too few" for value in (real, synthetic)]
    gap = f"{100 * (synthetic - real):+.1f}" if real is not None and synthetic is not None else ""
    table.add_row(name, *told, gap)


def _span(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}"


def suite(rows: list[Answered], json: bool) -> None:
    """Answer of `evaluate --suite`."""
    if json:
        as_json([{"name": row.name, "published": row.published, "ours": row.ours, "needs": row.needs} for row in rows])
        return
    table = Table("", "published", "ours, or what it needs")
    for row in rows:
        published = f"{row.published:.2f} %" if row.published is not None else "not in print"
        table.add_row(row.name, published, f"{row.ours:.2f} %" if row.ours is not None else escape(row.needs or ""))
    console.print(table)


def explained(result: Explained, json: bool) -> None:
    """Answer of `explain`."""
    if json:
        as_json(result.as_dict())
        return
    told = result.explanation
    console.print(f"Likeness {told.score:.3f} ({result.model}), the first turned by {told.turn_deg:.0f} degrees.")
    if told.common is not None:
        console.print(
            f"Of it {told.common:.3f} any two coins have ({result.reference}); {told.score - told.common:+.3f} is "
            "their own. The strongest places:"
        )
        for pair in told.pairs[:5]:
            (x, y), (u, v) = pair.first_px, pair.second_px
            console.print(f"  {pair.part:+.4f}  at ({x:.0f}, {y:.0f}) and ({u:.0f}, {v:.0f}) px of the 224 px crops")
    console.print(f"Drawn in {escape(str(result.picture))}", soft_wrap=True)


def dataset_built(built: Built, json: bool) -> None:
    """Answer of `dataset build`."""
    _dataset(built.dataset, json, is_new=built.is_new, without_coin=built.without_coin)


def dataset_rebuilt(dataset: Dataset, json: bool) -> None:
    """Answer of `dataset build --from`."""
    _dataset(dataset, json, is_new=False, without_coin=0)


def _dataset(dataset: Dataset, json: bool, *, is_new: bool, without_coin: int) -> None:
    parts = {
        part: {"coins": len(dataset.coins(part)), "frames": len(dataset.rows(part))}
        for part in ("train", "validation", "test")
    }
    left_out, twins = dataset.manifest["left_out"], len(dataset.manifest["near_duplicates"])
    if json:
        as_json(
            {
                "dataset": dataset.manifest["name"],
                "version": dataset.manifest["version"],
                "id": dataset.id,
                "folder": str(dataset.folder),
                "is_new": is_new,
                **parts,
                "near_duplicates": twins,
                "left_out": left_out,
                "without_coin": without_coin,
            }
        )
        return
    console.print(f"{dataset.title} ({dataset.id}) in {escape(str(dataset.folder))}", soft_wrap=True)
    for part, count in parts.items():
        console.print(f"  {part}: {count['coins']} coins, {count['frames']} frames")
    if twins:
        console.print(f"  {twins} pairs of near-duplicates under two names; their coins are kept on one side")
    if left_out:
        console.print(f"  left out, since they prove to belong to coins of another part: {escape(', '.join(left_out))}")
    if without_coin:
        console.print(f"  {without_coin} frames were left out: no coin is found in them")


def point(reached: Point) -> None:
    """A share of the coins is done."""
    errors.print(
        f"{reached.share:.0%} of the coins ({reached.coins}, {reached.pictures} pictures): {reached.accuracy:.1%} right"
    )


def low_data(path: Path, points: list[dict[str, float]], json: bool) -> None:
    """Answer of `types`."""
    if json:
        as_json({"result": str(path), "points": points})
        return
    table = Table("coins used", "coins", "pictures", "accuracy on unseen coins", "by chance")
    for each in points:
        told = (str(each["coins"]), str(each["pictures"]), f"{each['accuracy']:.1%}", f"{each['chance']:.1%}")
        table.add_row(f"{each['share']:.0%}", *told)
    console.print(table)
    console.print(f"Kept in {escape(str(path))}", soft_wrap=True)
    if path.with_suffix(".png").is_file():
        console.print(f"Where the types are seen: {escape(str(path.with_suffix('.png')))}", soft_wrap=True)


def trial(trials: int) -> Callable[[Trial], None]:
    """A line for every trial of `tune`."""

    def told(done: Trial) -> None:
        reached = done.reached
        errors.print(f"trial {done.number + 1} of {trials}: mAP {reached.map:.4f}, Rank-1 {reached.rank1:.1%}")

    return told


def tuned(result: Tuned, json: bool) -> None:
    """Answer of `tune`: the best numbers beside those that it began with."""
    if json:
        as_json(result.as_dict())
        return
    best, first = result.best, result.first
    table = Table("", "began with", "best", "importance")
    for name, value in best.numbers.items():
        share = result.importances.get(name)
        table.add_row(name, f"{first.numbers[name]:g}", f"{value:g}", f"{share:.0%}" if share is not None else "")
    table.add_row("mAP", f"{first.reached.map:.4f}", f"{best.reached.map:.4f}", "")
    table.add_row("Rank-1", f"{first.reached.rank1:.1%}", f"{best.reached.rank1:.1%}", "")
    console.print(table)
    console.print(f"{len(result.trials)} trials, drawn in {escape(str(result.page))}", soft_wrap=True)
    console.print(f"Train by the best: rig train {escape(str(result.recipe))}", soft_wrap=True)


def models(listed: list[Listed], json: bool) -> None:
    """Answer of `models list`."""
    if json:
        as_json([each.as_dict() for each in listed])
        return
    for each in listed:
        mark = " [bold]in use[/bold]" if each.is_in_use else ""
        console.print(f"[bold]{escape(each.name)}[/bold] {each.id or ''}{mark}")
        console.print(f"  made of: {escape(each.lineage)}\n  reached: {escape(each.figures)}", soft_wrap=True)


def compared(result: Comparison, json: bool) -> None:
    """Answer of `models compare`."""
    if json:
        as_json(result.as_dict())
        return
    table = Table("", "Rank-1", "95 % over coins", "mAP", title=result.data, title_justify="left")
    for name, one in ((result.first_name, result.first), (result.second_name, result.second)):
        table.add_row(escape(name), *_figures(one))
    console.print(table)
    low, high = result.interval95
    console.print(
        f"{result.second_name} against {result.first_name}: {100 * result.difference:+.1f} points "
        f"(95 % over coins {100 * low:+.1f} to {100 * high:+.1f}): {result.verdict}.",
        soft_wrap=True,
    )


def _figures(result: Evaluation) -> tuple[str, str, str]:
    return f"{result.rank1:.1%}", _span(result.rank1_interval95), f"{result.map:.3f}"


def promoted(result: Promotion, json: bool) -> None:
    """Answer of `models promote`."""
    if json:
        as_json(result.as_dict())
        return
    if result.comparison is not None:
        compared(result.comparison, json=False)
    if result.is_promoted:
        forced = " by --force" if result.is_forced else ""
        console.print(
            f"{escape(result.model)} is in use{forced}; {result.entries} entries of the catalogue are embedded by it."
        )
    else:
        console.print(
            f"{escape(result.model)} was not promoted: it is not surely better. `--force` does it all the same."
        )


def round_ahead(ahead: Outlook, json: bool) -> None:
    """Answer of `models improve --dry-run`."""
    if json:
        as_json(asdict(ahead))
    elif ahead.goes_on:
        console.print(
            f"The round of {ahead.dataset} v{ahead.version} goes on: {escape(ahead.model)} against "
            f"{escape(ahead.in_use)}. {ahead.new_frames} frames came since; the next round takes them."
        )
    elif ahead.new_frames:
        console.print(
            f"{ahead.new_frames} new frames of {ahead.new_coins} coins make {ahead.dataset} v{ahead.version}; "
            f"{escape(ahead.model)} is trained on it and held against {escape(ahead.in_use)}."
        )
    else:
        console.print(_NOTHING_NEW.format(dataset=ahead.dataset))


def round_over(dataset: str, judged: Round | None, json: bool) -> None:
    """Answer of `models improve`."""
    if json:
        as_json({"round": judged.as_dict() if judged else None})
        return
    if judged is None:
        console.print(_NOTHING_NEW.format(dataset=dataset), soft_wrap=True)
        return
    rounds([judged], None, json=False)
    if judged.promoted:
        console.print(f"{escape(judged.after.model)} is in use.")
    else:
        console.print(
            f"{escape(judged.after.model)} is not surely better, and was refused: {escape(judged.before.model)} stays "
            f"in use. More coins may tell; `rig models rounds {dataset}` shows all rounds.",
            soft_wrap=True,
        )


def rounds(judged: list[Round], plot: Path | None, json: bool) -> None:
    """Answer of `models rounds`."""
    if json:
        as_json({"rounds": [each.as_dict() for each in judged], "plot": str(plot) if plot else None})
        return
    if not judged:
        console.print("No round yet. Begin: `rig models improve DATASET`.")
        return
    table = Table("", "training coins", "in use before", "Rank-1", "new model", "Rank-1", "points")
    table.add_column("", no_wrap=True)
    for each in judged:
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
    coins = ", then ".join(dict.fromkeys(f"{each.test_coins} test coins, {each.queries} queries" for each in judged))
    console.print(f"On {coins}; intervals are 95 % over coins, of the difference too.")
    if len({each.test_set for each in judged}) > 1:
        console.print("The test coins' pictures changed between rounds: compare within a round only.")
    if plot is not None:
        console.print(f"Drawn in {escape(str(plot))}", soft_wrap=True)


def _reached(figures: Figures) -> tuple[str, str]:
    low, high = figures.rank1_interval95
    return escape(figures.model), f"{figures.rank1:.1%} ({low:.1%} to {high:.1%})"
