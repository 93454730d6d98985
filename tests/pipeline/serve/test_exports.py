"""A coin is taken away: a frame in all its pixels, a sheet of paper, a bag of everything."""

from __future__ import annotations

import io
import os
import subprocess
import tempfile
import zipfile
from pathlib import Path

import bagit
import httpx
import pypdfium2
import pytest
from PIL import Image

from capture.store import Store
from pipeline.serve.exports import BAG, remove_leftovers
from tests.pipeline.serve.conftest import Served

HOSTILE = '../a "b"\r\nX: y ü'


def named(answer: httpx.Response) -> str:
    return answer.headers["content-disposition"]


def test_bags_of_pages_that_were_killed_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen(["true"])
    gone.wait()
    kept = [f"{BAG}{os.getpid()}-abc", f"{BAG}1-abc", f"{BAG}nobody-abc", "another"]
    for name in (f"{BAG}{gone.pid}-abc", *kept):
        (tmp_path / name / "bag").mkdir(parents=True)
    (tmp_path / f"{BAG}{gone.pid}-link").symlink_to(tmp_path / "another")
    remove_leftovers()
    assert {path.name for path in tmp_path.iterdir()} == {*kept, f"{BAG}{gone.pid}-link"}
    assert (tmp_path / "another" / "bag").is_dir()


@pytest.mark.slow
def test_a_frame_is_saved_in_all_its_pixels(served: Served) -> None:
    with Store.open(served.lab / "store", writing=False) as store:
        frame = store.frames.find(coin="1994.1")[0]
        raw = store.image(frame.sha256)
        kept = store.path(frame.sha256).read_bytes()
    for kind in ("jpeg", "tiff"):
        answer = served.get(f"/export/frame/{frame.id}?format={kind}&which=raw")
        image = Image.open(io.BytesIO(answer.content))
        assert (image.format, image.size) == (kind.upper(), (raw.shape[1], raw.shape[0]))
        assert named(answer).startswith(f'attachment; filename="1994.1_obverse_{frame.id[:8]}.{kind}"')
    assert served.get(f"/export/frame/{frame.id}?format=original&which=raw").content == kept
    assert served.get(f"/export/frame/{frame.id}?format=exe").status_code == 400
    assert served.get("/export/frame/../../rig.yaml").status_code == 404


@pytest.mark.slow
def test_the_sheet_has_both_sides_and_what_is_known(served: Served) -> None:
    answer = served.get("/export/sheet?name=1994.1")
    assert answer.headers["content-type"] == "application/pdf"
    (page,) = pypdfium2.PdfDocument(answer.content)
    text = page.get_textpage().get_text_range()
    assert "1994.1" in text and " mm" in text and "probability" in text and "Scan history" in text
    images = [each for each in page.get_objects() if isinstance(each, pypdfium2.PdfImage)]
    assert len(images) == 4, "both sides of the coin and of its best candidate"
    german = served.get("/export/sheet?name=1994.1", Cookie="language=de").content
    assert "Aufnahmegeschichte" in pypdfium2.PdfDocument(german)[0].get_textpage().get_text_range()
    assert served.get("/export/sheet?name=nobody").status_code == 400


@pytest.mark.slow
def test_the_sheet_marks_a_decision_that_was_taken_back(own_page: Served) -> None:
    item = own_page.get("/review/queue").json()["items"][0]
    pair = {"coin": item["coin"], "entry": item["candidate"]}

    def decisions() -> list[bool]:
        (page,) = pypdfium2.PdfDocument(own_page.get(f"/export/sheet?name={item['coin']}").content)
        text = " ".join(page.get_textpage().get_text_range().split())
        return ["(counts no longer)" not in each for each in text.split(", Anna: ")[1:]]

    made = own_page.post("/review/decide", {**pair, "decision": "same coin", "who": "Anna"}).json()
    assert decisions() == [True]
    assert own_page.post("/review/undo", {"number": made["number"], "who": "Anna"}).status_code == 200
    assert decisions() == [True, False], "that it was taken back, and the decision itself"


@pytest.mark.slow
def test_the_bag_is_the_one_of_the_store(served: Served, tmp_path: Path) -> None:
    def post(**sent: str) -> httpx.Response:
        return httpx.post(served.address + "/export/bag", data=sent, headers={"Origin": served.address}, timeout=60)

    answer = post(name="1994.1", format="original")
    assert named(answer).startswith('attachment; filename="1994.1.zip"')
    zipfile.ZipFile(io.BytesIO(answer.content)).extractall(tmp_path)
    bag = bagit.Bag(str(tmp_path / "1994.1"))
    assert bag.validate() and len(list((tmp_path / "1994.1/data/frames").rglob("*.raw.jxl"))) == 6
    assert post(name="nobody").status_code == 400 and post(name="1994.1", format="exe").status_code == 400
    assert served.get("/export/bag?name=1994.1").status_code == 405, "only what the page itself sends"
    assert httpx.post(served.address + "/export/bag", data={"name": "1994.1"}).status_code == 403
    assert post(name=HOSTILE).status_code == 400
