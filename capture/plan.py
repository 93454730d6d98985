"""What is to be photographed: a tray of coins and a plan, expanded to an ordered list of shots.

Everything here is frozen plain data that knows no hardware. A shot's id is a hash of its content, so that a scan is
resumed by set difference on ids, whatever happened to order, files or clocks in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from calibration.durable_files import canonical_json, hash_bytes
from capture.names import NameProblem, clean_name
from rig.sides import EDGE, SIDES, ShotSide

DEFAULT_LIGHTS = ("az000", "az060", "az120", "az180", "az240", "az300")
MAX_TILT_DEG = 60.0
MAX_BRACKET = 15
LEAST_EDGE_TILT_DEG = 20.0  # of which an edge still shows a third of its height


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _named(slot: object, coin: str) -> str:
    try:
        return clean_name(coin)
    except NameProblem as problem:
        raise ValueError(f"slot {slot}: the name of the coin {problem}") from problem


class Tray(_Frozen):
    """Which coin lies in which slot.

    Parameters
    ----------
    id
        Name of the tray, as in ``rig scan --tray 3``.
    slots
        Slot number (from 1) to accession number; None for an empty slot.
    """

    id: str = Field(min_length=1)
    slots: dict[Annotated[int, Field(ge=1)], str | None]

    @field_validator("slots", mode="before")
    @classmethod
    def _accession_numbers_are_text(cls, slots: Any) -> Any:
        # YAML reads 2024.10 as the number 2024.1, which is another coin
        if isinstance(slots, dict):
            spelt: dict[str, object] = {}
            for slot in slots:
                same = spelt.setdefault(str(slot).strip().lstrip("0"), slot)
                if same is not slot:
                    raise ValueError(f"slots {same} and {slot} are the same slot: keep one of the two.")
            for slot, coin in slots.items():
                if isinstance(coin, list | tuple | dict):
                    raise ValueError(f"slot {slot} holds more than one value: give one accession number.")
                if coin is not None and not isinstance(coin, str):
                    raise ValueError(
                        f'slot {slot} holds {coin!r}, which YAML reads as a number: put it in quotes, "{coin}".'
                    )
                if isinstance(coin, str) and (not coin or coin != coin.strip()):
                    raise ValueError(f"slot {slot} holds {coin!r}: give an accession number, or leave it empty (null).")
            return {slot: coin if coin is None else _named(slot, coin) for slot, coin in slots.items()}
        return slots

    @field_validator("slots")
    @classmethod
    def _a_coin_lies_in_one_slot(cls, slots: dict[int, str | None]) -> dict[int, str | None]:
        seen: dict[str, int] = {}
        for slot, coin in sorted(slots.items()):
            if coin is None:
                continue
            if coin in seen:
                raise PydanticCustomError(
                    "coin_twice",
                    "coin {coin} is in slot {first} and in slot {key}: correct one of them.",
                    {"coin": coin, "first": seen[coin], "key": slot},
                )
            seen[coin] = slot
        return dict(sorted(slots.items()))

    @property
    def coins(self) -> dict[int, str]:
        """The occupied slots, in order: slot number to accession number."""
        return {slot: coin for slot, coin in self.slots.items() if coin is not None}


class Shot(_Frozen):
    """One planned exposure. Two shots with the same content are the same shot.

    ``turntable_deg`` and ``tilt_deg`` are degrees, ``exposure_us`` microseconds, ``gain`` a factor (1 is none). A
    bracket has ``focus_mm`` (heights above the plate) or ``bracket_us`` (exposures, shortest first), then one frame.
    """

    coin: str
    side: ShotSide
    turntable_deg: float
    tilt_deg: float
    light: str
    exposure_us: int
    gain: float
    focus_mm: tuple[float, ...] = ()
    bracket_us: tuple[int, ...] = ()

    @property
    def images(self) -> int:
        """How many images are taken for it."""
        return max(1, len(self.focus_mm)) * max(1, len(self.bracket_us))

    @property
    def time_us(self) -> float:
        """How long its exposures take in all."""
        return float(max(1, len(self.focus_mm)) * (sum(self.bracket_us) or self.exposure_us))

    @model_serializer(mode="wrap")
    def _as_before(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without brackets as ever: the id is a hash of this."""
        return _without_empty(serialize(self))

    @property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the content as canonical JSON."""
        return hash_bytes(canonical_json(self.model_dump()).encode())[:16]


_LATER = ("focus_mm", "bracket_us", "edge_tilt_deg")  # than the first version, whose hashes still hold


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in _LATER or value}


class Plan(_Frozen):
    """How every coin of a tray is photographed.

    Parameters
    ----------
    name
        What the plan is called; its file is ``plans/<name>.yaml``.
    sides
        Which sides; the arm turns the coin over when there are two. ``edge`` is photographed as the coin lies last.
    lights
        Names of lights that ``rig.yaml`` defines.
    turntable_deg
        Angles of the turntable, 0 up to but not 360. A whole number *n* means *n* angles evenly spaced from 0.
    tilt_deg
        Camera tilts from the vertical, 0 to 60.
    edge_tilt_deg
        Those that the edge is photographed at, from 20 on; the steepest of ``tilt_deg`` where none is given.
    exposure_us, gain
        Exposure time in microseconds and camera gain as a factor. Several times are a bracket (`bracket_us`), merged to
        one frame in which nothing is clipped; the middle one is what coins are checked with.
    focus_mm
        Heights above the plate to focus on, in mm: a bracket, stacked to one frame that is sharp throughout.
    retakes
        How often a frame that fails the quality check is taken again before it is quarantined.
    """

    name: str = Field(default="default", min_length=1)
    sides: tuple[ShotSide, ...] = Field(default=SIDES, min_length=1)
    lights: tuple[str, ...] = Field(default=DEFAULT_LIGHTS, min_length=1)
    turntable_deg: tuple[float, ...] = Field(default=(0.0, 90.0, 180.0, 270.0), min_length=1)
    tilt_deg: tuple[float, ...] = Field(default=(0.0,), min_length=1)
    edge_tilt_deg: tuple[float, ...] = ()
    exposure_us: int = Field(default=20_000, ge=10, le=10_000_000)
    bracket_us: tuple[Annotated[int, Field(ge=10, le=10_000_000)], ...] = Field(default=(), max_length=MAX_BRACKET)
    focus_mm: tuple[Annotated[float, Field(ge=-50, le=50)], ...] = Field(default=(), max_length=MAX_BRACKET)
    gain: float = Field(default=1.0, ge=1.0, le=64.0)
    retakes: int = Field(default=2, ge=0, le=10)

    @model_validator(mode="before")
    @classmethod
    def _several_exposures_are_a_bracket(cls, values: Any) -> Any:
        given = values.get("exposure_us") if isinstance(values, dict) else None
        if not isinstance(given, list | tuple):
            return values
        try:
            times_us = sorted(int(each) for each in given)
        except (TypeError, ValueError) as error:
            raise ValueError("exposure_us: give microseconds, such as 20000, or several in brackets.") from error
        if len(times_us) < 2 or len(set(times_us)) < len(times_us):
            raise ValueError(
                "exposure_us: a bracket has at least two exposures, each another. Give one number, or more."
            )
        return {**values, "exposure_us": times_us[len(times_us) // 2], "bracket_us": times_us}

    @field_validator("focus_mm")
    @classmethod
    def _focus_upwards(cls, heights: tuple[float, ...]) -> tuple[float, ...]:
        if len(heights) == 1:
            raise ValueError("a bracket has at least two heights: give more, or leave focus_mm out.")
        return tuple(sorted(_distinct(_rounded(heights), "height")))

    @model_serializer(mode="wrap")
    def _as_before(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without brackets as ever: sessions keep it."""
        return _without_empty(serialize(self))

    # Of two such validators the later one is asked first: a count has to be a list by then.
    @field_validator("turntable_deg", "tilt_deg", "edge_tilt_deg", mode="before")
    @classmethod
    def _angles_are_a_list(cls, value: Any) -> Any:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ValueError(f"{value!r} is not a list of angles: give plain degrees in brackets, such as [0, 90].")
        return value

    @field_validator("turntable_deg", mode="before")
    @classmethod
    def _count_to_angles(cls, value: Any) -> Any:
        count = int(value) if isinstance(value, str) and value.isdecimal() else value
        if isinstance(count, int) and not isinstance(count, bool):
            if not 1 <= count <= 360:
                raise ValueError(f"{count} angles: give a count from 1 to 360, or a list of angles.")
            return tuple(number * 360.0 / count for number in range(count))
        return value

    @field_validator("turntable_deg")
    @classmethod
    def _turntable_in_one_turn(cls, angles: tuple[float, ...]) -> tuple[float, ...]:
        for angle in angles:
            if not 0 <= angle < 360:
                raise ValueError(f"angle {angle:g} is out of range: give 0 up to but not including 360 degrees.")
        return _distinct(_rounded(angles), "angle")

    @field_validator("tilt_deg", "edge_tilt_deg")
    @classmethod
    def _tilt_in_range(cls, angles: tuple[float, ...]) -> tuple[float, ...]:
        for angle in angles:
            if not 0 <= angle <= MAX_TILT_DEG:
                raise ValueError(f"tilt {angle:g} is out of range: give 0 (looking straight down) to {MAX_TILT_DEG:g}.")
        return _distinct(_rounded(angles), "tilt")

    @field_validator("edge_tilt_deg")
    @classmethod
    def _edge_is_asked_for(cls, angles: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        if angles and EDGE not in info.data.get("sides", (EDGE,)):
            raise ValueError("it is for the edge, which is not among the sides: add it there, or leave this out.")
        return angles

    @field_validator("sides", "lights")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return _distinct(names, "name")

    @property
    def brackets(self) -> list[str]:
        """What it merges to one frame, in words; empty where it takes single images."""
        heights = ", ".join(f"{height:g}" for height in self.focus_mm)
        times = ", ".join(str(each) for each in self.bracket_us)
        return [*([f"focused at {heights} mm"] if heights else []), *([f"exposed for {times} µs"] if times else [])]

    @property
    def edge_tilts_deg(self) -> tuple[float, ...]:
        """The tilts at which the edge is photographed, if it is."""
        return self.edge_tilt_deg or (max(self.tilt_deg),)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, validated again."""
        return type(self).model_validate({**self.model_dump(), **changes})

    def shots(self, tray: Tray) -> list[Shot]:
        """Expand to shots in the order that moves least.

        Lights change innermost, then the turntable, then the tilt, then the coin is turned over, then the next coin
        comes. Turntable and tilt run back and forth, so that no change of what lies outside them costs a move.
        """
        turntable = _BackAndForth(self.turntable_deg)
        tilt = _BackAndForth(self.tilt_deg)
        edge_tilt = _BackAndForth(self.edge_tilts_deg)
        return [
            Shot(
                coin=coin,
                side=side,
                turntable_deg=turntable_deg,
                tilt_deg=tilt_deg,
                light=light,
                exposure_us=self.exposure_us,
                gain=self.gain,
                focus_mm=self.focus_mm,
                bracket_us=self.bracket_us,
            )
            for coin in tray.coins.values()
            for side in self.sides
            for tilt_deg in (edge_tilt if side == EDGE else tilt)
            for turntable_deg in turntable
            for light in self.lights
        ]


class _BackAndForth:
    """Iterates upwards the first time, downwards the next, and so on."""

    def __init__(self, positions: Sequence[float]) -> None:
        self._positions = sorted(positions, reverse=True)

    def __iter__(self) -> Iterator[float]:
        self._positions.reverse()
        return iter(tuple(self._positions))


def _rounded(angles: tuple[float, ...]) -> tuple[float, ...]:
    # a microdegree is below any axis' resolution; adding 0.0 turns -0.0, which would hash differently, into 0.0
    return tuple(round(angle, 6) + 0.0 for angle in angles)


def _distinct(values: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    for position, value in enumerate(values):
        if value in values[:position]:
            raise ValueError(f"{what} {value} is given twice: remove one.")
    return values
