"""The morning report: what a batch came to, in one HTML file that opens offline, made from the store alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from rich.filesize import decimal

from capture.store import Store
from capture.store.journal_lines import DeviceLine, DeviceRecovered, StoreRepaired
from capture.store.records import Candidate, Entry
from pipeline.assembly import holder_of
from pipeline.lab import Lab
from pipeline.reports import attention
from pipeline.reports.cards import cite_others
from pipeline.reports.images import Thumbnails, as_data_url
from pipeline.reports.night import STATES, CoinNight, Night, TrayNight, newest_batch, read_night
from pipeline.reports.pages import cite, device_line, page_template, plan_line, write_page
from pipeline.reports.report import report_path
from pipeline.reports.scan_results import WrittenReport, caption
from pipeline.reports.sheets import make_contact_sheet, pair_entries, pair_frames
from pipeline.run_status import read_status
from pipeline.wording import duration, minute, moment

GLYPHS = {"done": "✓", "partly": "◐", "skipped": "✕", "not begun": "○"}
ROW_PX, MATCH_PX = 56, 128


def write_morning_report_of(lab: Lab, batch: str | None) -> WrittenReport:
    """Write the report of a batch; without an id, of the newest one.

    Raises
    ------
    LabError
        If there is no such batch.
    """
    with Store.open(lab.store, writing=False) as store:
        return WrittenReport(write_morning_report(lab, store, batch or newest_batch(store, lab)))


def is_at_work(lab: Lab, batch: str) -> bool:
    """Whether a batch is running now."""
    holder, status = holder_of(lab), read_status(lab)
    if holder is None or status is None or status.ended is not None:
        return False
    return status.batch == batch and f"(process {status.pid}," in holder


def write_morning_report(lab: Lab, store: Store, batch_id: str) -> Path:
    """Write the report of a batch and return its path. It may still be running, or have been killed.

    Raises
    ------
    LabError
        If there is no such batch.
    """
    from pipeline.reports import figures  # a second for matplotlib, which nothing but drawing needs

    night = read_night(lab, store, batch_id)
    thumbnails = Thumbnails(lab, store)
    entries = {entry.id: entry for entry in store.catalogue.entries()}
    anchors = {
        (coin.tray, coin.slot): f"t{number}s{coin.slot}"
        for number, tray in enumerate(night.trays, 1)
        for coin in tray.coins
    }

    def shown(coin: CoinNight) -> dict[str, Any]:
        return {"anchor": anchors[coin.tray, coin.slot], **_coin(coin, thumbnails, entries)}

    with ThreadPoolExecutor() as pool:
        trays = [{**_tray(lab, tray), "coins": list(pool.map(shown, tray.coins))} for tray in night.trays]
    is_running = is_at_work(lab, batch_id)
    needs = attention.list_needs(night, thumbnails.unreadable, is_running=is_running)
    page = page_template("morning.html").render(
        title=title_of(night),
        batch=night.batch,
        sentence=attention.summarise(night, needs, is_running=is_running),
        period=period_of(night),
        numbers=numbers_of(night, store),
        needs=[
            {"item": each, "links": [(anchors[coin.tray, coin.slot], coin) for coin in each.coins]} for each in needs
        ],
        states=[(state, GLYPHS[state], sum(coin.state == state for coin in night.coins)) for state in STATES],
        trays=trays,
        matches=[coin for tray in trays for coin in tray["coins"] if coin["verdict"] == "match"],
        zone=f"{moment(night.began.at):%Z}",
        timeline=Markup(figures.draw_timeline(night)),
        progress=Markup(figures.draw_progress(night)),
        quality=Markup(figures.draw_quality(night, lab.rig.quality)),
        faults=[
            {"at": minute(line.at), "line": line, "is_over": isinstance(line, DeviceRecovered)}
            for line in night.lines_of(DeviceLine)
        ],
        put_right=[line.what for line in night.lines_of(StoreRepaired)],
        provenance=_provenance(lab, night),
    )
    return write_page(lab, f"batch-{night.batch}.html", page)


def _tray(lab: Lab, tray: TrayNight) -> dict[str, Any]:
    states = Counter(coin.state for coin in tray.coins)
    report = report_path(lab, tray.session) if tray.session else None
    return {
        "tray": tray.tray,
        "session": tray.session.id if tray.session else None,
        "state": tray.state or ("under way" if tray.session else "not begun"),
        "why": tray.why,
        "counts": [(state, states[state]) for state in STATES if states[state]],
        "report": quote(report.name) if report is not None and report.is_file() else None,
    }


def _coin(coin: CoinNight, thumbnails: Thumbnails, entries: dict[str, Entry]) -> dict[str, Any]:
    best = coin.result.candidates[0] if coin.result.candidates else None
    own = pair_frames(coin, thumbnails, entries)
    catalogue = pair_entries(best, thumbnails, entries) if best else None
    is_match = coin.result.verdict == "match"
    return {
        "slot": coin.slot,
        "coin": coin.coin,
        "tray": coin.tray,
        "state": coin.state,
        "glyph": GLYPHS[coin.state],
        "why": coin.why or (coin.skips[-1].why if coin.is_away else ""),
        "earlier": [skip.why for skip in coin.skips] if coin.state == "done" and not coin.is_away else [],
        "result": coin.result,
        "verdict": coin.result.verdict,
        "best": best,
        "citation": cite_candidate(best, entries) if best else "",
        "also": cite_others(best, entries) if best else (),
        "diameter_mm": coin.diameter_mm,
        "image": as_data_url(own(ROW_PX), 72) if own else None,
        "best_image": as_data_url(catalogue(ROW_PX), 72) if catalogue else None,
        "large": as_data_url(own(MATCH_PX), 78) if own and is_match else None,
        "best_large": as_data_url(catalogue(MATCH_PX), 78) if catalogue and is_match else None,
        "sheet": make_contact_sheet(coin, thumbnails),
        "rejected": [
            f"{caption(frame)}, take {frame.attempt}: {frame.quarantine_reason}"
            for frame in coin.frames
            if not frame.is_good
        ],
    }


def cite_candidate(best: Candidate, entries: dict[str, Entry]) -> str:
    """A candidate as a person would cite it, with the catalogue's name for it where that differs."""
    published = cite(entries[best.entry_id]) if best.entry_id in entries else best.entry_id
    return published if best.coin in published else f"{published} ({best.coin})"


