"""`rig calibrate apply` and `keep`: images corrected by a calibration, and a calibration put together of steps."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.bundle import latest
from calibration.colour import reference_light
from calibration.levels import read_deep
from calibration.response import to_image
from calibration.saved import save_lens
from tests.pipeline.conftest import Rig, Scanned


def test_calibrated_frames_are_made_again_bit_for_bit(rig: Rig, scanned: Scanned, tmp_path: Path) -> None:
    ran = rig("calibrate", "apply", "--coin", "1994.1", "--out", "again", "--lab", scanned.lab, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["same"] == len(ran.json["written"]) > 0 and ran.json["differing"] == [] == ran.json["failed"]


def test_sixteen_bits_stay_sixteen_and_are_tagged(rig: Rig, made_lab: Path, tmp_path: Path) -> None:
    bundle = latest(made_lab / "calibrations")
    assert bundle is not None
    ramp = np.linspace(2000, 60000, bundle.lens.width_px).astype(np.uint16)
    deep = np.repeat(np.tile(ramp, (bundle.lens.height_px, 1))[..., None], 3, axis=2)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    cv2.imwrite(str(tmp_path / "shallow.png"), (deep // 257).astype(np.uint8))
    how = ("--bundle", "latest", "--light", "az060", "--out", "out", "--lab", made_lab)
    assert rig("calibrate", "apply", "deep.png", "shallow.png", *how, "--format", "png").code == 0
    assert rig("calibrate", "apply", "deep.png", *how).code == 0
    made, as_tiff, shallow = (read_deep(tmp_path / "out" / name) for name in ("deep.png", "deep.tif", "shallow.png"))
    assert made.dtype == np.uint16 and (made == as_tiff).all() and len(np.unique(made)) > 1000
    assert np.abs(made / 257 - shallow.astype(float))[20:-20, 20:-20].max() < 3
    for name in ("deep.png", "deep.tif"):
        assert b"acsp" in (tmp_path / "out" / name).read_bytes() or name.endswith("png")
    wrong = rig("calibrate", "apply", "deep.png", "--bundle", "latest", "--light", "az999", *how[4:])
    assert wrong.code == 1 and "no flat field for az999" in wrong.err and "deep.png" in wrong.err
    cv2.imwrite(str(tmp_path / "turned.png"), deep.transpose(1, 0, 2).copy())
    turned = rig("calibrate", "apply", "turned.png", *how)
    assert turned.code == 1 and "turned by 90 degrees" in turned.err


@pytest.mark.slow
def test_steps_become_the_next_calibration_of_the_lab(rig: Rig, lab: Path, tmp_path: Path) -> None:
    before = latest(lab / "calibrations")
    assert before is not None
    save_lens(before.lens, tmp_path / "lens.yaml")
    seen = np.full((400, 560, 3), 0.02)
    for number, patch in enumerate(reference_light()):
        row, column = divmod(number, 6)
        seen[40 + 82 * row : 110 + 82 * row, 40 + 82 * column : 110 + 82 * column] = np.clip(patch, 0, None)
    cast = np.array([[0.6, 0.1, 0.0], [0.1, 0.8, 0.1], [0.0, 0.1, 0.5]])
    cv2.imwrite(str(tmp_path / "chart.png"), to_image((seen @ cast).astype(np.float32))[..., ::-1])
    corners = "75,75 485,75 485,321 75,321"
    made = rig("calibrate", "colour", "--image", "chart.png", "--corners", corners, "--out", "colour.yaml")
    assert made.code == 0, made.err
    ran = rig("calibrate", "keep", "--lens", "lens.yaml", "--colour", "az060=colour.yaml", "--lab", lab, "--json")
    assert ran.code == 0, ran.err
    after = latest(lab / "calibrations")
    assert after is not None and after.id == ran.json["id"] != before.id and ran.json["number"] == 2
    assert after.applied_to("az060") == ["dark", "lens", "flat", "colour"]
    grey = np.full((1, 1, 3), 0.25, np.float32) @ cast.astype(np.float32)
    true = after.colours["az060"].apply(np.asarray(grey, np.float32)).ravel()
    assert np.ptp(true) < 0.01 and true[1] == pytest.approx(float(grey[0, 0, 1]), rel=0.03)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "Give what to keep"),
        (("--colour", "colour.yaml"), "names no light"),
        (("--colour", "az999=c.yaml"), "no light az999"),
        (("--lens", "nowhere.yaml"), "does not exist"),
    ],
)
@pytest.mark.slow
def test_what_makes_no_calibration_is_refused(rig: Rig, lab: Path, options: tuple[str, ...], reason: str) -> None:
    ran = rig("calibrate", "keep", *options, "--lab", lab)
    assert ran.code in (1, 2) and reason in ran.err, ran.err
