"""A person reviews in a real browser: by keyboard alone, with hostile names, beside another person."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from capture.store import Store
from tests.pipeline.conftest import Scanned
from tests.pipeline.serve.conftest import Open, Served, decide, serving
from tests.processes import run

HOSTILE = "<img src=x onerror=\"document.title='owned'\"> ${1+1} {who} $& \u202e'"


def coin(page: Any) -> str:
    return str(page.locator("#coin").inner_text())


def reviews(page: Served) -> list[tuple[str, str, str, bool]]:
    found = run("reviews", "--lab", page.lab, "--json").json
    return [(each["who"], each["coin"], each["verdict"], each["counts"]) for each in found]


def test_a_coin_is_accepted_and_rejected_and_taken_back_by_keyboard(own_page: Served, open_page: Open) -> None:
    page = open_page(own_page.address + "/review")
    page.locator("#who").fill("Anna")
    page.keyboard.press("Enter")
    first = coin(page)
    page.keyboard.press("y")
    page.keyboard.type("the same crack, and a dart")  # letters that are keys elsewhere
    page.keyboard.press("Enter")
    decide(page, "a")
    page.wait_for_function("first => document.getElementById('coin').textContent !== first", arg=first)
    second = coin(page)
    decide(page, "r")
    page.wait_for_function("coin => document.getElementById('coin').textContent !== coin", arg=second)
    assert reviews(own_page) == [("Anna", first, "confirmed", True), ("Anna", second, "rejected", True)]
    decided = run("reviews", "--lab", own_page.lab, "--json").json
    assert [len(each["entries"]) for each in decided] == [2, 2], "both sides of the catalogue's coin"
    page.keyboard.press("z")
    page.wait_for_function("coin => document.getElementById('coin').textContent === coin", arg=second)
    page.keyboard.press("k")
    page.wait_for_function("coin => document.getElementById('coin').textContent === coin", arg=first)
    assert "the same crack, and a dart" in page.locator(".opinions").inner_text()
    assert [each[2:] for each in reviews(own_page)] == [("confirmed", True), ("rejected", False), ("undone", True)]
    page.keyboard.press("z")
    page.wait_for_function("() => document.querySelectorAll('.opinions li').length === 0")
    assert not any(counts and verdict != "undone" for _, _, verdict, counts in reviews(own_page))


@pytest.mark.slow
def test_two_coins_are_compared_in_every_way(served: Served, open_page: Open) -> None:
    page = open_page(served.address + "/review")
    stage = page.locator(".stage").first
    own, other = stage.locator(".own img"), stage.locator(".other img")
    lit = own.get_attribute("src")
    page.keyboard.press("l")
    assert own.get_attribute("src") != lit
    page.keyboard.press("Shift+L")
    assert own.get_attribute("src") == lit
    page.keyboard.press("b")
    page.wait_for_function("() => getComputedStyle(document.querySelector('.other')).visibility === 'hidden'")
    page.wait_for_function("() => getComputedStyle(document.querySelector('.other')).visibility === 'visible'")
    page.keyboard.press("w")
    page.locator("#wipe").focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert "60%" in page.evaluate("document.querySelector('.other').style.clipPath")
    page.keyboard.press("f")
    assert page.evaluate("getComputedStyle(document.querySelector('.other')).mixBlendMode") == "difference"
    boxes = [stage.locator(name).bounding_box() for name in (".own", ".other")]
    assert boxes[0] == boxes[1], "one lies on the other"
    page.keyboard.press("v")
    for key in ("+", "+", "+", "ArrowLeft"):
        page.keyboard.press(key)
    moved = [each.evaluate("image => image.style.transform") for each in (own, other)]
    assert moved[0].startswith(moved[1]) and "scale(1.95" in moved[1], "zoomed and moved together"
    for name in (".own", ".other"):  # close up, large images are shown
        page.wait_for_function("name => document.querySelector(name + ' img').naturalWidth === 1600", arg=name)
    page.keyboard.press("0")
    page.keyboard.press("e")
    stage.locator(".drawing img").wait_for(state="visible")
    assert not own.is_visible()


@pytest.mark.slow
def test_names_from_data_are_shown_and_do_nothing(scanned: Scanned, tmp_path: Path, open_page: Open) -> None:
    lab = Path(shutil.copytree(scanned.lab, tmp_path / "odd"))
    with Store.open(lab / "store") as store:
        (ranked, *_) = store.rankings.latest_of_each_coin()
        ranking = store.rankings.latest(ranked.session_id, ranked.coin)
        assert ranking is not None
        store.coins.add(HOSTILE)
        store.rankings.add(ranked.session_id, HOSTILE, ranking.model_id, "possible", ranking.candidates)
    names = ("--by", HOSTILE, "--why", HOSTILE, "--lab", lab)
    assert run("confirm", ranked.coin, ranked.candidates[0][1], *names).code == 0
    with serving(lab) as served:
        page = open_page(f"{served.address}/review?{urlencode({'only': 'all', 'coin': HOSTILE})}")
        assert "<img" in coin(page) and page.title() != "owned"
        page.goto(f"{served.address}/review?only=all&coin={ranked.coin}")
        shown = page.locator(".opinions").inner_text()
        assert "<img" in shown and "{who}" in shown and "$&" in shown
        assert page.locator("main img[src=x]").count() == 0 and page.title() != "owned"


@pytest.mark.slow
def test_two_persons_review_at_once(own_page: Served, open_page: Open) -> None:
    pages = {name: open_page(own_page.address + "/review") for name in ("Anna", "Ben")}
    first = coin(pages["Anna"])
    for (name, page), key in zip(pages.items(), "ar", strict=True):
        page.locator("#who").fill(name)
        page.keyboard.press("Enter")
        decide(page, key)
        page.wait_for_function("first => document.getElementById('coin').textContent !== first", arg=first)
    again = open_page(own_page.address + "/review?only=disputed")
    assert coin(again) == first and "disagree" in again.locator("#record").inner_text()
    held = again.locator(".opinions").inner_text()
    assert "Anna: Same coin" in held and "Ben: Another coin" in held


@pytest.mark.slow
def test_with_a_token_a_name_is_asked_for(scanned: Scanned, tmp_path: Path, open_page: Open) -> None:
    lab = Path(shutil.copytree(scanned.lab, tmp_path / "own"))
    with serving(lab, RIG_TOKEN="a token of many letters") as served:
        page = open_page(served.address, locale="de-DE")
        assert "Anmelden" in page.title()
        page.locator("input[name=token]").fill("a token of many letters")
        page.keyboard.press("Enter")
        page.wait_for_selector("#coin")
        page.wait_for_load_state("networkidle")
        decide(page, "a")
        page.wait_for_function("() => document.getElementById('status').textContent.includes('Namen')")
        assert page.evaluate("document.activeElement.id") == "who" and reviews(served) == []


@pytest.mark.slow
def test_a_tray_is_filled_by_scanner_and_without_a_mouse(own_page: Served, open_page: Open) -> None:
    page = open_page(own_page.address + "/tray?name=2")
    page.locator(".slot input").nth(3).focus()
    page.keyboard.type("2030.1\n2030.2\n1994.1\n2030.1")  # as barcode scanners type
    notes = page.locator(".note").all_inner_texts()
    assert notes[5] == "also on tray 1, slot 1" and notes[6] == "also in slot 4"
    page.locator(".slot input").nth(6).fill(HOSTILE)
    page.keyboard.press("Alt+ArrowRight")
    assert page.locator(".slot input").nth(7).input_value() == HOSTILE.strip()
    page.locator(".slot").nth(3).drag_to(page.locator(".slot").nth(9))
    assert page.locator(".slot input").nth(9).input_value() == "2030.1"
    page.locator("#save").click()
    page.locator("#save", has_text="Save all the same").wait_for()
    assert "1994.1 (tray 1, slot 1;" in page.locator("#status").inner_text()
    page.locator("#save").click()
    page.wait_for_function("() => document.getElementById('status').textContent.includes('saved')")
    again = open_page(own_page.address + "/tray?name=2")
    assert again.locator(".slot input").nth(9).input_value() == "2030.1"
    assert "<img" in again.locator(".slot input").nth(7).input_value() and again.title() != "owned"
    open_page(own_page.address + "/trays").get_by_text("Coin 1994.1 is on two trays").wait_for()


@pytest.mark.slow
def test_the_morning_report_and_the_bench_show_what_runs(own_page: Served, open_page: Open) -> None:
    page = open_page(own_page.address + "/bench")
    page.locator("#sentence", has_text="The last run ended").wait_for()
    assert not page.locator("#stop").is_visible()
    assert page.locator("#frames img").count() == 12, "the newest of 18"
    page.locator("#language").select_option("de")
    page.wait_for_function("() => document.documentElement.lang === 'de'")
    page.locator("#sentence", has_text="Der letzte Lauf endete").wait_for()


@pytest.mark.slow
def test_what_comes_into_the_review_meanwhile_is_shown(own_page: Served, open_page: Open) -> None:
    empty = open_page(own_page.address + "/review?only=decided")
    empty.locator("#idle").wait_for()
    page = open_page(own_page.address + "/review")
    with Store.open(own_page.lab / "store") as store:
        (ranked, *_) = store.rankings.latest_of_each_coin()
        ranking = store.rankings.latest(ranked.session_id, ranked.coin)
        assert ranking is not None
        store.coins.add("2040.7")
        store.rankings.add(ranked.session_id, "2040.7", ranking.model_id, "possible", ranking.candidates)
    assert run("confirm", ranked.coin, ranked.candidates[0][1], "--lab", own_page.lab).code == 0
    assert not page.locator("#items", has_text="2040.7").is_visible()
    page.locator("#new", has_text="1 new in this list").wait_for()
    page.locator("#load").click()
    page.locator("#items", has_text="2040.7").wait_for()
    empty.locator("#items", has_text=ranked.coin).wait_for()
    assert not empty.locator("#empty").is_visible()
