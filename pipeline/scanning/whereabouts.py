"""Where the coin is that an interrupted, failed or killed scan left out of its slot, in words for a person."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from capture.engine.stray_coin import coin_out
from capture.store import Store, StoreError
from capture.store.journal_lines import CoinMove, LaidOnPlate, Lifting, TurningOver
from pipeline.reporter import Reporter

log = logging.getLogger(__name__)


def coin_out_in_words(store: Store) -> str | None:
    """Where the coin that is out of its slot was last, and what to do about it; None if every coin is in its slot."""
    last = coin_out(store)
    return None if last is None else f"{_place(last)} Leave it there: the same command finds it and puts it back."


@contextmanager
def report_coin_out(store: Store, reporter: Reporter) -> Iterator[None]:
    """However else the block ends than well, report which coin is out of its slot; best left with the rig at rest."""
    try:
        yield
    except BaseException:
        try:
            where = coin_out_in_words(store)
        except StoreError as error:
            log.warning("where the coin is cannot be read: %s", error)
        else:
            reporter.report(where or "No coin was on its way.")
        raise


def _place(last: CoinMove) -> str:
    coin = f"Coin {last.coin} of slot {last.slot}"
    match last:
        case Lifting():
            return f"{coin} was being lifted: it is in its slot, on the arm or on the plate."
        case LaidOnPlate():
            return f"{coin} is on the plate, {last.side} up."
        case TurningOver():
            return f"{coin} was being turned over: it is on the plate, on the arm or in the flip station."
        case _:
            return f"{coin} was being brought back: it is on the plate, on the arm or in its slot."
