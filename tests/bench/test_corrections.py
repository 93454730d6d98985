"""What correcting a 12 MP frame costs, over moving its bytes once; and photometric stereo of 24 lights at 12 MP.

The correction reads the raw frame, the maps that straighten it and a factor for each value, and writes the result: that
it moves all of them through memory once is the bound that no faster arithmetic would undercut. Both are measured by
turns in one run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from calibration.apply import apply
from calibration.bundle import Bundle
from calibration.colour_matrix import ColourMatrix
from calibration.flat import CELL_PX
from calibration.lens import Lens
from calibration.relief import height_of, measure_relief
from tests.bench.test_frame_path import OPTICS

TURNS = 5
LIGHTS = 24


def seconds(*jobs: Callable[[], object]) -> list[float]:
    """The best time of each job, by turns, so that a busy machine is so for all."""
    best = [math.inf] * len(jobs)
    for _ in range(TURNS):
        for number, job in enumerate(jobs):
            began_s = time.perf_counter()
            job()
            best[number] = min(best[number], time.perf_counter() - began_s)
    return best


def full_bundle() -> Bundle:
    """A calibration with every correction: hot pixels, dark level, lens, flat field and colours."""
    chance = np.random.default_rng(1)
    lens = Lens(OPTICS.matrix, OPTICS.distortion, 0.1, OPTICS.width_px, OPTICS.height_px)
    cells = (-(-OPTICS.height_px // CELL_PX), -(-OPTICS.width_px // CELL_PX), 3)
    return Bundle(
        "bench",
        lens,
        OPTICS.mm_per_pixel,
        {"az060": chance.uniform(0.9, 1.3, cells).astype(np.float16)},
        dark=np.array([0.002, 0.002, 0.003], np.float32),
        hot=np.stack([chance.integers(0, OPTICS.height_px, 100), chance.integers(0, OPTICS.width_px, 100)], axis=1),
        colours={"az060": ColourMatrix("linear", np.eye(3) * 0.9 + 0.03)},
    )


@pytest.mark.bench
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_full_correction_over_moving_its_bytes(dtype: type) -> None:
    bundle = full_bundle()
    size = (OPTICS.height_px, OPTICS.width_px)
    raw = np.random.default_rng(2).integers(0, np.iinfo(dtype).max, (*size, 3), dtype)
    moved = [raw, np.zeros((*size, 2), np.int16), np.zeros(size, np.uint16), np.zeros((*size, 3), np.float32)]
    there = [np.empty_like(each) for each in moved]

    def move() -> None:
        for target, source in zip(there, moved, strict=True):
            np.copyto(target, source)

    apply(raw, bundle, "az060")  # maps and gains are made here
    move()
    corrected_s, moved_s = seconds(lambda: apply(raw, bundle, "az060"), move)
    table = Table(f"one 12 MP frame, {np.iinfo(dtype).bits} bits, {cv2.getNumThreads()} threads", "ms", "times")
    table.add_row(f"moving its {sum(each.nbytes for each in moved) / 1e6:.0f} MB once", f"{1000 * moved_s:.1f}", "1.0")
    table.add_row("the full correction", f"{1000 * corrected_s:.1f}", f"{corrected_s / moved_s:.1f}")
    Console(width=100).print(table)


@pytest.mark.bench
def test_photometric_stereo_of_24_lights_at_12_mp() -> None:
    size = (OPTICS.height_px, OPTICS.width_px)
    turns = np.arange(LIGHTS) * 2 * np.pi / 8
    up = np.radians(np.repeat([35.0, 50.0, 65.0], 8))
    directions = np.stack([np.cos(up) * np.cos(turns), np.cos(up) * np.sin(turns), np.sin(up)], axis=1)
    y, x = (np.indices(size, np.float32) - np.array(size)[:, None, None] / 2) / (0.45 * min(size))
    mask = x**2 + y**2 < 1
    waves = np.stack([0.3 * np.sin(40 * x), 0.3 * np.sin(40 * y), np.ones_like(x)], axis=-1)
    waves /= np.linalg.norm(waves, axis=-1, keepdims=True)
    light = np.empty((LIGHTS, *size), np.float32)
    for number, direction in enumerate(directions):
        light[number] = 0.6 * np.clip(waves @ direction.astype(np.float32), 0, None)
    began_s = time.perf_counter()
    relief = measure_relief(light, directions, mask)
    measured_s = time.perf_counter()
    height_of(relief.normals, mask)
    over_s = time.perf_counter()
    table = Table("24 lights at 12 MP, coin over 45 % of the frame", "s")
    table.add_row("normals and albedo", f"{measured_s - began_s:.1f}")
    table.add_row("height", f"{over_s - measured_s:.1f}")
    Console(width=100).print(table)
    assert np.median(np.abs(relief.normals[mask] - waves[mask])) < 0.01
