"""What each image truly shows, noted by the twin's camera beside the lab: what frames are compared with."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from calibration.image import Image
from capture.cameras.camera import RawImage
from capture.cameras.twin import TwinCamera
from rig.twin import world


def keep_truth(path: Path) -> None:
    """Have every image that is taken from now on noted in a file, even by a process that is killed right after."""
    notes = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    grab = TwinCamera.grab

    def watched(self: TwinCamera) -> RawImage:
        taken = grab(self)
        scene = world.current().scene()
        coins = [[coin.coin, coin.side] for coin in scene.coins]
        line = {"image": digest(taken.image), "coins": coins, "plate_deg": scene.plate_angle_deg}
        os.write(notes, (json.dumps(line) + "\n").encode())
        return taken

    TwinCamera.grab = watched  # type: ignore[method-assign]


def read_truth(path: Path) -> dict[str, dict[str, Any]]:
    """Digest of an image to what it shows."""
    return {line["image"]: line for line in map(json.loads, path.read_text().splitlines())}


def digest(image: Image) -> str:
    """Name of an image's pixels."""
    return hashlib.sha256(image.tobytes()).hexdigest()
