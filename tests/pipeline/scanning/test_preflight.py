"""What is checked before a session exists is the same for a dry run, a scan and a batch."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from capture.plan import Plan
from capture.store import Store
from capture.store.records import Session
from pipeline.errors import LabError, UsageError
from pipeline.lab import open_lab
from tests.pipeline.conftest import COINS, with_faults
from tests.pipeline.loop import run

SHORT = "sides: [obverse]\nlights: [az060]\nturntable_deg: [0]\n"
TILTED = SHORT + "tilt_deg: [0, 20]\n"


@pytest.fixture
def lab(lab: Path) -> Path:
    """A lab in haste, one coin to a tray."""
    (lab / "rig.yaml").write_text(re.sub(r"speed: \d+", "speed: 1000", (lab / "rig.yaml").read_text()))
    (lab / "plans" / "default.yaml").write_text(SHORT)
    for number in (1, 2):
        (lab / "trays" / f"{number}.yaml").write_text(f"slots:\n  1: {COINS[number]}\n")
    return lab


def sessions(lab: Path) -> list[Session]:
    with Store.open(lab / "store", writing=False) as store:
        return store.sessions.find("scan")


EDGE = SHORT.replace("obverse", "obverse, edge")
FOCUSED = SHORT + "focus_mm: [1, 2]\n"
SLIPS = (
    ("plans/default.yaml", TILTED, r"default\.yaml, line 4: tilt_deg: .* camera is fixed\. Set `tilt_deg: \[0\]`"),
    (
        "plans/default.yaml",
        EDGE,
        r"default\.yaml, line 1: sides: .* looks straight down .* Take `edge` out",
    ),
    ("plans/default.yaml", SHORT.replace("az060", "az999"), r"default\.yaml, line 2: lights: .* no az999"),
    ("trays/1.yaml", "slots:\n  99: 1994.1\n", r"1\.yaml, line 2: slots: There is no slot 99"),
    ("trays/1.yaml", "slots: {1: null}\n", r"1\.yaml, line 1: Every slot is empty"),
)


def test_what_the_rig_cannot_do_is_refused_by_every_command(lab: Path) -> None:
    for file, document, complaint in SLIPS:
        good = (lab / file).read_text()
        (lab / file).write_text(document)
        for command in (("scan", "--tray", 1), ("batch", "--trays", "1-2")):
            for dry in ((), ("--dry-run",)):
                with pytest.raises(LabError, match=complaint):
                    run(*command, *dry, "--no-identify", "--lab", lab)
        assert sessions(lab) == []
        (lab / file).write_text(good)
    assert run("scan", "--tray", 1, "--no-identify", "--lab", lab).code == 0


ON_ARM = "  camera_arm: {arm: {kind: dobot, home_mm: [330, 0, 60]}}\n"


def test_an_arm_that_holds_the_camera_does_what_it_was_taught_and_nothing_else(lab: Path) -> None:
    rig_yaml, poses = lab / "rig.yaml", lab / "camera_poses.yaml"
    rig_yaml.write_text(rig_yaml.read_text().replace("station:\n", "station:\n" + ON_ARM))
    (lab / "plans" / "default.yaml").write_text(TILTED)
    dry = ("scan", "--tray", 1, "--dry-run", "--no-identify", "--lab", lab)
    with pytest.raises(LabError, match=r"line 4: tilt_deg: .* no pose for 0, 20 degrees.* `rig jog --camera`"):
        run(*dry)
    pose = "{tilt_deg: %d, end_mm: [330, 0, 70], wrist_deg: %d}"
    poses.write_text(f"arm: dobot\nposes:\n- {pose % (0, 0)}\n- {pose % (20, 20)}\n")
    assert run(*dry).code in (0, 1)
    (lab / "plans" / "default.yaml").write_text(EDGE)
    with pytest.raises(LabError, match=r"line 1: sides: The edge is seen from 20 .* tilts by 0\. Write .*: \[20\]"):
        run(*dry)
    (lab / "plans" / "default.yaml").write_text(EDGE + "edge_tilt_deg: [45]\n")
    with pytest.raises(LabError, match=r"line 1: sides: .* taught no pose for 45 degrees.* `edge_tilt_deg: \[20\]`"):
        run(*dry)
    (lab / "plans" / "default.yaml").write_text(EDGE + "edge_tilt_deg: [20]\n")
    planned = run(*dry)
    assert planned.code in (0, 1) and "edge shots" in planned.out and "the edge at tilt 20" in planned.out
    assert "the thickness comes out less exact" in planned.out + planned.err
    (lab / "plans" / "default.yaml").write_text(TILTED)
    with pytest.raises(UsageError, match="no tilt"):
        run("jog", "--camera", "--tilts", "20,steep", "--lab", lab)
    poses.write_text(poses.read_text().replace("dobot", "uarm"))
    with pytest.raises(LabError, match=r"taught to a uarm, and rig\.yaml has a dobot"):
        run(*dry)


def test_a_focus_bracket_needs_a_camera_whose_focus_is_driven(lab: Path) -> None:
    (lab / "plans" / "default.yaml").write_text(FOCUSED)
    planned = run("scan", "--tray", 1, "--dry-run", "--no-identify", "--lab", lab)
    assert planned.code == 0 and "focused at 1, 2 mm" in planned.out
    rig_yaml = lab / "rig.yaml"
    camera = rig_yaml.read_text().index("camera:\n")
    rig_yaml.write_text(rig_yaml.read_text()[:camera] + "camera: {kind: replay, folder: photos}\n")
    with pytest.raises(LabError, match=r"line 4: focus_mm: .* nothing drives the focus of this camera \(replay\)"):
        run("scan", "--tray", 1, "--dry-run", "--no-identify", "--lab", lab)


def test_a_technician_is_asked_where_there_is_a_terminal(lab: Path) -> None:
    rig_yaml = lab / "rig.yaml"
    rig_yaml.write_text(rig_yaml.read_text().replace("{kind: uarm, port: twin://arm}", "{kind: manual}"))
    assert "kind: manual" in rig_yaml.read_text()
    for command in (("scan", "--tray", 1), ("batch", "--trays", "1-2")):
        with pytest.raises(LabError, match="no terminal to ask"):
            run(*command, "--no-identify", "--lab", lab)
    assert sessions(lab) == []


def test_a_light_that_was_not_calibrated_and_a_full_disk_are_shown_by_a_dry_run_and_refused_by_a_scan(
    lab: Path,
) -> None:
    (lab / "rig.yaml").write_text(
        (lab / "rig.yaml")
        .read_text()
        .replace("port: twin://lightbox", "port: twin://lightbox, lights: {extra: {sectors_deg: [[0, 60]]}}")
        + "\nbatch: {keep_free_gb: 1000000}\n"
    )
    (lab / "plans" / "default.yaml").write_text(SHORT.replace("az060", "extra"))
    dry = run("scan", "--tray", 1, "--dry-run", "--lab", lab)
    assert dry.code == 1, "as the scan itself would"
    assert "Light extra is not in calibration" in dry.out and "too small" in dry.out
    for command in (("scan", "--tray", 1), ("batch", "--trays", "1")):
        with pytest.raises(LabError, match=r"Light extra is not in calibration .* Run `rig calibrate` again"):
            run(*command, "--no-identify", "--lab", lab)
    assert sessions(lab) == []


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("scan", "--tray", 1), id="scan", marks=pytest.mark.slow),
        pytest.param(("batch", "--trays", "1"), id="batch"),
    ],
)
def test_an_interrupted_scan_that_the_rig_cannot_finish_starts_over_with_the_corrected_plan(
    lab: Path, command: tuple[object, ...]
) -> None:
    with Store.open(lab / "store") as store:  # as version 0.1.0 began it
        trapped = store.sessions.begin_scan(open_lab(lab).tray("1"), Plan(lights=("az060",), tilt_deg=(0.0, 20.0)))
    ran = run(*command, "--no-identify", "--lab", lab, "--json")
    assert ran.code == 0, ran.err
    assert "cannot be resumed: The plan tilts the camera by 20 degrees" in ran.err and "Starting over" in ran.err
    with Store.open(lab / "store", writing=False) as store:
        assert {frame.coin_id for frame in store.frames.find()} == {COINS[1]}
        assert store.sessions.get(trapped.id).finished_at is not None
        assert store.frames.find(trapped.id) == []


def test_every_session_of_a_batch_names_every_device_also_after_one_was_recovered(lab: Path) -> None:

    with_faults(lab, "{kind: unplugged, device: lightbox, after_messages: 9, seconds: 1}")
    ran = run("batch", "--trays", "1-2", "--no-identify", "--lab", lab, "--json")
    assert ran.code == 0, ran.err
    assert 0 < ran.err.find("Connected and homed again") < ran.err.find("Tray 2.")
    kinds = [[device["kind"] for device in session.devices] for session in sessions(lab)]
    assert kinds == [["wled", "grbl", "uarm", "twin"]] * 2
    wled, grbl, uarm, _ = sessions(lab)[1].devices
    assert [device["firmware"] for device in (wled, grbl, uarm)] == ["WLED 0.15.0", "Grbl 1.1h", "V4.10.0"]
    assert (wled["settings"]["count"], uarm["settings"]["work mode"]) == ("60", "0")
    assert grbl["settings"]["$110"] == "3600.000"


def rewrite(lab: Path, file: str, old: str, new: str) -> None:
    """Change a file of the lab as a person does who is mistaken."""
    text = (lab / file).read_text()
    assert old in text
    (lab / file).write_text(text.replace(old, new))


MISTAKES = {
    "one port": (("twin://arm", "twin://turntable"), r"line \d+: station: arm: port: .* the twin has another device"),
    "square": (("camera:\n", "board: {square_mm: 0.498}\ncamera:\n"), r"square_mm: .*in millimetres, such as 4.98"),
    "marker": (("camera:\n", "board: {marker_mm: 0.37}\ncamera:\n"), r"marker_mm \(0.37\) .* at least a quarter"),
    "ring": (("camera:\n", "quality: {ring: {radius_mm: 1.94}}\ncamera:\n"), r"radius_mm: .* at least 3"),
}


@pytest.mark.parametrize(("change", "complaint"), list(MISTAKES.values()), ids=list(MISTAKES))
def test_a_rig_that_cannot_be_is_refused_with_its_line(lab: Path, change: tuple[str, str], complaint: str) -> None:
    rewrite(lab, "rig.yaml", *change)
    for command in (("scan", "--tray", 1), ("batch", "--trays", "1-2")):
        with pytest.raises(LabError, match=complaint):
            run(*command, "--dry-run", "--lab", lab)


def test_two_devices_on_one_port_and_twin_ports_without_a_twin_are_refused(lab: Path, tmp_path: Path) -> None:
    real, link = tmp_path / "ttyUSB0", tmp_path / "by-id"
    link.symlink_to(real)
    document = f"station:\n  turntable: {{port: {real}}}\n  arm: {{port: {link}}}\n"
    (lab / "rig.yaml").write_text(document + "camera: {kind: opencv, device: 0}\n")
    for command in (("scan", "--tray", 1, "--dry-run"), ("home",), ("calibrate",)):
        with pytest.raises(LabError, match=r"line 3: station: arm: port: .*by-id is the turntable's as well"):
            run(*command, "--lab", lab)
    (lab / "rig.yaml").write_text("station:\n  arm: {port: twin://arm}\ncamera: {kind: opencv, device: 0}\n")
    with pytest.raises(LabError, match="turntable: port: twin://turntable is a port of the digital twin, and this"):
        run("scan", "--tray", 1, "--dry-run", "--lab", lab)


def test_what_was_hardly_meant_is_warned_of(lab: Path) -> None:
    (lab / "plans" / "quick.yaml").write_text(SHORT + "exposure_us: 20\n")
    (lab / "plans" / "slow.yaml").write_text("exposure_us: 9000000\n")
    rewrite(lab, "rig.yaml", "camera:\n", "policy: {coin_minutes: 0.1}\ncamera:\n")
    (lab / "trays" / "3.yaml").write_text((lab / "trays" / "1.yaml").read_text())
    quick = run("scan", "--tray", 1, "--plan", "quick", "--dry-run", "--lab", lab)
    assert "exposure_us: 20 is 0.02 ms, which is very short. It is given in microseconds" in quick.out
    assert f"Coin {COINS[1]} is on tray 1 and on tray 3, by their files." in quick.out
    slow = run("scan", "--tray", 2, "--plan", "slow", "--dry-run", "--lab", lab)
    assert "9000 ms, which is very long" in slow.out and "is given up after 0.1 min" in slow.out
    night = run("batch", "--trays", "1,3", "--dry-run", "--lab", lab)
    assert night.code == 1
    assert f"would not start: Coin {COINS[1]} is on tray 1 (slot 1) and on tray 3 (slot 1)." in night.out
    assert night.out.count(COINS[1]) == 1, "one finding, one message"
    assert len(run("batch", "--trays", "1", "--plan", "quick", "--dry-run", "--lab", lab, "--json").json["to_do"]) == 1


def test_a_finished_tray_is_not_scanned_again_without_a_word(lab: Path) -> None:
    scan = ("scan", "--tray", 1, "--no-identify", "--lab", lab)
    assert run(*scan).code == 0
    dry = run(*scan, "--dry-run")
    assert "It was scanned to the end already, by this plan" in dry.out and "--fresh" in dry.out
    again = run(*scan)
    assert "was scanned to the end already" in again.err and f"`rig report --tray 1 --lab {lab}`" in again.err
    assert "already" not in run(*scan, "--fresh").err
    (lab / "plans" / "other.yaml").write_text(SHORT + "retakes: 1\n")
    assert "already" not in run(*scan, "--plan", "other").err, "another plan is another scan"
    assert len(sessions(lab)) == 4


def test_a_plan_that_is_asked_for_is_not_overridden_by_an_interrupted_scan(lab: Path) -> None:
    (lab / "plans" / "other.yaml").write_text(SHORT.replace("az060", "az180"))
    with Store.open(lab / "store") as store:
        store.sessions.begin_scan(open_lab(lab).tray("1"), open_lab(lab).plan("other"))
    scan = ("scan", "--tray", 1, "--no-identify", "--lab", lab)
    conflict = "Tray 1 has an interrupted scan by plan other (1 shot missing), and --plan asks for default."
    for command in (scan, ("batch", "--trays", "1", "--no-identify", "--lab", lab)):
        dry = run(*command, "--plan", "default", "--dry-run")
        assert dry.code == 1 and f"would not start: {conflict}" in dry.out and "add --fresh" in dry.out
        with pytest.raises(LabError, match=re.escape(conflict)):
            run(*command, "--plan", "default")
    assert "plan other" in run(*scan, "--dry-run").out, "without --plan, its own"
    resumed = run(*scan)
    assert "by plan other" in resumed.err and "changed" not in resumed.err
    assert len(sessions(lab)) == 1
    assert run(*scan, "--plan", "default").code == 0


WRONG_NAMES = (
    (("scan", "--tray", "99"), "tray 99 does not exist in .*trays: 1, 2"),
    (("scan", "--tray", "1", "--plan", "quik"), "plan quik does not exist"),
    (("scan", "--tray", ""), "--tray is empty. Name one of the trays of .*: 1, 2"),
    (("scan", "--tray", "1.yaml"), "named without folder and .yaml: give 1"),
    (("batch", "--trays", "99"), "there is no tray 99"),
    (("batch", "--trays", " "), "--trays is empty. Name trays of .* or `all`"),
    (("batch", "--trays", "1", "--plan", "quik"), "plan quik does not exist"),
)


@pytest.mark.parametrize(("command", "complaint"), WRONG_NAMES, ids=[" ".join(words) for words, _ in WRONG_NAMES])
def test_a_name_that_there_is_not_is_wrong_usage(lab: Path, command: tuple[str, ...], complaint: str) -> None:
    for dry in ((), ("--dry-run",)):
        with pytest.raises(UsageError, match=complaint):  # exit 2
            run(*command, *dry, "--no-identify", "--lab", lab)


def test_what_did_not_start_leaves_the_last_run_in_the_status(lab: Path) -> None:
    assert run("scan", "--tray", 1, "--no-identify", "--lab", lab).code == 0
    before = (lab / "status.json").read_bytes()
    rewrite(lab, "rig.yaml", "camera:\n", "batch: {keep_free_gb: 1000000}\ncamera:\n")
    for command in (("scan", "--tray", 2), ("batch", "--trays", "1-2")):
        with pytest.raises(LabError, match="too small"):
            run(*command, "--no-identify", "--lab", lab)
        assert (lab / "status.json").read_bytes() == before
