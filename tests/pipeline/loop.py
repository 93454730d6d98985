"""Photographs to build datasets of, and the command run in this process: what is printed, without waiting for torch."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import typer.testing
from typer.main import get_command
from typer.testing import CliRunner

from calibration.image import Image, encode_jpeg
from pipeline.cli import app
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.reproduction import reproduction
from rig.twin.coins.surface import beam_from, shade
from tests.processes import Ran

typer.testing._get_command = functools.cache(get_command)  # the tree of commands takes a tenth of a second to make
SEED = 21
DRAWER = ProceduralDrawer(SEED)


def run(*args: object) -> Ran:
    """Run `rig` with these arguments; an error that it would tell is raised."""
    result = CliRunner().invoke(app, [str(arg) for arg in args], catch_exceptions=False)
    return Ran(result.exit_code, result.stdout, result.stderr)


@functools.cache
def photograph(coin: str) -> Image:
    """A catalogue's photograph of a coin."""
    return reproduction(DRAWER.side_texture(coin, "obverse"), len(coin), "photograph")


@functools.cache  # the coins take longest to make, and tests look at the same
def frame(coin: str, lamp_deg: float, turns: int) -> Image:
    """A coin on a dark plate under a lamp, turned by so many right angles."""
    surface = DRAWER.side_texture(coin, "obverse")
    light = shade(surface, [beam_from(lamp_deg, 35.0, (1.3, 1.3, 1.3))], (0.1, 0.1, 0.1))
    seen = np.clip(light * 1.2, 0, 1) ** (1 / 2.2) * surface.coverage[..., None]
    turned = np.rot90((seen * 255).astype(np.uint8), turns)
    return np.asarray(cv2.resize(np.ascontiguousarray(turned), (260, 260), interpolation=cv2.INTER_AREA))


def album(folder: Path, coins: Sequence[str], lamps_deg: Sequence[float] = (100.0, 190.0)) -> Path:
    """A folder with one photograph of each coin, and a frame on each of some days; returns its label file."""
    folder.mkdir()
    lines = ["file,coin,type,session"]
    for coin in coins:
        images = [photograph(coin), *(frame(coin, lamp, number + 1) for number, lamp in enumerate(lamps_deg))]
        for day, image in enumerate(images):
            (folder / f"{coin}-{day}.jpg").write_bytes(encode_jpeg(image, 92))
            lines.append(f"{coin}-{day}.jpg,{coin},denarius,{day}")
    labels = folder / "labels.csv"
    labels.write_text("\n".join(lines) + "\n")
    return labels
