"""What the commands of `pipeline.commands.scans` print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from pipeline.commands.terminal.output import coloured_verdict, console, errors, print_failure, print_line
from pipeline.fitted_table import Column, FittedTable
from pipeline.reports.scan_results import name_of
from pipeline.sentences import print_sentences
from pipeline.wording import count, duration, duration_range, literal, minute
from rig.sides import EDGE, SHOT_SIDES, SIDES

if TYPE_CHECKING:  # the types alone: `rig --help` should not wait for OpenCV, nor a Raspberry Pi need torch
    from capture.plan import Plan
    from pipeline.notify import Deliveries
    from pipeline.reports.scan_results import ScanResult, WrittenReport
    from pipeline.run_status import Status
    from pipeline.scanning.batch_plan import BatchPlan
    from pipeline.scanning.batch_results import BatchResult
    from pipeline.scanning.preflight import Preflight
    from pipeline.scanning.status import LabStatus

STATE_COLOURS = {
    "done": "green",
    "left over": "yellow",
    "scanning": "cyan",
    "skipped": "red",
    "not begun": "red",
    "failed": "red",
    "stopped": "yellow",
}


def print_scan_estimate(preflight: Preflight) -> None:
    """Print what `scan` would do, as `scan --dry-run`: a line for each coin, and one for the plan."""
    (planned,) = preflight.scans
    console.print(f"Tray {literal(planned.tray.id)}, plan {literal(planned.plan.name)}: what would be done")
    shots = Counter((shot.coin, shot.side) for shot in planned.shots)
    sides = [side for side in SHOT_SIDES if side in SIDES or side in planned.plan.sides]
    rows = [
        (str(slot), literal(coin), *(str(shots[coin, side] or "") for side in sides))
        for slot, coin in planned.tray.coins.items()
    ]
    columns = (
        Column("Slot", is_number=True),
        Column("Coin"),
        *(Column(f"{side} shots", is_number=True) for side in sides),
    )
    console.print(FittedTable(columns, rows))
    print_line(f"Of each coin side: {_poses(planned.plan)}.")
    if planned.set_aside is not None:
        print_line(f"The interrupted scan cannot be resumed: {planned.set_aside} It would start over.")
    done = f"; {planned.done_shots} are done already and stay" if planned.done_shots else ""
    print_line(
        f"{count(len(planned.shots), 'shot')} of {count(planned.coins, 'coin')}{done}. "
        f"About {duration(planned.estimate.time_s)} at the bench, "
        f"{decimal(planned.estimate.disk_bytes)} of {decimal(preflight.free_bytes)} free. Nothing was moved."
    )
    _print_parts(planned.estimate.parts_s, console)
    if planned.repeats is not None and planned.repeats.finished_at is not None:
        print_line(
            f"It was scanned to the end already, by this plan, at {minute(planned.repeats.finished_at)}: a scan would "
            "take every shot again. In a terminal it asks first, unless --fresh is given."
        )
    for caution in planned.cautions:
        print_sentences(console, f"[yellow]warning:[/yellow] {literal(caution)}")
    for obstacle in preflight.obstacles:
        print_sentences(console, f"[red]The scan would not start:[/red] {literal(obstacle)}")


def print_scan(result: ScanResult) -> None:
    """Print a row for each coin of a scanned tray, and where the report is."""
    is_identified = any(coin.verdict for coin in result.coins)
    columns = [
        Column("Slot", is_number=True),
        Column("Coin"),
        Column("Frames", is_number=True),
        Column("Retakes", is_number=True, rank=2),
        *(
            (Column("Best candidate"), Column("Probability", is_number=True, rank=1), Column("Verdict"))
            if is_identified
            else ()
        ),
    ]
    rows = []
    for coin in result.coins:
        best = coin.candidates[0] if coin.candidates else None
        frames = str(coin.frames) if coin.frames == coin.planned else f"[red]{coin.frames} of {coin.planned}[/red]"
        match = (
            literal(name_of(best)) if best else "",
            f"{best.probability:.3f}" if best else "",
            coloured_verdict(coin.verdict),
        )
        rows.append((str(coin.slot), literal(coin.coin), frames, str(coin.retakes), *(match if is_identified else ())))
    console.print(f"Tray {literal(result.tray)}")
    console.print(FittedTable(columns, rows))
    bad = sum(coin.quarantined for coin in result.coins)
    untaken = sum(coin.planned - coin.frames - coin.quarantined for coin in result.coins)
    if bad:
        has = "has" if bad == 1 else "have"
        print_sentences(console, f"[red]{count(bad, 'shot')} {has} no good frame[/red]: the report says why.")
    if untaken:
        are = "is" if untaken == 1 else "are"
        print_sentences(
            console,
            f"[yellow]{count(untaken, 'shot')} {are} not taken yet[/yellow]: run the same command again to resume.",
        )
    if result.unidentified and result.finished:
        are = "is" if len(result.unidentified) == 1 else "are"
        print_sentences(
            console,
            f"{count(len(result.unidentified), 'coin')} {are} not identified: `{literal(result.identify_later)}` does "
            "that, without moving anything.",
        )
    print_line(f"Scanned in {_times(result)}.", f"Report: {result.report}")


def print_batch_estimate(plan: BatchPlan) -> None:
    """Print what `batch` would do, as `batch --dry-run`."""
    _print_batch_plan(plan, console)
    for caution in dict.fromkeys(each for scan in plan.to_do for each in scan.cautions):
        print_sentences(console, f"[yellow]warning:[/yellow] {literal(caution)}")
    for obstacle in plan.preflight.obstacles:
        print_sentences(console, f"[red]The batch would not start:[/red] {literal(obstacle)}")
    console.print("Nothing was moved.")


def print_batch_plan(plan: BatchPlan) -> None:
    """Print the same before a batch begins, where its result will not be mixed with it."""
    _print_batch_plan(plan, errors)


def _print_parts(parts_s: Mapping[str, float], out: Console) -> None:
    """Print where the time goes, the most first."""
    total_s = sum(parts_s.values())
    most_first = sorted(parts_s.items(), key=lambda part: -part[1])
    shares = ", ".join(f"{part} {seconds / total_s:.0%}" for part, seconds in most_first if seconds > 0.005 * total_s)
    if shares:
        print_sentences(out, f"Of the time at the bench: {shares}.")


def _print_batch_plan(plan: BatchPlan, out: Console) -> None:
    rows = [(literal(tray), "", "", "", "photographed already") for tray in plan.finished]
    for each in plan.to_do:
        note = f"resumes: {count(each.done_shots, 'shot')} done" if each.resumes else ""
        if each.repeats is not None and each.repeats.finished_at is not None:
            note = f"once more: it was scanned at {minute(each.repeats.finished_at)}"
        if each.set_aside is not None:
            note = f"[yellow]starts over: {literal(each.set_aside)}[/yellow]"
        if each.changed:
            note += f", [yellow]as begun: the {' and the '.join(each.changed)} changed since (--fresh)[/yellow]"
        megabytes = f"{each.estimate.disk_bytes / 1e6:.0f}"
        rows.append((literal(each.tray.id), str(each.coins), str(len(each.shots)), megabytes, note))
    numbers = (Column(title, is_number=True) for title in ("Coins", "Shots", "MB"))
    out.print(FittedTable((Column("Tray"), *numbers, Column("", is_prose=True)), rows))
    guess = "" if plan.disk_is_measured else " (a guess: no frame of this size is stored)"
    print_sentences(
        out,
        f"About {duration(plan.time_s)}, {decimal(plan.disk_bytes)}{guess} of "
        f"{decimal(plan.free_bytes - plan.kept_bytes)} that may be written.",
    )
    _print_parts(plan.parts_s, out)
    if plan.until is not None:
        left_s = (plan.until - datetime.now(UTC)).total_seconds()
        print_sentences(
            out,
            f"Until {plan.until:%A %H:%M} (in {duration(left_s)}): {plan.expected} of "
            f"{count(len(plan.to_do), 'tray')} should be done by then.",
        )
    print_sentences(
        out,
        "Notified of trouble and of the end: "
        + (" and ".join(plan.notify) or "nobody (`notify:` in rig.yaml is empty)")
        + ".",
    )


def print_batch(result: BatchResult) -> None:
    """Print a row for each tray of a batch, and where report and log are."""
    columns = (
        Column("Tray"),
        Column("State"),
        Column("Coins", is_number=True, rank=1),
        Column("Frames", is_number=True),
        Column("Retakes", is_number=True, rank=2),
        Column("Why", is_prose=True),
    )
    rows = [
        (
            literal(tray.tray),
            _coloured(tray.state),
            str(len(tray.coins)),
            f"{sum(coin.frames for coin in tray.coins)} of {sum(coin.planned for coin in tray.coins)}",
            str(sum(coin.retakes for coin in tray.coins)),
            literal(tray.why or ""),
        )
        for tray in result.trays
    ]
    console.print(f"Batch {literal(result.batch)}")
    console.print(FittedTable(columns, rows))
    for each in result.unidentified:
        print_sentences(console, f"[red]Not identified:[/red] {literal(each.coin)}. {literal(each.why)}")
    print_sentences(console, f"{_coloured(result.state)} after {_times(result)}. {literal(result.why or '')}")
    if result.report:
        print_line(f"Report: {result.report}")
    print_line(f"Log: {result.log or 'none'}")
    if result.state == "failed":
        print_failure(f"{result.why} When that is fixed, run the same command again to resume.")


def print_status(seen: LabStatus) -> None:
    """Print what runs, or what the last run came to."""
    now = seen.status
    match seen.state:
        case "nothing yet":
            print_line("Nothing was scanned in this lab yet.")
        case "busy":
            print_line(f"The rig is in use by {seen.holder or 'another process'}.")
        case "running" if now is not None:
            print_sentences(console, f"[cyan]running[/cyan]: {literal(seen.holder or '')}")
            if seen.alarm is not None:
                print_sentences(console, f"[red]{literal(seen.alarm)}[/red]")
            _print_run(now, is_running=True)
        case "died" if now is not None:
            print_sentences(
                console,
                f"[red]died[/red] without reporting an end, last seen at {_local(now.at)}: {literal(now.command)} "
                f"(process {now.pid}, since {_local(now.since)}). It was killed, or the power failed: nothing is lost; "
                "run the same command again to resume.",
            )
            _print_run(now, is_running=False)
        case "ended" if now is not None and now.ended is not None:
            print_sentences(
                console,
                f"{_coloured(now.ended.state)} at {_local(now.ended.at)}: {literal(now.command)}"
                + (f". {literal(now.ended.why)}" if now.ended.why else ""),
            )
            _print_run(now, is_running=False)
            if now.ended.report:
                print_line(f"Report: {now.ended.report}")
    if seen.coin_out is not None:
        print_line(seen.coin_out)
    for each in seen.unfinished:
        print_line(
            f"Unfinished: tray {each.tray}, {count(each.missing_shots, 'shot')} missing. Resume with `{each.command}`."
        )


def print_report(report: WrittenReport) -> None:
    """Print where a report was written."""
    print_line(f"Report: {report.path}")


def print_deliveries(result: Deliveries) -> None:
    """Print whether the test message of `notify` was delivered."""
    if not result.sent:
        print_failure("rig.yaml names nobody: add a webhook or an e-mail address under `notify:` (docs/batch.md).")
    for each in result.sent:
        if each.ok:
            print_line(f"{each.channel}: delivered.")
        else:
            print_failure(f"{each.channel}: {each.why}. Correct `notify:` in rig.yaml.")


def _print_run(now: Status, *, is_running: bool) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    trays = ", ".join(f"{literal(tray.tray)} {_coloured(tray.state)}" for tray in now.trays)
    table.add_row("Trays", trays)
    if now.ended is None and now.tray is not None:
        at = f"tray {now.tray}" + (f", slot {now.slot}: {now.coin}" if now.coin else "")
        table.add_row("At", literal(at + (f", {now.side}" if now.side else "")))
        table.add_row("Shots", f"{now.shots_done} of {now.shots} on this tray")
    table.add_row("Frames", f"{now.frames}, {count(now.retakes, 'retake')}, {now.quarantined} in quarantine")
    for coin in now.skipped:
        table.add_row("[red]Skipped[/red]", literal(f"tray {coin.tray}, slot {coin.slot}, {coin.coin}: {coin.why}"))
    for fault in now.recovered:
        table.add_row("Recovered", literal(f"{_local(fault.at)} {fault.device}: {fault.problem}"))
    for tray in now.trays:
        if tray.why:
            table.add_row("Tray", literal(f"{tray.tray}: {tray.why}"))
    if is_running:
        by = f", has to end by {_local(now.until)}" if now.until else ""
        table.add_row("Left", f"{_time_left(now)}{by}")
    if now.free_bytes is not None:
        table.add_row("Disk", f"{decimal(now.free_bytes)} free")
    if now.ended is None:
        table.add_row("Last", literal(now.message))
    table.add_row("Log", literal(now.log or "none"))
    console.print(table)


def _time_left(now: Status) -> str:
    if now.time_left_range_s is None or now.expected_end is None:
        return "known when a coin is done"
    return f"{duration_range(*now.time_left_range_s)}: until about {_local(now.expected_end)}"


def _poses(plan: Plan) -> str:
    """What each coin side goes through, in a line."""
    angles = ", ".join(f"{angle:g}" for angle in plan.turntable_deg)
    tilts = ", ".join(f"{angle:g}" for angle in plan.tilt_deg)
    turns = f"turntable at {angles} degrees"
    lights = f"under {count(len(plan.lights), 'light')} ({', '.join(plan.lights)})"
    edge = [f"the edge at tilt {', '.join(f'{each:g}' for each in plan.edge_tilts_deg)}"] if EDGE in plan.sides else []
    return ", ".join((f"{turns}, tilt {tilts} degrees", *edge, lights, *plan.brackets))


def _times(result: ScanResult | BatchResult) -> str:
    """How long it took, beside how long the devices are at work for it: a twin's time is not that of the clock here."""
    if result.is_twin:
        return f"{duration(result.wall_s)} on the twin (real devices: about {duration(result.hardware_s)})"
    return f"{duration(result.wall_s)} ({duration(result.hardware_s)} of it motion and exposure)"


def _coloured(state: str) -> str:
    return f"[{STATE_COLOURS[state]}]{state}[/]" if state in STATE_COLOURS else state


def _local(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone():%H:%M:%S}"
