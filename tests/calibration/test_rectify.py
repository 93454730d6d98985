"""Rectified views: a ruler laid on the twin's coin is as long in one direction as in the other, at every tilt."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from calibration.lens import Lens
from calibration.plate import RingSpec, RingView, ring_corners, ring_of
from calibration.rectify import plane_to_view, rectify
from calibration.view_poses import poses_at_one_tilt
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.optics import to_pixel
from rig.twin.render import CameraModel, Renderer
from rig.twin.scene import CameraPose, Lamp, Scene

OPTICS = CameraModel(width_px=1280, height_px=960)
LENS = Lens(OPTICS.matrix, OPTICS.distortion, 0.1, OPTICS.width_px, OPTICS.height_px)
RING = RingSpec()
MM_PER_PIXEL = 0.05


@pytest.mark.parametrize("tilt_deg", [45.0, *(pytest.param(each, marks=pytest.mark.slow) for each in (0.0, 25.0))])
def test_a_tilted_view_of_the_ring_is_a_ruler_in_both_directions(tilt_deg: float) -> None:
    lamps = (Lamp(60.0, 35.0, 1.0), Lamp(240.0, 35.0, 1.0))
    scene = Scene(plate_angle_deg=20.0, lamps=lamps, camera=CameraPose(tilt_deg=tilt_deg))
    image = Renderer(OPTICS, ProceduralDrawer()).render(scene, 12_000)
    view = ring_of(ring_corners(image, RING), RING)
    assert view is not None
    pose = poses_at_one_tilt([view], [20.0], LENS).poses[0]
    straight = np.asarray(cv2.undistort(image, LENS.matrix, LENS.distortion), np.uint8)
    rectified = rectify(straight, pose, LENS, 0.0, MM_PER_PIXEL)
    assert rectified.shape == image.shape
    seen = ring_of(ring_corners(rectified, RING), RING)
    assert seen is not None
    off_mm = (seen.corners_px - [639.5, 479.5]) * MM_PER_PIXEL
    # each marker's distance from the middle, by direction: as printed, whichever way
    radius = np.linalg.norm(off_mm.reshape(-1, 4, 2).mean(axis=1), axis=1)
    assert radius == pytest.approx(np.full(len(radius), RING.radius_mm), rel=0.005)
    angle = np.degrees(np.arctan2(-off_mm[0, 1], off_mm[0, 0]) - np.arctan2(*seen.corners_mm[0, ::-1]))
    assert (angle - 20.0 + 180) % 360 - 180 == pytest.approx(0.0, abs=0.5), "as it lies when seen from above"


def test_a_plane_above_the_plate_is_seen_where_the_camera_sees_it() -> None:
    """Points of the twin's world at a height: the homography leads to where the twin renders them."""
    camera = CameraPose(tilt_deg=40.0)
    corners = np.array([[x, y, 0.0] for x, y in RING.corners_mm.reshape(-1, 2)])
    view = RingView(to_pixel(OPTICS, camera, corners), corners[:, :2])
    pose = poses_at_one_tilt([view], [0.0], LENS).poses[0]
    points = np.array([[9.0, -4.0, 2.2], [-7.0, 8.0, 2.2], [0.0, 0.0, 2.2]])
    through = cv2.perspectiveTransform(points[:, :2].reshape(-1, 1, 2), plane_to_view(pose, LENS, 2.2)).reshape(-1, 2)
    truly = LENS.straightened(to_pixel(OPTICS, camera, points))
    assert np.abs(through - truly).max() < 0.1
