"""Images of the twin's calibration targets: the camera that took them is known exactly."""

from __future__ import annotations

import pytest

from calibration.board import BoardSpec, BoardView, find_board
from calibration.lens import Lens, calibrate_lens
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.render import CameraModel, Renderer
from rig.twin.scene import BoardPose, Lamp, Scene

POSES = (
    BoardPose(),
    *(
        BoardPose(x_mm, y_mm, rotation_deg=11.0 * number, tilt_deg=18.0, tilt_azimuth_deg=52.0 * number)
        for number, (x_mm, y_mm) in enumerate(((0, 0), (5, 3), (-5, 3), (5, -3), (-5, -3), (0, 4), (4, 0)))
    ),
)
EVEN = (Lamp(90, 35, 0.4), Lamp(270, 35, 0.4))


@pytest.fixture(scope="session")
def camera() -> CameraModel:
    """The true camera."""
    return CameraModel()


@pytest.fixture(scope="session")
def renderer(camera: CameraModel) -> Renderer:
    return Renderer(camera, ProceduralDrawer(), seed=8)


@pytest.fixture(scope="session")
def views(renderer: Renderer) -> list[BoardView]:
    """Views of the board, the first lying flat."""
    images = (renderer.render(Scene(target="charuco", lamps=EVEN, board=pose), 20_000) for pose in POSES)
    return [find_board(image, BoardSpec()) for image in images]


@pytest.fixture(scope="session")
def lens(views: list[BoardView]) -> Lens:
    return calibrate_lens(views)
