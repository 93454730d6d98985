"""One thing at a time, and `rig doctor`."""

from __future__ import annotations

import fcntl
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from calibration.image import read_image
from rig.station import StationConfig
from rig.twin import world as twin_world
from rig.twin.lab import make_world
from rig.twin.world import World
from tests.pipeline.conftest import Rig, with_faults
from tests.processes import Command
from tests.rig.driving import FastClock
from tests.rig.pty_harness import Cable


def test_a_fit_rig_gets_a_line_per_check_and_no_complaint(rig: Rig, lab: Path) -> None:
    ran = rig("doctor", "--lab", lab)
    assert ran.code == 0, ran.err + ran.out
    assert "Fit for a scan, as far as it was tried. Not tried: coins." in ran.out
    assert "not tried  coins: " in ran.out


@pytest.mark.slow
def test_every_check_of_a_fit_rig_is_printed_as_json(rig: Rig, lab: Path) -> None:
    printed = rig("doctor", "--lab", lab, "--json").json
    # how much of the disk is free is this machine's own affair
    assert {check["status"] for check in printed if check["name"] not in ("disk", "coins")} == {"ok"}
    assert {check["name"] for check in printed} >= {
        *("disk", "store", "calibration", "turntable", "arm", "lightbox", "camera", "home", "round trip", "lights"),
        *("grip", "stop of the arm", "stop of the turntable", "exposure"),
    }
    (coins,) = (check for check in printed if check["name"] == "coins")
    assert coins["status"] == "not tried" and "Taking up a coin" in coins["found"]


ILLS = {
    "unplugged turntable": ("{kind: unplugged, device: turntable}", "turntable", "cable"),
    "third light": ("{kind: dead lamp, first: 15, last: 24}", "lights", "az120"),
    "first light": ("{kind: dead lamp, first: 0, last: 4}, {kind: dead lamp, first: 55, last: 59}", "lights", "az000"),
    "dead pump": ("{kind: dead pump}", "grip", "the pump does not run"),
    "deaf arm": ("{kind: deaf to stop, device: arm}", "stop of the arm", "kept moving"),
    "deaf turntable": (
        "{kind: deaf to stop, device: turntable}",
        "stop of the turntable",
        "kept turning",
    ),
}


@pytest.mark.parametrize(
    ("fault", "name", "word"),
    [
        pytest.param(*ill, id=name, marks=() if name in ("third light", "deaf turntable") else pytest.mark.slow)
        for name, ill in ILLS.items()
    ],
)
def test_what_is_ill_is_named_and_the_rest_is_still_checked(
    rig: Rig, lab: Path, fault: str, name: str, word: str
) -> None:
    with_faults(lab, fault)
    ran = rig("doctor", "--lab", lab, "--json")
    assert ran.code == 1
    failed = [check for check in ran.json if check["status"] == "fail"]
    assert [check["name"] for check in failed] == [name] and word in failed[0]["found"]
    assert "camera" in [check["name"] for check in ran.json if check["status"] == "ok"]


def test_lights_that_are_all_dead_are_one_finding(rig: Rig, lab: Path) -> None:
    """Without light a camera cannot be blamed for its exposure, nor the plate for its ring."""
    with_faults(lab, "{kind: dead lamp, first: 0, last: 59}")
    checks = {check["name"]: check for check in rig("doctor", "--lab", lab, "--json").json}
    assert [name for name, check in checks.items() if check["status"] == "fail"] == ["lights"]
    for name in ("exposure", "stop of the turntable"):
        assert checks[name]["status"] == "not tried" and "Fix the lights first" in checks[name]["found"]


