"""Figures for reports, as SVG to be inlined: plain data in, text out. Legible in print and to colour-blind readers.

Colours are Okabe and Ito's; what a colour says, a hatch or the form of a mark says too.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.patches import Patch

WIDTH_IN = 11.5
BLUE, ORANGE, VERMILION, GREY, INK = "#0072B2", "#E69F00", "#D55E00", "#8a929b", "#1b2430"
LOOKS: dict[str, dict[str, Any]] = {
    "done": {"facecolor": BLUE, "edgecolor": "white"},
    "partly": {"facecolor": ORANGE, "edgecolor": INK, "hatch": "////"},
    "skipped": {"facecolor": VERMILION, "edgecolor": INK, "hatch": "xxxx"},
    "under way": {"facecolor": "white", "edgecolor": INK},
}
MARKS: dict[str, dict[str, Any]] = {
    "fault": {"marker": "X", "color": VERMILION, "markeredgecolor": INK, "markersize": 6},
    "recovered": {
        "marker": "o",
        "fillstyle": "none",
        "markeredgecolor": BLUE,
        "markeredgewidth": 1.4,
        "markersize": 11,
    },
    "skipped coin": {"marker": "v", "color": ORANGE, "markeredgecolor": INK, "markersize": 6},
}
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: small, and found by the browser's search
    "text.parse_math": False,  # a tray may be called $x$
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "hatch.linewidth": 0.5,
}
# name spaces, ids of groups (the same in every figure) and fonts, which the page has
_NEEDLESS = re.compile(r' xmlns(:xlink)?="[^"]*"|(?<=<g) id="[^"]*"| font-family: [^;"]*;')


@dataclass(frozen=True)
class Bar:
    """A coin out of its slot: in which row, from when to when, and what it came to (a key of `LOOKS`)."""

    row: str
    begin: datetime
    end: datetime
    state: str


@dataclass(frozen=True)
class Mark:
    """Something that happened: in which row, when, and what (a key of `MARKS`)."""

    row: str
    at: datetime
    kind: str


@dataclass(frozen=True)
class Histogram:
    """A measurement: of good and of rejected frames, and what is still good of it."""

    title: str
    unit: str
    good: Sequence[float]
    rejected: Sequence[float] = ()
    limits: tuple[float, ...] = ()


@dataclass(frozen=True)
class Panel:
    """One quantity against another: curves by name, each (x, y)."""

    title: str
    across: str
    up: str
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    is_log: bool = False
    is_diagonal_right: bool = False


@dataclass(frozen=True)
class Trend:
    """One quantity over time."""

    title: str
    unit: str
    times: Sequence[datetime]
    values: Sequence[float]


def draw_trends(trends: Sequence[Trend]) -> str:
    """Draw quantities over time, side by side."""
    with mpl.rc_context(_STYLE):
        figure = _empty(WIDTH_IN, 2.2)
        for axes, trend in zip(_side_by_side(figure, [trend.title for trend in trends]), trends, strict=True):
            axes.plot(_dates(trend.times), list(trend.values), color=BLUE, marker="o", markersize=4, linewidth=1.2)
            axes.set_ylabel(trend.unit, fontsize=8)
            axes.set_ylim(bottom=min(0.0, *trend.values), top=1.1 * max(*trend.values, 1e-9))
            axes.grid(axis="y", color="#e3e7ea", linewidth=0.6)
            axes.tick_params(labelsize=8)
            _time_axis(axes)
        return _svg(figure, "trends")


def draw_timeline(rows: Sequence[str], bars: Sequence[Bar], marks: Sequence[Mark]) -> str:
    """Draw what was done when, a line for each tray and device."""
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(WIDTH_IN, 0.9 + 0.27 * len(rows))
        heights = {row: number for number, row in enumerate(reversed(rows))}
        used = [state for state in LOOKS if any(bar.state == state for bar in bars)]
        for state in used:
            of_state = [bar for bar in bars if bar.state == state]
            begins, ends = _dates([bar.begin for bar in of_state]), _dates([bar.end for bar in of_state])
            axes.barh(
                [heights[bar.row] for bar in of_state],
                np.maximum(ends - begins, 0.0),
                left=begins,
                height=0.62,
                linewidth=0.4,
                **LOOKS[state],
            )
        kinds = [kind for kind in MARKS if any(mark.kind == kind for mark in marks)]
        for kind in kinds:
            of_kind = [mark for mark in marks if mark.kind == kind]
            axes.plot(
                _dates([mark.at for mark in of_kind]),
                [heights[mark.row] for mark in of_kind],
                linestyle="none",
                label=kind,
                **MARKS[kind],
            )
        axes.set_yticks(list(heights.values()), list(heights))
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#e3e7ea", linewidth=0.6)
        axes.set_axisbelow(True)
        _time_axis(axes)
        handles = [Patch(label=state, **LOOKS[state]) for state in used]
        axes.legend(
            handles=[*handles, *axes.get_legend_handles_labels()[0]],
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=6,
            frameon=False,
            borderaxespad=0.2,
            handlelength=1.4,
        )
        return _svg(figure, "timeline")


def draw_progress(curves: Mapping[str, Sequence[datetime]]) -> str:
    """Draw how many there were of each thing by what time, one panel each."""
    with mpl.rc_context(_STYLE):
        figure = _empty(WIDTH_IN, 1.9)
        for axes, times in zip(_side_by_side(figure, list(curves)), curves.values(), strict=True):
            at = np.sort(_dates(times))
            axes.step(at, np.arange(1, len(at) + 1), where="post", color=BLUE, linewidth=1.6)
            axes.set_ylim(bottom=0)
            axes.grid(axis="y", color="#e3e7ea", linewidth=0.6)
            _time_axis(axes)
        return _svg(figure, "progress")


def draw_histograms(panels: Sequence[Histogram]) -> str:
    """Draw distributions side by side."""
    with mpl.rc_context(_STYLE):
        figure = _empty(WIDTH_IN, 2.1)
        for axes, panel in zip(_side_by_side(figure, [panel.title for panel in panels]), panels, strict=True):
            axes.set_xlabel(panel.unit, fontsize=8)
            _histogram(axes, panel)
            axes.locator_params(axis="x", nbins=4)
            axes.tick_params(labelsize=8)
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
        if any(panel.rejected for panel in panels):
            handles = [Patch(label="good", **LOOKS["done"]), Patch(label="rejected", **LOOKS["partly"])]
            figure.legend(handles=handles, loc="outside upper right", ncols=2, frameon=False, fontsize=8)
        return _svg(figure, "quality")


def draw_curves(panels: Sequence[Panel]) -> str:
    """Draw measurements against each other, side by side."""
    dashes = ("-", (0, (4, 2)), (0, (1, 1)))
    with mpl.rc_context(_STYLE):
        figure = _empty(WIDTH_IN, 2.8)
        for axes, panel in zip(_side_by_side(figure, [panel.title for panel in panels]), panels, strict=True):
            axes.set_xlabel(panel.across, fontsize=8)
            axes.set_ylabel(panel.up, fontsize=8)
            if panel.is_diagonal_right:
                axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
            for (label, (x, y)), colour, dash in zip(
                panel.curves.items(), (BLUE, VERMILION, ORANGE), dashes, strict=False
            ):
                axes.plot(x, y, color=colour, linestyle=dash, marker="o", markersize=2.2, linewidth=1.4, label=label)
            if panel.is_log:
                axes.set_xscale("log")
                axes.xaxis.set_major_formatter("{x:g}")
            if len(panel.curves) > 1:
                axes.legend(frameon=False, fontsize=8)
            axes.set_ylim(-0.02, 1.02)
            axes.grid(color="#e3e7ea", linewidth=0.6)
            axes.tick_params(labelsize=8)
        return _svg(figure, "curves")


def draw_intervals(
    title: str, up: str, labels: Sequence[str], series: Mapping[str, Sequence[tuple[float, float, float]]]
) -> str:
    """Draw shares with their intervals, (share, low, high), at labelled places; the series side by side at each."""
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(max(5.0, 1.2 * len(labels) + 2.0), 3.0)
        axes.set_title(title, fontsize=9, loc="left")
        axes.set_ylabel(up, fontsize=8)
        looks = zip((GREY, BLUE), ("s", "o"), (-0.08, 0.08), strict=True)
        for (label, points), (colour, mark, aside) in zip(series.items(), looks, strict=True):
            share, low, high = np.array(points, float).reshape(-1, 3).T
            across = np.arange(len(points)) + aside
            off = np.maximum(0.0, [share - low, high - share])
            axes.errorbar(across, share, off, color=colour, marker=mark, capsize=3, linewidth=0.8, label=label)
        axes.set_xticks(range(len(labels)), list(labels), fontsize=8)
        axes.set_xlim(-0.5, len(labels) - 0.5)
        axes.set_ylim(top=1.005)
        axes.yaxis.set_major_formatter("{x:.1%}")
        axes.grid(axis="y", color="#e3e7ea", linewidth=0.6)
        figure.legend(loc="outside upper right", ncols=2, frameon=False, fontsize=8)
        return _svg(figure, "intervals")


def draw_shares(of: Mapping[str, float]) -> str:
    """Draw shares of a whole as bars, in the order given."""
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(WIDTH_IN / 2, 0.5 + 0.26 * len(of))
        bars = axes.barh(list(of), list(of.values()), height=0.62, **LOOKS["done"])
        axes.bar_label(bars, fmt="{:.0%}", padding=4, fontsize=8)
        axes.invert_yaxis()
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        return _svg(figure, "shares")


def _side_by_side(figure: Figure, titles: Sequence[str]) -> Iterator[Axes]:
    """Axes in a row, a title above each."""
    for number, title in enumerate(titles, 1):
        axes = figure.add_subplot(1, len(titles), number)
        axes.set_title(title, fontsize=9, loc="left")
        yield axes


def _histogram(axes: Axes, panel: Histogram) -> None:
    values = np.array([*panel.good, *panel.rejected], float)
    if values.size == 0:
        axes.text(0.5, 0.5, "not measured", ha="center", transform=axes.transAxes, color=GREY)
        return
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, 25).tolist()
    axes.hist(panel.good, edges, color=BLUE, edgecolor="white", linewidth=0.3)
    if panel.rejected:
        axes.hist(
            panel.rejected,
            edges,
            bottom=np.histogram(panel.good, edges)[0],
            linewidth=0.4,
            **LOOKS["partly"],
        )
    for limit in panel.limits:
        if low - (high - low) <= limit <= high + (high - low):
            axes.axvline(limit, color=VERMILION, linewidth=1.2, linestyle=(0, (4, 2)))


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = _empty(width, height)
    return figure, figure.add_subplot()


def _empty(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def _dates(times: Sequence[datetime]) -> Any:
    return np.asarray(date2num(list(times)), float) if times else np.zeros(0)


def _time_axis(axes: Axes) -> None:
    here = datetime.now().astimezone().tzinfo
    locator = AutoDateLocator(tz=here, minticks=3, maxticks=8)
    axes.xaxis_date(here)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=here))


def _svg(figure: Figure, salt: str) -> str:
    """The bare element: no prologue, no metadata; ids of several figures on one page stay apart by `salt`."""
    text = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": salt}):
        figure.savefig(text, format="svg", metadata=nothing)
    svg = text.getvalue()
    return _NEEDLESS.sub("", svg[svg.index("<svg") :])
