"""What every lightbox shares: named lights, which lamps stand in their sectors, and going dark at once."""

from __future__ import annotations

import cmath
import math
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from rig.serial_device import SerialConfig, SerialDevice

SectorsDeg = tuple[tuple[float, float], ...]


class LightConfig(BaseModel):
    """A named light; sectors are ranges of azimuth, counter-clockwise, where the light comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sectors_deg: SectorsDeg
    intensity: float = Field(default=1.0, gt=0, le=1)
    colour_temperature_k: int = Field(default=5000, ge=1900, le=10091)

    @field_validator("sectors_deg")
    @classmethod
    def _has_extent(cls, sectors: SectorsDeg) -> SectorsDeg:
        for first_deg, last_deg in sectors:
            if not 0 < last_deg - first_deg <= 360:
                raise ValueError(
                    f"a sector runs counter-clockwise from its first to its last angle, at most once round, "
                    f"not from {first_deg:g} to {last_deg:g}: across 0 write for example [-30, 30]"
                )
        if not sectors:
            raise ValueError("a light needs at least one sector, for example [[-30, 30]]")
        return sectors

    @property
    def azimuth_deg(self) -> float | None:
        """Where the light comes from on the whole (deg, 0 to 360); None where it comes from all around."""
        # Each sector pulls towards its middle by the length of its chord.
        pull = sum(
            math.sin(math.radians((last - first) / 2)) * cmath.exp(1j * math.radians((first + last) / 2))
            for first, last in self.sectors_deg
        )
        return math.degrees(cmath.phase(pull)) % 360.0 if abs(pull) > 0.05 else None


def six_sectors() -> dict[str, LightConfig]:
    """Six lights of 60 degrees, named after their azimuth, and ``all`` round."""
    lights = {f"az{deg:03d}": LightConfig(sectors_deg=((deg - 30.0, deg + 30.0),)) for deg in range(0, 360, 60)}
    return lights | {"all": LightConfig(sectors_deg=((0.0, 360.0),))}


class LightboxConfig(BaseModel):
    """`lightbox:` of rig.yaml, whoever switches the lamps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lights: dict[str, LightConfig] = Field(default_factory=six_sectors, min_length=1)
    elevation_deg: float = Field(default=35.0, gt=0, lt=90, description="height of the lamps as seen from the plate")


class SerialLightboxConfig(LightboxConfig, SerialConfig):
    """`lightbox:` of rig.yaml for lamps on a serial port; each driver's config adds its kind and its own."""

    port: str = "twin://lightbox"
    led0_azimuth_deg: float = Field(description="where the first lamp stands; the others follow counter-clockwise")
    settle_s: float = Field(ge=0, description="until the lamps burn steadily")


Config = TypeVar("Config", bound=SerialLightboxConfig)


class SerialLightbox(SerialDevice[Config], Generic[Config]):
    """See `rig.devices.Lightbox`."""

    role = "lightbox"

    def estimate_s(self) -> float:
        """Time a change of light takes (s)."""
        return self.config.settle_s + 0.02


def in_sectors(sectors_deg: SectorsDeg, lamps: int, first_azimuth_deg: float) -> list[bool]:
    """Which lamps of an evenly spaced ring stand in the sectors."""
    return [
        any((first_azimuth_deg + lamp * 360.0 / lamps - first) % 360.0 < last - first for first, last in sectors_deg)
        for lamp in range(lamps)
    ]
