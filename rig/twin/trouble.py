"""Random trouble: which fault the twin has next, where `twin: faults:` asks for `kind: random`.

Each strikes soon, once, and heals by itself, so a rig with enough patience gets over every one of them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from rig.twin.faults import Alarm, Brownout, Fault, FrozenFrame, Glitch, Jam, Trouble, Unplugged
from rig.twin.wire import Wire

HEAL_S = 10.0  # a cable is out for at most as long
SOON_MESSAGES = {"turntable": 30, "arm": 300, "camera_arm": 30, "lightbox": 12}
SOON_MOVES = {"turntable": 4, "arm": 20, "camera_arm": 4}
SOON_FRAMES = 6
ALARMS = {"grbl": 1, "marlin": 1, "dobot": 0x42}


def due(trouble: Trouble, images: int) -> bool:
    """Whether a fault is due at this image, counted from 1 on since the world began."""
    first = random.Random(f"{trouble.seed} first").randint(1, trouble.every_pictures)
    return images >= first and (images - first) % trouble.every_pictures == 0


def draw(
    chance: random.Random, drivers: Mapping[str, str], wires: Mapping[str, Wire], moves: Mapping[str, int], frames: int
) -> Fault:
    """The next fault.

    Parameters
    ----------
    chance
        What it is drawn from.
    drivers
        The kind of each device that has a controller: its trouble is among what is drawn, besides the camera's.
    wires, moves, frames
        How far each device and the camera have counted: what a fault's beginning counts from.
    """
    device: Any = chance.choice((*drivers, "camera"))
    if device == "camera":
        return FrozenFrame(after_frames=frames + chance.randrange(SOON_FRAMES), frames=chance.choice((1, 2)))
    driver = drivers[device]
    kinds = ["unplugged", "glitch", "no answer"]
    if device in SOON_MOVES:
        kinds += ["brownout"] + ["alarm"] * (driver in ALARMS) + ["jam"]
    wire, soon = wires[device], SOON_MESSAGES[device]
    after_moves = moves[device] + chance.randrange(SOON_MOVES[device]) if device in SOON_MOVES else 0
    way: Any = chance.choice(("sent", "answered"))
    after_messages = wire.count(way) + chance.randrange(soon)
    match chance.choice(kinds):
        case "unplugged":
            after = wire.messages + chance.randrange(soon)
            return Unplugged(device=device, after_messages=after, seconds=chance.uniform(0.1, HEAL_S))
        case "glitch":
            what: Any = chance.choice(("lost byte", "duplicated", "garbage", "split", "slow", "silent"))
            at = chance.randrange(-4, 5)
            return Glitch(device=device, what=what, way=way, after_messages=after_messages, at=at, seconds=0.03)
        case "no answer":
            messages = chance.randint(4, 12)
            return Glitch(device=device, what="silent", way=way, after_messages=after_messages, messages=messages)
        case "brownout":
            return Brownout(device=device, after_moves=after_moves)
        case "alarm":
            return Alarm(device=device, after_moves=after_moves, code=ALARMS[driver])
        case _:
            return Jam(device=device, after_moves=after_moves, moves=chance.randint(1, 3))
