"""What the commands of `pipeline.commands.bench` print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from pipeline.commands.answers import as_json, console, errors

if TYPE_CHECKING:
    from pipeline.bench.devices import Found
    from pipeline.bench.doctor import Check
    from pipeline.bench.handwork import Place, Snapped

STATUS_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
FOCUS_BAR = 50


def checked(check: Check) -> None:
    """One line of `doctor`, as soon as it is known."""
    console.print(
        f"[{STATUS_COLOURS[check.status]}]{check.status:>4}[/]  {check.name}: {escape(check.found)}", soft_wrap=True
    )


def diagnosed(checks: list[Check], json: bool) -> None:
    """Answer of `doctor`."""
    if json:
        as_json([{"name": check.name, "status": check.status, "found": check.found} for check in checks])
        return
    bad = sum(check.status == "fail" for check in checks)
    console.print(f"{bad} of {len(checks)} checks failed." if bad else "Fit for a scan.")


def devices(found: list[Found], suggested: str, json: bool) -> None:
    """Answer of `devices`."""
    if json:
        as_json(
            {
                "devices": [
                    {
                        "port": each.port,
                        "description": each.description,
                        "role": each.role,
                        "kind": each.identity.kind if each.identity else None,
                        "firmware": each.identity.firmware if each.identity else None,
                    }
                    for each in found
                ],
                "suggestion": suggested,
            }
        )
        return
    if not found:
        console.print(
            "No serial ports and no cameras. Check cables and power, and that your user is in the group dialout."
        )
        return
    table = Table("Port", "System's name", "Role", "Who answers")
    for each in found:
        who = f"{each.identity.kind}, {each.identity.firmware}" if each.identity else ""
        table.add_row(escape(each.port), escape(each.description), each.role or "", escape(who))
    console.print(table)
    if suggested:
        console.print(f"For rig.yaml:\n\n{escape(suggested)}", soft_wrap=True)


def snapped(picture: Snapped, json: bool) -> None:
    """Answer of `snap`."""
    if json:
        as_json({"file": str(picture.path), "reasons": picture.quality.reasons, **picture.quality.metrics})
        return
    console.print(f"Written to {escape(str(picture.path))}.")
    for name, value in picture.quality.metrics.items():
        console.print(f"  {name}: {value}")
    console.print(
        "Good enough to keep." if picture.quality.is_good else f"[red]{', '.join(picture.quality.reasons)}[/red]"
    )


def jogged(place: Place) -> None:
    """The line that `jog` keeps on the terminal, and what was refused above it."""
    if place.refused:
        errors.print(f"[yellow]{escape(place.refused)}[/yellow]", soft_wrap=True)
    cup = "x {:.1f}  y {:.1f}  z {:.1f} mm".format(*place.cup_mm) if place.cup_mm else "no arm"
    line = f"plate {place.angle_deg:.2f} deg   cup {cup}   step {place.step_mm:g} mm, {place.step_deg:g} deg"
    errors.print(f"{line:<79}", end="\r", soft_wrap=True)


def focused(sharpness: float | None, best: float) -> None:
    """The line that `focus` keeps on the terminal: now against the best so far."""
    if sharpness is None:
        errors.print(f"{'no coin is seen':<79}", end="\r", soft_wrap=True)
        return
    bar = "█" * round(FOCUS_BAR * sharpness / best) if best else ""
    errors.print(f"{f'{sharpness:.3f} {bar:<{FOCUS_BAR}} best {best:.3f}':<79}", end="\r", soft_wrap=True)


def line_ends() -> None:
    """Leave the line that `jog` or `focus` kept."""
    errors.print()


def nothing(_: object) -> None:
    """Say nothing."""
