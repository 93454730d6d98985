"""What is decided on the page is decided as at the command line, and both show it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from capture.store.journal_lines import MatchConfirmed, MatchRejected, MatchUnsure
from capture.store.records import RankedCoin
from pipeline.collection.decisions import Decisions
from pipeline.serve.match_views import lay_on_entry
from pipeline.serve.queue import order
from tests.pipeline.serve.conftest import Served
from tests.processes import run


def block(page: str, name: str) -> Any:
    """A block of data in a page."""
    (found,) = re.findall(rf'id="{name}">(.*?)</script>', page, re.S)
    return json.loads(found)


def reviews(page: Served) -> list[dict[str, Any]]:
    return list(run("reviews", "--lab", page.lab, "--json").json)


def test_two_persons_decide_and_see_each_other(own_page: Served) -> None:
    first = block(own_page.get("/review").text, "first")
    best = first["candidates"][0]
    assert [side["side"] for side in first["sides"]] == ["obverse", "reverse"]
    assert len(first["sides"][0]["frames"]) == 3, "every light"
    pair = {"coin": first["coin"], "entry": best["coin"], "shown": best["entry"]}
    image = own_page.get(f"{first['sides'][0]['frames'][0]['image']}?size=640")
    assert image.headers["content-type"] == "image/jpeg" and image.content[:2] == b"\xff\xd8"
    anna = own_page.post("/review/decide", {**pair, "decision": "same coin", "who": "Anna", "why": "the crack"})
    assert anna.status_code == 200, anna.text
    assert len(anna.json()["entries"]) == 2 and [each["who"] for each in anna.json()["opinions"]] == ["Anna"]
    assert run("reject", first["coin"], best["coin"], "--same", "die", "--by", "Ben", "--lab", own_page.lab).code == 0
    asked = {"session": first["session"], "coin": first["coin"]}
    item = own_page.get("/review/item?" + "&".join(f"{key}={value}" for key, value in asked.items())).json()
    held = [(each["who"], each["decision"], each["why"]) for each in item["candidates"][0]["opinions"]]
    assert held == [("Anna", "same coin", "the crack"), ("Ben", "same die", "")]
    queue = own_page.get("/review/queue?only=disputed").json()
    assert [each["coin"] for each in queue["items"]] == [first["coin"]]
    own = reviews(own_page)
    assert [(each["who"], each["verdict"], each["counts"]) for each in own] == [
        ("Anna", "confirmed", False),
        ("Ben", "rejected", True),
    ]
    theirs = own_page.post("/review/undo", {"number": own[1]["number"], "who": "Anna"})
    assert theirs.status_code == 400 and "Ben's" in theirs.json()["error"]
    assert own_page.post("/review/undo", {"number": own[1]["number"], "who": "Ben"}).status_code == 200
    again = own_page.post("/review/undo", {"number": own[1]["number"], "who": "Ben"})
    assert again.status_code == 400 and "already" in again.json()["error"]
    assert [each["counts"] for each in reviews(own_page)] == [True, False, True], "Anna's counts again"
    assert own_page.get("/review/queue?only=disputed").json()["total"] == 0
    assert own_page.get("/review/queue?only=decided").json()["total"] == 1
    undone = run("undo", own[0]["number"], "--by", "Anna", "--lab", own_page.lab)
    assert undone.code == 0 and "taken back" in undone.out
    assert own_page.get("/review/queue?only=decided").json()["total"] == 0


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"coin": "1994.1", "entry": "1994.1", "decision": "burn"},
        {"coin": "1994.1", "entry": "1994.1", "decision": ["same coin"]},
        {"coin": "nobody", "entry": "1994.1", "decision": "same coin"},
        {"coin": "1994.1", "entry": "nothing", "decision": "same coin"},
        {"coin": "1994.1\x1b[31m", "entry": "1994.1", "decision": "same coin"},
        {"coin": "1994.1", "entry": "1994.1", "decision": "same coin", "why": "x" * 5000},
        {"coin": "1994.1", "entry": "1994.1", "decision": "same coin", "who": {"a": 1}},
        [],
        "same coin",
        None,
    ],
)
def test_what_makes_no_sense_changes_nothing(served: Served, sent: Any) -> None:
    answer = served.post("/review/decide", sent)
    assert answer.status_code == 400 and len(answer.json()["error"]) > 10
    assert reviews(served) == []


def test_a_coin_is_laid_on_the_entry_where_points_agree() -> None:
    assert lay_on_entry(None) is None and lay_on_entry({"inliers": 3, "matrix": None}) is None
    shifted = lay_on_entry({"inliers": 40, "matrix": [[1.0, 0.0, 0.1248], [0.0, 1.0, -0.0624]]})
    assert shifted is not None and shifted["points"] == 40
    assert shifted["shift"] == pytest.approx([0.1, -0.05]), "the page shows more of what surrounds a coin than a crop"
    about_the_middle = lay_on_entry({"inliers": 40, "matrix": [[0.0, -1.0, 1.0], [1.0, 0.0, 0.0]]})
    assert about_the_middle is not None and about_the_middle["shift"] == pytest.approx([0.0, 0.0])


def ranked(coin: str, verdict: str, *candidates: tuple[str, float]) -> RankedCoin:
    return RankedCoin("s", coin, verdict, 1, tuple((name, f"entry {name}", chance) for name, chance in candidates))


def test_what_most_deserves_a_look_comes_first() -> None:
    coins = [
        ranked("unknown", "not in catalogue", ("g", 0.01)),
        ranked("sure", "match", ("a", 0.999)),
        ranked("less sure", "match", ("b", 0.96)),
        ranked("clear", "possible", ("c", 0.9)),
        ranked("unclear", "possible", ("d", 0.52)),
        ranked("twice", "match", ("e", 0.99)),
        ranked("twice too", "match", ("e", 0.98)),
        ranked("other type", "match", ("h", 0.99)),
        ranked("disputed", "match", ("f", 0.99)),
        ranked("rejected", "possible", ("i", 0.7), ("j", 0.3)),
        ranked("rejected twice", "possible", ("i", 0.7), ("j", 0.01)),
        ranked("confirmed", "possible", ("i", 0.7), ("k", 0.3)),
        ranked("looked at", "possible", ("l", 0.5)),
    ]
    lines = [
        MatchConfirmed(coin="disputed", entries=("entry f",), who="Anna", number=1),
        MatchRejected(coin="disputed", entries=("entry f",), who="Ben", number=2),
        MatchRejected(coin="rejected", entries=("entry i",), who="Anna", number=3),
        MatchRejected(coin="rejected twice", entries=("entry i",), who="Anna", number=4),
        MatchConfirmed(coin="confirmed", entries=("entry k",), who="Anna", number=5),
        MatchUnsure(coin="looked at", entries=("entry l",), who="Anna", number=6),
    ]
    found = order(coins, Decisions.of(lines), {"other type": "denarius", "h": "aureus"})
    assert [item.coin for item in found] == [
        "disputed",
        "twice too",
        "twice",
        "other type",
        "unclear",
        "rejected",
        "clear",
        "less sure",
        "sure",
        "looked at",
        "unknown",
        "rejected twice",
        "confirmed",
    ]
    assert {item.coin: item.candidate for item in found}["rejected"] == "j", "the next one is asked about"