def test_an_arm_that_feels_nothing_is_not_called_fit_to_grip(rig: Rig, lab: Path) -> None:
    """A RoArm cannot be asked whether its pump runs already, nor feel what it does: grip is no check that passed."""
    with_faults(lab, "{kind: dead pump}")
    document = yaml.safe_load((lab / "rig.yaml").read_text())
    (lab / "rig.yaml").write_text(yaml.safe_dump({**document, "station": {"arm": {"kind": "roarm"}}}))
    ran = rig("doctor", "--lab", lab)
    assert ran.code == 0, ran.out
    assert "warn  arm's line: its line has no checksum" in ran.out
    assert "not tried  grip: A coin may hang on the cup" in ran.out
    assert "Not tried: grip, coins." in ran.out


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
    assert rig("snap", tmp_path / "look.png", "--lab", lab).code == 3
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG")


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


def test_devices_lists_ports_and_the_camera(rig: Rig, lab: Path) -> None:
    listed = rig("devices", "--no-probe", "--lab", lab, "--json").json["devices"]
    twins = {each["port"]: each["role"] for each in listed if each["port"].startswith("twin://")}
    assert twins == {
        "twin://turntable": None,
        "twin://arm": None,
        "twin://lightbox": None,
        "twin://camera": "camera",
    }


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
    assert found["twin://camera"] == ("camera", "twin")


# Over true terminals, as at a bench


@pytest.fixture
def bench(lab: Path, tmp_path: Path) -> Iterator[tuple[World, dict[str, Cable]]]:
    """The lab's devices on terminals, the controllers on their far ends; its camera is missing."""
    document = yaml.safe_load((lab / "rig.yaml").read_text())
    ports = {role: {"port": str(tmp_path / f"tty-{role}")} for role in ("turntable", "arm", "lightbox")}
    real = {"station": ports, "camera": {"kind": "replay", "folder": str(tmp_path / "no images")}}
    (lab / "rig.yaml").write_text(yaml.safe_dump({**document, **real, "twin": None}))
    world = make_world(StationConfig.model_validate(ports), FastClock(), seed=1)
    cables = {role: Cable(world, role, tmp_path) for role in ports}
    yield world, cables
    for cable in cables.values():
        cable.pull_out()
    twin_world.use(None)


needs_terminals = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")


@pytest.mark.slow
@needs_terminals
def test_what_needs_no_camera_works_without_one(rig: Rig, lab: Path, bench: tuple[World, dict[str, Cable]]) -> None:
    assert rig("home", "--lab", lab).code == 0
    looked = rig("snap", lab / "look.jpg", "--lab", lab)
    assert looked.code == 1 and "no images" in looked.err and "Traceback" not in looked.err
    checks = {check["name"]: check for check in rig("doctor", "--lab", lab, "--json").json}
    assert checks["camera"]["status"] == "fail" and checks["round trip"]["status"] == "ok"
    assert "camera" in checks["lights and what they show"]["found"]
    listed = rig("devices", "--no-probe", "--lab", lab, "--json").json["devices"]
    assert {each["port"] for each in listed} >= {cable.port for cable in bench[1].values()}


@needs_terminals
def test_a_port_that_is_gone_or_taken_are_distinguished(
    rig: Rig, lab: Path, bench: tuple[World, dict[str, Cable]]
) -> None:
    cable = bench[1]["turntable"]
    with Path(cable.port).open("rb+", buffering=0) as taken:
        fcntl.flock(taken, fcntl.LOCK_EX)  # as every program does that is careful with serial ports
        refused = rig("home", "--lab", lab)
    assert refused.code == 1 and "another program uses it. Close that program" in refused.err
    assert refused.err.count(cable.port) == 1
    cable.pull_out()
    gone = rig("home", "--lab", lab)
    assert gone.code == 1 and "there is no such port" in gone.err and "`rig devices`" in gone.err
    cable.plug_in()


@needs_terminals
def test_ended_by_a_signal_it_leaves_no_light_on(lab: Path, bench: tuple[World, dict[str, Cable]]) -> None:
    world, _ = bench
    process = Command("light", "az060", "--seconds", 60, "--lab", lab)
    until_s = time.monotonic() + 60
    while len(world.scene().lamps) != 1 and time.monotonic() < until_s:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 3 and "interrupted" in printed and "Traceback" not in printed
    while world.scene().lamps and time.monotonic() < until_s:
        time.sleep(0.01)
    assert world.scene().lamps == ()
