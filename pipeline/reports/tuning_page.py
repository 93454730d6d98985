"""The page of a search for augmentation: how it went, what mattered, and the best trials; one file, opens offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

from models.training.tuning import SPACE, Trial
from pipeline.lab import Lab
from pipeline.reports import plots
from pipeline.reports.pages import page_template, write_page

SHOWN = 10  # trials in the table


def write_tuning_page(
    lab: Lab, name: str, found: Sequence[Trial], importances: Mapping[str, float], steps: int, coins: int
) -> Path:
    """Write ``reports/tuning-<name>.html`` and return its path.

    Parameters
    ----------
    found
        The trials, the best first.
    importances
        Shares by name; empty with too few trials.
    steps, coins
        Of each training, and how many real coins judged.
    """
    in_order = sorted(found, key=lambda trial: trial.number)
    numbers = [trial.number + 1 for trial in in_order]
    maps = [trial.reached.map for trial in in_order]
    history = {"best so far": (numbers, list(accumulate(maps, max))), "trial": (numbers, maps)}
    page = page_template("tuning.html").render(
        name=name,
        trials=len(found),
        steps=steps,
        coins=coins,
        names=list(SPACE),
        rows=[
            (
                "began with" if trial.number == 0 else str(trial.number + 1),
                f"{trial.reached.map:.4f}",
                f"{trial.reached.rank1:.1%}",
                [f"{trial.numbers[name]:g}" for name in SPACE],
            )
            for trial in [*found[:SHOWN], *(trial for trial in found[SHOWN:] if trial.number == 0)]
        ],
        importances=plots.draw_shares(importances) if importances else "",
        history=plots.draw_curves([plots.Panel("mAP on the real coins", "trial", "mAP", history)]),
    )
    return write_page(lab, f"tuning-{name}.html", page)
