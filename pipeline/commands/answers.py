"""How the commands answer: tables and sentences for people, JSON (docs/json.md) for programs. Answers go to standard
output; progress and complaints to standard error, so that the two never mix."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pipeline.errors import UsageError
from pipeline.wording import duration

if TYPE_CHECKING:  # the types alone: `rig --help` should not wait for OpenCV, nor a Raspberry Pi need torch
    from calibration.bundle import Bundle
    from capture.store.records import Candidate
    from models.training.training import Step
    from pipeline.collection.catalogue import Added
    from pipeline.collection.identify import Answer, Identifier
    from pipeline.collection.imports import Imported
    from pipeline.collection.init import Made
    from pipeline.learning.train import Trained
    from pipeline.reports.results import ScanResult
    from pipeline.scanning.preflight import Preflight

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

COLOURS = {"match": "green", "possible": "yellow", "not in catalogue": "bright_black"}


def progress(what: str) -> Callable[[int, int], None]:
    """A progress bar with time left, shown from the first call on and gone after the last."""
    bar = Progress(
        TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=errors, transient=True
    )
    task = bar.add_task(what, total=None)

    def update(done: int, total: int) -> None:
        if not bar.live.is_started:
            bar.start()
        bar.update(task, completed=done, total=total)
        if done >= total:
            bar.stop()

    return update


def failed(message: str) -> None:
    """Tell what went wrong, in one paragraph."""
    errors.print(f"[red]rig:[/red] {escape(message)}", soft_wrap=True)


def told(message: str) -> None:
    """Say something that is not part of the answer."""
    errors.print(escape(message), soft_wrap=True)


def said(answer: str) -> None:
    """An answer that is one sentence or line."""
    console.print(escape(answer), soft_wrap=True)


def ask(request: str) -> None:
    """Ask for something to be done, and return when Enter is pressed.

    Raises
    ------
    UsageError
        If nobody sits at the keyboard.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"somebody has to sit here for this: {request} Run it in a terminal.")
    errors.input(f"{escape(request)} Then press Enter. ")


def lab_made(made: Made, json: bool) -> None:
    """Answer of `init`."""
    if json:
        as_json({"lab": str(made.folder), "trays": made.trays, "coins": made.coins, "entries": made.entries})
        return
    trays = made.trays[0] if len(made.trays) == 1 else f"{made.trays[0]} to {made.trays[-1]}"
    console.print(
        f"Made a twin lab in {escape(str(made.folder))}: {made.coins} coins on trays {trays}, "
        f"{made.entries} catalogue pictures.\nNext: rig scan --tray {made.trays[0]} --lab {escape(str(made.folder))}",
        soft_wrap=True,
    )


def dry_run(preflight: Preflight, json: bool) -> None:
    """Answer of `scan --dry-run`."""
    (planned,) = preflight.scans
    if json:
        as_json(planned.as_json())
        return
    table = Table(title=f"Tray {planned.tray.id}, plan {planned.plan.name}: what would be done", title_justify="left")
    for column in ("Slot", "Coin", "Side", "Tilt (deg)", "Turntable (deg)", "Lights", "Shots"):
        table.add_column(column, justify="right" if column in ("Slot", "Shots") else "left")
    for pose in planned.poses:
        table.add_row(
            str(pose.slot),
            pose.coin,
            pose.side,
            f"{pose.tilt_deg:g}",
            f"{pose.turntable_deg:g}",
            ", ".join(pose.lights),
            str(len(pose.lights)),
        )
    console.print(table)
    if planned.set_aside is not None:
        console.print(f"[yellow]The interrupted scan would start over:[/yellow] {escape(planned.set_aside)}")
    resumed = f"; {planned.done_shots} are done already and stay" if planned.done_shots else ""
    console.print(
        f"{len(planned.shots)} shots of {planned.coins} coins{resumed}. "
        f"About {duration(planned.estimate.time_s)} at the bench, "
        f"{decimal(planned.estimate.disk_bytes)} of {decimal(preflight.free_bytes)} free. Nothing was moved.",
        soft_wrap=True,
    )
    for obstacle in preflight.obstacles:
        console.print(f"[red]The scan would not start:[/red] {escape(obstacle)}", soft_wrap=True)


