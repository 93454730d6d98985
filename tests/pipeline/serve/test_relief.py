"""A coin is relit where its lights tell how its surface is inclined, and only there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from calibration.image import decode_image
from tests.pipeline.conftest import COINS, lay_out, run_well
from tests.pipeline.serve.conftest import Open, Served, serving

SIX_LIGHTS = "sides: [obverse]\nlights: [az060, az180, az300]\nturntable_deg: [0, 180]\n"


@pytest.fixture(scope="module")
def six_lights(made_lab: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The page of a lab with a coin that was photographed under six lights, never to be changed."""
    lab = lay_out(Path(shutil.copytree(made_lab, tmp_path_factory.mktemp("lit") / "lab")), SIX_LIGHTS, COINS[:1])
    run_well("scan", "--tray", 1, "--lab", lab)
    with serving(lab) as page:
        yield page


@pytest.mark.slow
def test_normals_and_colour_are_there_under_six_lights_and_not_for_who_is_not(six_lights: Served) -> None:
    (first, *_) = six_lights.get("/review/queue?only=all").json()["items"]
    item = six_lights.get(f"/review/item?session={first['session']}&coin={first['coin']}").json()
    answer = six_lights.get(item["sides"][0]["relief"])
    assert answer.headers["content-type"] == "image/png"
    normals, colour = np.vsplit(decode_image(answer.content, "relief").astype(np.float32), 2)
    lengths = np.linalg.norm(normals / 127.5 - 1, axis=2)
    inside = colour.max(axis=2) > 0
    assert np.abs(lengths[inside] - 1).max() < 0.02, "unit vectors"
    assert 0.3 < inside.mean() < 0.7 and (normals[inside][:, 2] > 127).all(), "a coin, which faces the camera"
    assert np.ptp(normals[inside][:, 0]) > 100, "it has a relief"
    assert six_lights.get("/images/relief?session=none&coin=nobody&side=obverse").status_code == 404


@pytest.mark.slow
def test_a_coin_is_relit_by_dragging_and_by_keys(six_lights: Served, open_page: Open) -> None:
    page = open_page(six_lights.address + "/review?only=all")
    page.keyboard.press("g")
    drawn = "canvas => canvas.width > 300 && canvas.getContext('2d').getImageData(200, 200, 1, 1).data[3] === 255"
    page.wait_for_function(f"() => ({drawn})(document.querySelector('.own canvas'))")
    canvas = page.locator(".own canvas").first
    light = """canvas => {
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        const rows = [0, 0];
        for (let at = 0; at < data.length; at += 4) rows[at * 2 < data.length ? 0 : 1] += data[at];
        return rows[0] / rows[1];
    }"""
    box = canvas.bounding_box()
    middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0], middle[1] - 0.45 * box["height"])
    from_above = canvas.evaluate(light)
    assert "12 o'clock" in page.locator(".stage p.quiet:visible").last.inner_text()
    page.mouse.move(middle[0], middle[1] + 0.45 * box["height"])
    page.mouse.up()
    assert from_above != canvas.evaluate(light), "the relief shows under another light"
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    before = canvas.evaluate(light)
    page.keyboard.press("ArrowUp")
    assert before != canvas.evaluate(light)
    page.keyboard.press("l")
    assert not canvas.is_visible() and page.locator(".own img").first.is_visible(), "the lamps that there were"
