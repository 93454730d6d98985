"""The report: one file that opens anywhere, and says what the store says."""

from __future__ import annotations

import base64
import shutil
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.image import Image, decode_image, encode_jpeg, read_image
from capture.store import Store
from capture.store.journal_lines import CoinWeighed
from pipeline.lab import open_lab
from pipeline.reports.report import ScanReport, write_report
from tests.pipeline.conftest import COINS, Rig, Scanned


class Page(HTMLParser):
    """Collects images by what they show, and text, and notes every address that would be fetched."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.images: list[tuple[str, Image]] = []
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.text = ""
        self.html = path.read_text("utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.ids += [named["id"]] if "id" in named else []
        for name in ("src", "href", "srcset"):
            value = named.get(name, "")
            if value.startswith("data:image/jpeg;base64,"):
                self.images.append((named["alt"], decode_image(base64.b64decode(value.partition(",")[2]), "image")))
            elif value.startswith("#"):
                self.targets.append(value[1:])
            elif value:
                self.fetched.append(value)

    def handle_data(self, data: str) -> None:
        self.text = f"{self.text} {data}".replace("\n", " ")

    def named(self, alt: str) -> list[Image]:
        return [image for name, image in self.images if alt in name]


def resemblance(first: Image, second: Image) -> float:
    """The correlation of what both show in their middles."""
    middles = [
        cv2.cvtColor(cv2.resize(each, (96, 96)), cv2.COLOR_RGB2GRAY)[24:72, 24:72].ravel() for each in (first, second)
    ]
    return float(np.corrcoef(*middles)[0, 1])


def test_the_report_shows_every_coin_and_needs_nothing_from_outside(
    rig: Rig, scanned: Scanned, made_lab: Path, photographs: Path, tmp_path: Path
) -> None:
    never = rig("report", "--lab", made_lab)
    assert never.code == 1 and "rig scan" in never.err
    lab = Path(shutil.copytree(scanned.lab, tmp_path / "lab"))
    again = rig("report", "--tray", 1, "--lab", lab, "--json")
    assert again.code == 0 and Path(again.json["report"]).name == Path(scanned.answer.json["report"]).name
    page = Page(Path(again.json["report"]))
    assert page.fetched == [] and "url(" not in page.html and "<script" not in page.html
    assert set(page.targets) <= set(page.ids), "every image opens large, and closes again"
    assert scanned.answer.json["session"] in page.text and "Calibration" in page.text and "Model" in page.text
    assert "How to read this" in page.text and " UTC" in page.text
    results = {coin["coin"]: coin for coin in scanned.answer.json["coins"]}
    assert sum(coin["verdict"] == "match" for coin in results.values()) >= 2
    for number, (coin, result) in enumerate(results.items()):
        sale = f"{photographs.name}, {result['candidates'][0]['coin']}"
        assert (f"{coin} is the coin of {sale}." in page.text) == (result["verdict"] == "match")
        for side in ("obverse", "reverse"):
            own, evidence = (page.named(what)[number] for what in (f"{side} of this coin", f"evidence on the {side}"))
            published = next(
                image for image in page.named(f"{sale}, {side}") if image.shape == own.shape == (640, 640, 3)
            )
            assert evidence.shape == (1344, 896, 3) and np.ptp(evidence.astype(int), axis=2).max() > 100, "in colour"
            if result["verdict"] == "match":
                others = [resemblance(np.rot90(own, turns), published) for turns in (1, 2, 3)]
                assert resemblance(own, published) > max(others) + 0.1, "rotated alike"
    assert len(page.named("turntable")) == 3 * 6
    unknown = rig("report", "nosuchsession", "--lab", lab)
    assert unknown.code == 1 and "nosuchsession" in unknown.err


def test_parts_that_were_made_before_the_last_coin_was_done_show_what_the_store_has_at_the_end(
    scanned: Scanned, tmp_path: Path
) -> None:
    lab = open_lab(Path(shutil.copytree(scanned.lab, tmp_path / "lab")))
    with Store.open(lab.store) as store:
        session = store.sessions.get(scanned.answer.json["session"])
        report = ScanReport(lab, session.id)
        for coin in session.frozen_tray().coins.values():
            report.prepare(store, coin)
        prepared = report.write(store).read_bytes()
        assert prepared == write_report(lab, store, session).read_bytes()
        store.journal.log(CoinWeighed(coin=coin, grams=3.21))
        assert b"3.21 g" not in prepared and "3.21 g" in report.write(store).read_text("utf-8")


@pytest.mark.slow
def test_photographs_get_the_same_page(rig: Rig, lab: Path, photographs: Path, tmp_path: Path) -> None:
    both = read_image(photographs / f"{COINS[1]}.jpg")
    for side, half in (("obv", both[:, : both.shape[1] // 2]), ("rev", both[:, both.shape[1] // 2 :])):
        (tmp_path / f"{side}.jpg").write_bytes(encode_jpeg(np.rot90(half), 95))
    ran = rig("identify", tmp_path / "obv.jpg", tmp_path / "rev.jpg", "--same-coin", "--report", "--lab", lab)
    assert ran.code == 0, ran.err
    (path,) = (lab / "reports").glob("identify-*.html")
    assert f"Report: {path}" in ran.err
    page = Page(path)
    assert f"the coin of {photographs.name}, {COINS[1]}." in page.text and page.fetched == []
    for name, side in (("obv.jpg", "obverse"), ("rev.jpg", "reverse")):
        (own,), (published, *_) = (
            page.named(f"{name} of this coin"),
            page.named(f"{photographs.name}, {COINS[1]}, {side}"),
        )
        assert resemblance(own, published) > 0.8
        assert len(page.named(f"evidence on the {name}")) == 1
