"""`rig colmap`: frames of several tilts for photogrammetry, compared with what is seen in them and the twin's truth."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from calibration.plate import RingSpec, ring_corners
from rig.twin.optics import CameraModel, camera_axes
from rig.twin.scene import CameraPose
from tests.pipeline.conftest import Rig

TILTS, TURNS = (0.0, 20.0, 35.0), (0.0, 90.0, 180.0, 270.0)
PLAN = f"sides: [obverse]\nlights: [az060]\ntilt_deg: {list(TILTS)}\nturntable_deg: {list(TURNS)}\nretakes: 0\n"


def lines_of(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


def rotation_of(w: float, x: float, y: float, z: float) -> np.ndarray:
    """Of a unit quaternion, as textbooks have it."""
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


@pytest.mark.slow
def test_known_points_project_to_where_the_images_show_them(rig: Rig, tiny_lab: Path, tmp_path: Path) -> None:
    document = yaml.safe_load((tiny_lab / "rig.yaml").read_text())
    document["station"]["turntable"]["tilt"] = {"axis": "Y"}
    (tiny_lab / "rig.yaml").write_text(yaml.safe_dump(document))
    (tiny_lab / "plans" / "default.yaml").write_text(PLAN)
    scanned = rig("scan", "--tray", 1, "--no-identify", "--lab", tiny_lab)
    assert scanned.code == 0, scanned.err
    coin = next(iter(yaml.safe_load((tiny_lab / "trays" / "1.yaml").read_text())["slots"].values()))
    out = tmp_path / "colmap"
    ran = rig("colmap", "--coin", coin, "--out", out, "--lab", tiny_lab, "--json")
    assert ran.code == 0 and ran.json["tilts_deg"] == pytest.approx(TILTS, abs=0.2), ran.err
    camera_id, model, width, height, *parameters = lines_of(out / "cameras.txt")[0].split()
    assert (camera_id, model, int(width), int(height)) == ("1", "PINHOLE", 640, 480)
    focal_x, focal_y, centre_x, centre_y = map(float, parameters)
    points = {
        int(number): np.array([float(x), float(y), float(z)])
        for number, x, y, z, *_ in (line.split() for line in lines_of(out / "points3D.txt"))
    }
    rows = lines_of(out / "images.txt")
    truth = CameraModel.model_validate(document["camera"]["optics"])
    ring = RingSpec()
    centres_mm = ring.corners_mm.mean(axis=1)
    assert len(rows) == 2 * len(TILTS) * len(TURNS)
    for pose, seen in zip(rows[::2], rows[1::2], strict=True):
        _, *values, camera, name = pose.split()
        quaternion, translation = np.array(values[:4], float), np.array(values[4:], float)
        rotation = rotation_of(*quaternion)
        assert camera == "1" and np.linalg.norm(quaternion) == pytest.approx(1, abs=1e-6)
        tilt_deg, turn_deg = (float(part[4:]) for part in name.removesuffix(".png").split("_")[1:])
        # Looked for in the image that was written, without what the command knew of it.
        image = cv2.cvtColor(cv2.imread(str(out / "images" / name)), cv2.COLOR_BGR2RGB)
        found = ring_corners(image, ring)
        markers = [
            int(np.linalg.norm(centres_mm - quad.mean(axis=0), axis=1).argmin()) + 1 for quad in found.on_plate_mm
        ]
        places = np.array([points[number] for number in markers])
        at = places @ rotation.T + translation
        projected = at[:, :2] / at[:, 2:] * (focal_x, focal_y) + (centre_x, centre_y)
        middles = found.seen_px.mean(axis=1) + 0.5
        off = np.linalg.norm(projected - middles, axis=1)
        assert len(off) > 8 and np.median(off) < 0.3, name
        tracked = np.array(seen.split(), float).reshape(-1, 3)
        assert len(tracked) > 8 and set(tracked[:, 2]) <= set(points)
        # The twin's camera swings about the plate's middle; the plate turns under it.
        turn = np.radians(turn_deg)
        back = np.array([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
        true_place = back @ (-truth.height_mm * camera_axes(CameraPose(tilt_deg))[2])
        off_deg = np.degrees(
            np.arccos(
                np.clip(
                    np.dot(true_place, -rotation.T @ translation)
                    / np.linalg.norm(true_place)
                    / np.linalg.norm(translation),
                    -1,
                    1,
                )
            )
        )
        assert off_deg < 0.3, name
        assert np.linalg.norm(translation) == pytest.approx(truth.height_mm, rel=0.005)


def test_frames_that_are_not_there_are_named(rig: Rig, lab: Path, tmp_path: Path) -> None:
    ran = rig("colmap", "--coin", "no such coin", "--out", tmp_path / "new", "--lab", lab)
    assert ran.code == 1 and "no frame matches coin no such coin" in ran.err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("mine")
    ran = rig("colmap", "--coin", "no such coin", "--out", tmp_path / "full", "--lab", lab)
    assert ran.code == 2 and "there already" in ran.err