def scan(result: ScanResult, json: bool) -> None:
    """Answer of `scan`."""
    if json:
        as_json(
            {
                "tray": result.tray,
                "session": result.session,
                "finished": result.finished,
                "report": str(result.report),
                "wall_s": round(result.wall_s, 2),
                "hardware_s": round(result.hardware_s, 2),
                "coins": [
                    {
                        "slot": coin.slot,
                        "coin": coin.coin,
                        "frames": coin.frames,
                        "retakes": coin.retakes,
                        "quarantined": coin.quarantined,
                        "verdict": coin.verdict,
                        "candidates": [_candidate(each) for each in coin.candidates],
                    }
                    for coin in result.coins
                ],
            }
        )
        return
    identified = any(coin.verdict for coin in result.coins)
    table = Table(title=f"Tray {result.tray}", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("Slot", justify="right")
    table.add_column("Coin", overflow="fold")
    table.add_column("Frames", justify="right")
    table.add_column("Retakes", justify="right")
    if identified:
        table.add_column("Top match", overflow="fold")
        table.add_column("Probability", justify="right", no_wrap=True)
        table.add_column("Verdict", no_wrap=True)
    for coin in result.coins:
        best = coin.candidates[0] if coin.candidates else None
        frames = str(coin.frames) if coin.frames == coin.planned else f"[red]{coin.frames} of {coin.planned}[/red]"
        match = [escape(best.coin) if best else "", f"{best.probability:.3f}" if best else "", _verdict(coin.verdict)]
        table.add_row(str(coin.slot), escape(coin.coin), frames, str(coin.retakes), *(match if identified else []))
    console.print(table)
    if result.left_over:
        missing = sum(coin.planned - coin.frames for coin in result.coins)
        console.print(f"[red]{missing} shots have no good frame[/red]: the report says why.")
    console.print(
        f"Scanned in {duration(result.wall_s)} (the devices alone: {duration(result.hardware_s)}).\n"
        f"Report: {escape(str(result.report))}",
        soft_wrap=True,
    )


def calibration(bundle: Bundle, json: bool) -> None:
    """Answer of `calibrate`."""
    facts = {
        "id": bundle.id,
        "rms_px": round(bundle.lens.rms_px, 3),
        "mm_per_pixel": round(bundle.mm_per_pixel, 6),
        "lights": sorted(bundle.flats),
        "ring_zero_deg": bundle.ring_zero_deg,
    }
    if json:
        as_json(facts)
        return
    console.print(
        f"Calibrated: {bundle.id}. Lens: {bundle.lens.rms_px:.2f} px off on average (0.8 at most). "
        f"Scale: {1000 * bundle.mm_per_pixel:.2f} µm per pixel. Flat fields: {len(bundle.flats)} lights.",
        soft_wrap=True,
    )


def catalogue_added(added: Added, json: bool) -> None:
    """Answer of `catalogue add`."""
    if json:
        as_json({"entries": added.entries, "coins": added.coins, "known": added.known, "refused": added.refused})
        return
    console.print(
        f"Added {added.entries} pictures of {added.coins} coins; {added.known} were there already, "
        f"{len(added.refused)} could not be used."
    )
    for line in added.refused:
        failed(line)


def catalogue_built(identifier: Identifier, json: bool) -> None:
    """Answer of `catalogue build`."""
    index, unusable = identifier.index, identifier.unusable
    if json:
        as_json({"entries": len(index), "model": identifier.embedder.id, "unusable": unusable})
        return
    console.print(
        f"{len(index)} catalogue pictures are ready to be matched against (model {identifier.embedder.name})."
    )
    for entry in unusable:
        failed(
            f"no coin was found in {entry}: it cannot be matched. Crop the picture to one coin side, and add it again."
        )


def catalogue_changed(counts: dict[str, int], done: str, json: bool) -> None:
    """Answer of `catalogue remove` and `restore`."""
    if json:
        as_json({"coins": counts})
        return
    for coin, count in counts.items():
        console.print(f"{done} {escape(coin)}: {count} picture{'s' if count != 1 else ''}.")


def identified(answers: list[Answer], top: int, json: bool) -> None:
    """Answer of `identify`."""
    if json:
        as_json(
            [
                {
                    "image": answer.image,
                    "verdict": answer.verdict,
                    "candidates": [_candidate(each) for each in answer.candidates[:top]],
                    **({"error": answer.error} if answer.error else {}),
                }
                for answer in answers
            ]
        )
        return
    for answer in answers:
        if answer.error:
            failed(answer.error)
            continue
        table = Table(title=f"{escape(answer.image)}: {_verdict(answer.verdict)}", title_justify="left")
        table.add_column("", justify="right")
        table.add_column("Coin")
        table.add_column("Entry")
        table.add_column("Score", justify="right")
        table.add_column("Probability", justify="right")
        for rank, each in enumerate(answer.candidates[:top], 1):
            table.add_row(
                str(rank), escape(each.coin), escape(each.entry_id), f"{each.score:.3f}", f"{each.probability:.3f}"
            )
        console.print(table)


def imported(done: Imported, dry: bool, json: bool) -> None:
    """Answer of `import`."""
    if json:
        as_json(
            {
                "photographs": done.photographs,
                "coins": done.coins,
                "sessions": done.sessions,
                "known": done.known,
                "quarantined": done.quarantined,
                "refused": done.refused,
            }
        )
        return
    console.print(
        f"{'Would import' if dry else 'Imported'} {done.photographs} photographs of {done.coins} coins from "
        f"{done.sessions} sessions; {done.known} were there already. No coin was found on {done.quarantined}: these "
        "are kept in quarantine.",
        soft_wrap=True,
    )
    for line in done.refused:
        failed(line)


def training() -> Callable[[Step], None]:
    """A progress bar for training, and a line of loss and retrieval every now and then."""
    update = progress("Training")

    def told_step(step: Step) -> None:
        update(step.step, step.steps)
        real = "" if step.real is None else f"; of the real coins {step.real:.1%} come first"
        errors.print(
            f"step {step.step}: loss {step.loss:.3f}, {step.retrieved:.1%} of the pictures found their partner{real}"
        )

    return told_step


def trained(result: Trained, json: bool) -> None:
    """Answer of `train`."""
    if json:
        as_json(result.as_dict())
        return
    folder = escape(str(result.folder))
    if result.last is not None:
        console.print(f"The network was busy {result.last.busy:.1%} of the time; it waited for pictures in the rest.")
    console.print(f"Trained: {folder}. Try it: rig evaluate --model {folder}", soft_wrap=True)
    console.print(f"Its curves: tensorboard --logdir {folder}", soft_wrap=True)


def reported(path: Path, json: bool) -> None:
    """Answer of `report`."""
    if json:
        as_json({"report": str(path)})
        return
    console.print(f"Report: {escape(str(path))}", soft_wrap=True)


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {"coin": candidate.coin, "entry": candidate.entry_id, "probability": round(candidate.probability, 4)}


def _verdict(verdict: str | None) -> str:
    return f"[{COLOURS[verdict]}]{verdict}[/]" if verdict else "not identified"


def as_json(answer: Any) -> None:
    """An answer for programs (docs/json.md)."""
    print(json_module.dumps(answer, indent=2, ensure_ascii=False))
