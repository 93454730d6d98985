"""The page of an evaluation: curves, and what went most wrong; one file that opens offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.embedding.embedder import Embedder
from models.evaluation.evaluation import Evaluation, Outcome
from models.evaluation.samples import Sample
from pipeline.lab import Lab
from pipeline.reports import plots
from pipeline.reports.images import as_data_url
from pipeline.reports.pages import page_template, write_page

WORST = 12  # cases shown


def write_evaluation_page(
    lab: Lab, embedder: Embedder, real: Evaluation, synthetic: Evaluation, data: str, samples: Sequence[Sample]
) -> Path:
    """Write ``reports/evaluation-<model>-<id>.html`` and return its path."""
    page = page_template("evaluation.html").render(
        model=real.model,
        data=data,
        protocol=real.protocol,
        rows=_rows(real, synthetic),
        curves=plots.draw_curves(_panels(real, synthetic)),
        cases=_cases(real, samples),
    )
    return write_page(lab, f"evaluation-{embedder.name}-{embedder.id}.html", page)


def _rows(real: Evaluation, synthetic: Evaluation) -> list[tuple[str, str, str, str]]:
    """What, real, synthetic, and the gap between them."""
    low, high = real.rank1_interval95
    rows = [
        ("queries, coins", f"{real.queries}, {real.labels}", f"{synthetic.queries}, {synthetic.labels}", ""),
        _row("Rank-1", real.rank1, synthetic.rank1),
        ("Rank-1, 95 % interval over coins", f"{low:.1%} to {high:.1%}", _span(synthetic.rank1_interval95), ""),
        _row("Rank-5", real.rank5, synthetic.rank5),
        _row("Rank-10", real.rank10, synthetic.rank10),
        _row("mAP", real.map, synthetic.map),
        _row("Rank-1, candidates of any type", real.any_type_rank1, synthetic.any_type_rank1),
        _row("Rank-1, candidates of the same die", real.same_die_rank1, synthetic.same_die_rank1),
        _row("Rank-1 within a session", real.within_session_rank1, synthetic.within_session_rank1),
    ]
    rows += [
        _row(f"TAR at FAR {float(far):g}, any type", real.tar_at_far[far], synthetic.tar_at_far[far])
        for far in real.tar_at_far
    ]
    rows += [
        _row(
            f"TAR at FAR {float(far):g}, same type", real.tar_at_far_same_type[far], synthetic.tar_at_far_same_type[far]
        )
        for far in real.tar_at_far_same_type
    ]
    rows += [
        _row(f"FNIR at FPIR {float(fpir):g}", real.fnir_at_fpir[fpir], synthetic.fnir_at_fpir[fpir])
        for fpir in real.fnir_at_fpir
    ]
    spans = (_span(real.fnir_at_fpir1_interval95), _span(synthetic.fnir_at_fpir1_interval95))
    rows.append(("FNIR at FPIR 0.01, 95 % interval over coins", *spans, ""))
    rows.append(_row("ECE of the probability", real.ece, synthetic.ece))
    return rows


def _row(what: str, real: float | None, synthetic: float | None) -> tuple[str, str, str, str]:
    figures = [f"{value:.1%}" if value is not None else "too few" for value in (real, synthetic)]
    gap = f"{100 * (synthetic - real):+.1f}" if real is not None and synthetic is not None else ""
    return what, figures[0], figures[1], gap


def _span(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}"


def _panels(real: Evaluation, synthetic: Evaluation) -> list[plots.Panel]:
    both = {"real": real.curves, "synthetic": synthetic.curves}
    ranks = list(range(1, len(real.curves.cmc) + 1))
    panels = [
        plots.Panel("CMC", "rank", "found", {name: (ranks, curves.cmc) for name, curves in both.items()}),
        plots.Panel(
            "DET, pairs of one type",
            "false accepts",
            "false rejects",
            {name: _positive(curves.far, curves.frr) for name, curves in both.items()},
            is_log=True,
        ),
        plots.Panel(
            "DET, open set",
            "FPIR",
            "FNIR",
            {name: (curves.fpir, curves.fnir) for name, curves in both.items()},
            is_log=True,
        ),
    ]
    fitted = {
        name: (curves.reliability.probability, curves.reliability.right)
        for name, curves in both.items()
        if curves.reliability
    }
    if fitted:
        panels.append(plots.Panel("Reliability", "probability", "right", fitted, is_diagonal_right=True))
    return panels


def _positive(far: Sequence[float], frr: Sequence[float]) -> tuple[list[float], list[float]]:
    """What a logarithmic axis can show."""
    kept = [(x, y) for x, y in zip(far, frr, strict=True) if x > 0.0]
    return [x for x, _ in kept], [y for _, y in kept]


def _cases(real: Evaluation, samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """The queries whose best wrong coin leads the right one by most: the query, the right sample, the wrong one."""
    by_name = {sample.name: sample for sample in samples}
    first: dict[str, Sample] = {}
    for sample in sorted(samples, key=lambda sample: (sample.session, sample.name)):
        first.setdefault(sample.coin, sample)
    wrong = [outcome for outcome in real.outcomes if outcome.rank > 1]
    worst = sorted(wrong, key=lambda outcome: outcome.score - outcome.rival_score)[:WORST]
    return [_case(outcome, by_name[outcome.name], first) for outcome in worst]


def _case(outcome: Outcome, query: Sample, first: dict[str, Sample]) -> dict[str, Any]:
    shown = [query, first[outcome.coin], first[outcome.rival]]
    return {
        "image": as_data_url(np.hstack([sample.read() for sample in shown]), 80),
        "name": outcome.name,
        "coin": outcome.coin,
        "rank": outcome.rank,
        "rival": outcome.rival,
        "score": f"{outcome.score:.3f}",
        "rival_score": f"{outcome.rival_score:.3f}",
    }
