"""A plan with the edge: photographed by a tilted camera, killed and resumed, exported, and its thickness measured."""

from __future__ import annotations

import csv
import signal
import time
from pathlib import Path

import pytest
import yaml

from capture.store import Store
from pipeline.collection.twin_lab import SEED
from rig.twin.coins.drawer import ProceduralDrawer
from tests.pipeline.conftest import Rig, lay_out
from tests.processes import Command

PLAN = """sides: [obverse, reverse, edge]
lights: [az000, az120, az240]
turntable_deg: [0, 90, 180, 270]
tilt_deg: [0]
edge_tilt_deg: [45]
"""
COIN = "2024.1.1"


def edge_lab(lab: Path, plan: str = PLAN, *, tilt: bool = True) -> Path:
    """A lab with one procedural coin, whose thickness is its own, and a camera that is tilted."""
    document = yaml.safe_load((lab / "rig.yaml").read_text())
    document["twin"]["coins"] = "procedural"
    if tilt:
        document["station"]["turntable"]["tilt"] = {"axis": "Y"}
    (lab / "rig.yaml").write_text(yaml.safe_dump(document))
    return lay_out(lab, plan, (COIN,))


@pytest.mark.slow
def test_the_thickness_is_measured_by_an_arm_that_holds_the_camera(rig: Rig, tiny_lab: Path) -> None:
    lab = edge_lab(tiny_lab, PLAN.replace("[45]", "[40]"), tilt=False)
    document = yaml.safe_load((lab / "rig.yaml").read_text())
    document["station"]["camera_arm"] = {"arm": {"kind": "dobot", "home_mm": [328, 2, 66]}}
    (lab / "rig.yaml").write_text(yaml.safe_dump(document))
    (lab / "camera_poses.yaml").write_text("arm: dobot\nposes:\n- {tilt_deg: 0, end_mm: [330, 0, 70], wrist_deg: 0}\n")
    for command in (("calibrate",), ("jog", "--camera", "--tilts", 40), ("scan", "--tray", 1, "--no-identify")):
        ran = rig(*command, "--lab", lab)
        assert ran.code == 0, ran.err
    measured = rig("measure", "--tray", 1, "--lab", lab, "--json")
    assert measured.code == 0, measured.err
    (coin,) = measured.json["coins"]
    truth_mm = ProceduralDrawer(SEED).side_texture(COIN, "obverse").thickness_mm
    assert coin["thickness_mm"] == pytest.approx(truth_mm, abs=0.1)


def edge_frames(lab: Path) -> int:
    if not (lab / "store" / "index.sqlite").exists():
        return 0
    with Store.open(lab / "store", writing=False) as store:
        return len(store.frames.find(side="edge"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "placements"), [(signal.SIGKILL, 1), (signal.SIGINT, 2)], ids=["killed", "stopped, the coin put back"]
)
def test_the_edge_is_scanned_interrupted_resumed_exported_and_measured(
    rig: Rig, tiny_lab: Path, tmp_path: Path, how: signal.Signals, placements: int
) -> None:
    lab = edge_lab(tiny_lab)
    scan = ("scan", "--tray", 1, "--no-identify", "--lab", lab, "--json")
    interrupted = Command(*scan)
    while interrupted.poll() is None and edge_frames(lab) < 4:
        time.sleep(0.02)
    interrupted.send_signal(how)
    interrupted.wait(120)
    before = edge_frames(lab)
    assert 4 <= before < 12
    resumed = rig(*scan)
    assert resumed.code == 0, resumed.err
    assert "edge, turntable 90°, az120" in Path(resumed.json["report"]).read_text()
    with Store.open(lab / "store", writing=False) as store:
        frames = store.frames.find()
        assert len({(frame.side, frame.turntable_deg, frame.light) for frame in frames}) == len(frames) == 36
        assert {frame.tilt_deg for frame in frames if frame.side == "edge"} == {45.0}
        assert len({frame.placement for frame in frames if frame.side == "edge"}) == placements
    verified = rig("store", "verify", "--lab", lab)
    assert verified.code == 0, verified.err
    measured = rig("measure", "--tray", 1, "--lab", lab, "--json")
    assert measured.code == 0, measured.err
    (coin,) = measured.json["coins"]
    truth_mm = ProceduralDrawer(SEED).side_texture(COIN, "obverse").thickness_mm
    within_mm = 0.1 if placements == 1 else 0.15  # by its width from above where no opposite turns are of one placement
    assert coin["thickness_mm"] == pytest.approx(truth_mm, abs=within_mm)
    assert 0.0 < coin["thickness_error_mm"] < 0.1
    exported = rig("store", "export", tmp_path / "out", "--tray", 1, "--lab", lab)
    assert exported.code == 0, exported.err
    assert len(list((tmp_path / "out").rglob("edge/*.raw.*"))) == 12
    (path,) = (tmp_path / "out").rglob("coins.csv")
    with path.open() as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert float(rows[COIN]["thickness_mm"]) == coin["thickness_mm"]
