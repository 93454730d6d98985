"""The pages are used without seeing and without a mouse: axe-core finds no serious fault, in light and dark."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.serve.conftest import WAIT_S, Open, Served, decide

pytestmark = pytest.mark.slow

PAGES = (
    "/review",
    "/collection",
    "/collection?what=frames",
    "/collection?what=entries",
    "/coin?name=1994.1",
    "/bench",
    "/trays",
    "/tray?name=1",
    "/morning",
    "/rounds",
    "/setup",
    "/login",
)


@pytest.fixture(scope="module")
def axe(request: pytest.FixtureRequest) -> str:
    """The source of axe-core, from its npm package, kept in the cache of the tests."""
    folder = Path(request.config.cache.mkdir("axe"))  # type: ignore[union-attr]
    if not list(folder.glob("*.tgz")):
        if shutil.which("npm") is None:
            pytest.skip("npm is not there to fetch axe-core with")
        fetched = subprocess.run(["npm", "pack", "axe-core"], cwd=folder, capture_output=True, timeout=120)
        if fetched.returncode != 0:
            pytest.skip("axe-core cannot be fetched here")
    with tarfile.open(next(folder.glob("*.tgz"))) as package:
        source = package.extractfile("package/axe.min.js")
        assert source is not None
        return source.read().decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 820, 320])
def test_axe_finds_no_serious_fault(served: Served, browser: Any, axe: str, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(1000 * WAIT_S)
    found = []
    for path in PAGES:
        page.goto(served.address + path)
        page.wait_for_load_state("networkidle")
        page.evaluate(axe)
        faults = page.evaluate("axe.run().then((found) => found.violations)")
        found += [
            (path, fault["id"], node["target"], node["failureSummary"])
            for fault in faults
            if fault["impact"] in ("serious", "critical", "moderate")
            for node in fault["nodes"]
        ]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"
    context.close()
    assert found == []


REACHABLE = """() => {
    const found = [...document.querySelectorAll("a[href], button, input, select, textarea, [tabindex='0']")];
    const isReached = (each) => each.dataset.reached || each.disabled || (each.type === "radio" && !each.checked);
    const open = found.filter((each) => each.checkVisibility() && !isReached(each));
    return open.map((each) => each.id || each.textContent.trim() || each.outerHTML.slice(0, 80));
}"""


@pytest.mark.parametrize("path", ["/review", "/tray?name=1", "/trays", "/bench", "/setup", "/coin?name=1994.1"])
def test_everything_is_reached_and_seen_by_the_tab_key(served: Served, open_page: Open, path: str) -> None:
    page = open_page(served.address + path)
    for _ in range(len(page.evaluate(REACHABLE)) + 5):
        page.keyboard.press("Tab")
        hidden = page.evaluate("""() => {
            const now = document.activeElement;
            now.dataset.reached = "yes";
            const style = getComputedStyle(now);
            return now !== document.body && style.outlineStyle === "none" ? now.outerHTML.slice(0, 80) : null;
        }""")
        assert hidden is None, f"nobody sees that it has the focus: {hidden}"
    assert page.evaluate(REACHABLE) == []


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (820, 1180)])
def test_a_message_covers_nothing_that_is_pressed(own_page: Served, open_page: Open, width: int, height: int) -> None:
    page = open_page(own_page.address + "/review")
    page.set_viewport_size({"width": width, "height": height})
    decide(page, "u")
    page.locator("#status", has_text="Z takes it back").wait_for()
    covered = page.evaluate("""() => {
        const box = document.getElementById("status").getBoundingClientRect();
        const meets = (own) => own.width && own.left < box.right && box.left < own.right && own.bottom > box.top;
        const pressed = [...document.querySelectorAll(".decide button, .decide input")];
        return pressed.filter((each) => meets(each.getBoundingClientRect())).map((each) => each.textContent);
    }""")
    assert covered == []
