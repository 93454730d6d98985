"""What storing a frame and asking for it cost, as the store grows from a thousand frames to a million.

Rows are made by SQL, of the shape the rig writes: a session is a tray of 10 coins of 48 frames each, every coin is
scanned twice, so that what a question returns does not grow. Their images and records are not there: the index alone
is what grows. Frames that are timed are real ones, 24 px wide, with full durability.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from capture.plan import Plan, Tray
from capture.store import Store
from capture.store.journal_lines import CoinMove, JournalLine, Returned
from tests.capture.conftest import add_frame, note

SIZES = (1_000, 10_000, 100_000, 1_000_000)
COINS, FRAMES = 10, 48
REPEATS = 25


def grow(store: Store, first: int, beyond: int) -> None:
    """Add the rows of sessions `first` up to `beyond`, without their files."""
    with store.storage.database.write() as connection:
        for n in range(first, beyond):
            number = 10_000_000 + n * 1000
            session = f"s{n}"
            connection.execute(
                "INSERT INTO session VALUES (?, 'scan', ?, NULL, NULL, NULL, '[]', 'bench', '2026-01-01', "
                "'2026-01-02', ?)",
                (session, str(n % 40), number),
            )
            coins = [f"c{n // 2}.{k}" for k in range(COINS)]
            connection.executemany("INSERT OR IGNORE INTO coin VALUES (?, 'RIC', 19.5)", [(coin,) for coin in coins])
            shots, files, frames = [], [], []
            for k in range(COINS * FRAMES):
                coin, side = coins[k // FRAMES], "obverse" if k % FRAMES < FRAMES // 2 else "reverse"
                raw, calibrated = f"{2 * (n * 1000 + k):064x}"[::-1], f"{2 * (n * 1000 + k) + 1:064x}"[::-1]
                shots.append((session, f"shot{k}", k, coin, '{"coin": "x", "light": "az000", "exposure_us": 20000}'))
                files += [(raw, ".jxl", 900_000), (calibrated, ".jxl", 900_000)]
                frames.append((f"f{n}.{k}", session, f"shot{k}", coin, side, raw, calibrated, number + 1 + k))
            connection.executemany("INSERT INTO shot VALUES (?, ?, ?, ?, ?)", shots)
            connection.executemany("INSERT INTO file VALUES (?, ?, ?)", files)
            connection.executemany(
                "INSERT INTO frame (id, session_id, shot_id, attempt, placement, coin_id, side, sha256, "
                "calibrated_sha256, camera, turntable_deg, turntable_read_deg, tilt_deg, light, exposure_us, gain, "
                "mm_per_pixel, quality, taken_at, number) VALUES (?, ?, ?, 1, '1', ?, ?, ?, ?, "
                '\'{"kind": "twin", "port": "twin://camera"}\', 90, 90.02, 0, \'az000\', 20000, 1, 0.047, '
                '\'{"sharpness": 0.15, "clipped": 0.001, "radius_px": 210.5}\', \'2026-01-01T00:00:00\', ?)',
                frames,
            )
            connection.executemany(
                "INSERT INTO event (session_id, at, kind, detail) VALUES "
                "(?, '2026-01-01', ?, json_object('coin', ?, 'slot', 1, 'side', 'obverse'))",
                [(session, kind, coin) for coin in coins for kind in ("lifting", "on plate", "returning", "returned")],
            )
            connection.executemany(
                "INSERT INTO match (session_id, coin_id, model_id, rank, candidate_coin_id, entry_id, score, "
                "probability, evidence, verdict, created_at, number) "
                "VALUES (?, ?, 'm1', ?, ?, 'e1', 0.5, 0.9, '{}', 'match', '2026', ?)",
                [
                    (session, coin, rank, coins[rank], number + 970 + k)
                    for k, coin in enumerate(coins)
                    for rank in range(1, 6)
                ],
            )


def cost_ms(action: Callable[[], Any]) -> float:
    """The median time one call takes."""
    action()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        action()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def measure(store: Store, session_id: str, shots: list[Any], sessions: int) -> dict[str, float]:
    """The cost of each thing (ms), asked of the middle of the store."""
    middle = sessions // 2
    coin, asked = f"c{middle // 2}.7", f"s{middle}"
    seeds = iter(range(10**6, 10**7))
    frames = iter(shots)
    return {
        "add a frame": cost_ms(lambda: add_frame(store, session_id, next(frames), next(seeds))),
        "write a line of the journal": cost_ms(lambda: store.journal.log(note("x"), session_id)),
        "frames of a coin side": cost_ms(lambda: store.frames.find(coin=coin, side="obverse")),
        "frames of a session's coin": cost_ms(lambda: store.frames.find(asked, coin, good=None)),
        "missing shots of a session": cost_ms(lambda: store.sessions.missing_shots(session_id)),
        "tries of each shot": cost_ms(lambda: store.sessions.attempts(asked)),
        "unfinished scan of a tray": cost_ms(lambda: store.sessions.unfinished_scan("bench")),
        "latest handling": cost_ms(lambda: store.journal.last(CoinMove)),
        "latest line on a coin": cost_ms(lambda: store.journal.last(Returned, session_id=asked, coin=coin)),
        "lines of a session": cost_ms(lambda: store.journal.lines(JournalLine, session_id=asked)),
        "ranking of a coin": cost_ms(lambda: store.rankings.latest(asked, coin)),
        "where an image lies": cost_ms(lambda: store.path(f"{2 * middle * 1000:064x}"[::-1])),
    }


@pytest.mark.bench
def test_cost_as_the_store_grows(tmp_path: Path) -> None:
    table: dict[str, list[float]] = {}
    with Store.open(tmp_path / "store") as store:
        store.embeddings.add_model("m1", "starter", {})
        with store.storage.database.write() as connection:
            connection.execute("UPDATE sequence SET last = 2000000000")  # beyond the numbers of made rows
            connection.execute("INSERT INTO coin VALUES ('e', NULL, NULL)")
            connection.execute("INSERT INTO file VALUES (printf('%064d', 1), '.jxl', 1)")
            connection.execute(
                "INSERT INTO entry VALUES ('e1', 'e', NULL, 'sale', printf('%064d', 1), '1', NULL, '2026', NULL, 9)"
            )
        tray = Tray(id="bench", slots={slot: f"t{slot}" for slot in range(1, 21)})
        plan = Plan(
            lights=tuple(f"az{azimuth:03}" for azimuth in range(0, 360, 60)), turntable_deg=(0.0, 90.0, 180.0, 270.0)
        )
        session = store.sessions.begin_scan(tray, plan)
        shots = store.sessions.missing_shots(session.id)
        sessions = 0
        for step, size in enumerate(SIZES):
            wanted = max(1, round(size / (COINS * FRAMES)))
            for first in range(sessions, wanted, 20):
                grow(store, first, min(first + 20, wanted))
            sessions = wanted
            store.journal.log(Returned(slot=1, coin="t1"), session.id)
            part = shots[step * (REPEATS + 1) : (step + 1) * (REPEATS + 1)]
            for what, cost in measure(store, session.id, part, sessions).items():
                table.setdefault(what, []).append(cost)
        size_mb = (tmp_path / "store" / "index.sqlite").stat().st_size / 1e6
    shown = Table("ms (median)", *(f"{size:,}" for size in SIZES), "10^6 over 10^3", title="frames in the store")
    for what, costs in table.items():
        shown.add_row(what, *(f"{cost:.3f}" for cost in costs), f"{costs[-1] / costs[0]:.2f}")
    Console(width=130).print(shown, f"index: {size_mb:.0f} MB at {SIZES[-1]:,} frames")
