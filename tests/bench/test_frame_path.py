"""What a 12 MP frame costs from the camera's memory to the disk, over the bare OpenCV and codec calls in it.

Both are measured in the same run, on the same images: the path as a scan runs it (checked, calibrated, encoded,
hashed, fsynced, its row committed), and the very calls it makes into OpenCV and the codec, noted and made again one by
one. What is left is Python, hashing and the disk; less than 1 means that the path's threads make good for it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from calibration.bundle import Bundle
from calibration.flat import flat_field
from calibration.image import Image
from calibration.lens import Lens
from capture.cameras import RawImage
from capture.engine.context import ScanContext
from capture.engine.frame_pipeline import Exposure, FrameWorker
from capture.engine.taken import Taken
from capture.plan import Plan, Tray
from capture.quality import Limits
from capture.store import Store
from capture.store.records import now
from rig.devices import Identity
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.render import CameraModel, Renderer
from rig.twin.scene import Lamp, PlacedCoin, Scene

PLAN = Plan(sides=("obverse",), lights=("az060",), turntable_deg=24)
TWO_SHOTS = PLAN.replace(turntable_deg=2)
TURNS, REPEATS = 3, 4
TRAY = Tray(id="1", slots={1: "2024.1.1"})
LAMP = Lamp(60.0, 35.0, 1.0)
FINER = 4056 / 1280
MODEL = CameraModel()
OPTICS = CameraModel(
    width_px=4056,
    height_px=3040,
    focal_px=FINER * MODEL.focal_px,
    centre_px=(FINER * MODEL.centre_px[0], FINER * MODEL.centre_px[1]),
)


@dataclass
class BareCalls:
    """Every call into OpenCV and the codec, kept to be made again."""

    calls: list[tuple[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    def listen(self, patch: pytest.MonkeyPatch) -> None:
        for module in (cv2, imagecodecs):
            for name in dir(module):
                function = getattr(module, name)
                if callable(function) and not isinstance(function, type) and not name.startswith("_"):
                    patch.setattr(module, name, partial(self._call, name, function))

    def _call(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.calls.append((name, function, args, kwargs))
        return function(*args, **kwargs)

    def make_again(self) -> dict[str, float]:
        """Make them one after the other; seconds by name."""
        seconds: dict[str, float] = {}
        for name, function, args, kwargs in self.calls:
            began_s = time.perf_counter()
            function(*args, **kwargs)
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began_s
        return seconds


def keep_all(folder: Path, bundle: Bundle, images: list[Image], plan: Plan = PLAN) -> float:
    """Keep an image for every shot; seconds a frame."""
    with Store.open(folder) as store:
        store.calibrations.add(bundle.id, bundle.created_at.isoformat(), bundle.id)
        session = store.sessions.begin_scan(TRAY, plan, calibration_id=bundle.id)
        camera = Identity(kind="bench", port="memory", firmware="none")
        rig: Any = SimpleNamespace(camera=SimpleNamespace(identity=camera))
        limits = Limits(verify_every=0)  # every frame shows the same pose
        worker = FrameWorker(ScanContext(rig, store, session, bundle, limits))
        shots = plan.shots(TRAY)
        with worker:
            began_s = time.perf_counter()
            for number, shot in enumerate(shots):
                taken = RawImage(images[number % len(images)], shot.exposure_us, shot.gain, now(), number)
                worker.add(Exposure(shot, 1, "1", Taken(taken, shot.turntable_deg, shot.tilt_deg), may_retake=False))
            worker.finish()
            took_s = time.perf_counter() - began_s
        assert len(store.frames.find(session.id)) == len(shots)
    return took_s / len(shots)


@pytest.mark.bench
def test_a_frame_s_path_over_the_bare_calls_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = Renderer(OPTICS, ProceduralDrawer())
    card = renderer.render(Scene(target="white card", lamps=(LAMP,)), 14_000)
    lens = Lens(OPTICS.matrix, OPTICS.distortion, 0.1, OPTICS.width_px, OPTICS.height_px)
    bundle = Bundle("bench", lens, OPTICS.mm_per_pixel, {"az060": flat_field([card], "az060")})
    scene = Scene(coins=(PlacedCoin("2024.1.1", "obverse", 0.5, 0.3, 20.0),), lamps=(LAMP,))
    images = [np.ascontiguousarray(renderer.render(scene, 20_000)) for _ in range(4)]
    calls = BareCalls()
    with monkeypatch.context() as patch:
        keep_all(tmp_path / "warm", bundle, images, TWO_SHOTS)  # maps and gains are made here
        calls.listen(patch)
        keep_all(tmp_path / "listen", bundle, images, TWO_SHOTS)
    path_s = bare_s = math.inf
    by_name: dict[str, float] = {}
    for turn in range(TURNS):  # by turns, so that a busy machine is so for both
        path_s = min(path_s, keep_all(tmp_path / f"path {turn}", bundle, images))
        seconds = min((calls.make_again() for _ in range(REPEATS)), key=lambda each: sum(each.values()))
        if sum(seconds.values()) / 2 < bare_s:
            bare_s, by_name = sum(seconds.values()) / 2, seconds
    table = Table("one 12 MP frame", "ms", "share")
    for name, took_s in sorted(by_name.items(), key=lambda each: -each[1])[:10]:
        table.add_row(f"  {name}", f"{1000 * took_s / 2:.1f}", f"{took_s / 2 / bare_s:.0%}")
    table.add_row("bare calls, one after the other", f"{1000 * bare_s:.1f}", "100%")
    table.add_row("the whole path", f"{1000 * path_s:.1f}", f"{path_s / bare_s:.0%}")
    Console(width=100).print(table)
