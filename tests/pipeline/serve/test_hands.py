"""The rig is driven from the page, by one browser at a time, and never beside a scan."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.serve.hands import LEFT_S
from tests.pipeline.bench.test_session import make_bench
from tests.pipeline.conftest import COINS, TINY_PLAN, lay_out
from tests.pipeline.serve.conftest import WAIT_S, Open, Served, serving
from tests.processes import run


@pytest.mark.parametrize("path", ["take", "alive", "order", "halt", "release", "watch"])
def test_nobody_else_drives_the_rig(served: Served, path: str) -> None:
    sent = {"control": "guess", "do": "home"}
    assert served.get(f"/bench/{path}").status_code == 405
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert served.post(f"/bench/{path}", sent, **headers).status_code == 403
    if path in ("alive", "order", "release"):
        answer = served.post(f"/bench/{path}", sent)
        assert answer.status_code == 400 and "does not have the rig" in answer.json()["error"]


@pytest.mark.parametrize("wrong", [{"do": "jump"}, {"do": "turn", "by_deg": 1e9}, {"do": "move", "by_mm": [1]}, {}])
def test_an_order_that_makes_no_sense_is_refused(served: Served, wrong: dict[str, Any]) -> None:
    answer = served.post("/bench/order", {"control": "guess", **wrong})
    assert answer.status_code == 400 and "not understood" in answer.json()["error"]


@pytest.mark.slow
def test_plate_and_lights_follow_buttons_and_keys(tmp_path: Path, open_page: Open) -> None:
    with serving(make_bench(tmp_path / "lab", 25)) as served:
        page = open_page(served.address + "/bench")
        page.locator("#take").click()
        page.locator("#hands-note", has_text="Home first").wait_for()
        other = open_page(served.address + "/bench", settles=False)
        other.locator("#hands-note", has_text="has the rig").wait_for()
        assert not other.locator("#hands-own").is_visible() and other.locator("#halt").is_visible()
        refused = served.post("/bench/take", {})
        assert refused.status_code == 400 and "already" in refused.json()["error"]
        page.locator("#jog").focus()
        page.keyboard.press("ArrowLeft")
        page.locator("#hands-problem", has_text="not homed").wait_for()
        page.get_by_role("button", name="Home").click()
        page.locator("#place", has_text="plate at 0.0°").wait_for()
        page.locator("#jog").focus()
        page.keyboard.press("ArrowLeft")
        page.locator("#place", has_text="plate at 5.0°").wait_for()
        page.keyboard.press("3")
        page.keyboard.press("ArrowRight")
        page.locator("#place", has_text="plate at 320.0°").wait_for()
        page.get_by_role("button", name="Cup up").click()
        page.locator("#place", has_text="z 110.0").wait_for()
        page.get_by_role("button", name="az060").click()
        page.locator("button[data-light=az060][aria-pressed=true]").wait_for()
        page.wait_for_function("() => document.getElementById('live-image').naturalWidth === 640")
        page.locator("#live-problem", has_text="No coin").wait_for()
        page.reload()
        page.locator("#place", has_text="plate at 320.0°").wait_for()
        other.locator("#halt").click()
        page.locator("#hands-problem", has_text="Stopped").wait_for()
        page.locator("#hands-note", has_text="Home first").wait_for()
        scan = run("scan", "--tray", 1, "--no-identify", "--lab", lay_out(served.lab, TINY_PLAN, COINS[:1]))
        assert scan.code == 1 and "in use by" in scan.err and "bench" in scan.err
        page.get_by_role("button", name="Let go").click()
        page.locator("#take").wait_for()
        page.close()
        other.close()


@pytest.mark.slow
def test_a_browser_that_loses_its_connection_moves_nothing_any_more(tmp_path: Path, open_page: Open) -> None:
    with serving(make_bench(tmp_path / "lab", 1)) as served:
        page = open_page(served.address + "/bench")
        page.locator("#take").click()
        page.locator("#hands-note", has_text="Home first").wait_for()
        page.get_by_role("button", name="Home").click()
        page.locator("#hands-note", has_text="Homing").wait_for()
        page.context.set_offline(True)
        watching = open_page(served.address + "/bench", settles=False)
        watching.locator("#hands-problem", has_text="Nothing was heard of the page").wait_for()
        assert not served.get("/bench/state").json()["session"]["state"]["is_homed"]
        watching.close()


@pytest.mark.slow
def test_a_page_that_is_closed_lets_go_of_the_rig_and_one_that_is_loaded_again_does_not(
    tmp_path: Path, open_page: Open
) -> None:
    with serving(make_bench(tmp_path / "lab", 25)) as served:
        page = open_page(served.address + "/bench")
        page.locator("#take").click()
        page.locator("#hands-note", has_text="Home first").wait_for()
        page.reload()
        page.locator("#hands-note", has_text="Home first").wait_for()
        time.sleep(LEFT_S + 1)
        assert not served.get("/bench/state").json()["session"]["is_over"], "it was heard of in time"
        page.goto("about:blank")
        over_s = time.monotonic() + WAIT_S
        while not served.get("/bench/state").json()["session"]["is_over"]:
            assert time.monotonic() < over_s, "it is held"
            time.sleep(0.2)
        assert "was closed" in served.get("/bench/state").json()["session"]["problem"]