def title_of(night: Night) -> str:
    """When it was."""
    began, last = moment(night.began.at), moment(night.last_at)
    if began.date() == last.date():
        return f"{began.day} {began:%B %Y}"
    same = began.month == last.month
    return f"Night of {began.day}{'' if same else f' {began:%B}'} to {last.day} {last:%B %Y}"


def period_of(night: Night) -> str:
    """From when to when it ran, in a line."""
    last = f"ended {minute(night.ended.at)}" if night.ended else f"last seen {minute(night.last_at)}"
    until = night.began.until
    limit = f", to end by {minute(until)}" if until else ""
    return f"Began {minute(night.began.at)}, {last}{limit}"


def numbers_of(night: Night, store: Store) -> list[tuple[str, str]]:
    """What it came to in numbers: names and values."""
    coins = night.coins
    frames = [frame for coin in coins for frame in coin.frames]
    tonight = [frame for frame in frames if frame.taken_at >= night.began.at]
    wall_s = max(1.0, (moment(night.last_at) - moment(night.began.at)).total_seconds())
    finished = sum(coin.state == "done" and any(end is not None for _, end in coin.handled) for coin in coins)
    handled = [(begin, end) for coin in coins for begin, end in coin.handled if end and begin >= night.began.at]
    out_s = [(moment(end) - moment(begin)).total_seconds() for begin, end in handled]
    numbers = [
        ("coins done", f"{sum(coin.state == 'done' for coin in coins)} of {len(coins)}"),
        ("good frames", f"{sum(c.result.frames for c in coins):,} of {sum(c.result.planned for c in coins):,}"),
        ("taken again", str(sum(coin.result.retakes for coin in coins))),
        ("in quarantine", str(sum(coin.result.quarantined for coin in coins))),
        ("matches", str(sum(coin.result.verdict == "match" for coin in coins))),
        ("wall time", duration(wall_s)),
        ("coins an hour", _number(3600 * finished / wall_s)),
        ("shots an hour", _number(3600 * len(tonight) / wall_s)),
    ]
    if out_s:
        numbers += [
            ("a coin, median", duration(median(out_s))),
            ("of it with a coin out", f"{100 * min(1.0, sum(out_s) / wall_s):.0f} %"),
        ]
    size = sum(store.frames.stored_bytes(tray.session.id) for tray in night.trays if tray.session)
    return [*numbers, ("on disk", decimal(size))]


def _provenance(lab: Lab, night: Night) -> list[tuple[str, str]]:
    sessions = [tray.session for tray in night.trays if tray.session]
    models = {coin.result.model for coin in night.coins if coin.result.model}

    def each(values: Iterable[str | None]) -> str:
        return " | ".join(dict.fromkeys(value for value in values if value)) or "none"

    return [
        ("Batch", night.batch),
        ("Sessions", each(f"{session.name}: {session.id}" for session in sessions)),
        ("Plan", each(plan_line(session.frozen_plan()) for session in sessions)),
        ("Calibration", each(session.calibration_id for session in sessions)),
        ("Devices", each(device_line(session) for session in sessions)),
        ("Software", each(session.software for session in sessions)),
        ("Model", each(sorted(models))),
        ("Policy", _in_a_line(lab.rig.policy.model_dump())),
        ("A good frame", _in_a_line(lab.rig.quality.model_dump())),
    ]


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 20 else f"{value:,.0f}"


def _in_a_line(settings: dict[str, Any]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} " + (f"({_in_a_line(value)})" if isinstance(value, dict) else f"{value}")
        for name, value in settings.items()
    )
