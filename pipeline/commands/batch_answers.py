"""How batch, status and notify answer; see `pipeline.commands.answers`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from pipeline.commands.answers import as_json, console, errors, failed
from pipeline.wording import duration

if TYPE_CHECKING:
    from pipeline.notify import Sent
    from pipeline.run_status import Status
    from pipeline.scanning.batch_plan import BatchPlan
    from pipeline.scanning.batch_results import BatchResult
    from pipeline.scanning.status import LabStatus

COLOURS = {
    "done": "green",
    "left over": "yellow",
    "scanning": "cyan",
    "skipped": "red",
    "not begun": "red",
    "failed": "red",
    "stopped": "yellow",
}


def planned(plan: BatchPlan, json: bool, *, is_answer: bool) -> None:
    """Answer of `batch --dry-run`; without it the same is printed before the batch begins."""
    if json:
        as_json(plan.as_json())
        return
    out = console if is_answer else errors
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("Tray", "Coins", "Shots", "MB", ""):
        table.add_column(column, justify="right" if column in ("Coins", "Shots", "MB") else "left")
    for tray in plan.finished:
        table.add_row(escape(tray), "", "", "", "photographed already")
    for scan in plan.to_do:
        note = f"resumes: {scan.done_shots} shots are done" if scan.session else ""
        if scan.set_aside is not None:
            note = f"[yellow]starts over: {escape(scan.set_aside)}[/yellow]"
        if scan.changed:
            note += f", [yellow]as begun: the {' and the '.join(scan.changed)} changed since (--fresh)[/yellow]"
        megabytes = f"{scan.estimate.disk_bytes / 1e6:.0f}"
        table.add_row(escape(scan.tray.id), str(scan.coins), str(len(scan.shots)), megabytes, note)
    out.print(table)
    guess = "" if plan.disk_is_measured else " (a guess: no frame of this size is stored yet)"
    out.print(
        f"About {duration(plan.time_s)}, {decimal(plan.disk_bytes)}{guess} of "
        f"{decimal(plan.free_bytes - plan.kept_bytes)} that may be written.",
        soft_wrap=True,
    )
    for obstacle in plan.preflight.obstacles:
        out.print(f"[red]The batch would not start:[/red] {escape(obstacle)}", soft_wrap=True)
    if plan.until is not None:
        left_s = (plan.until - datetime.now(UTC)).total_seconds()
        out.print(
            f"Until {plan.until:%A %H:%M} (in {duration(left_s)}): {plan.expected} of {len(plan.to_do)} trays should "
            "be done by then.",
            soft_wrap=True,
        )
    channels = " and ".join(plan.notify) or "nobody (`notify:` in rig.yaml is empty)"
    out.print(f"Trouble and the end are reported to: {channels}.")
    if is_answer:
        out.print("Nothing was moved.")


def batch(result: BatchResult, json: bool) -> None:
    """Answer of `batch`."""
    if json:
        as_json(result.as_json())
        return
    table = Table(title=f"Batch {result.batch}", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("Tray", "State", "Coins", "Frames", "Retakes", "Why"):
        table.add_column(column, justify="right" if column in ("Coins", "Frames", "Retakes") else "left")
    for tray in result.trays:
        table.add_row(
            escape(tray.tray),
            _coloured(tray.state),
            str(len(tray.coins)),
            f"{sum(coin.frames for coin in tray.coins)} of {sum(coin.planned for coin in tray.coins)}",
            str(sum(coin.retakes for coin in tray.coins)),
            escape(tray.why or ""),
        )
    console.print(table)
    for each in result.unidentified:
        console.print(f"[red]Not identified:[/red] {escape(each.coin)}. {escape(each.why)}", soft_wrap=True)
    console.print(
        f"{_coloured(result.state)} after {duration(result.wall_s)} (the devices alone: "
        f"{duration(result.hardware_s)}). {escape(result.why or '')}",
        soft_wrap=True,
    )
    if result.report:
        console.print(f"Report: {escape(str(result.report))}", soft_wrap=True)
    console.print(f"Log: {escape(result.log or '')}", soft_wrap=True)
    if result.state == "failed":
        failed(f"{result.why} When it is mended, the same command goes on.")


def status(seen: LabStatus, json: bool) -> None:
    """Answer of `status`."""
    if json:
        as_json(seen.model_dump(mode="json"))
        return
    now = seen.status
    match seen.state:
        case "nothing yet":
            console.print("Nothing was scanned in this lab yet.")
        case "busy":
            console.print(f"The rig is in use by {escape(seen.holder or '')}.", soft_wrap=True)
        case "running" if now is not None:
            console.print(f"[cyan]running[/cyan]: {escape(seen.holder or '')}", soft_wrap=True)
            _progress(now)
        case "died" if now is not None:
            console.print(
                f"[red]died[/red] without a word, last heard of at {_local(now.at)}: {escape(now.command)} (process "
                f"{now.pid}, since {_local(now.since)}). Killed, or the power failed: nothing is lost, and the same "
                "command goes on.",
                soft_wrap=True,
            )
            _progress(now)
        case "ended" if now is not None and now.ended is not None:
            console.print(
                f"{_coloured(now.ended.state)} at {_local(now.ended.at)}: {escape(now.command)}. "
                f"{escape(now.ended.why or '')}",
                soft_wrap=True,
            )
            _progress(now)
            if now.ended.report:
                console.print(f"Report: {escape(now.ended.report)}", soft_wrap=True)
    for each in seen.unfinished:
        console.print(
            f"Unfinished: tray {escape(each.tray)}, {each.missing_shots} shots are missing. "
            f"It goes on with `{escape(each.command)}`.",
            soft_wrap=True,
        )


def notified(sent: Sequence[Sent], json: bool) -> None:
    """Answer of `notify`."""
    if json:
        as_json([{"channel": each.channel, "ok": each.ok, "why": each.why} for each in sent])
        return
    if not sent:
        failed("rig.yaml names nobody: add a webhook or an e-mail address under `notify:` (docs/batch.md).")
    for each in sent:
        if each.ok:
            console.print(f"{each.channel}: delivered.")
        else:
            failed(f"{each.channel}: {each.why}. Correct `notify:` in rig.yaml.")


def _progress(now: Status) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    trays = ", ".join(f"{tray.tray} {_coloured(tray.state)}" for tray in now.trays)
    table.add_row("Trays", trays)
    if now.ended is None and now.tray is not None:
        at = f"tray {now.tray}" + (f", slot {now.slot}: {now.coin}" if now.coin else "")
        table.add_row("At", escape(at + (f", {now.side}" if now.side else "")))
        table.add_row("Shots", f"{now.shots_done} of {now.shots} on this tray")
    table.add_row("Frames", f"{now.frames}, {now.retakes} retakes, {now.quarantined} in quarantine")
    for coin in now.skipped:
        table.add_row("[red]Skipped[/red]", escape(f"tray {coin.tray}, slot {coin.slot}, {coin.coin}: {coin.why}"))
    for fault in now.recovered:
        table.add_row("Recovered", escape(f"{_local(fault.at)} {fault.device}: {fault.problem}"))
    for tray in now.trays:
        if tray.why:
            table.add_row("Tray", escape(f"{tray.tray}: {tray.why}"))
    if now.ended is None and now.time_left_s is not None and now.expected_end is not None:
        by = f", has to end by {_local(now.until)}" if now.until else ""
        table.add_row("Left", f"{duration(now.time_left_s)}: until about {_local(now.expected_end)}{by}")
    if now.free_bytes is not None:
        table.add_row("Disk", f"{decimal(now.free_bytes)} free")
    if now.ended is None:
        table.add_row("Last", escape(now.message))
    table.add_row("Log", escape(now.log or "none"))
    console.print(table)


def _coloured(state: str) -> str:
    return f"[{COLOURS[state]}]{state}[/]" if state in COLOURS else state


def _local(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone():%H:%M:%S}"
