"""The report: one file that opens anywhere, and says what the store says."""

from __future__ import annotations

import base64
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

from calibration.image import decode_image
from tests.pipeline.conftest import COINS, Rig, Scanned


class Page(HTMLParser):
    """Collects images and text, and notes every address that would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[str] = []
        self.fetched: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "srcset") and value:
                if value.startswith("data:image/jpeg;base64,"):
                    self.images.append(value.partition(",")[2])
                elif not value.startswith("#"):
                    self.fetched.append(value)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_report_shows_every_coin_and_needs_nothing_from_outside(
    rig: Rig, scanned: Scanned, made_lab: Path, tmp_path: Path
) -> None:
    never = rig("report", "--lab", made_lab)
    assert never.code == 1 and "rig scan" in never.err
    lab = Path(shutil.copytree(scanned.lab, tmp_path / "lab"))
    again = rig("report", "--tray", 1, "--lab", lab, "--json")
    assert again.code == 0 and Path(again.json["report"]).name == Path(scanned.answer.json["report"]).name
    html = Path(again.json["report"]).read_text("utf-8")
    page = Page()
    page.feed(html)
    text = re.sub(r"\s+", " ", " ".join(page.text))
    assert page.fetched == [] and "url(" not in html
    for coin in COINS[:3]:
        assert coin in text
    assert scanned.answer.json["session"] in text and "Calibration" in text and "Model" in text
    # of each coin two sides, twelve thumbnails, and both sides of its candidates
    assert len(page.images) >= 3 * (2 + 12 + 2)
    for image in page.images:
        assert min(decode_image(base64.b64decode(image), "image").shape[:2]) > 8
    unknown = rig("report", "nosuchsession", "--lab", lab)
    assert unknown.code == 1 and "nosuchsession" in unknown.err
