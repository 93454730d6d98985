"""Images, shots and frames to fill a store with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.image import encode_lossless
from capture.plan import Plan, Shot, Tray
from capture.store import Store
from capture.store.journal_lines import ScanAbandoned
from capture.store.quarantine import QuarantineReason
from capture.store.records import Frame, NewFrame, now

BLURRED = (QuarantineReason.BLUR,)
TRAY = Tray(id="3", slots={1: "2024.1.1", 2: "2024.1.2", 3: None})
PLAN = Plan(lights=("az000", "az120", "az240"), turntable_deg=(0.0, 180.0))


def small_image(seed: int, size_px: int = 24) -> bytes:
    """A small image like no other, as lossless JPEG XL."""
    noise = np.random.default_rng(seed).integers(0, 255, (size_px, size_px, 3), np.uint8)
    return encode_lossless(noise)


def add_frame(store: Store, session_id: str, shot: Shot, seed: int, **changes: Any) -> Frame:
    """Keep a frame of a shot as the runner does."""
    values: dict[str, Any] = {
        "attempt": 1,
        "placement": "1",
        "raw": small_image(2 * seed),
        "calibrated": small_image(2 * seed + 1),
        "calibration_id": None,
        "camera": {"kind": "twin", "port": "twin://camera", "firmware": "1"},
        "turntable_read_deg": shot.turntable_deg + 0.02,
        "mm_per_pixel": 0.047,
        "quality": {"sharpness": 0.15},
        "quarantine_reasons": (),
        "taken_at": now(),
    } | changes
    return store.frames.add(session_id, NewFrame(shot=shot, **values))


def note(why: str = "") -> ScanAbandoned:
    """Some line for the journal."""
    return ScanAbandoned(why=why)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a store may be made."""
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """An empty store."""
    with Store.open(folder) as opened:
        yield opened


@pytest.fixture
def fill(store: Store) -> Callable[[int], tuple[str, list[Frame]]]:
    """Keeps so many frames of a new scan: session id and frames."""

    def keep(count: int) -> tuple[str, list[Frame]]:
        session = store.sessions.begin_scan(TRAY, PLAN)
        shots = store.sessions.missing_shots(session.id)[:count]
        return session.id, [add_frame(store, session.id, shot, seed) for seed, shot in enumerate(shots)]

    return keep
