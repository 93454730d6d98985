"""A coin's thickness from where its outline is seen on the plate: whatever its shape, and wherever it lies."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.thickness import DIRECTIONS, ObliqueOutline, thickness_by_width, thickness_of, turns_suffice

HEIGHT_MM = 250.0


def seen(thickness_mm: float, turn_deg: float, tilt_deg: float, lies_deg: float = 0.0) -> ObliqueOutline:
    """An uneven, chipped flan that lies off the axis, turned."""
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    radii = 10 + 0.4 * np.cos(2 * angles + 1) + 0.2 * np.cos(5 * angles) - 0.6 * np.exp(-(((angles - 2) / 0.1) ** 2))
    angles = angles + np.radians(lies_deg)
    flan = radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    tilt, turn = np.radians([tilt_deg, turn_deg])
    camera = HEIGHT_MM * np.array([np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)])
    rims = []
    for height_mm in (0.0, thickness_mm):
        points = np.column_stack([flan + np.array([1.5, -0.7]), np.full(len(flan), height_mm)])
        rims.append((camera + (points - camera) * (camera[2] / (camera[2] - points[:, 2:])))[:, :2])
    return ObliqueOutline(np.concatenate(rims), camera)


@pytest.mark.parametrize(("thickness_mm", "turns", "tilt_deg"), [(1.6, (0, 180), 45), (3.1, (10, 130, 250), 30)])
def test_the_thickness_is_that_of_the_rim(thickness_mm: float, turns: tuple[float, ...], tilt_deg: float) -> None:
    found = thickness_of([seen(thickness_mm, turn, tilt_deg) for turn in turns])
    assert found is not None
    assert found.mean_mm == pytest.approx(thickness_mm, abs=0.01) and found.std_error_mm < 0.01
    assert found.width_mm == pytest.approx(20.05, abs=0.25)


@pytest.mark.parametrize("thickness_mm", [1.6, 3.1])
def test_a_coin_that_was_moved_between_the_views_is_measured_by_its_width_from_above(thickness_mm: float) -> None:
    angles = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    above = np.ptp(seen(thickness_mm, 0, 0).outline_mm @ np.stack([np.cos(angles), np.sin(angles)]), axis=0)
    views = [seen(thickness_mm, 0, 45), seen(thickness_mm, 90, 45, lies_deg=130)]
    for sides, some in (([above, above[::-1]], views), ([above], views[1:])):
        found = thickness_by_width(some, sides, HEIGHT_MM)
        assert found is not None
        assert found.mean_mm == pytest.approx(thickness_mm, abs=0.02) and 0.04 < found.std_error_mm < 0.06
        assert found.width_mm == pytest.approx(20.05, abs=0.1)
    assert thickness_by_width([], [above], HEIGHT_MM) is None


def test_views_from_one_side_are_not_enough() -> None:
    assert thickness_of([seen(2.0, turn, 45) for turn in (0, 60)]) is None
    assert not turns_suffice([0, 60]) and not turns_suffice([0])
    assert turns_suffice([0, 180]) and turns_suffice([0, 120, 240]) and turns_suffice([0, 90, 180, 270])
