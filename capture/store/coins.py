"""The store's coins and calibrations: what frames and entries name."""

from __future__ import annotations

from capture.store.journal import Journal
from capture.store.journal_lines import CoinMeasured, CoinWeighed
from capture.store.record_kinds import CALIBRATION
from capture.store.records import Calibration, Coin
from capture.store.transaction import Storage


class Coins:
    """Reached as ``store.coins``."""

    def __init__(self, storage: Storage, journal: Journal) -> None:
        self._storage = storage
        self._journal = journal

    def weighed(self, coin: str) -> CoinWeighed | None:
        """How a coin was last weighed; None if it never was."""
        return self._journal.last(CoinWeighed, coin=coin)

    def weight_g(self, coin: str) -> float | None:
        """What a coin weighed when it was last weighed; None if it never was."""
        weighed = self.weighed(coin)
        return weighed.grams if weighed else None

    def measured(self, coin: str) -> CoinMeasured | None:
        """What a coin measured when it was last measured; None if it never was."""
        return self._journal.last(CoinMeasured, coin=coin)

    def add(self, coin: str, type_: str | None = None, diameter_mm: float | None = None) -> None:
        """Make a coin known, or fill in what is known of it."""
        with self._storage.transaction() as transaction:
            transaction.add_coin(coin, type_, diameter_mm)

    def all(self) -> list[Coin]:
        """Every coin, by its id."""
        return [Coin.of(row) for row in self._storage.read("SELECT * FROM coin ORDER BY id")]

    def types(self) -> dict[str, str | None]:
        """The type of every coin; None where it is not known."""
        return {coin.id: coin.type for coin in self.all()}

    def get(self, coin: str) -> Coin | None:
        """Return a coin by its id; None if it is not known."""
        rows = self._storage.read("SELECT * FROM coin WHERE id = ?", (coin,))
        return Coin.of(rows[0]) if rows else None


class Calibrations:
    """Reached as ``store.calibrations``."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def add(self, calibration_id: str, created_at: str, folder: str) -> None:
        """Make a calibration known, so that frames can name it. Doing so twice changes nothing."""
        with self._storage.transaction() as transaction:
            if not transaction.exists("calibration", calibration_id):
                row = Calibration(calibration_id, created_at, folder).as_record()
                transaction.add(CALIBRATION, calibration_id, {"row": row})

    def all(self) -> list[Calibration]:
        """Every calibration, by its id."""
        return [Calibration.of(row) for row in self._storage.read("SELECT * FROM calibration ORDER BY id")]
