"""No arm: the technician moves the coins, asked at the keyboard.

There is nothing to sense and nowhere to park; what was confirmed counts as done, and the camera tells whether a coin
lies on the plate. So it has no coordinates either: it does whole errands, as `rig.devices.Handler` names them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rig.clock import Clock
from rig.errors import GripError
from rig.technician import ByHand


class ManualHandlerConfig(BaseModel):
    """`arm:` of rig.yaml for a lab without one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["manual"] = "manual"
    errand_s: float = Field(default=12.0, gt=0, description="a technician's time for one errand, for the time left")


Errand = Literal["load", "unload", "flip"]


class ManualHandler(ByHand[ManualHandlerConfig]):
    """The technician's hands.

    Attributes
    ----------
    on_done
        Called with each errand that was confirmed, and its slot: a twin then moves its coins.
    """

    def __init__(self, config: ManualHandlerConfig, clock: Clock) -> None:
        super().__init__(config, clock)
        self.on_done: Callable[[Errand, int | None], object] = lambda errand, slot: None

    def home(self) -> None:
        """Ask for a free plate: it turns next."""
        self._do("See that nothing but a coin is on the plate, and keep your hands off it: it turns now.")

    def park(self) -> None:
        """Hands are away: every errand ends with that."""

    def holds_coin(self) -> bool:
        """Nothing is held between errands."""
        return False

    def load(self, slot: int) -> None:
        """Ask for the coin of a slot on the plate.

        Raises
        ------
        GripError
            If the technician says that it cannot be done.
        """
        self._do(f"Lay the coin of slot {slot} on the middle of the plate, the same side up, and take your hands away.")
        self.on_done("load", slot)

    def unload(self, slot: int) -> None:
        """Ask for the coin back into its slot.

        Raises
        ------
        GripError
            If the technician says that it cannot be done.
        """
        self._do(f"Put the coin on the plate back into slot {slot}, the same side up, and take your hands away.")
        self.on_done("unload", slot)

    def let_go_into(self, slot: int) -> None:
        """Nothing hangs on a technician unnoticed."""

    def feels_empty(self, slot: int) -> bool:
        """Never: the technician sees what is wrong, and checks."""
        return False

    def flip(self) -> None:
        """Ask for the other side.

        Raises
        ------
        GripError
            If the technician says that it cannot be done.
        """
        self._do("Turn the coin on the plate over, lay it on the middle, and take your hands away.")
        self.on_done("flip", None)

    def fetch_from_flip_station(self) -> None:
        """Ask for a coin whose flip was interrupted.

        Raises
        ------
        GripError
            If the technician says that it is nowhere.
        """
        self._do("Lay the coin that was being turned over on the middle of the plate, the other side up than before.")

    def make_safe(self) -> None:
        """Nothing holds a coin."""

    def load_s(self) -> float:
        """Time to bring a coin one way (s)."""
        return self.config.errand_s

    def flip_s(self) -> float:
        """Time to turn a coin over (s)."""
        return self.config.errand_s

    def _do(self, request: str) -> None:
        if not self.ask(request):
            raise GripError(
                "technician",
                f"this could not be done: {request}",
                "Look for the coin, put it back into its slot, then run the same command again.",
            )
