"""Brackets in a scan: every image taken, one frame of them stored, killed and resumed like any other shot."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from calibration.bracket import decode_sources, merge
from capture.plan import Plan, Tray
from capture.store import Store
from capture.store.deletion import delete_frames
from tests.capture.engine.bench import CONFIG, OPTICS, Bench, open_bench, scan_until_killed
from tests.processes import Process

pytestmark = pytest.mark.slow

ONE_COIN = Tray(id="3", slots={1: "2024.1.1"})
PLAN = Plan.model_validate(
    {
        "sides": ["obverse"],
        "lights": ["az000"],
        "turntable_deg": [0, 90],
        "focus_mm": [1.5, 2, 2.5],
        "exposure_us": [8_000, 20_000],
    }
)
SHALLOW = OPTICS.model_copy(update={"blur_px_per_mm": 1.5})  # no single focus is sharp enough for the check


def check_frames(store: Store) -> None:
    frames = store.frames.find()
    assert len(frames) == 2
    for frame in frames:
        assert frame.sources_sha256 is not None
        path = store.path(frame.sources_sha256)
        assert path.suffix == ".zip"
        sources, depth_mm = decode_sources(path.read_bytes())
        assert [each.focus_mm for each in sources] == [1.5, 1.5, 2, 2, 2.5, 2.5]
        assert [each.exposure_us for each in sources] == [8_000, 20_000] * 3
        assert depth_mm is not None and 1.5 <= depth_mm.min() <= depth_mm.max() <= 2.5
        assert np.array_equal(store.image(frame.sha256), merge(sources).image)
    assert store.verify() == []


def scan(bench: Bench) -> list[tuple[float | None, int]]:
    """Scan, and return focus and exposure of each image of a shot."""
    taken: list[tuple[float | None, int]] = []
    focus, configure, grab = bench.camera.focus, bench.camera.configure, bench.camera.grab
    now: dict[str, float | None] = {}
    bench.camera.focus = lambda height: (now.update(focus=height), focus(height))[1]  # type: ignore[method-assign]
    bench.camera.configure = lambda us, gain: (now.update(us=us), configure(us, gain))[1]  # type: ignore[method-assign]
    bench.camera.grab = lambda: (taken.append((now["focus"], int(now["us"] or 0))), grab())[1]  # type: ignore[method-assign]
    bench.run(plan=PLAN, tray=ONE_COIN)
    return [each for each in taken if each[0] is not None]


def test_a_bracket_is_one_frame_and_keeps_what_it_was_merged_of(tmp_path: Path) -> None:
    with open_bench(tmp_path, tray=ONE_COIN, optics=SHALLOW) as bench:
        one = [(height, us) for height in (1.5, 2.0, 2.5) for us in (8_000, 20_000)]
        assert scan(bench) == one * 2
        check_frames(bench.store)
        frame, other = bench.store.frames.find()
    with Store.open(tmp_path / "store", alone=True) as store:
        delete_frames(store.storage, [frame], "a test", "to see that what it was merged of goes too")
        assert not store.storage.read("SELECT 1 FROM file WHERE sha256 = ?", (frame.sources_sha256,))
        assert store.verify() == []
        assert [each.id for each in store.frames.find()] == [other.id]


def test_a_scan_of_brackets_is_killed_and_resumed(tmp_path: Path) -> None:
    killed = Process(scan_until_killed, tmp_path, 21.0, CONFIG, PLAN, ONE_COIN, SHALLOW)
    assert killed.wait(300) == -signal.SIGKILL
    with open_bench(tmp_path, tray=ONE_COIN, optics=SHALLOW) as bench:
        bench.run(plan=PLAN, tray=ONE_COIN)
        check_frames(bench.store)
