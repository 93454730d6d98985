"""A running scan is watched and stopped from the page, and trays are filled there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.serve.conftest import WAIT_S, Open, Served, serving
from tests.processes import Command, run


def test_the_last_run_is_shown_and_nothing_can_be_stopped(served: Served) -> None:
    state = served.get("/bench/state").json()
    assert (state["state"], state["job"]["ended"]["state"], len(state["frames"])) == ("ended", "done", 12)
    assert 'id="stop" hidden' in served.get("/bench").text
    for pid in (state["job"]["pid"], 1, -1, 0, "1", None):
        answer = served.post("/bench/stop", {"pid": pid})
        assert answer.status_code == 400 and len(answer.json()["error"]) > 20


@pytest.mark.slow
def test_a_scan_is_watched_and_stopped_once(short_lab: Path) -> None:
    document = (short_lab / "rig.yaml").read_text()
    (short_lab / "rig.yaml").write_text(document.replace("speed: 1000", "speed: 5"))
    with serving(short_lab) as page:
        assert page.get("/bench/state").json()["state"] == "nothing yet"
        scan = Command("scan", "--tray", 1, "--no-identify", "--lab", short_lab)

        def state_when(is_wanted: Any) -> dict[str, Any]:
            over_s = time.monotonic() + WAIT_S
            while not is_wanted(state := page.get("/bench/state").json()):
                assert time.monotonic() < over_s and scan.poll() is None, (state, scan.err)
                time.sleep(0.1)
            return dict(state)

        state = state_when(lambda state: state["frames"])
        assert state["state"] == "running" and state["job"]["tray"] == "1" and state["job"]["coin"]
        assert page.get("/images/frame/" + state["frames"][0]["id"] + "?size=144").status_code == 200
        assert "A running scan or batch has this tray" in page.get("/tray?name=1").text
        assert page.get("/review/queue").json()["is_running"], "no advice to scan meanwhile"
        pid = state["job"]["pid"]
        assert page.post("/bench/stop", {"pid": pid}).status_code == 200
        state_when(lambda state: state["job"]["stopping"])
        again = page.post("/bench/stop", {"pid": pid})
        assert again.status_code == 400 and "asked to stop before" in again.json()["error"]
        assert scan.wait(60) == 3, scan.err
        time.sleep(1)
        ended = page.get("/bench/state").json()
        assert (ended["state"], ended["job"]["ended"]["state"]) == ("ended", "stopped")
        assert ended["coin_out"] is None, "the coin is back in its slot"
        assert ended["unfinished"][0]["tray"] == "1"


def test_a_tray_is_filled_and_its_file_is_as_written_by_hand(own_page: Served) -> None:
    file = own_page.lab / "trays" / "new.yaml"
    slots = {"1": "2024.10", "2": "", "3": " null ", "4": "K\u00f6ln: #7 'x'", "5": "1994.1"}
    sent = {"name": "new", "digest": "", "slots": slots}
    asked = own_page.post("/tray", sent)
    assert (
        asked.status_code == 409
        and "1994.1 (tray 1, slot 1; tray new, slot 5)" in asked.json()["error"]
        and not file.exists()
    )
    saved = own_page.post("/tray", {**sent, "may_be_elsewhere": True})
    assert saved.status_code == 200 and saved.json()["coins"] == 4, saved.text
    assert "1: 2024.10\n  2:\n" in file.read_text()
    shown = own_page.get("/tray?name=new").text
    assert 'value="2024.10"' in shown and 'value="null"' in shown and "K\u00f6ln: #7 &#39;x&#39;" in shown
    assert "Coin 1994.1 is on two trays" in own_page.get("/trays").text
    assert own_page.post("/tray", sent).status_code == 400, "it exists"
    file.write_text(file.read_text() + "# changed by hand\n")
    stale = own_page.post("/tray", {**sent, "digest": saved.json()["digest"]})
    assert stale.status_code == 400 and "changed meanwhile" in stale.json()["error"]
    assert "changed by hand" in file.read_text()
    dry = run("scan", "--tray", "new", "--dry-run", "--lab", own_page.lab, "--json")
    assert "2024.10" in dry.out and "K\u00f6ln: #7 'x'" in dry.out


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "../../plans/default"},
        {"name": ""},
        {"name": "a\x00b"},
        {"slots": {"1": "a", "2": "a"}},
        {"slots": {"0": "a"}},
        {"slots": {"x": "a"}},
        {"slots": {"1": 7}},
        {"slots": {"1": "a\nslots: {}"}},
        {"slots": []},
        {"digest": None},
        {"may_be_elsewhere": "yes"},
    ],
)
def test_a_tray_that_makes_no_sense_is_not_written(served: Served, wrong: dict[str, Any]) -> None:
    before = {path: path.read_bytes() for path in served.lab.glob("*/*.yaml")}
    answer = served.post("/tray", {"name": "other", "digest": "", "slots": {"1": "a"}, **wrong})
    assert answer.status_code == 400 and len(answer.json()["error"]) > 20
    assert {path: path.read_bytes() for path in served.lab.glob("*/*.yaml")} == before


@pytest.mark.slow
def test_after_the_last_shot_the_page_shows_what_is_being_done(served: Served, open_page: Open) -> None:
    state = served.get("/bench/state").json()
    state |= {"state": "running", "holder": "rig scan (process 1)"}
    state["job"] |= {"shots_done": 18, "shots": 18, "left": None, "coin": None, "ended": None}
    state["job"]["message"] = "Identifying coin 2 of 6."
    page = open_page(served.address + "/collection")
    page.route("**/bench/state", lambda route: route.fulfill(json=state))
    page.goto(served.address + "/bench")
    page.locator("#sentence", has_text="Identifying coin 2 of 6.").wait_for()
    assert page.locator("#left").inner_text() == "", "no time is known for it"
