"""The store's rankings: which entries a coin of a session was matched with, best first."""

from __future__ import annotations

from collections.abc import Sequence

from capture.store.record_kinds import RANKING, ranking_content
from capture.store.records import Candidate, Ranking, now
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
