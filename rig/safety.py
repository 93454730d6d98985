"""What the station may do: checked before a byte is sent.

The arm reaches over the plate, so that the two exclude each other: the plate turns only while the cup is high or
elsewhere, and the cup goes low over the plate only while the plate rests. Neither moves before it was homed, nor
after something made its position doubtful.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import BaseModel, ConfigDict, model_validator

from rig.bench import BenchLayout, PointMm
from rig.errors import AlarmError, DeviceError, EnvelopeError


class Envelope(BaseModel):
    """The box the cup must stay in, in arm coordinates (mm)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low_mm: PointMm = (100.0, -200.0, 0.0)
    high_mm: PointMm = (300.0, 220.0, 170.0)

    @model_validator(mode="after")
    def _has_inside(self) -> Envelope:
        if any(low >= high for low, high in zip(self.low_mm, self.high_mm, strict=True)):
            raise ValueError("every number of low_mm must be below that of high_mm")
        return self

    def contains(self, point_mm: PointMm) -> bool:
        """Whether a point is inside."""
        return all(low <= here <= high for low, here, high in zip(self.low_mm, point_mm, self.high_mm, strict=True))


class Interlock:
    """Keeps arm, turntable and a camera that is tilted out of each other's way.

    Parameters
    ----------
    bench, envelope
        Where things stand, and where the cup may go.
    clear_tilt_deg
        Up to which tilt of the camera the arm may reach over the plate; None where the camera is fixed.

    Attributes
    ----------
    cup_mm
        Where the cup was sent, None while that is not to be believed.
    hands_off
        Whether the arm itself failed, or was stopped by somebody, so that it had better not be moved on the way out.
    turntable_homed
        Whether the plate's angle is to be believed.
    plate_rests
        Whether the plate stands still for certain.
    tilt_deg
        Where the camera was tilted to; None while that is not to be believed.
    """

    def __init__(self, bench: BenchLayout, envelope: Envelope, clear_tilt_deg: float | None = None) -> None:
        self.bench = bench
        self.envelope = envelope
        self.cup_mm: PointMm | None = None
        self.hands_off = False
        self.turntable_homed = False
        self.plate_rests = True
        self.tilt_deg: float | None = None
        self._clear_tilt_deg = clear_tilt_deg

    def doubt(self) -> None:
        """Believe no position until everything was homed again."""
        self.cup_mm = None
        self.hands_off = False
        self._doubt_turntable()

    def camera_is_clear(self) -> bool:
        """Whether the arm may reach over the plate: the camera is tilted no further than leaves it room, or fixed."""
        return self._clear_tilt_deg is None or (self.tilt_deg is not None and self.is_clear_at(self.tilt_deg))

    def is_clear_at(self, tilt_deg: float) -> bool:
        """Whether the arm may reach over the plate where the camera is tilted so far."""
        return self._clear_tilt_deg is None or tilt_deg <= self._clear_tilt_deg

    @contextmanager
    def tilting(self, tilt_deg: float) -> Iterator[None]:
        """While the camera is tilted.

        Raises
        ------
        AlarmError
            If something is not homed.
        EnvelopeError
            If the arm is in its way.
        """
        if self._is_over_plate(self._homed_cup_mm()) and not self.is_clear_at(tilt_deg):
            raise EnvelopeError(
                "camera",
                "the camera may not be tilted while the arm is over the plate; nothing was sent.",
                "Move the arm away first: run `rig park`.",
            )
        try:
            yield
        except EnvelopeError:
            raise  # refused by the driver: nothing was sent
        except BaseException:
            self._doubt_turntable()
            raise
        self.tilt_deg = tilt_deg

    @contextmanager
    def turning(self) -> Iterator[None]:
        """While the plate turns.

        Raises
        ------
        AlarmError
            If something is not homed.
        EnvelopeError
            If the cup is low over the plate.
        """
        if self._is_low_over_plate(self._homed_cup_mm()):
            raise EnvelopeError(
                "turntable",
                "it may not turn while the arm is low over the plate; nothing was sent.",
                "Lift the arm first: run `rig park`.",
            )
        self.plate_rests = False
        try:
            yield
        except EnvelopeError:
            self.plate_rests = True  # refused by the driver: nothing was sent
            raise
        except BaseException:
            self._doubt_turntable()
            raise
        self.plate_rests = True

    @contextmanager
    def moving(self, target_mm: PointMm) -> Iterator[None]:
        """While the cup goes to a point.

        Raises
        ------
        AlarmError
            If the arm is not homed.
        EnvelopeError
            If the point is outside the envelope, or the way is too low, or down to a plate that may be turning.
        """
        if self.cup_mm is None:
            raise AlarmError("arm", "it is not homed, so it may not move.", "Run `rig home`.")
        x_mm, y_mm, z_mm = target_mm
        where = f"({x_mm:g}, {y_mm:g}, {z_mm:g})"
        if not self.envelope.contains(target_mm):
            raise EnvelopeError(
                "arm",
                f"{where} is outside its envelope, {self.envelope.low_mm} to {self.envelope.high_mm}; nothing sent.",
                "Correct the bench positions or the envelope in rig.yaml.",
            )
        sideways_mm = math.dist(self.cup_mm[:2], target_mm[:2])
        if sideways_mm > 1.0 and min(z_mm, self.cup_mm[2]) < self.bench.safe_z_mm - 1.0:
            raise EnvelopeError(
                "arm",
                f"{where} mm cannot be reached below the safe height of {self.bench.safe_z_mm:g} mm; nothing was sent.",
                "Lift the arm first: run `rig park`.",
            )
        if self._is_over_plate(target_mm) and not self.camera_is_clear():
            raise EnvelopeError(
                "arm",
                "it may not reach over the plate while the camera is tilted, or may be; nothing was sent.",
                "Tilt the camera back, or set `turntable: tilt: clear_deg` in rig.yaml if the arm has room.",
            )
        if not self.plate_rests and self._is_low_over_plate(target_mm):
            raise EnvelopeError(
                "arm", "it may not go down to the plate, which may be turning; nothing was sent.", "Run `rig home`."
            )
        try:
            yield
        except EnvelopeError:
            raise  # refused by the driver: nothing was sent
        except BaseException as error:
            self.cup_mm = None
            self.hands_off = isinstance(error, DeviceError)
            raise
        self.cup_mm = target_mm

    def _homed_cup_mm(self) -> PointMm:
        """Where the cup is, once everything that moves was homed."""
        if self.cup_mm is None or not self.turntable_homed:
            raise AlarmError("station", "it is not homed, so nothing may move.", "Run `rig home`.")
        return self.cup_mm

    def _doubt_turntable(self) -> None:
        self.turntable_homed = False
        self.tilt_deg = None

    def _is_low_over_plate(self, point_mm: PointMm) -> bool:
        return self._is_over_plate(point_mm) and point_mm[2] < self.bench.safe_z_mm - 1.0

    def _is_over_plate(self, point_mm: PointMm) -> bool:
        # The arm itself is wider than its cup: some margin around the plate.
        return math.dist(point_mm[:2], self.bench.plate_mm[:2]) < self.bench.plate_radius_mm + 25.0
