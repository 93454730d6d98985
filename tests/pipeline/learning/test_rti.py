"""A coin measured by reflectance transformation imaging."""

from __future__ import annotations

import json
import os
import random
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.image import ImageError
from calibration.outline import NoCoinError
from models.training.relight import on_coin, relit
from pipeline.errors import LabError
from pipeline.learning.rti import read_planes, rti_coin, under_lamp
from pipeline.learning.training_coins import RELIEF_LAMPS_DEG

SIZE_PX = 256
BIAS = 0.5


def write_bump(folder: Path, size_px: int = SIZE_PX) -> Path:
    """A polynomial texture map of a disc with a bump in its middle, which is bright where it faces the lamp."""
    folder.mkdir()
    y, x = np.mgrid[:size_px, :size_px] / (size_px - 1) * 2.0 - 1.0
    coin = np.hypot(x, y) < 0.7
    bump = 6.0 * np.exp(-(x**2 + y**2) / 0.02) * coin
    planes = [np.where(coin, 0.45, 0.03), bump * x, -bump * y, *[np.zeros_like(x)] * 3]
    for number, plane in enumerate(planes):
        stored = np.clip((plane + (BIAS if number else 0.0)) * 255.0, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"plane_{number}.png"), np.repeat(stored[:, :, None], 3, axis=2))
    bias = [0.0] * 3 + [BIAS] * 15
    info = {"type": "ptm", "colorspace": "rgb", "format": "png", "materials": [{"scale": [1.0] * 18, "bias": bias}]}
    (folder / "info.json").write_text(json.dumps(info))
    return folder


def test_what_faces_the_lamp_is_bright(tmp_path: Path) -> None:
    coin = rti_coin(write_bump(tmp_path / "bump"))
    assert coin.label == "bump"
    assert coin.relief is not None
    before, behind = slice(88, 106), slice(118, 136)  # of the middle
    for lamp_deg in (0, 90, 180, 270):
        for image in (coin.crops[RELIEF_LAMPS_DEG.index(lamp_deg)][:, :, 0], relit(coin.relief, lamp_deg)):
            turned = np.rot90(image, -lamp_deg // 90)  # so that the lamp is at the right
            assert turned[104:120, behind].mean() > turned[104:120, before].mean() + 20


def test_damaged_textures_are_read_or_refused_and_nothing_else(tmp_path: Path, fuzz_rounds: int) -> None:
    folder, chance = write_bump(tmp_path / "bump", 64), random.Random("rti")
    whole = {path: path.read_bytes() for path in sorted(folder.iterdir())}
    for _ in range(fuzz_rounds):
        path = chance.choice(list(whole))
        mutated = bytearray(whole[path])
        for _ in range(chance.randint(1, 4)):
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        if chance.random() < 0.2:
            del mutated[chance.randrange(len(mutated)) :]
        path.write_bytes(mutated)
        with suppress(LabError, ImageError, NoCoinError):
            assert (
                np.isfinite(read_planes(folder)[0]).all() and under_lamp(*read_planes(folder), 45.0).dtype == np.uint8
            )
        path.write_bytes(whole[path])


@pytest.mark.slow
@pytest.mark.skipif("RIG_SHARED" not in os.environ, reason="$RIG_SHARED is not set: the coin is there")
def test_the_relief_of_a_real_coin_lights_it_as_it_was_measured() -> None:
    coin = rti_coin(Path(os.environ["RIG_SHARED"]) / "data" / "rti_gold_coin")
    assert coin.relief is not None
    inside = on_coin(coin.crops[0].shape[0])
    for lamp_deg in (45, 225):
        measured = coin.crops[RELIEF_LAMPS_DEG.index(lamp_deg)][:, :, 0][inside].astype(float)
        again, opposite = (relit(coin.relief, turned, gloss=0.2)[inside] for turned in (lamp_deg, lamp_deg + 180))
        assert np.corrcoef(measured, again)[0, 1] > 0.8
        assert np.corrcoef(measured, again)[0, 1] > np.corrcoef(measured, opposite)[0, 1] + 0.4


@pytest.mark.parametrize("info", ["", "{}", '{"type": "hsh", "colorspace": "rgb", "format": "jpg", "materials": []}'])
def test_another_map_is_refused(tmp_path: Path, info: str) -> None:
    (tmp_path / "info.json").write_text(info)
    with pytest.raises(LabError, match=r"info\.json describes no RGB polynomial texture map"):
        rti_coin(tmp_path)


def test_no_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"info\.json cannot be read"):
        rti_coin(tmp_path)


def test_planes_of_two_sizes_are_named(tmp_path: Path) -> None:
    material = {"scale": [1.0] * 18, "bias": [0.5] * 18}
    info = {"width": 60, "height": 60, "format": "png", "type": "ptm", "colorspace": "rgb", "materials": [material]}
    (tmp_path / "info.json").write_text(json.dumps(info))
    for number in range(6):
        size = 60 if number < 3 else 30
        cv2.imwrite(str(tmp_path / f"plane_{number}.png"), np.zeros((size, size, 3), np.uint8))
    with pytest.raises(LabError, match=r"differ in size \(plane_2 has 60 x 60 pixels, plane_5 has 30 x 30 pixels\)"):
        rti_coin(tmp_path)
