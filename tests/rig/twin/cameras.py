"""Cameras of the twin, drawn at random."""

from __future__ import annotations

import numpy as np

from rig.twin.render import CameraModel


def any_camera(chance: np.random.Generator) -> CameraModel:
    """Any camera of 1280 by 960 pixels that the twin's bench could have."""
    return CameraModel(
        focal_px=chance.uniform(4700, 5700),
        centre_px=(639.5 + chance.uniform(-14, 14), 479.5 + chance.uniform(-14, 14)),
        height_mm=chance.uniform(235, 265),
        k1=chance.uniform(-1.2, 0.4),
        k2=chance.uniform(-2.0, 5.0),
        p1=chance.uniform(-0.003, 0.003),
        p2=chance.uniform(-0.003, 0.003),
        vignetting=chance.uniform(0.1, 0.35),
        sharpness_px=chance.uniform(0.5, 0.8),
    )
