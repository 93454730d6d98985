"""No lightbox that listens: the technician switches the lamps, asked at the keyboard.

Nothing can be read back; that the right lamp burns is checked in the frames. What was lit last is remembered, so that
nobody is asked for what is lit already.
"""

from __future__ import annotations

import logging
from typing import Literal

from pydantic import Field

from rig.devices import Identity, Light
from rig.errors import DeviceError
from rig.lights.light import LightboxConfig
from rig.technician import ByHand

log = logging.getLogger(__name__)


class ManualLightboxConfig(LightboxConfig):
    """`lightbox:` of rig.yaml for lamps switched by hand."""

    kind: Literal["manual"] = "manual"
    switch_s: float = Field(default=8.0, gt=0, description="a technician's time to switch, for the time left")


class ManualLightbox(ByHand[ManualLightboxConfig]):
    """Lamps in the technician's hands."""

    _lit: Light | None = None

    def connect(self) -> Identity:
        """Nothing to connect; what burns is not known."""
        self._lit = None
        return super().connect()

    def stop(self) -> None:
        """Lamps do no harm; what burns is no longer known."""
        self._lit = None

    def show(self, light: Light) -> None:
        """Ask for exactly this light.

        Raises
        ------
        DeviceError
            If the technician says that it cannot be done.
        """
        if light == self._lit:
            return
        self._lit = None
        request = f"Switch on light {light.name} and no other: {_described(light)}."
        if not self.ask(request):
            raise DeviceError(
                "lightbox",
                f"this could not be done: {request}",
                "Mend the lamp, or take the light out of the plan; then run the same command again.",
            )
        self._lit = light

    def dark(self) -> None:
        """Say that the lamps may go off; not asked for, since this is also the way out when nobody is there."""
        if self._lit is not None:
            log.warning("lightbox: switch off light %s.", self._lit.name)
        self._lit = None

    def estimate_s(self) -> float:
        """Time a change of light takes (s)."""
        return self.config.switch_s


def _described(light: Light) -> str:
    sectors = " and ".join(
        "all around" if last_deg - first_deg >= 360 else f"from {first_deg % 360:g} to {last_deg % 360:g} degrees"
        for first_deg, last_deg in light.sectors
    )
    return f"lamps {sectors}, at {light.intensity:.0%}, {light.colour_temperature_k} K"
