"""A coin is relit where its lights tell how its surface is inclined, and only there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.image import decode_image
from tests.pipeline.conftest import COINS, lay_out, run_well
from tests.pipeline.serve.conftest import serving

SIX_LIGHTS = "sides: [obverse]\nlights: [az060, az180, az300]\nturntable_deg: [0, 180]\n"


@pytest.mark.slow
def test_normals_and_colour_are_there_under_six_lights_and_not_for_who_is_not(lab: Path) -> None:
    run_well("scan", "--tray", 1, "--lab", lay_out(lab, SIX_LIGHTS, COINS[:1]))
    with serving(lab) as page:
        (first, *_) = page.get("/review/queue?only=all").json()["items"]
        item = page.get(f"/review/item?session={first['session']}&coin={first['coin']}").json()
        answer = page.get(item["sides"][0]["relief"])
        assert answer.headers["content-type"] == "image/png"
        normals, colour = np.vsplit(decode_image(answer.content, "relief").astype(np.float32), 2)
        lengths = np.linalg.norm(normals / 127.5 - 1, axis=2)
        inside = colour.max(axis=2) > 0
        assert np.abs(lengths[inside] - 1).max() < 0.02, "unit vectors"
        assert 0.3 < inside.mean() < 0.7 and (normals[inside][:, 2] > 127).all(), "a coin, which faces the camera"
        assert np.ptp(normals[inside][:, 0]) > 100, "it has a relief"
        assert page.get("/images/relief?session=none&coin=nobody&side=obverse").status_code == 404
