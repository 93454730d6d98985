"""`rig scan` by a plan of brackets: scanned, verified, rebuilt and exported with what was merged."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from calibration.bracket import decode_sources, merge
from capture.store import Store
from tests.pipeline.conftest import Rig

PLAN = """sides: [obverse]
lights: [az060]
turntable_deg: [0]
focus_mm: [1.8, 2.2]
exposure_us: [8000, 24000]
"""


@pytest.mark.slow
def test_a_scan_of_brackets_is_verified_rebuilt_and_exported_whole(rig: Rig, tiny_lab: Path, tmp_path: Path) -> None:
    (tiny_lab / "plans" / "default.yaml").write_text(PLAN)
    scanned = rig("scan", "--tray", 1, "--no-identify", "--lab", tiny_lab, "--json")
    assert scanned.code == 0, scanned.err
    verified = rig("store", "verify", "--lab", tiny_lab)
    assert verified.code == 0, verified.err
    assert rig("store", "rebuild", "--lab", tiny_lab).code == 0
    with Store.open(tiny_lab / "store", writing=False) as store:
        (frame,) = store.frames.find()
        assert frame.is_good and frame.calibrated_sha256 and frame.sources_sha256, frame
        raw = store.image(frame.sha256)
        kept = store.path(frame.sources_sha256).read_bytes()
    sources, depth_mm = decode_sources(kept)
    assert len(sources) == 4 and depth_mm is not None and depth_mm.shape == raw.shape[:2]
    merged = merge(sources)
    assert np.array_equal(raw, merged.image), "the frame is made again of its sources, bit for bit"
    assert frame.quality["merged_exposure_us"] == pytest.approx(merged.exposure_us, abs=0.1)
    for wanted in ("original", "tiff"):
        out = tmp_path / wanted
        assert rig("store", "export", out, "--format", wanted, "--lab", tiny_lab).code == 0
        (path,) = out.rglob("*.sources.zip")
        assert path.read_bytes() == kept
    table = json.loads(zipfile.ZipFile(io.BytesIO(kept)).read("sources.json"))
    assert [(each["focus_mm"], each["exposure_us"]) for each in table] == [
        (1.8, 8000),
        (1.8, 24000),
        (2.2, 8000),
        (2.2, 24000),
    ]
