"""What a calibration came to, however it was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from calibration.bundle import Bundle


@dataclass(frozen=True)
class CalibrationResult:
    """A calibration that was made and saved."""

    bundle: Bundle
    number: int

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        bundle = self.bundle
        return {
            "id": bundle.id,
            "number": self.number,
            "expires_at": bundle.expires_at().isoformat(),
            "rms_px": round(bundle.lens.rms_px, 3),
            "mm_per_pixel": round(bundle.mm_per_pixel, 6),
            "lights": sorted(bundle.flats),
            "ring_zero_deg": bundle.ring_zero_deg,
            "ciede2000_mean": {light: each.ciede2000_mean for light, each in sorted(bundle.colours.items())},
            "lamps": {light: each.facts() for light, each in sorted(bundle.lamps.items())},
            "axis": None if bundle.axis is None else bundle.axis.facts(),
        }
