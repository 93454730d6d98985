"""What merging a bracket of 12 MP costs: a focus stack of five, and three exposures, over reading their images once."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from calibration.bracket import BracketImage, encode_sources, merge
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.render import Renderer
from rig.twin.scene import Lamp, PlacedCoin, Scene
from tests.bench.test_frame_path import OPTICS

pytestmark = pytest.mark.bench
SCENE = Scene(coins=(PlacedCoin("2024.1.1", "obverse", 0.0, 0.0, 0.0),), lamps=(Lamp(60.0, 35.0, 1.0),))


def seconds(action: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    action()
    return time.perf_counter() - began_s


def test_merging_brackets_of_12_megapixels() -> None:
    image = Renderer(OPTICS, ProceduralDrawer()).render(SCENE, 20_000)
    rng = np.random.default_rng(1)
    images = [cv2.add(image, rng.integers(0, 4, image.shape, np.uint8)) for _ in range(5)]
    focus = [BracketImage(each, 20_000, 0.5 * number) for number, each in enumerate(images)]
    exposures = [BracketImage(each, 8_000 * 2**number) for number, each in enumerate(images[:3])]
    read_s = seconds(lambda: [cv2.mean(each) for each in images])
    cpu_s = time.process_time()
    stack_s = min(seconds(lambda: merge(focus)) for _ in range(2))
    cpu_s = (time.process_time() - cpu_s) / 2
    merged = merge(focus)
    print(
        f"\nfocus stack of 5: {stack_s:.2f} s ({cpu_s:.2f} s of CPU; reading them once: {read_s:.2f} s); "
        f"3 exposures: {seconds(lambda: merge(exposures)):.2f} s; "
        f"keeping what was merged: {seconds(lambda: encode_sources(focus, merged.depth_mm)):.2f} s"
    )
