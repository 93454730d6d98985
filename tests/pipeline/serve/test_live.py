"""What the camera sees is watched on the page while a scan runs, and costs the scan nothing otherwise."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from tests.pipeline.serve.conftest import WAIT_S, Open, Served, serving
from tests.processes import Command

SLOWLY = "speed: 8"


def read_images(page: Served, aids: str, count: int) -> list[Any]:
    """The first images of the stream, decoded."""
    found, data = [], b""
    with httpx.stream("GET", f"{page.address}/bench/live?aids={aids}", timeout=30) as stream:
        assert stream.headers["content-type"].startswith("multipart/x-mixed-replace; boundary=frame")
        for chunk in stream.iter_bytes():
            data += chunk
            while (end := data.find(b"\r\n--frame\r\n")) >= 0:
                head, _, body = data[:end].removeprefix(b"--frame\r\n").partition(b"\r\n\r\n")
                assert b"image/jpeg" in head
                found.append(cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR))
                data = data[end + len(b"\r\n--frame\r\n") :]
            if len(found) >= count:
                return found
    raise AssertionError(f"it ended after {len(found)} images")


@pytest.fixture
def scanning(short_lab: Path) -> Any:
    """A page, and a scan that has just begun to expose."""
    document = (short_lab / "rig.yaml").read_text()
    (short_lab / "rig.yaml").write_text(document.replace("speed: 1000", SLOWLY))
    with serving(short_lab) as page:
        scan = Command("scan", "--tray", 1, "--no-identify", "--lab", short_lab)
        yield page, scan
        scan.kill()


def wait_for(page: Served, scan: Command, is_wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    over_s = time.monotonic() + WAIT_S
    while not is_wanted(state := page.get("/bench/state").json()):
        assert time.monotonic() < over_s and scan.poll() is None, (state, scan.err)
        time.sleep(0.1)
    return dict(state)


@pytest.mark.slow
def test_a_scan_shows_what_its_camera_saw_to_whoever_watches(scanning: tuple[Served, Command]) -> None:
    page, scan = scanning
    wait_for(page, scan, lambda state: bool(state["frames"]))
    assert not (page.lab / "live").exists(), "while nobody watches nothing is written"
    assert page.get("/bench/watch").status_code == 405, "nothing is changed by GET"
    assert page.post("/bench/watch", {}).status_code == 200
    live = wait_for(page, scan, lambda state: state["live"] is not None)["live"]
    assert live["coin"] == "1994.1" and live["has_coin"] and live["reasons"] == []
    assert 5 < live["diameter_mm"] < 60 and live["sharpness"] > 0.05 and 0 <= live["clipped"] < 0.15
    page.post("/bench/watch", {})
    (plain,) = read_images(page, "", 1)
    (aided,) = read_images(page, "outline+peaking+clipped", 1)
    assert plain.shape == (480, 640, 3)
    assert (np.abs(aided.astype(int) - plain).max(axis=2) > 100).sum() > 300, "an outline is drawn in"
    assert scan.wait(120) == 0, scan.err
    assert not (page.lab / "live" / "preview").exists(), "what is over is not live"
    with httpx.stream("GET", f"{page.address}/bench/live", timeout=30):
        page.process.send_signal(signal.SIGINT)
        assert page.process.wait(30) == 0, "a live image does not keep the page from ending"
    assert "ERROR" not in page.process.err and "Traceback" not in page.process.err


@pytest.mark.slow
def test_the_live_image_is_watched_in_a_browser(scanning: tuple[Served, Command], open_page: Open) -> None:
    served, scan = scanning
    page = open_page(served.address + "/bench", settles=False)
    page.wait_for_function("() => document.getElementById('live-image').naturalWidth === 640")
    page.locator("#live-what", has_text="1994.1, Obverse, az060").wait_for()
    page.locator("#live-facts", has_text="mm").wait_for()
    page.get_by_label("what is in focus").check()
    assert "peaking" in page.locator("#live-image").get_attribute("src")
    page.wait_for_function("() => document.getElementById('live-image').naturalWidth === 640")
    page.close()
    scan.kill()
