"""A control frame before each tray of a batch: what has changed since the calibration is warned of."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from calibration.bundle import numbered
from calibration.control import find_drift
from calibration.quality import QUALITY
from capture.store import Store
from capture.store.journal_lines import ControlFrame
from tests.pipeline.conftest import Rig

LOOK = {
    "control_red": 0.02,
    "control_green": 0.02,
    "control_blue": 0.02,
    "control_mm_per_pixel": 0.1,
    "control_x_px": 320.0,
    "control_y_px": 240.0,
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"control_red": 0.0202, "control_blue": 0.0203}, []),
        ({"control_red": 0.017, "control_green": 0.017, "control_blue": 0.017}, ["15% darker"]),
        ({"control_red": 0.0208}, ["colour has changed by 4%"]),
        ({"control_mm_per_pixel": 0.099}, ["1.0% larger"]),
        ({"control_x_px": 323.0, "control_y_px": 237.0}, []),
        ({"control_y_px": 250.0, "control_mm_per_pixel": 0.102}, ["2.0% smaller", "1.0 mm from"]),
    ],
)
def test_what_has_changed_is_named_and_what_has_not_is_not(change: dict[str, float], says: list[str]) -> None:
    found = find_drift(LOOK, LOOK | change)
    assert len(found) == len(says) and all(part in sentence for part, sentence in zip(says, found, strict=True)), found


@pytest.mark.slow
def test_a_batch_warns_of_a_lamp_that_has_faded(rig: Rig, tiny_lab: Path) -> None:
    ran = rig("batch", "--trays", 1, "--no-identify", "--lab", tiny_lab)
    assert ran.code == 0 and "no longer looks" not in ran.err, ran.err
    kept = numbered(tiny_lab / "calibrations")[-1][1] / QUALITY
    before = yaml.safe_load(kept.read_text())
    brighter = {name: 1.2 * before[name] for name in ("control_red", "control_green", "control_blue")}
    kept.write_text(yaml.safe_dump(before | brighter))
    ran = rig("batch", "--trays", 1, "--no-identify", "--lab", tiny_lab)
    assert ran.code == 0 and "17% darker" in ran.err and "rig calibrate" in ran.err, ran.err
    with Store.open(tiny_lab / "store", writing=False) as store:
        last = store.journal.last(ControlFrame)
    assert last is not None and len(last.drift) == 1 and last.values["control_mm_per_pixel"] > 0.05
