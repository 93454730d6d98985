"""How long a reviewer waits: for the first coin of the queue, and for the next one, as the queue grows.

Rows are copied by SQL from a lab that was scanned: ten frames and one ranking for each coin, whose images are real.
All is printed in milliseconds, with how many times it is that of the smallest queue; nothing is asserted of it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import statistics
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from tests.pipeline.conftest import Scanned
from tests.pipeline.serve.conftest import serving

SIZES = (100, 1_000, 10_000)
FRAMES = 10
NEXT = 12  # coins that are stepped through, and then as many that are decided about
ALL_LOADED = """() => {
    const images = [...document.querySelectorAll(".window img")];
    return images.every((image) => image.complete && image.naturalWidth);
}"""


def grow(index: Path, coins: int) -> None:
    """Give the index so many coins more, each with frames and a ranking."""
    with closing(sqlite3.connect(index)) as connection, connection:
        frame = connection.execute("SELECT max(number), count(*) FROM frame").fetchone()
        columns = [row[1] for row in connection.execute("PRAGMA table_info(frame)")]
        own = {"id", "shot_id", "coin_id", "number", "attempt", "source"}
        copied = ", ".join(name for name in columns if name not in own)
        of_side = f"SELECT rowid FROM frame WHERE coin_id = '1994.1' AND side = ? LIMIT {FRAMES // 2}"
        rows = [row for side in ("obverse", "reverse") for (row,) in connection.execute(of_side, (side,))]
        (ranking,) = connection.execute("SELECT max(number) FROM match WHERE coin_id = '1994.1'").fetchone()
        number = frame[0] + 1_000_000
        for k in range(coins):
            coin = f"made {k:05d}"
            connection.execute("INSERT INTO coin VALUES (?, 'denarius', 19.5)", (coin,))
            for row in rows:
                number += 1
                connection.execute(
                    f"INSERT INTO frame (id, shot_id, coin_id, number, attempt, source, {copied}) "
                    f"SELECT ?, NULL, ?, ?, 1, ?, {copied} FROM frame WHERE rowid = ?",
                    (f"f{number}", coin, number, f"f{number}", row),
                )
            number += 1
            connection.execute(
                "INSERT INTO match (session_id, coin_id, model_id, rank, candidate_coin_id, entry_id, score, "
                "probability, evidence, verdict, created_at, number) SELECT session_id, ?, model_id, rank, "
                "candidate_coin_id, entry_id, score, ?, evidence, 'possible', created_at, ? FROM match "
                "WHERE number = ?",
                (coin, 0.5 + 0.4 * k / coins, number, ranking),
            )
        connection.execute("UPDATE sequence SET last = ?", (number,))


def waits_ms(page: Any, address: str) -> dict[str, float]:
    page.goto(address)
    page.wait_for_function(ALL_LOADED)
    loaded = page.evaluate("performance.now()")
    page.wait_for_load_state("networkidle")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    found = {"first paint": paint, "first coin": loaded}
    for name, key in (("next", "j"), ("decided, then the next", "r")):
        waits = [_wait_ms(page, key) for _ in range(NEXT)]
        found |= {f"{name}: median": statistics.median(waits), f"{name}: longest": max(waits)}
    return found


def _wait_ms(page: Any, key: str) -> float:
    """From a key that is pressed to the next coin with all its images."""
    page.locator("#item[aria-busy=false]").wait_for()  # a person looks first
    before = page.locator("#coin").inner_text()
    began = page.evaluate("performance.now()")
    page.keyboard.press(key)
    page.wait_for_function("coin => document.getElementById('coin').textContent !== coin", arg=before)
    page.wait_for_function(ALL_LOADED)
    took = float(page.evaluate("performance.now()")) - float(began)
    page.wait_for_load_state("networkidle")
    return took


@pytest.mark.bench
def test_wait_as_the_queue_grows(scanned: Scanned, tmp_path: Path, browser: Any) -> None:
    found = []
    for size in SIZES:
        lab = Path(shutil.copytree(scanned.lab, tmp_path / str(size)))
        grow(lab / "store" / "index.sqlite", size)
        with serving(lab) as served:
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            found.append(waits_ms(page, served.address + "/review"))
        shutil.rmtree(lab)
    table = Table(f"ms, load {os.getloadavg()[0]:.1f}", *(f"{size:,} coins" for size in SIZES), "last / first")
    for name in found[0]:
        waits = [each[name] for each in found]
        table.add_row(name, *(f"{wait:.0f}" for wait in waits), f"{waits[-1] / waits[0]:.2f}")
    Console(width=110).print(table)
