"""`rig calibrate apply --rectify`: tilted frames as if seen from above, the coin as wide as long."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from calibration.outline import find_coin
from capture.store import Store
from tests.pipeline.conftest import Rig

PLAN = "sides: [obverse]\nlights: [az060]\ntilt_deg: [0, 35]\nturntable_deg: [0, 120, 240]\nretakes: 0\n"


@pytest.mark.slow
def test_a_tilted_coin_is_as_large_as_from_above_in_both_directions(rig: Rig, tiny_lab: Path, tmp_path: Path) -> None:
    document = yaml.safe_load((tiny_lab / "rig.yaml").read_text())
    document["station"]["turntable"]["tilt"] = {"axis": "Y"}
    (tiny_lab / "rig.yaml").write_text(yaml.safe_dump(document))
    (tiny_lab / "plans" / "default.yaml").write_text(PLAN)
    assert rig("scan", "--tray", 1, "--no-identify", "--lab", tiny_lab).code == 0
    with Store.open(tiny_lab / "store", writing=False) as store:
        frames = [frame for frame in store.frames.find() if frame.is_good]
    out = tmp_path / "straight"
    ran = rig("calibrate", "apply", "--tray", 1, "--rectify", 2, "--out", out, "--lab", tiny_lab, "--json")
    assert ran.code == 0 and len(ran.json["written"]) == len(frames), ran.err
    sizes: dict[tuple[str, float], dict[float, tuple[float, float]]] = {}
    for frame in frames:
        image = cv2.cvtColor(cv2.imread(str(out / f"{frame.id}.tif")), cv2.COLOR_BGR2RGB)
        mask = find_coin(image).mask
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        size = (float(np.ptp(columns)), float(np.ptp(rows)))
        sizes.setdefault((frame.coin_id, frame.turntable_deg or 0.0), {})[frame.tilt_deg or 0.0] = size
    for by_tilt in sizes.values():
        assert by_tilt[35.0] == pytest.approx(by_tilt[0.0], rel=0.02), by_tilt  # 200 px, found to one or two of them


def test_only_frames_of_the_store_are_rectified(rig: Rig, lab: Path, tmp_path: Path) -> None:
    ran = rig("calibrate", "apply", tmp_path, "--rectify", 2, "--out", tmp_path / "new", "--lab", lab)
    assert ran.code == 2 and "--rectify is for frames of the store" in ran.err
