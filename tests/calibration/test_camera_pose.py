"""Whether a camera stands where it stood: seen by the ring, under any light and at any angle of the plate."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibration.camera_pose import seen_square, shift_mm
from calibration.lens import Lens
from calibration.plate import Points, RingSpec
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.optics import camera_axes
from rig.twin.render import CameraModel, Renderer
from rig.twin.scene import CameraPose, Lamp, Scene

MODEL = CameraModel()
LENS = Lens(MODEL.matrix, MODEL.distortion, 0.1, MODEL.width_px, MODEL.height_px)


@pytest.mark.parametrize(
    "tilt_deg", [pytest.param(0.0, marks=pytest.mark.slow), pytest.param(20.0, marks=pytest.mark.slow), 40.0]
)
def test_a_tenth_of_a_millimetre_shows(tilt_deg: float) -> None:
    renderer, tilt = Renderer(MODEL, ProceduralDrawer()), math.radians(tilt_deg)
    taught_mm = MODEL.height_mm * np.array([0.0, -math.sin(tilt), math.cos(tilt)])

    def shoot(off_mm: Points, plate_deg: float, azimuth_deg: float) -> Points:
        pose = CameraPose(tilt_deg, lens_mm=tuple(taught_mm + off_mm))
        seen = seen_square(
            renderer.render(Scene(plate_deg, lamps=(Lamp(azimuth_deg, 35, 1.0),), camera=pose), 20_000), RingSpec()
        )
        assert seen is not None
        return seen

    was = shoot(np.zeros(3), 0.0, 0.0)
    for off_mm, plate_deg, azimuth_deg in (((0.2, -0.1, 0.0), 77.0, 60.0), ((0.0, 0.0, 0.3), 200.0, 240.0)):
        seen = shift_mm(shoot(np.array(off_mm), plate_deg, azimuth_deg), was, LENS) @ camera_axes(CameraPose(tilt_deg))
        assert np.linalg.norm(seen - off_mm) < 0.1
