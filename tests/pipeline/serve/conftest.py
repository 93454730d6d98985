"""Pages that are served, and a browser to use them with."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.pipeline.conftest import Scanned
from tests.processes import Command

Open = Callable[..., Any]

WAIT_S = 180  # for an answer, however busy the machine is
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Served:
    """A page that is served: where, from which lab, and the process that does it."""

    address: str
    lab: Path
    process: Command

    @property
    def host(self) -> str:
        return self.address.removeprefix("http://").removeprefix("https://")

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(self.address + path, headers=headers, timeout=WAIT_S)

    def post(self, path: str, sent: Any, **headers: str) -> httpx.Response:
        return httpx.post(self.address + path, json=sent, headers={"Origin": self.address} | headers, timeout=WAIT_S)


@contextmanager
def serving(lab: Path, *args: object, **env: str) -> Iterator[Served]:
    """Serve a lab's page at a port that is free."""
    process = Command("serve", "--lab", lab, "--port", 0, *args, env=env)
    try:
        over_s = time.monotonic() + WAIT_S
        while (found := re.search(r"open (https?://\S+)/ in", process.err)) is None:
            assert process.poll() is None and time.monotonic() < over_s, process.err
            time.sleep(0.02)
        yield Served(found[1], lab, process)
    finally:
        process.kill()


@pytest.fixture(scope="package")
def served(scanned: Scanned) -> Iterator[Served]:
    """The page of a lab whose tray 1 was scanned and identified, never to be changed."""
    with serving(scanned.lab) as page:
        yield page


@pytest.fixture
def own_page(scanned: Scanned, tmp_path: Path) -> Iterator[Served]:
    """The page of such a lab of one's own."""
    with serving(Path(shutil.copytree(scanned.lab, tmp_path / "own"))) as page:
        yield page


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """A Chromium. Without one, tests that need it are skipped."""
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("there is no Chromium on this computer: `apt-get install chromium` installs it")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


def decide(page: Any, key: str) -> None:
    """Decide by a key about what the review shows, once it can be seen."""
    page.locator("#item[aria-busy=false]").wait_for()
    page.keyboard.press(key)


def drive_by_hand(page: Any) -> None:
    """Take the rig on the page, home it, turn the plate by a step and switch a light on."""
    page.locator("#take").click()
    page.locator("#hands-note", has_text="Home first").wait_for()
    page.get_by_role("button", name="Home").click()
    page.locator("#place", has_text="plate at 0.0°").wait_for()
    page.get_by_role("button", name="Plate left").click()
    page.locator("#place", has_text="plate at 5.0°").wait_for()
    page.get_by_role("button", name="az060").click()
    page.locator("button[data-light=az060][aria-pressed=true]").wait_for()


# The page asks before it saves, and refuses what is too large; tests cut the network, and let images fail.
NO_FAULTS = ("409 (Conflict)", "413 (", "ERR_INTERNET_DISCONNECTED", "ERR_FAILED")


def is_fault(line: Any) -> bool:
    """Whether a line of a browser's console reports a fault."""
    return line.type == "error" and not any(each in line.text for each in NO_FAULTS)


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Open an address in a browser of its own; what its scripts complain about fails the test."""
    complaints: list[str] = []
    with ExitStack() as stack:

        def open_one(address: str, settles: bool = True, **how: Any) -> Any:
            context = browser.new_context(viewport={"width": 1280, "height": 900}, **how)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(1000 * WAIT_S)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda line: complaints.append(line.text) if is_fault(line) else None)
            page.goto(address)
            if settles:  # a live image never ends
                page.wait_for_load_state("networkidle")
            return page

        yield open_one
    assert complaints == []
