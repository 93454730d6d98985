"""What `rig calibrate` finds of the twin's targets: colours, lamps, the axis; in the lab that other tests share."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calibration.bundle import latest
from rig.twin.lamps import lamp_position
from rig.twin.render import CameraModel
from rig.twin.scene import Lamp


def test_every_light_has_its_colours_and_its_place_and_the_plate_its_axis(made_lab: Path) -> None:
    bundle = latest(made_lab / "calibrations")
    assert bundle is not None and bundle.axis is not None and bundle.dark is not None
    assert set(bundle.colours) == set(bundle.flats)
    assert all(each.ciede2000_mean is not None and each.ciede2000_mean < 2 for each in bundle.colours.values())
    assert len(bundle.lamps) == 6, "light from all around has no place"
    for name, place in bundle.lamps.items():
        true = lamp_position(Lamp(float(name.removeprefix("az")), 35.0, 1.0))
        off_deg = np.degrees(np.arccos(place.direction @ true / np.linalg.norm(true)))
        assert off_deg < 2, name
        assert place.position_mm is not None and np.linalg.norm(place.position_mm - true) < 50, name
    camera = CameraModel(width_px=640, height_px=480, focal_px=2650, centre_px=(322.5, 237))
    assert np.abs(np.array(bundle.axis.centre_px) - camera.centre_px).max() < 0.4
    assert bundle.axis.inclination_deg < 0.5
