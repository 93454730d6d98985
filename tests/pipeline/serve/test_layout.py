"""What is seen at once: nothing lies under what is pressed, names stay whole, large images open above the page."""

from __future__ import annotations

import pytest

from tests.pipeline.serve.conftest import Open, Served

pytestmark = pytest.mark.slow

COVERED = """([above, below]) => {
    const [one, other] = [above, below].map((name) => document.querySelector(name).getBoundingClientRect());
    return one.left < other.right && other.left < one.right && one.top < other.bottom - 1 && other.top < one.bottom - 1;
}"""


@pytest.mark.parametrize("locale", ["en-GB", "de-DE"])
def test_nothing_lies_under_the_decisions(served: Served, open_page: Open, locale: str) -> None:
    page = open_page(served.address + "/review?only=all", locale=locale)
    page.set_viewport_size({"width": 1280, "height": 800})
    for key in "bwfev":
        page.keyboard.press(key)
        for name in ("#stages", "#candidates", "#record-title"):
            assert not page.evaluate(COVERED, [".decide", name]), (key, name)
            bottom = page.evaluate("name => document.querySelector(name).getBoundingClientRect().bottom", name)
            assert bottom <= 800, (key, name)
    page.keyboard.press("z")
    page.wait_for_function("() => document.getElementById('status').textContent !== ''")
    for name in (".keys", ".decide .buttons", "#reason"):
        assert not page.evaluate(COVERED, ["#status", name]), name


def test_names_stay_whole_on_a_phone(served: Served, open_page: Open) -> None:
    page = open_page(served.address + "/collection")
    page.set_viewport_size({"width": 390, "height": 844})
    lines = page.locator("td a").evaluate_all("links => links.map((link) => link.getClientRects().length)")
    assert lines and set(lines) == {1}


def test_a_large_image_opens_above_the_page_and_upright(served: Served, open_page: Open) -> None:
    page = open_page(served.address + "/review?only=all&kind=match&coin=1994.1")
    turned = page.locator(".window.own img").first.evaluate("image => image.style.transform")
    page.goto(served.address + "/coin?name=1994.1")
    image = page.locator("figure img[data-turn]").first
    upright = image.evaluate("image => image.style.transform")
    assert upright.startswith("rotate(") and upright in turned
    image.click()
    dialog = page.locator("dialog[open]")
    dialog.locator("[data-image=there]").wait_for()
    assert "1994.1" in dialog.inner_text() and "size=1600" in str(dialog.locator("img").get_attribute("src"))
    assert dialog.locator("img").evaluate("image => image.style.transform") == upright
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert page.url.endswith("/coin?name=1994.1")
