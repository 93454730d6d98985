"""What may go wrong in the twin, as `twin: faults:` of rig.yaml and tests ask for it.

Each fault strikes once, after so many of the device's own events, except noise on the line, which is a rate, and random
trouble, which is one such fault after the other.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

DeviceName = Literal["turntable", "arm", "camera_arm", "lightbox", "balance"]


class _Fault(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Jam(_Fault):
    """An axis sticks half-way in a move while its controller counts on, as with a stepper.

    It comes free after so many `moves`, else with `World.repair`; what the controller counts is wrong until homed.
    """

    kind: Literal["jam"] = "jam"
    device: Literal["turntable", "arm", "camera_arm", "tilt"] = "turntable"
    after_moves: int = Field(default=0, ge=0)
    moves: int | None = Field(default=None, ge=1)


class LostBytes(_Fault):
    """Each byte on the line, either way, is lost with this probability."""

    kind: Literal["lost bytes"] = "lost bytes"
    device: DeviceName
    rate: float = Field(gt=0, le=1)


class Glitch(_Fault):
    """Something happens to one message on the line, or to a few in a row; `way` is ``"sent"`` for those to the device.

    A byte of it is lost (the one `at`), it comes twice, with garbage (`data`) before it, as something else (`data`),
    cut in two with a pause of `seconds` (wall-clock), late by as much, or not at all.
    """

    kind: Literal["glitch"] = "glitch"
    device: DeviceName
    what: Literal["lost byte", "duplicated", "garbage", "replaced", "split", "slow", "silent"]
    way: Literal["sent", "answered"] = "answered"
    after_messages: int = Field(default=0, ge=0)
    messages: int = Field(default=1, ge=1)
    at: int = 0
    data: str = "\x00\xff\xaa\x7e{"
    seconds: float = Field(default=0.1, gt=0)


class Alarm(_Fault):
    """A controller goes into alarm in mid-move.

    The code is the controller's own: GRBL's alarm 1 is a hard limit (position lost), Dobot's 66 a limit of joint 2;
    Marlin has no codes, only its kill state.
    """

    kind: Literal["alarm"] = "alarm"
    device: Literal["turntable", "arm", "camera_arm"] = "turntable"
    after_moves: int = Field(default=0, ge=0)
    code: int = Field(default=1, ge=0, le=127)


class Brownout(_Fault):
    """The supply dips in mid-move: the controller restarts, position and suction are lost."""

    kind: Literal["brownout"] = "brownout"
    device: Literal["turntable", "arm", "camera_arm"] = "turntable"
    after_moves: int = Field(default=0, ge=0)


class Unplugged(_Fault):
    """The cable is pulled after so many messages. It stays out for `seconds` (hardware time), else `World.repair`."""

    kind: Literal["unplugged"] = "unplugged"
    device: DeviceName
    after_messages: int = Field(default=0, ge=0)
    seconds: float | None = Field(default=None, gt=0)


class Drift(_Fault):
    """The arm that holds the camera creeps, a little with each of its moves (mm, along its own axes)."""

    kind: Literal["drift"] = "drift"
    after_moves: int = Field(default=0, ge=0)
    mm_per_move: tuple[float, float, float] = (0.05, 0.0, 0.0)


class DeadPump(_Fault):
    """The pump does not run, whatever the controller switches."""

    kind: Literal["dead pump"] = "dead pump"


class DeafToStop(_Fault):
    """A controller does not stop when it is asked to."""

    kind: Literal["deaf to stop"] = "deaf to stop"
    device: Literal["turntable", "arm", "camera_arm"] = "arm"


class Draught(_Fault):
    """The balance never comes to rest."""

    kind: Literal["draught"] = "draught"


class DeadLamp(_Fault):
    """LEDs `first` to `last` stay dark, whatever the controller reports."""

    kind: Literal["dead lamp"] = "dead lamp"
    first: int = Field(ge=0)
    last: int = Field(ge=0)


class FrozenFrame(_Fault):
    """The camera hands out the same frame again, `frames` times."""

    kind: Literal["frozen frame"] = "frozen frame"
    after_frames: int = Field(default=0, ge=0)
    frames: int = Field(default=1, ge=1)


class Trouble(_Fault):
    """Something else goes wrong every so many images, drawn again each time for whatever drivers the rig has.

    A cable is out for a while, messages get damaged or lost, a supply dips, a controller goes into alarm, an axis jams
    and comes free, or a frame comes twice. Each strikes once and heals by itself. What is drawn depends on `seed` and
    on how many images this world has seen, in whatever processes; what was drawn and has not struck when a process
    ends does not strike any more.
    """

    kind: Literal["random"] = "random"
    every_pictures: int = Field(default=20, ge=1)
    seed: int = 0


Fault = Annotated[
    Jam
    | LostBytes
    | Glitch
    | Alarm
    | Brownout
    | Unplugged
    | Drift
    | DeadPump
    | DeafToStop
    | Draught
    | DeadLamp
    | FrozenFrame
    | Trouble,
    Field(discriminator="kind"),
]
