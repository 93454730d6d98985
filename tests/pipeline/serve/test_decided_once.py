"""What is decided is what was seen: once, however often a key is pressed, and with what others decided meanwhile."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.pipeline.serve.conftest import Open, Served, decide
from tests.pipeline.serve.test_browser import coin, reviews

pytestmark = pytest.mark.slow


def wait_for_coin(page: Any, name: str) -> None:
    page.wait_for_function("name => document.getElementById('coin').textContent === name", arg=name)
    page.locator("#item[aria-busy=false]").wait_for()


def test_a_key_that_is_held_or_pressed_twice_decides_once(own_page: Served, open_page: Open) -> None:
    page = open_page(own_page.address + "/review")
    names = page.locator("#items .name").all_inner_texts()
    held: list[Any] = []
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/decide") else None)
    page.route("**/review/decide", lambda route: route.continue_() if held else held.append(route))
    page.locator("#item[aria-busy=false]").wait_for()
    page.keyboard.down("r")
    page.keyboard.down("r")  # a repeat
    page.keyboard.up("r")
    page.locator("[data-decision='different'][aria-busy=true]").wait_for()  # a slow answer
    page.keyboard.press("r")
    page.keyboard.press("t")
    page.locator("[data-decision='same type']").evaluate("button => { button.click(); button.click(); }")
    assert len(asked) == 1
    held[0].continue_()
    page.wait_for_function("name => document.getElementById('coin').textContent === name", arg=names[1])
    page.keyboard.press("r")  # meant for the coin before
    wait_for_coin(page, names[1])
    assert [each[1:3] for each in reviews(own_page)] == [(names[0], "rejected")]
    page.keyboard.press("z")
    wait_for_coin(page, names[0])
    assert page.locator(".candidates .tag").count() == 0, "all of it is taken back"
    assert "decided" not in page.locator("#items li").first.inner_text()
    page.locator("[data-decision='same coin']").dblclick()
    wait_for_coin(page, names[1])
    counting = [each for each in reviews(own_page) if each[2] != "undone" and each[3]]
    assert [each[1:3] for each in counting] == [(names[0], "confirmed")]


def test_nothing_is_decided_before_an_image_is_there(own_page: Served, open_page: Open) -> None:
    page = open_page(own_page.address + "/review")
    names = page.locator("#items .name").all_inner_texts()
    held: list[Any] = []
    page.route(re.compile(r"/images/.*size=640"), lambda route: held.append(route))
    page.evaluate("address => history.replaceState(null, '', address)", f"/review?only=open&kind=match&coin={names[2]}")
    page.reload(wait_until="domcontentloaded")
    page.locator(".window .wait", has_text="Loading").first.wait_for()
    boxes = [page.locator(".window").nth(number).bounding_box() for number in (0, 1)]
    assert all(box and abs(box["width"] - box["height"]) < 2 for box in boxes), "their place is kept"
    page.keyboard.press("a")
    page.locator("#status", has_text="images are not there yet").wait_for()
    for each in held:
        each.abort()
    page.locator(".window .wait", has_text="could not be loaded").first.wait_for()
    page.keyboard.press("a")
    assert reviews(own_page) == [] and coin(page) == names[2]


def test_what_another_person_decided_meanwhile_is_reported_at_once(own_page: Served, open_page: Open) -> None:
    pages = {name: open_page(own_page.address + "/review") for name in ("Anna", "Ben", "Cleo")}
    first = coin(pages["Anna"])
    for name, page in pages.items():
        page.locator("#who").fill(name)
        page.locator("#who").press("Enter")
    pages["Ben"].route(
        "**/review/opinions*", lambda route: route.fulfill(json={"opinions": {}})
    )  # has not heard of it when deciding
    decide(pages["Anna"], "a")
    pages["Cleo"].locator("#status", has_text="Anna decided meanwhile: Same coin").wait_for()  # only looking
    assert "Anna" in pages["Cleo"].locator(".opinions").inner_text()
    decide(pages["Ben"], "r")
    pages["Ben"].locator("#status", has_text="It is now disputed").wait_for()
    assert "Anna decided meanwhile: Same coin" in pages["Ben"].locator("#status").inner_text()
    assert "disputed" in pages["Ben"].locator("#items li", has_text=first).inner_text()


def test_the_place_and_a_reason_outlast_loading_again_and_going_back(own_page: Served, open_page: Open) -> None:
    page = open_page(own_page.address + "/review")
    names = page.locator("#items .name").all_inner_texts()
    for name in names[1:3]:
        page.keyboard.press("j")
        wait_for_coin(page, name)
    page.keyboard.press("y")
    page.keyboard.type("the same die crack")
    page.reload()
    wait_for_coin(page, names[2])
    assert page.locator("#why").input_value() == "the same die crack"
    page.go_back()
    wait_for_coin(page, names[1])
    assert page.locator("#why").input_value() == ""
    page.go_forward()
    wait_for_coin(page, names[2])
    decide(page, "a")
    page.locator("#status", has_text="Same coin").wait_for()
    page.goto(own_page.address + f"/review?only=open&kind=match&coin={names[2]}")  # decided: not in the list any more
    wait_for_coin(page, names[2])
    assert page.locator("#why").input_value() == "" and "the same die crack" in page.locator(".opinions").inner_text()
    page.keyboard.press("j")
    wait_for_coin(page, names[0])
    page.goto(own_page.address + "/review?coin=2099.1")
    page.locator("#status", has_text="2099.1 needs no decision").wait_for()
