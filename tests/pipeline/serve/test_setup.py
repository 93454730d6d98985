"""Somebody who is no programmer sets a bench up on the page: devices behind real terminals, then a twin to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from rig.clock import SystemClock
from rig.station import StationConfig
from rig.twin.lab import make_world
from tests.pipeline.bench.test_session import make_bench
from tests.pipeline.conftest import SMALL_CAMERA
from tests.pipeline.serve.conftest import Open, Served, drive_by_hand, serving
from tests.rig.pty_harness import Cable

ROLES = ("turntable", "arm", "lightbox")
WRONG = """\
# Devices of the lab.
twin: {{coins: procedural, speed: 1}}
camera:
{camera}
station:
  turntable:
    kind: marlin  # or so it was thought
    port: {folder}/tty-turntable
  arm: {{kind: roarm, port: {folder}/tty-arm}}
  lightbox: {{kind: dmx, port: {folder}/tty-lightbox}}
  bench: {{safe_z_mm: 90}}
"""


class Passing(SystemClock):
    """Time that passes five times as fast as the system's, also for drivers in another process."""

    def now(self) -> float:
        return 5.0 * super().now()

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds / 5.0)


@pytest.fixture
def cables(tmp_path: Path) -> Iterator[Path]:
    """A Grbl turntable, a uArm and a WLED lightbox, each behind a terminal of the system."""
    config = StationConfig()
    world = make_world(config, Passing(), seed=1)
    with ExitStack() as stack:
        for role in ROLES:
            stack.callback(Cable(world, role, tmp_path).pull_out)
        yield tmp_path


@pytest.mark.slow
def test_devices_behind_terminals_are_found_written_and_tried(cables: Path, open_page: Open) -> None:
    lab = cables / "lab"
    lab.mkdir()
    (lab / "rig.yaml").write_text(WRONG.format(camera=SMALL_CAMERA, folder=cables))
    with serving(lab) as served:
        page = open_page(served.address + "/setup")
        page.locator("#find").click()
        for answer in ("turntable: grbl", "arm: uarm", "lightbox: wled"):
            page.locator("#found td", has_text=answer).wait_for()
        page.locator("#write").click()
        page.locator("#status", has_text="is written").wait_for()
        written = (lab / "rig.yaml").read_text()
        assert f'turntable: {{kind: grbl, port: "{cables}/tty-turntable"}}' in written
        assert f'arm: {{kind: uarm, port: "{cables}/tty-arm"}}' in written
        assert "# Devices of the lab." in written and "  bench: {safe_z_mm: 90}" in written
        (former,) = lab.glob("rig.yaml.2*")
        assert former.read_text() == WRONG.format(camera=SMALL_CAMERA, folder=cables)
        drive_by_hand(page)
        page.close()


@pytest.mark.slow
def test_a_twin_is_checked_measured_and_calibrated(tmp_path: Path, open_page: Open) -> None:
    lab = make_bench(tmp_path / "lab", 1000)
    with serving(lab) as served:
        page = open_page(served.address + "/setup")
        page.locator("#check").click()
        page.locator("#checks td", has_text="each read back and seen by the camera").wait_for()
        printed = httpx.get(served.address + "/setup/print/board.png", timeout=60).content
        board = cv2.imdecode(np.frombuffer(printed, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert board.shape[1] == pytest.approx((55 + 20) / 25.4 * 300, abs=2)
        page.locator("#width-board").fill("55.22")
        page.locator("button[data-measured=board]").click()
        page.locator("#status", has_text="is written").wait_for()
        assert "square_mm: 5.02" in (lab / "rig.yaml").read_text()
        page.locator("#take").click()
        page.locator("#hands-note", has_text="Home first").wait_for()
        page.locator("#calibrate").click()
        page.locator("#calibrated", has_text="Calibrated at").wait_for()
        page.locator("#messages li").first.wait_for()
        page.close()
    assert len(list((lab / "calibrations").iterdir())) == 1


@pytest.fixture
def set_up(tmp_path: Path) -> Iterator[Served]:
    """The page of a twin's lab that nothing was found in yet."""
    with serving(make_bench(tmp_path / "lab", 1000)) as served:
        yield served


@pytest.mark.parametrize("path", ["find", "check", "devices", "measured"])
def test_another_sites_page_sets_nothing_up(served: Served, path: str) -> None:
    assert served.get(f"/setup/{path}").status_code == 405
    assert served.post(f"/setup/{path}", {}, Origin="https://evil.example").status_code == 403


@pytest.mark.slow
def test_what_makes_no_sense_is_not_written(set_up: Served) -> None:
    before = (set_up.lab / "rig.yaml").read_bytes()
    digest = set_up.get("/setup/state").json()["digest"]
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("devices", {"turntable": "0"}),
        ("devices", {"turntable": "manual"}),
        ("devices", {"arm": "../../x"}),
        ("devices", {"arm": {"kind": "uarm", "port": "socket://evil"}}),
        ("devices", {}),
        ("devices", {"digest": "0", "arm": "manual"}),
        ("measured", {"what": "board", "width_mm": 5}),
        ("measured", {"what": "board", "width_mm": "55"}),
        ("measured", {"what": "twin", "width_mm": 55}),
    ]
    for path, sent in wrong:
        answer = set_up.post(f"/setup/{path}", {"digest": digest, **sent})
        assert answer.status_code == 400 and len(answer.json()["error"]) > 20, (path, sent)
    assert set_up.get("/setup/print/..%2frig.png").status_code == 404
    assert (set_up.lab / "rig.yaml").read_bytes() == before
    by_hand = set_up.post("/setup/devices", {"digest": digest, "arm": "manual"})
    assert by_hand.status_code == 200 and "station: {arm: {kind: manual}}" in (set_up.lab / "rig.yaml").read_text()
