"""``python -m tests.bench.record FOLDER ARGS``: run ``rig ARGS`` on the twin and keep every image it takes."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2

from capture.cameras.camera import RawImage
from capture.cameras.twin import TwinCamera
from pipeline.cli import main

folder, sys.argv[1:] = Path(sys.argv[1]), sys.argv[2:]
grab = TwinCamera.grab


def grab_and_keep(camera: TwinCamera) -> RawImage:
    raw = grab(camera)
    # bitmaps: nothing is to be decoded when they are played back
    cv2.imwrite(str(folder / f"{len(list(folder.iterdir())):06}.bmp"), cv2.cvtColor(raw.image, cv2.COLOR_RGB2BGR))
    return raw


TwinCamera.grab = grab_and_keep  # type: ignore[method-assign]
main()
