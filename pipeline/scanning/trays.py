"""Which trays, until when, and how one tray takes the place of another on the bench."""

from __future__ import annotations

import re
import select
import sys
import termios
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from capture.plan import Tray
from pipeline.assembly import Rig
from pipeline.errors import UsageError
from pipeline.lab import Lab, natural

LISTEN_S = 0.5


def tray_names(lab: Lab, text: str) -> tuple[str, ...]:
    """The trays that ``1-3,7,bronze`` names, in this order, each once; ``all`` is every tray of the lab.

    Raises
    ------
    UsageError
        Naming the part that is wrong, and the trays there are.
    """
    known = sorted((path.stem for path in (lab.folder / "trays").glob("*.yaml")), key=natural)
    there = f"{', '.join(known[:30]) or 'none yet'}{', ...' if len(known) > 30 else ''}"
    if not text.strip():
        raise UsageError(f"--trays is empty. Name trays of {lab.folder} ({there}), such as 1-3,7, or `all`.")
    names: dict[str, None] = {}
    for part in (part.strip() for part in text.split(",")):
        ends = re.fullmatch(r"(\d+)\s*-\s*(\d+)", part)
        if part == "all" and part not in known:
            wanted = known
        elif part in known or ends is None:
            wanted = [part]
        else:
            wanted = [str(number) for number in range(int(ends[1]), int(ends[2]) + 1)]
        unknown = [name for name in wanted if name not in known]
        if unknown or not wanted:
            what = f"there is no tray {', '.join(unknown[:6])}" if any(unknown) else "this names no tray"
            raise UsageError(
                f"--trays {text}: {part!r}: {what} in {lab.folder}. Give names and ranges, such as 1-3,7; "
                f"there are {there}."
            )
        names |= dict.fromkeys(wanted)
    return tuple(names)


def next_time(text: str, now: datetime) -> datetime:
    """The next time that a clock here shows ``HH:MM``.

    Raises
    ------
    UsageError
        If it is not a time.
    """
    at = re.fullmatch(r"(\d{1,2}):(\d{2})", text.strip())
    if at is None or int(at[1]) > 23 or int(at[2]) > 59:
        raise UsageError(f"--until {text}: give a time of day, such as 06:30.")
    today = now.replace(hour=int(at[1]), minute=int(at[2]), second=0, microsecond=0)
    later = today if today > now else today + timedelta(days=1)
    return later.replace(tzinfo=None).astimezone()  # in the time of that day: clocks may be changed tonight


def mount(
    rig: Rig,
    tray: Tray,
    former: str | None,
    *,
    wait_s: float,
    find_reason_to_end: Callable[[], str | None],
    ask: Callable[[str], None],
) -> str | None:
    """Have a tray put in the place of another. This is where a tray changer would be asked.

    Parameters
    ----------
    former
        The tray that lies there; None at the beginning: the first one is expected to lie there.
    wait_s
        How long a person at the keyboard may take.
    find_reason_to_end
        Asked while waiting: why to wait no longer, in a sentence.
    ask
        Called with what a person has to do; it does not wait.

    Returns
    -------
    str or None
        Why the tray is not in place; None when it is.
    """
    if rig.world is not None:
        rig.world.fill(tray.coins, tray.id)
        return None
    if former is None:
        ask(f"Tray {tray.id} comes first: it has to lie at the bench.")
        return None
    if not sys.stdin.isatty():
        return f"Nobody is there to change the trays: tray {former} lies at the bench."
    ask(f"Take tray {former} away, put tray {tray.id} in its place and press Enter, within {wait_s / 60:.0f} minutes.")
    termios.tcflush(sys.stdin, termios.TCIFLUSH)  # an Enter from before is no answer
    over_s = time.monotonic() + wait_s
    while time.monotonic() < over_s:
        if (reason := find_reason_to_end()) is not None:
            return reason
        if select.select([sys.stdin], [], [], LISTEN_S)[0]:
            return None if sys.stdin.readline() else "The terminal was closed."
    return f"Nobody put tray {tray.id} in place within {wait_s / 60:.0f} minutes."
