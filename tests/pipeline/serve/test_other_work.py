"""Frames in quarantine, uncertain cuts of plates and lots that may be one coin stand in the queue beside matches."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from calibration.image import encode_jpeg
from capture.store import Store
from capture.store.journal_lines import CoinWeighed
from capture.store.lot_details import LotDetails
from capture.store.lots import NewLot
from capture.store.quarantine import QuarantineReason
from capture.store.records import NewEntry, Photograph
from tests.pipeline.conftest import Scanned
from tests.pipeline.serve.conftest import Open, Served, decide, serving
from tests.processes import run

CUT = "Hess 1936, page 3, coin 2"
BLURRED = "2030.7"
OPEN = ("quarantined", "cut", "duplicate")


@pytest.fixture
def busy_page(scanned: Scanned, tmp_path: Path) -> Iterator[Served]:
    """The page of a lab with one of each kind of work beside its matches."""
    lab = Path(shutil.copytree(scanned.lab, tmp_path / "busy"))
    with Store.open(lab / "store") as store:
        whole = store.image(store.catalogue.entries("1994.4")[0].sha256)
        page = encode_jpeg(whole, 95)
        store.journal.log(CoinWeighed(coin="1994.4", grams=3.79))
        session = store.sessions.begin_import("phone")
        reasons = (QuarantineReason.BLUR,)
        store.frames.add_photographs(
            session.id, [Photograph(BLURRED, page, "a.jpg", "obverse", quarantine_reasons=reasons)]
        )
        box = (0, 0, whole.shape[1] // 2, whole.shape[0])
        details = LotDetails(page="3", lot="118", weight_g=3.81, doubt="its other side was not found")
        store.catalogue.add_entries(
            [NewEntry(CUT, page, "3.png", "Hess 1936", box=box, is_waiting=True)],
            lots=[NewLot(CUT, "Hess 1936", details, "3.png")],
        )
    links = {
        "1994.4": {"entries": [], "same_coin": {"1994.5": 0.8, "1994.6": 0.3}},
        "1994.5": {"entries": [], "same_coin": {"1994.4": 0.7}},
    }
    (lab / "catalogue" / "model-same-coin.json").write_text(json.dumps(links))
    with serving(lab) as served:
        yield served


def left(page: Served) -> dict[str, int]:
    counts = page.get("/review/queue").json()["counts"]
    return {reason: counts[reason] for reason in OPEN}


def of_kind(page: Served, kind: str) -> dict[str, Any]:
    (item,) = page.get(f"/review/queue?only={kind}").json()["items"]
    asked = urlencode({name: item[name] for name in ("kind", "session", "coin", "candidate")})
    shown = page.get(f"/review/item?{asked}")
    assert shown.status_code == 200, shown.text
    return dict(shown.json())


@pytest.mark.slow
def test_each_is_shown_decided_about_and_gone(busy_page: Served) -> None:
    assert left(busy_page) == {"quarantined": 1, "cut": 1, "duplicate": 1}
    blurred = of_kind(busy_page, "quarantined")
    assert blurred["coin"] == BLURRED and [each["reason"] for each in blurred["frames"]] == ["blur"]
    seen = {name: blurred[name] for name in ("coin", "session", "until")} | {"who": "Anna", "is_seen": True}
    assert busy_page.post("/review/quarantine", seen).status_code == 200
    assert left(busy_page)["quarantined"] == 0
    assert busy_page.post("/review/quarantine", seen | {"is_seen": False}).status_code == 200
    assert left(busy_page)["quarantined"] == 1, "taken back"

    for wrong in (seen | {"coin": "1994.1"}, seen | {"until": "x"}, seen | {"session": "none"}, {"coin": BLURRED}):
        assert busy_page.post("/review/quarantine", wrong).status_code == 400

    cut = of_kind(busy_page, "cut")
    assert cut["doubt"] == "its other side was not found"
    assert busy_page.get(cut["sides"][0]["page"] + "?size=640").content[:2] == b"\xff\xd8"
    assert busy_page.post("/review/cut", {"coin": CUT, "is_accepted": True, "who": "Anna"}).status_code == 200
    again = busy_page.post("/review/cut", {"coin": CUT, "is_accepted": False})
    assert again.status_code == 400 and "does not wait" in again.json()["error"]
    assert left(busy_page)["cut"] == 0
    assert run("catalogue", "show", CUT, "--lab", busy_page.lab, "--json").json["coins"][0]["record"]["lot"] == "118"

    assert CUT in busy_page.get("/collection?what=entries&q=118").text, "found by its lot"

    twice = of_kind(busy_page, "duplicate")
    assert (twice["coin"], twice["candidates"][0]["coin"]) == ("1994.4", "1994.5")
    assert [side["side"] for side in twice["sides"]] == ["obverse", "reverse"]
    assert "3.79 g" in busy_page.get("/coin?name=1994.4").text, "as it was weighed"
    sent = {"coin": twice["coin"], "entry": "1994.5", "decision": "unsure", "who": "Anna"}
    assert busy_page.post("/review/decide", sent).status_code == 200
    assert left(busy_page)["duplicate"] == 0 and busy_page.get("/review/queue?only=unsure").json()["total"] == 1
    assert busy_page.post("/review/decide", sent | {"decision": "same coin"}).status_code == 200
    assert busy_page.get("/review/queue?only=unsure").json()["total"] == 0
    reviews = run("reviews", "--lab", busy_page.lab, "--json").json
    assert [(each["coin"], each["verdict"]) for each in reviews] == [("1994.4", "unsure"), ("1994.4", "confirmed")]


@pytest.mark.slow
def test_lots_that_left_the_catalogue_are_not_proposed_as_one_coin(busy_page: Served) -> None:
    assert left(busy_page)["duplicate"] == 1
    with Store.open(busy_page.lab / "store") as store:
        store.catalogue.remove_entries(store.catalogue.entries("1994.5"))
    assert left(busy_page)["duplicate"] == 0


@pytest.mark.slow
def test_a_person_goes_through_all_of_it_by_keyboard(busy_page: Served, open_page: Open) -> None:
    page = open_page(busy_page.address + "/review?only=quarantined")
    page.locator("#who").fill("Anna")
    page.keyboard.press("Enter")
    assert page.locator("#work img").count() == 1 and "out of focus" in page.locator("#work").inner_text()
    assert not page.locator("[data-decision='same coin']").is_visible() and not page.locator("#reject").is_visible()
    decide(page, "a")
    page.wait_for_function("() => document.querySelector('#items .tag').textContent === 'decided'")
    page.keyboard.press("z")
    page.wait_for_function("() => document.querySelector('#items .tag').textContent === 'in quarantine'")
    assert left(busy_page)["quarantined"] == 1
    page = open_page(busy_page.address + "/review?only=cut")
    page.wait_for_function("() => document.querySelector('.printed img').naturalWidth > 0")
    decide(page, "r")
    page.wait_for_function("() => document.getElementById('status').textContent.includes('left out')")
    assert left(busy_page)["cut"] == 0
    page = open_page(busy_page.address + "/review?only=duplicate")
    assert page.locator(".stage").count() == 2 and page.locator("[data-decision='same coin']").is_visible()
    decide(page, "a")
    page.wait_for_function("() => document.querySelectorAll('.opinions li').length === 1")
    assert left(busy_page)["duplicate"] == 0
