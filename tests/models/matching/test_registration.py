"""One crop laid on another."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.image import Image
from models.embedding.backbones import WeightsError
from models.local_features import networks
from models.local_features.networks import describe
from models.matching.registration import Registration, lay_on, register
from rig.twin.coins.procedural import procedural_side
from rig.twin.coins.reproduction import reproduction
from tests.models.model_coins import crop_of


@pytest.fixture(scope="module")
def crop() -> Image:
    """A made coin, as large as a crop."""
    return np.asarray(cv2.resize(reproduction(procedural_side("r1", "obverse"), 1, "photograph"), (224, 224)), np.uint8)


def test_a_crop_that_was_moved_is_laid_back(crop: Image) -> None:
    move = cv2.getRotationMatrix2D((111.5, 111.5), 8.0, 1.05)
    move[:, 2] += (4.0, -3.0)
    moved = np.asarray(cv2.warpAffine(crop, move, (224, 224), borderValue=(116, 116, 116)), np.uint8)
    found = register(describe(crop), describe(moved))
    assert found.holds and found.inliers > 100
    corners = np.array([(60, 70, 1), (150, 80, 1), (110, 160, 1)], float)
    expected = corners @ move.T
    shares = np.column_stack([(corners[:, :2] + 0.5) / 224, np.ones(3)])
    np.testing.assert_allclose(shares @ found.matrix.T * 224 - 0.5, expected, atol=0.7)
    np.testing.assert_allclose(found.first @ found.matrix[:, :2].T + found.matrix[:, 2], found.second, atol=7 / 448)
    laid, inner = lay_on(crop, found).astype(float), slice(60, 164)
    assert np.abs(laid - moved)[inner, inner].mean() < 6.0 < np.abs(crop.astype(float) - moved)[inner, inner].mean()


def test_a_map_is_turned_and_laid_like_its_crop(crop: Image) -> None:
    found = Registration(np.array([[1.0, 0.0, 0.1], [0.0, 1.0, 0.0]]), *(np.zeros((40, 2), np.float32),) * 2)
    heat = np.zeros((224, 224), np.float32)
    heat[112, 180] = 1.0  # on the right: turned by 90 degrees it is above, then shifted to the right
    y, x = np.unravel_index(lay_on(heat, found, 90.0).argmax(), heat.shape)
    assert abs(x - (112 + 22)) <= 1 and abs(y - 43) <= 1


def test_coins_that_have_nothing_in_common_are_not_laid_on_each_other(crop: Image) -> None:
    blank = np.full((224, 224, 3), 116, np.uint8)
    assert register(describe(crop), describe(blank)).inliers == 0
    assert not register(describe(crop), describe(crop_of(5))).holds


def test_damaged_weights_are_named(crop: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (None, b"version https://git-lfs.github.com/spec/v1", networks.WEIGHTS.read_bytes()[:200_000]):
        path = tmp_path / "weights.safetensors"
        if content is not None:
            path.write_bytes(content)
        monkeypatch.setattr(networks, "WEIGHTS", path)
        networks._networks.cache_clear()
        with pytest.raises(WeightsError, match=r"weights\.safetensors is damaged or missing\. Install"):
            describe(crop)
