"""Where a run stands: one object, which moves nothing and asks nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from capture.plan import Shot
from capture.store.journal_lines import CoinSkipped
from rig.clock import Clock
from rig.errors import DeviceError


class Phase(Enum):
    """What a run is doing::

                      a device fails, in any phase
                                  |
          HOMING              RECOVERING ------------> the rig cannot be recovered: the run ends, nothing moves
             |                    |
             +---> LOCATING <-----+          a coin that was left on its way is found, or is back in its slot
                      |
                      v     no coin left
             +---> CHOOSING ------------> DONE
             |      |  |  |
             |      |  |  +--> GIVING_UP --+    a coin that failed too often is put back
             |      |  v                   |
             |      | LOADING -----------> |    refused: not the coin of its slot, none, or two
             |      |  |                   |
             |      v  v                   |
             |     EXPOSING -------------> |    given up: it takes too long; put back first
             |         |                   |
             |         v                   |
             +---- RETURNING               |
             |                             |
             +-----------------------------+

    Asked to stop, or something fails that is no device (a full disk, a calibration): from any phase the coin is put
    back into its slot, and the run ends. Where a person is needed (`TransportError`), and when it is interrupted or
    killed, the run ends and nothing moves: the next one finds the coin.
    """

    HOMING = "homing"
    LOCATING = "locating"
    CHOOSING = "choosing"
    LOADING = "loading"
    EXPOSING = "exposing"
    RETURNING = "returning"
    GIVING_UP = "giving up"
    RECOVERING = "recovering"
    DONE = "done"


@dataclass(frozen=True)
class TrayCoin:
    """A coin of the tray, by its slot."""

    slot: int
    name: str


@dataclass
class RunState:
    """What one run has done, and what it has left to do.

    Attributes
    ----------
    shots
        All of the session, in order.
    missing
        Those still to be taken, as far as is known.
    coins
        The tray's, in order.
    attempts
        How often each shot was taken so far, by its id.
    phase
        What the run is doing.
    coin
        The coin that was begun and is not back in its slot; `begun_s` when, on the rig's clock.
    failures
        Of devices, by the coin that was under way.
    given_up
        Coins that only have to be put back, and the failure that made it so.
    skipped
        Coins that were passed over.
    skips_in_a_row
        How many of the latest were because of devices.
    hardware_s
        What motion, settling and exposure took.
    """

    shots: Sequence[Shot]
    missing: list[Shot]
    coins: Sequence[TrayCoin]
    attempts: dict[str, int]
    phase: Phase = Phase.HOMING
    coin: TrayCoin | None = None
    begun_s: float = 0.0
    failures: Counter[str | None] = field(default_factory=Counter)
    given_up: dict[str, DeviceError] = field(default_factory=dict)
    skipped: list[CoinSkipped] = field(default_factory=list)
    skips_in_a_row: int = 0
    hardware_s: float = 0.0
    _taken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.done_before = len(self.shots) - len(self.missing)
        self.numbers: Mapping[str, int] = {coin.name: number for number, coin in enumerate(self.to_do(), 1)}

    @property
    def done_shots(self) -> int:
        """How many shots of the session are taken, by earlier runs or this one."""
        return self.done_before + len(self._taken)

    @property
    def under_way(self) -> str | None:
        """The name of the coin that is under way."""
        return self.coin.name if self.coin else None

    @contextmanager
    def hardware(self, clock: Clock) -> Iterator[None]:
        """Count the time that passes within the block on the rig's clock."""
        before_s = clock.now()
        try:
            yield
        finally:
            self.hardware_s += clock.now() - before_s

    def to_do(self) -> list[TrayCoin]:
        """Coins that miss shots or were not brought back when a device failed, less those skipped; in order."""
        names = {shot.coin for shot in self.missing} | {self.under_way}
        names -= {each.coin for each in self.skipped}
        return [coin for coin in self.coins if coin.name in names]

    def shots_of(self, coin: TrayCoin) -> list[Shot]:
        """The shots that a coin misses."""
        return [shot for shot in self.missing if shot.coin == coin.name]

    def settle(self, shot_ids: Container[str]) -> None:
        """These shots need not be taken any more."""
        self.missing = [shot for shot in self.missing if shot.id not in shot_ids]

    def begin(self, coin: TrayCoin, now_s: float) -> bool:
        """A coin is under way; whether it was not before."""
        if coin == self.coin:
            return False
        self.coin, self.begun_s = coin, now_s
        return True

    def count(self, shot: Shot) -> int:
        """A shot was taken: for the how-many-th time."""
        self.attempts[shot.id] = attempt = self.attempts.get(shot.id, 0) + 1
        self._taken.add(shot.id)
        return attempt

    def finish(self, coin: TrayCoin) -> None:
        """A coin is back in its slot, with all its shots taken as often as may be."""
        self.coin, self.skips_in_a_row = None, 0
        self.missing = [shot for shot in self.missing if shot.coin != coin.name]

    def skip(self, skipped: CoinSkipped) -> None:
        """A coin is passed over; it is in its slot, or nowhere to be had."""
        self.skipped.append(skipped)
        if skipped.reason == "not begun":
            return
        self.coin = None
        self.skips_in_a_row = self.skips_in_a_row + 1 if skipped.reason in ("device", "time") else 0


def coins_of(slots: Iterable[tuple[int, str]]) -> list[TrayCoin]:
    """The coins of a tray."""
    return [TrayCoin(slot, name) for slot, name in slots]
