"""The figures of the morning report: what a night has of each thing, brought to `pipeline.reports.plots`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from capture.quality import Limits
from capture.store.journal_lines import DeviceFailed, DeviceLine
from capture.store.records import Frame
from pipeline.reports import plots
from pipeline.reports.night import Night
from pipeline.wording import moment


def draw_timeline(night: Night) -> str:
    """Which coin was out of its slot when, and where devices failed."""
    last = moment(night.last_at)
    bars, marks, rows = [], [], []
    for tray in night.trays:
        rows.append(f"tray {tray.tray}")
        for coin in tray.coins:
            for begin, end in coin.handled:
                if moment(end or night.last_at) >= moment(night.began.at):  # else of an earlier batch
                    state = coin.state if end or night.ended else "under way"
                    state = "partly" if state == "not begun" else state
                    bars.append(plots.Bar(rows[-1], moment(begin), moment(end) if end else last, state))
            skips = [skip for skip in coin.skips if skip.number > night.began.number]
            marks += [plots.Mark(rows[-1], moment(skip.at), "skipped coin") for skip in skips]
    faults = night.lines_of(DeviceLine)
    for line in faults:
        mark = "fault" if isinstance(line, DeviceFailed) else "recovered"
        marks.append(plots.Mark(_device(line.device), moment(line.at), mark))
    rows += sorted({_device(line.device) for line in faults})
    return plots.draw_timeline(rows, bars, marks)


def draw_progress(night: Night) -> str:
    """Coins and shots by time."""
    began = night.began.at
    finished = [coin.handled[-1][1] for coin in night.coins if coin.state == "done" and coin.handled]
    return plots.draw_progress(
        {
            "coins done": [moment(end) for end in finished if end is not None and end >= began],
            "shots taken": [
                moment(frame.taken_at) for coin in night.coins for frame in coin.frames if frame.taken_at >= began
            ],
        }
    )


def draw_quality(night: Night, limits: Limits) -> str:
    """How sharp, clipped and bright the frames are, how far off the turntable stood, and how large the coins are."""
    frames = [frame for coin in night.coins for frame in coin.frames]

    def panel(title: str, unit: str, value: Callable[[Frame], float | None], *shown: float) -> plots.Histogram:
        good, rejected = (
            [each for frame in frames if frame.is_good is is_good for each in [value(frame)]]
            for is_good in (True, False)
        )
        return plots.Histogram(title, unit, _known(good), _known(rejected), shown)

    return plots.draw_histograms(
        [
            panel("Sharpness", "", lambda frame: frame.quality.get("sharpness"), limits.min_sharpness),
            panel("Clipped", "% of the coin", _clipped, 100 * limits.max_clipped_fraction),
            panel("Brightness", "mean grey level", lambda frame: frame.quality.get("mean"), limits.min_mean),
            panel("Angle error", "degrees", _angle_error, -limits.max_angle_error_deg, limits.max_angle_error_deg),
            plots.Histogram("Coin diameter", "mm", _known(coin.diameter_mm for coin in night.coins)),
        ]
    )


def _clipped(frame: Frame) -> float | None:
    fraction = frame.quality.get("clipped_fraction")
    return None if fraction is None else 100 * fraction


def _angle_error(frame: Frame) -> float | None:
    """As the ring shows it where it is seen, else as the turntable says itself."""
    seen = frame.quality.get("plate_deg", frame.turntable_read_deg)
    if seen is None or frame.turntable_deg is None:
        return None
    return math.remainder(seen - frame.turntable_deg, 360.0)


def _device(name: str) -> str:
    return name.split(" on ")[0]


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
