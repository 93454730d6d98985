"""Looking through the store a page at a time: coins, frames, entries, sales and sessions that a text is part of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from capture.store.records import Coin, Entry, Frame, Session
from capture.store.transaction import Storage

T = TypeVar("T")
_PART = "LIKE '%' || ? || '%' ESCAPE '\\'"


@dataclass(frozen=True)
class Found(Generic[T]):
    """Some of what was found, from the `start`-th on, and how much there is in all."""

    items: tuple[T, ...]
    start: int
    total: int


@dataclass(frozen=True)
class FoundCoin:
    """A coin, and how many frames and entries are of it."""

    coin: Coin
    frames: int
    entries: int


@dataclass(frozen=True)
class FoundSale:
    """A sale, and how many coins and entries it has."""

    sale: str
    coins: int
    entries: int


@dataclass(frozen=True)
class FoundSession:
    """A session, and how many frames it has, those in quarantine among them."""

    session: Session
    frames: int
    quarantined: int


class Search:
    """Reached as ``store.search``. `start` and `first` are the part that is wanted of what is found."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def coins(
        self,
        text: str,
        start: int,
        first: int,
        of: Literal["lab", "catalogue"] | None = None,
        verdict: str | None = None,
    ) -> Found[FoundCoin]:
        """Coins by name or type: those that there is a frame of, those that there is an entry of, or all.

        With a `verdict`, those that were last identified with it; "" for those that were photographed and never
        identified.
        """
        where = f"(id {_PART} OR type {_PART})"
        parameters: tuple[str, ...] = (_literal(text),) * 2
        if of is not None:
            table = {"lab": "frame", "catalogue": "entry"}[of]
            where += f" AND EXISTS (SELECT 1 FROM {table} WHERE {table}.coin_id = coin.id)"
        if verdict == "":
            where += " AND NOT EXISTS (SELECT 1 FROM match WHERE match.coin_id = coin.id)"
        elif verdict is not None:
            where += (
                " AND id IN (SELECT coin_id FROM match WHERE verdict = ? AND number IN "
                "(SELECT max(number) FROM match GROUP BY coin_id))"
            )
            parameters = (*parameters, verdict)
        columns = (
            "*, (SELECT count(*) FROM frame WHERE coin_id = coin.id) AS frames, "
            "(SELECT count(*) FROM entry WHERE coin_id = coin.id AND removed_at IS NULL) AS entries"
        )

        def make(row: Any) -> FoundCoin:
            return FoundCoin(Coin(row["id"], row["type"], row["diameter_mm"]), row["frames"], row["entries"])

        return self._find("coin", columns, where, parameters, "id", start, first, make)

    def frames(
        self,
        text: str,
        start: int,
        first: int,
        good: bool | None = None,
        session_id: str | None = None,
        side: str | None = None,
    ) -> Found[Frame]:
        """Frames by coin, light, file name or quarantine reason, the newest first; of one session, or of one side."""
        where = f"(coin_id {_PART} OR light {_PART} OR source {_PART} OR quarantine_reason {_PART})"
        parameters: tuple[str, ...] = (_literal(text),) * 4
        where += {None: "", True: " AND quarantine_reason IS NULL", False: " AND quarantine_reason NOT NULL"}[good]
        if session_id is not None:
            where, parameters = f"{where} AND session_id = ?", (*parameters, session_id)
        if side is not None:
            where, parameters = f"{where} AND side = ?", (*parameters, side)
        return self._find("frame", "*", where, parameters, "number DESC", start, first, Frame.of)

    def entries(
        self, text: str, start: int, first: int, sale: str | None = None, *, removed: bool = False
    ) -> Found[Entry]:
        """Entries that are matched against, or were removed, in the order they were added; of one sale.

        They are found by id, coin, file name, or what their sale states of the coin: lot, date, type, metal and so on.
        """
        where = "removed_at NOT NULL" if removed else "removed_at IS NULL"
        parameters: tuple[str, ...] = ()
        if text:
            stated = (
                "EXISTS (SELECT 1 FROM lot, json_each(lot.content) AS part WHERE lot.number = (SELECT max(number) FROM "
                "lot AS each WHERE each.catalogue = entry.catalogue AND each.coin_id = entry.coin_id) AND "
                f"part.value {_PART})"
            )
            where += f" AND (id {_PART} OR coin_id {_PART} OR source {_PART} OR {stated})"
            parameters = (_literal(text),) * 4
        if sale is not None:
            where, parameters = f"{where} AND catalogue = ?", (*parameters, sale)
        return self._find("entry", "*", where, parameters, "number", start, first, Entry.of)

    def sales(self, text: str, start: int, first: int) -> Found[FoundSale]:
        """Sales by name."""
        table = (
            "(SELECT catalogue, count(DISTINCT coin_id) AS coins, count(*) AS entries FROM entry "
            "WHERE removed_at IS NULL GROUP BY catalogue)"
        )

        def make(row: Any) -> FoundSale:
            return FoundSale(row["catalogue"], row["coins"], row["entries"])

        return self._find(table, "*", f"catalogue {_PART}", (_literal(text),), "catalogue", start, first, make)

    def sessions(
        self, text: str, start: int, first: int, kind: Literal["scan", "import", "unfinished"] | None = None
    ) -> Found[FoundSession]:
        """Sessions by their id, or by the name of their tray or folder, the newest first; of one kind."""
        where, parameters = f"(id {_PART} OR name {_PART})", (_literal(text),) * 2
        if kind is not None:
            where += " AND finished_at IS NULL" if kind == "unfinished" else f" AND kind = '{kind}'"
        found = self._find("session", "*", where, parameters, "number DESC", start, first, Session.of)
        sql = "SELECT count(*), count(quarantine_reason) FROM frame WHERE session_id = ?"
        counted = (FoundSession(each, *self._storage.read(sql, (each.id,))[0]) for each in found.items)
        return Found(tuple(counted), found.start, found.total)

    def _find(
        self,
        table: str,
        columns: str,
        where: str,
        parameters: tuple[str, ...],
        order: str,
        start: int,
        first: int,
        make: Callable[[Any], T],
    ) -> Found[T]:
        total = int(self._storage.read(f"SELECT count(*) FROM {table} WHERE {where}", parameters)[0][0])
        start = min(max(0, start), max(0, total - 1))
        sql = f"SELECT {columns} FROM {table} WHERE {where} ORDER BY {order} LIMIT {int(first)} OFFSET {start}"
        return Found(tuple(make(row) for row in self._storage.read(sql, parameters)), start, total)


def _literal(text: str) -> str:
    """A text for LIKE, in which nothing stands for anything else."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
