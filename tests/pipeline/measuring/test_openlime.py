"""A relightable image opened by OpenLIME, its own viewer, in a real browser; and by a parser of Relight's format.

OpenLIME is not part of this repository. `$RIG_OPENLIME` names a folder of it (its npm package unpacked, or its source);
without that, its npm package is fetched into a temporary folder; where it cannot be had, the test is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.pipeline.conftest import Rig
from tests.pipeline.measuring.test_relief import lamps, matte, read_ptm, to_srgb, write

LIGHTS = ((0.0, 0.0), (0.5, 0.2), (-0.3, 0.6), (0.1, -0.7))
PAGE = """<!doctype html><style>body{margin:0} .openlime{position:relative;width:%(width)dpx;height:%(height)dpx}
.openlime canvas{position:absolute;width:100%%;height:100%%}</style>
<div class="openlime"></div>
<script type="module">
import { Viewer, Layer } from "./%(entry)s";
const viewer = new Viewer(".openlime", {background: "black", canvas: {preserveDrawingBuffer: true}});
const layer = new Layer({layout: "image", type: "rti", url: "rti/info.json", normals: false});
viewer.addLayer("coin", layer);
window.lit = async ([x, y]) => {
  const element = document.querySelector("canvas");
  const frame = () => new Promise(requestAnimationFrame);
  while (layer.status !== "ready" || layer.tiles.size === 0) await frame();
  layer.setLight([x, y], 0);
  for (let n = 0; n < 30; n++) { viewer.redraw?.(); layer.emit("update"); await frame(); }
  const copy = new OffscreenCanvas(element.width, element.height).getContext("2d");
  copy.drawImage(element, 0, 0);
  return [element.width, element.height, Array.from(copy.getImageData(0, 0, element.width, element.height).data)];
};
</script>"""
SOURCE = 'export { Viewer } from "./src/Viewer.js"; export { Layer } from "./src/Layer.js"; import "./src/LayerRTI.js";'


class Files(SimpleHTTPRequestHandler):
    """A folder's files; a module is named without `.js` in OpenLIME's source."""

    def translate_path(self, path: str) -> str:
        found = super().translate_path(path)
        return f"{found}.js" if not Path(found).exists() else found

    def log_message(self, *what: Any) -> None:
        pass


@pytest.fixture
def openlime(tmp_path: Path) -> tuple[Path, str]:
    """A folder that OpenLIME was copied into, and its module that is to be imported."""
    site = tmp_path / "site"
    site.mkdir()
    given = os.environ.get("RIG_OPENLIME")
    if given is None:
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("RIG_OPENLIME is not set, and there is no npm to fetch OpenLIME with")
        fetched = subprocess.run([npm, "pack", "openlime"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
        packed = next(tmp_path.glob("openlime-*.tgz"), None)
        if packed is None:
            pytest.skip(f"RIG_OPENLIME is not set, and npm has no OpenLIME: {fetched.stderr.strip().splitlines()[:1]}")
        with tarfile.open(packed) as archive:
            archive.extractall(tmp_path, filter="data")
        given = str(tmp_path / "package")
    built, source = Path(given) / "dist" / "js" / "openlime.esm.js", Path(given) / "src"
    if built.exists():
        shutil.copy(built, site)
        return site, built.name
    shutil.copytree(source, site / "src")
    (site / "openlime.js").write_text(SOURCE)
    return site, "openlime.js"


@pytest.fixture
def chromium() -> Iterator[Any]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("there is no Chromium on this computer")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        # A computer without a graphics card draws WebGL by itself.
        args = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = started.chromium.launch(executable_path=path, args=args)
        yield browser
        browser.close()


def relit(folder: Path, light: tuple[float, float]) -> np.ndarray:
    """A light's image by Relight's own description: planes of three coefficients each, (stored - bias) x scale."""
    info = json.loads((folder / "info.json").read_text())
    assert (info["type"], info["colorspace"], info["nplanes"]) == ("ptm", "rgb", 18)
    material = info["materials"][0]
    scale, bias = (np.array(material[name]).reshape(6, 3) for name in ("scale", "bias"))
    u, v = light
    weights = (1, u, v, u * u, u * v, v * v)
    planes = [cv2.imread(str(folder / f"plane_{n}.{info['format']}"))[..., ::-1] / 255 for n in range(6)]
    assert planes[0].shape[:2] == (info["height"], info["width"])
    return np.sum(
        [w * (plane - b) * s for w, plane, b, s in zip(weights, planes, bias, scale, strict=True)], axis=0
    ).clip(0, 1)


@pytest.mark.slow
def test_openlime_shows_a_relief_as_the_formats_describe_it(
    rig: Rig, tmp_path: Path, openlime: tuple[Path, str], chromium: Any
) -> None:
    directions = lamps()
    write(tmp_path / "ball", {f"{n}": to_srgb(matte(each)) for n, each in enumerate(directions)})
    table = "".join(f"{n}.png {x} {y} {z}\n" for n, (x, y, z) in enumerate(directions))
    (tmp_path / "lights.lp").write_text(f"{len(directions)}\n{table}")
    ran = rig("relief", "ball", "--lights", "lights.lp", "--out", "relief")
    assert ran.code == 0, ran.err
    site, entry = openlime
    rti = Path(shutil.copytree(tmp_path / "relief" / "rti", site / "rti"))
    info = json.loads((rti / "info.json").read_text())
    (site / "index.html").write_text(PAGE % {"entry": entry, **info})
    ptm = read_ptm(tmp_path / "relief" / "relief.ptm")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page = chromium.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        page.wait_for_function("() => Boolean(window.lit)", timeout=120_000)
        for light in LIGHTS:
            width, height, values = page.evaluate("light => window.lit(light)", list(light))
            shown = np.array(values, np.uint8).reshape(height, width, 4)[..., :3] / 255
            expected = relit(rti, light)
            assert shown.shape == expected.shape
            inner = np.s_[3:-3, 3:-3]
            assert np.abs(shown - expected)[inner].mean() < 0.01, "OpenLIME draws what the planes say"
            u, v = light
            by_ptm = (ptm @ np.array([u * u, v * v, u * v, u, v, 1]) / 255).clip(0, 1)
            assert np.abs(by_ptm - expected)[inner].mean() < 0.01, "both exports are one image"
            towards = np.array([u, v, np.sqrt(1 - u * u - v * v)])
            left, top, right, bottom = json.loads((tmp_path / "relief" / "relief.json").read_text())["rti_box_px"]
            true = to_srgb(matte(towards))[top:bottom, left:right] / 255
            assert np.corrcoef(shown[inner].ravel(), true[inner].ravel())[0, 1] > 0.95, "and that is the ball"
        assert complaints == []
    finally:
        server.shutdown()
        server.server_close()
