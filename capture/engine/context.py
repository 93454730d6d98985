"""What every part of a run works with: one frozen bundle in place of ten parameters."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from calibration.bundle import Bundle
from capture.cameras import Camera
from capture.engine.events import Event
from capture.engine.policy import Policy
from capture.engine.rig import CoinStation, ScanRig
from capture.plan import Plan, Tray
from capture.quality import Limits
from capture.store import Store
from capture.store.records import Session


@dataclass(frozen=True, eq=False)
class ScanContext:
    """One run over a session.

    Attributes
    ----------
    rig
        Connected.
    store, session
        Where frames go, and what is to be done.
    bundle
        How frames are calibrated; None to keep raw frames alone.
    flaw
        Why frames are marked as uncalibrated; None for good ones.
    limits
        When a frame is good enough.
    policy
        What is done about what goes wrong.
    on_event
        Called with what happens, one event at a time, from two threads: return soon, or the rig waits.
    stop
        Set it, from any thread, and the run ends after the present shot with the coin back in its slot.
    find_reason_to_end
        Asked before each coin is lifted, and after each failure: a reason, as a sentence, ends the run in the same way.
    """

    rig: ScanRig
    store: Store
    session: Session
    bundle: Bundle | None = None
    flaw: str | None = None
    limits: Limits = field(default_factory=Limits)
    policy: Policy = field(default_factory=Policy)
    on_event: Callable[[Event], None] = lambda event: None
    stop: threading.Event = field(default_factory=threading.Event)
    find_reason_to_end: Callable[[], str | None] = lambda: None
    _one_at_a_time: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    @cached_property
    def plan(self) -> Plan:
        """As it was when the session began."""
        return self.session.frozen_plan()

    @cached_property
    def tray(self) -> Tray:
        """As it was when the session began."""
        return self.session.frozen_tray()

    @property
    def station(self) -> CoinStation:
        """What moves and what shines."""
        return self.rig.station

    @property
    def camera(self) -> Camera:
        """What looks at the plate."""
        return self.rig.camera

    @property
    def mm_per_pixel(self) -> float | None:
        """Scale of the camera; None if it was not calibrated."""
        return self.bundle.mm_per_pixel if self.bundle else None

    def emit(self, event: Event) -> None:
        """Say what happened."""
        with self._one_at_a_time:
            self.on_event(event)
