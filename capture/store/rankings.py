"""The store's rankings: which entries a coin of a session was matched with, best first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from capture.store.record_kinds import RANKING, ranking_content
from capture.store.records import Candidate, RankedCoin, Ranking, now
from capture.store.transaction import Storage


class Rankings:
    """Reached as ``store.rankings``."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def add(self, session_id: str, coin: str, model_id: str, verdict: str, candidates: Sequence[Candidate]) -> None:
        """Store the matches of a coin, best first, beside any earlier ranking of it."""
        if not candidates:
            return
        with self._storage.transaction() as transaction:
            ranking = Ranking(session_id, coin, model_id, verdict, tuple(candidates), now(), transaction.number())
            transaction.add(RANKING, RANKING.record_name(vars(ranking)), ranking_content(ranking))

    def latest(self, session_id: str, coin: str) -> Ranking | None:
        """The latest ranking of a coin in a session, or None."""
        rows = self._storage.read(
            "SELECT * FROM match WHERE number = (SELECT max(number) FROM match WHERE session_id = ? AND coin_id = ?) "
            "ORDER BY rank",
            (session_id, coin),
        )
        return Ranking.of_rows(rows) if rows else None

    def latest_of_each_coin(self, first: int = 3, after: int = 0) -> list[RankedCoin]:
        """The latest ranking of every coin, in a few words: its `first` candidates without their evidence.

        Of coins that have one of a number greater than `after`.
        """
        rows = self._storage.read(
            "SELECT session_id, coin_id, verdict, number, candidate_coin_id, entry_id, probability FROM match "
            "WHERE number IN (SELECT max(number) FROM match WHERE number > ? GROUP BY coin_id) AND rank <= ? "
            "ORDER BY number, rank",
            (after, first),
        )
        return [
            RankedCoin(
                session_id=ranked[0]["session_id"],
                coin=ranked[0]["coin_id"],
                verdict=ranked[0]["verdict"],
                number=number,
                candidates=tuple((row["candidate_coin_id"], row["entry_id"], row["probability"]) for row in ranked),
            )
            for number, rows_of_one in groupby(rows, lambda row: row["number"])
            for ranked in [list(rows_of_one)]
        ]

    def last_number(self) -> int:
        """The number of the newest ranking; 0 without any."""
        return int(self._storage.read("SELECT coalesce(max(number), 0) FROM match")[0][0])

    def of_coin(self, coin: str) -> list[Ranking]:
        """Every ranking of a coin, the newest first."""
        sql = "SELECT * FROM match WHERE coin_id = ? ORDER BY number DESC, rank"
        rows = self._storage.read(sql, (coin,))
        return [Ranking.of_rows(list(ranked)) for _, ranked in groupby(rows, lambda row: row["number"])]
