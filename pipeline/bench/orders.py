"""What `rig bench` understands and answers: lines of JSON, an order each on the way in, a state each on the way out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rig.bench import PointMm

Step = Annotated[float, Field(ge=-50, le=50)]


class Order(BaseModel):
    """A line that `rig bench` reads: what to do, and the values that it takes.

    ``home``, ``park``, ``dark`` and ``calibrate`` take none; ``turn`` takes ``by_deg``, ``move`` takes ``by_mm``,
    ``light`` its ``name``, ``expose`` takes ``exposure_us`` and ``gain``. ``answer`` answers what is asked, by ``yes``.
    ``alive`` says that somebody is still there, ``stop`` stops everything at once, ``end`` ends the session.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    do: Literal[
        "home", "park", "turn", "move", "light", "dark", "expose", "calibrate", "answer", "alive", "stop", "end"
    ]
    by_deg: float = Field(default=0.0, ge=-180, le=180)
    by_mm: tuple[Step, Step, Step] = (0.0, 0.0, 0.0)
    name: str = ""
    exposure_us: int = Field(default=20_000, ge=10, le=10_000_000)
    gain: float = Field(default=1.0, ge=1, le=100)
    yes: bool = True


class BenchState(BaseModel):
    """A line that `rig bench` writes.

    Attributes
    ----------
    doing
        The order that is being carried out; None while it waits for one.
    done
        How many were carried out or failed.
    problem
        Why the last one was not carried out, or what stopped it.
    asks
        What a person is to do now; ``answer`` says that it is done, or that it cannot be.
    messages
        The last things that a calibration reported.
    angle_deg, cup_mm
        Where plate and cup are; None before they were homed, and where there is no cup.
    """

    doing: str | None = None
    done: int = 0
    problem: str | None = None
    asks: str | None = None
    messages: list[str] = []
    is_homed: bool = False
    angle_deg: float | None = None
    cup_mm: PointMm | None = None
    has_arm: bool = True
    light: str | None = None
    lights: list[str] = []
    devices: dict[str, str] = {}
    exposure_us: int = 20_000
    gain: float = 1.0
