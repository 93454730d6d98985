"""Take the images that README and docs show: `python -m tests.bench.page_images DIR`, then look at them and copy them.

A twin lab as `rig init` makes it is scanned in a terminal, gets a printed plate beside its sale, spends a night with
dead lamps, is scanned while it is watched, and driven by hand. DIR must be empty; the labs in it stay.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.text import Text

from calibration.outline import find_coin
from pipeline.collection.twin_lab import SEED
from rig.sides import SIDES
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.reproduction import reproduction
from tests.pipeline.collection.plate_pages import CoinPhoto, Layout, make_page
from tests.pipeline.conftest import lay_out, run_well, with_faults
from tests.pipeline.serve.conftest import CHROMIUM, drive_by_hand, serving
from tests.processes import Command, run

COLUMNS, LINES = 104, 30  # of the terminal
PATIENCE_S = 1800  # on a busy machine
ON_PLATE = [f"2024.3.{number}" for number in range(1, 7)]
NIGHT = """\
sides: [obverse, reverse]
lights: [az000, az060, az120, az180, az240, az300]
turntable_deg: [0]
tilt_deg: [0]
exposure_us: 20000
gain: 1
retakes: 2
"""
LOTS = """\
sale,coin,lot,weight,diameter,axis,metal,price
"Hess 1936-03-18","Hess 1936-03-18, lot 426",426,3.81,23.1,6,AR,42 RM
"Hess 1936-03-18","Hess 1936-03-18, lot 427",427,3.94,23.4,12,AR,38 RM
"Hess 1936-03-18","Hess 1936-03-18, lot 428",428,3.72,22.8,6,AR,55 RM
"""
SCREENS = {  # name: width, height, colour scheme
    "": (1280, 860, "light"),
    "-dark": (1280, 860, "dark"),
    "-tablet": (820, 1100, "light"),
    "-tablet-dark": (820, 1100, "dark"),
}


def main(folder: Path) -> None:
    """Make the labs in `folder`, and the images in `folder`/images."""
    images, lab = folder / "images", folder / "sawhill"
    images.mkdir(parents=True)
    run_well("init", "--lab", lab, timeout_s=PATIENCE_S)
    _photograph_terminal(lab, images / "terminal.svg")
    _add_plate(lab, folder)
    lay_out(lab, NIGHT, ("2024.1.1", "2024.1.2", "2024.1.3"))
    as_it_was = (lab / "rig.yaml").read_text()
    with_faults(lab, "{kind: dead lamp, first: 10, last: 19}")
    night = run("batch", "--trays", 1, "--lab", lab, timeout_s=PATIENCE_S)
    assert night.code == 3, night.err
    (lab / "rig.yaml").write_text(as_it_was.replace("speed: 25 ", "speed: 5 "))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=next(found for name in CHROMIUM if (found := shutil.which(name))), args=["--no-sandbox"]
        )
        with _opened(browser, f"file://{max((lab / 'reports').glob('tray-3-*.html'))}", 1280, 1128) as page:
            page.wait_for_load_state()
            page.locator("#slot3").evaluate("each => each.scrollIntoView()")
            page.screenshot(path=images / "report.jpg", type="jpeg", quality=82)
        with serving(lab) as served:
            for suffix, (width_px, height_px, scheme) in SCREENS.items():
                with _opened(browser, served.address + "/review?only=match", width_px, height_px, scheme) as page:
                    _photograph_page(page, served.address, suffix, images)
            _photograph_scan(browser, served.address, lab, images)
        (folder / "lab").mkdir()
        (folder / "lab" / "rig.yaml").write_text("twin: {coins: procedural, speed: 25}\ncamera: {kind: twin}\n")
        with serving(folder / "lab") as served:
            _photograph_hands(browser, served.address, images)
        browser.close()


def _photograph_terminal(lab: Path, path: Path) -> None:
    """Scan tray 3 in a terminal; its display two thirds through, and what it prints in the end."""
    ours, theirs = pty.openpty()
    terminal = {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(LINES), "COLORTERM": "truecolor"}
    scan = subprocess.Popen(
        [str(Path(sys.executable).with_name("rig")), "scan", "--tray", "3", "--lab", "sawhill"],
        cwd=lab.parent,
        env={**os.environ, **terminal},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    printed = b"".join(_read(ours)).decode().replace("\r\n", "\n")
    assert scan.wait() == 0, printed
    # What rich draws again and again begins with erasing what it drew before.
    drawn = [each for each in re.split(r"\r?(?:\x1b\[1A|\x1b\[2K|\r)+", printed) if each.strip()]
    on_the_way = next(each for each in drawn if (shots := re.search(r"(\d+)/(\d+)", _plain(each))) and _is_late(shots))
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
        shown = [Text("$ rig scan --tray 3\n"), Text.from_ansi(on_the_way), Text("\n...\n"), Text.from_ansi(drawn[-1])]
        console.print(*shown, sep="")
        path.write_text(console.export_svg(title="rig scan"))


def _read(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:  # the last process that had the terminal has ended
            return
        if not data:
            return
        yield data


def _plain(printed: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed)


def _is_late(shots: re.Match[str]) -> bool:
    done, of = int(shots[1]), int(shots[2])
    return of > 0 and 0.6 < done / of < 1.0


def _add_plate(lab: Path, folder: Path) -> None:
    """Print the coins of tray 3 on a plate of another sale; one has lost its reverse."""
    drawer, photos = ProceduralDrawer(SEED), []
    for number, coin in enumerate(ON_PLATE):
        printed = [reproduction(drawer.side_texture(coin, side), number, "photograph") for side in SIDES]
        obverse, reverse = (
            CoinPhoto(np.divide(image[..., 0], 255, dtype=np.float32), find_coin(image).mask) for image in printed
        )
        photos.append((obverse, reverse))
    page = make_page(Layout(2, 3, lpi=133), photos, seed=1, dpi=200)
    left, top, right, bottom = page.coins[5].reverse
    page.image[top:bottom, left:right] = page.image[5, 5]
    Image.fromarray(page.image).save(folder / "hess.pdf", save_all=True, resolution=300)
    (folder / "lots.csv").write_text(LOTS)
    for given in (folder / "hess.pdf", "--sale", "Hess 1936-03-18"), (folder / "lots.csv",):
        added = run("catalogue", "add", *given, "--lab", lab, timeout_s=PATIENCE_S)
        assert added.code in (0, 3), added.err
    run_well("catalogue", "build", "--lab", lab, timeout_s=PATIENCE_S)


@contextmanager
def _opened(
    browser: Browser, address: str, width_px: int, height_px: int, scheme: Any = "light", locale: str = "en-GB"
) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": width_px, "height": height_px}, color_scheme=scheme, locale=locale)
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE_S)
    page.goto(address, wait_until="domcontentloaded")  # a live image never ends
    yield page
    context.close()


def _photograph_page(page: Page, address: str, suffix: str, images: Path) -> None:
    """Review, collection and morning report."""

    def take(name: str, at: str | None = None) -> None:
        if at is not None:
            page.goto(address + at)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=images / f"page-{name}.jpg", type="jpeg", quality=82)

    page.locator("#item[aria-busy=false]").wait_for()
    if suffix == "-tablet-dark":
        page.keyboard.press("w")
    if suffix == "-dark":
        page.keyboard.press("g")
        page.wait_for_function("() => document.querySelectorAll('.own canvas.ready').length === 2")
    take(f"review{suffix}")
    take(f"collection{suffix}", "/coin?name=2024.3.3" if suffix in ("-dark", "-tablet") else "/collection?what=entries")
    take(f"morning{suffix}", "/morning")
    if suffix == "":
        take("cut", "/review?only=cut")
    if suffix == "-tablet-dark":
        take("bench-tablet-dark", "/bench")


def _photograph_scan(browser: Browser, address: str, lab: Path, images: Path) -> None:
    """The live image during a scan, on a tablet, in German."""
    scan = Command("scan", "--tray", 2, "--no-identify", "--lab", lab)
    with _opened(browser, address + "/bench", 820, 1100, "dark", "de-DE") as page:
        page.wait_for_function("() => document.getElementById('live-image').naturalWidth > 0")
        page.wait_for_function("() => document.querySelectorAll('#frames li').length >= 2")
        page.screenshot(path=images / "page-bench-live.jpg", type="jpeg", quality=82)
    scan.kill()
    scan.wait()


def _photograph_hands(browser: Browser, address: str, images: Path) -> None:
    """The rig driven by hand, and set up."""
    with _opened(browser, address + "/setup", 1000, 900) as page:
        page.locator("#find").click()
        page.locator("#found td", has_text="lightbox: wled").wait_for()
        page.locator("#check").click()
        page.locator("#checks td", has_text="each read back and seen by the camera").wait_for()
        page.locator("#check:enabled").wait_for()
        page.screenshot(path=images / "page-setup.jpg", type="jpeg", quality=60, full_page=True)
    with _opened(browser, address + "/bench", 1280, 900) as page:
        drive_by_hand(page)
        page.locator("#live-problem", has_text="No coin").wait_for()
        page.screenshot(path=images / "page-bench-hands.jpg", type="jpeg", quality=82)
        page.get_by_role("button", name="Let go").click()
        page.locator("#take").wait_for()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
