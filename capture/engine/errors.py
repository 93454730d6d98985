"""How a run ends early, or passes a coin over."""

from __future__ import annotations

from capture.store.journal_lines import CoinSkipped


class PlanError(Exception):
    """The rig cannot do what the plan asks; nothing was moved."""


class ScanStopped(Exception):  # noqa: N818 - nothing went wrong
    """The scan was asked to stop, and did: every frame taken is kept, every coin lies in its slot."""


class TransportError(Exception):
    """A coin is not where it should be, and a person has to see to it."""


class CoinRefused(Exception):  # noqa: N818 - a finding, not a failure
    """A coin is not photographed: it is not the one of its slot, or takes too long. It goes back into that slot."""

    def __init__(self, skipped: CoinSkipped) -> None:
        super().__init__(skipped.why)
        self.skipped = skipped
