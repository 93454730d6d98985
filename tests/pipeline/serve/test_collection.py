"""The collection is found by any part of a name, and the morning report is ticked off."""

from __future__ import annotations

import html
import os
import re
from typing import Any
from urllib.parse import quote

import pytest

from capture.store import Store
from capture.store.journal_lines import BatchBegan, BatchSession, CoinMeasured, CoinSkipped, CoinWeighed
from capture.store.records import now
from pipeline.assembly import sole_driver
from pipeline.lab import open_lab
from pipeline.run_status import Status
from tests.pipeline.serve.conftest import Served

HOSTILE = "<script>alert(1)</script> 50%_ \u202e & 'x'"


def found(page: Served, **asked: Any) -> list[str]:
    """The rows of what was searched for, as text."""
    query = "&".join(f"{key}={quote(str(value))}" for key, value in asked.items())
    answer = page.get(f"/collection?{query}")
    assert answer.status_code == 200, answer.text
    rows = re.findall(r"<tr>(.*?)</tr>", answer.text.partition("<tbody>")[2], re.S)
    return [html.unescape(re.sub(r"<[^>]*>", " ", row)) for row in rows]


def test_what_is_stored_is_found_by_a_part_of_its_name(served: Served) -> None:
    assert len(found(served, what="coins", only="lab")) == 3
    (row,) = found(served, what="coins", q="94.2")
    assert row.split()[0] == "1994.2" and row.split()[-2:] == ["6", "2"]
    assert found(served, what="coins", q="%") == found(served, what="coins", q="_") == [], "nothing stands for others"
    assert len(found(served, what="frames", q="1994.1")) == 6 and found(served, what="frames", only="quarantined") == []
    assert len(found(served, what="frames", q="1994.1", only="obverse")) == 3
    assert len(found(served, what="entries", q="1994.1")) == 2 and found(served, what="entries", only="removed") == []
    verdicts = [found(served, what="coins", only=only) for only in ("match", "possible", "not in catalogue")]
    assert sum(map(len, verdicts)) == 3 and found(served, what="coins", only="not identified") == []
    assert len(found(served, what="sessions", only="scan")) == 1 and found(served, what="sessions", only="import") == []
    assert len(found(served, what="sales")) == 1 and len(found(served, what="sessions")) == 1
    assert len(found(served, what="nonsense", start=10**9)) == 1, "the last one"
    assert served.get("/collection?start=x").status_code == 400


def test_a_coin_and_a_session_have_a_page(served: Served) -> None:
    page = served.get("/coin?name=1994.1").text
    assert "mm" in page and "Matches" in page and "Scan history" in page and "Published" in page
    session = re.findall(r'href="/session\?id=([^"]+)"', page)[0]
    assert "1994.3" in served.get(f"/session?id={session}").text
    assert served.get("/coin?name=nobody").status_code == 400
    assert served.get("/session?id=../../etc").status_code == 404
    assert "Model starter is in use" in served.get("/rounds").text
    german = served.get("/coin?name=1994.1", Cookie="language=de").text
    assert 'lang="de"' in german and "Aufnahmegeschichte" in german


def test_what_a_person_measured_counts_and_by_whom_is_shown(own_page: Served) -> None:
    def facts() -> str:
        page = own_page.get("/coin?name=1994.1").text
        return " ".join(
            html.unescape(re.sub(r"<[^>]*>", " ", page.partition('id="measures"')[2].partition("</dl>")[0])).split()
        )

    assert "as its frames show it" in facts() and "Weight" not in facts()
    sizes = {"diameter_min_mm": 17.1, "diameter_max_mm": 18.6, "area_mm2": 250.0}
    with Store.open(own_page.lab / "store") as store:
        store.journal.log(CoinWeighed(coin="1994.1", grams=3.79, who=f"Anna {HOSTILE}"))
        store.journal.log(CoinMeasured(coin="1994.1", diameter_mm=17.93, thickness_mm=1.94, axis_h=6.0, **sizes))
    assert "3.79 g weighed by Anna <script>" in facts()
    assert "17.9 mm measured in its frames, 20" in facts() and "6 h measured" in facts(), "by a former version: nobody"
    assert "Thickness 1.9 mm measured" in facts()
    item = own_page.get("/review/queue?only=all").json()["items"]
    session = next(each["session"] for each in item if each["coin"] == "1994.1")
    shown = own_page.get(f"/review/item?coin=1994.1&session={session}").json()
    assert shown["diameter"] == "17.9 mm"


def test_the_morning_report_is_ticked_off(own_page: Served) -> None:
    assert "There was no batch" in own_page.get("/morning").text
    with Store.open(own_page.lab / "store") as store:
        (session,) = store.sessions.find("scan")
        store.coins.add(HOSTILE)
        store.journal.log(BatchBegan(batch="b1", trays=("1",), plan="default"))
        store.journal.log(BatchSession(batch="b1", tray="1"), session.id)
        skipped = CoinSkipped(slot=1, coin="1994.1", reason="empty slot", why=HOSTILE)
        store.journal.log(skipped, session.id)
    page = own_page.get("/morning").text
    assert "It has not ended" in page and "<script>alert" not in page
    need = {"batch": "b1", "where": "Batch", "what": "It has not ended", "who": "Anna"}
    (needed,) = re.findall(r"It has not ended: 3 of 3 coins done, (\d+) things need you\.", page)
    ticked = own_page.post("/morning/tick", {**need, "is_done": True})
    assert ticked.status_code == 200 and ticked.json()["who"] == "Anna"
    left = re.compile(rf"\b{int(needed) - 1} things? needs? you\.")
    assert left.search(ticked.json()["sentence"]), "what is ticked off counts no longer"
    page = own_page.get("/morning").text
    assert "checked" in page and "Done: Anna" in page and left.search(page)
    again = own_page.post("/morning/tick", {**need, "is_done": False})
    assert again.status_code == 200 and again.json()["sentence"].endswith(f"{needed} things need you.")
    assert "checked" not in own_page.get("/morning").text
    lab = open_lab(own_page.lab)
    with sole_driver(lab):
        status = Status(
            command="rig batch", pid=os.getpid(), since=now(), at=now(), plan="default", trays=[], batch="b1"
        )
        lab.status.write_text(status.model_dump_json())
        page = own_page.get("/morning").text
        assert "Still running: 3 of 3 coins done so far" in page and left.search(page)
        assert "It has not ended" not in page, "what is at work is no fault"
    for wrong in ({**need, "is_done": 1}, {**need, "batch": "b2", "is_done": True}, {"is_done": True}):
        assert own_page.post("/morning/tick", wrong).status_code == 400
    assert own_page.get("/morning?batch=none").status_code == 400


@pytest.mark.parametrize(
    "path", ["/coin?name=", "/collection?q=", "/collection?what=entries&within=", "/morning?batch="]
)
def test_what_is_asked_for_is_inert(served: Served, path: str) -> None:
    answer = served.get(path + quote(HOSTILE), Accept="text/html").text
    assert "<script>alert" not in answer and "Traceback" not in answer
