"""One thing at a time, and `rig doctor`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from calibration.image import read_image
from tests.pipeline.conftest import Rig, with_faults


def test_a_fit_rig_gets_a_line_per_check_and_no_complaint(rig: Rig, lab: Path) -> None:
    ran = rig("doctor", "--lab", lab)
    assert ran.code == 0, ran.err + ran.out
    assert "Fit for a scan" in ran.out
    told = rig("doctor", "--lab", lab, "--json").json
    assert {check["status"] for check in told} == {"ok"}
    assert {check["name"] for check in told} >= {
        *("disk", "store", "calibration", "turntable", "arm", "lightbox", "camera", "home", "round trip", "lights"),
        "exposure",
    }


ILLS = {
    "unplugged turntable": ("{kind: unplugged, device: turntable}", "turntable", "cable"),
    "dead lamp": ("{kind: dead lamp, first: 25, last: 34}", "lights", "az180"),
}


@pytest.mark.parametrize(("fault", "name", "word"), ILLS.values(), ids=ILLS)
def test_what_is_ill_is_named_and_the_rest_is_still_checked(
    rig: Rig, lab: Path, fault: str, name: str, word: str
) -> None:
    with_faults(lab, fault)
    ran = rig("doctor", "--lab", lab, "--json")
    assert ran.code == 1
    failed = [check for check in ran.json if check["status"] == "fail"]
    assert [check["name"] for check in failed] == [name] and word in failed[0]["found"]
    assert "camera" in [check["name"] for check in ran.json if check["status"] == "ok"]


def test_a_damaged_file_and_a_missing_calibration_are_found(rig: Rig, lab: Path) -> None:
    shutil.rmtree(lab / "calibrations")
    (lab / "trays" / "2.yaml").write_text("slots: {1: a, 2: a}\n")
    ran = rig("doctor", "--lab", lab, "--json")
    assert ran.code == 1
    status = {check["name"]: check for check in reversed(ran.json)}
    assert status["calibration"]["status"] == "warn" and "rig calibrate" in status["calibration"]["found"]
    assert status["files"]["status"] == "fail" and "2.yaml" in status["files"]["found"]


def test_a_snap_is_written_measured_and_never_over_another(rig: Rig, lab: Path, tmp_path: Path) -> None:
    target = tmp_path / "look.jxl"
    ran = rig("snap", target, "--turntable-deg", 90, "--lab", lab, "--json")
    assert ran.code == 3, "there is no coin on the plate"
    assert ran.json["reasons"] == ["no coin"]
    assert read_image(target).shape == (480, 640, 3)
    before = target.read_bytes()
    assert rig("snap", target, "--lab", lab).code == 2
    assert target.read_bytes() == before
    assert rig("snap", tmp_path / "look.gif", "--lab", lab).code == 2


def test_lights_homing_and_parking(rig: Rig, lab: Path) -> None:
    assert rig("light", "az060", "--seconds", 0, "--lab", lab).code == 0
    unknown = rig("light", "az061", "--lab", lab)
    assert unknown.code == 2 and "az060" in unknown.err
    nobody = rig("light", "az060", "--lab", lab)
    assert nobody.code == 2 and "terminal" in nobody.err
    homed = rig("home", "--lab", lab)
    assert homed.code == 0 and "Grbl 1.1" in homed.err
    assert rig("park", "--lab", lab).code == 0
    with_faults(lab, "{kind: unplugged, device: arm}")
    assert rig("home", "--lab", lab).code == 1


@pytest.mark.slow  # every wrong language has to be waited for
def test_devices_are_found_and_the_suggestion_fits_rig_yaml(rig: Rig, lab: Path) -> None:
    ran = rig("devices", "--lab", lab, "--json")
    assert ran.code == 0, ran.err
    found = {each["port"]: (each["role"], each["kind"]) for each in ran.json["devices"]}
    assert found["twin://turntable"] == ("turntable", "grbl")
    assert found["twin://arm"] == ("arm", "uarm") and found["twin://lightbox"] == ("lightbox", "wled")
    document = (lab / "rig.yaml").read_text()
    start, end = document.index("station:"), document.index("camera:")
    (lab / "rig.yaml").write_text(document[:start] + ran.json["suggestion"] + document[end:])
    assert rig("doctor", "--lab", lab).code == 0
    listed = rig("devices", "--no-probe", "--lab", lab, "--json")
    assert all(each["role"] is None for each in listed.json["devices"])
