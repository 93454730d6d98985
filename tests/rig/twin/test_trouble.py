"""Random trouble: what the twin draws, how often, and for whom."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest

from rig.clock import ScaledClock
from rig.station import StationConfig
from rig.twin.faults import Fault, FrozenFrame, Trouble
from rig.twin.lab import make_world
from rig.twin.trouble import draw, due
from rig.twin.world import World

IMAGES = 4000


def drawn(world: World, images: int = IMAGES) -> list[Fault]:
    """What strikes within so many images."""
    for _ in range(images):
        world.frame_is_frozen()
    return [fault for fault in world.faults if not isinstance(fault, Trouble)]


def a_world(state_path: Path | None = None, *, seed: int = 7, **kinds: str) -> World:
    config = StationConfig.model_validate({device: {"kind": kind} for device, kind in kinds.items()})
    trouble = Trouble(every_pictures=20, seed=seed)
    return make_world(config, ScaledClock(1000), faults=[trouble], state_path=state_path)


def struck(faults: list[Fault]) -> set[tuple[str, str]]:
    return {(getattr(fault, "device", "camera"), fault.kind) for fault in faults}


def test_a_fault_is_drawn_every_so_many_images_by_the_seed() -> None:
    faults = drawn(a_world())
    assert len(faults) == IMAGES // 20
    assert drawn(a_world()) == faults
    assert drawn(a_world(seed=8)) != faults
    trouble = Trouble(every_pictures=20, seed=7)
    images = [image for image in range(1, 200) if due(trouble, image)]
    assert {later - earlier for earlier, later in itertools.pairwise(images)} == {20}


def test_every_device_gets_what_its_driver_can_get_over() -> None:
    common = {"unplugged", "glitch", "brownout", "jam"}
    assert struck(drawn(a_world(turntable="grbl", arm="uarm", lightbox="wled"))) == {
        *(("turntable", kind) for kind in (*common, "alarm")),
        *(("arm", kind) for kind in common),
        *(("lightbox", kind) for kind in ("unplugged", "glitch")),
        ("camera", "frozen frame"),
    }
    assert {kind for device, kind in struck(drawn(a_world(arm="dobot"))) if device == "arm"} == {
        *(*common, "alarm"),
    }
    by_hand = struck(drawn(a_world(arm="manual", lightbox="manual")))
    assert {device for device, _ in by_hand} == {"turntable", "camera"}, "a person has no cable"


def test_trouble_resumes_where_the_last_process_ended(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    first = a_world(path)
    before = drawn(first, 50)
    first.suck(False)  # a handling: what is known is kept
    assert len(before) == 2 or len(before) == 3
    second = a_world(path)
    assert len(drawn(second, 50)) == 5 - len(before)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_drawn_strikes_soon_and_heals(seed: int) -> None:
    world = a_world()
    wires: dict[str, Any] = world.wires
    world.moves = {"turntable": 1000, "arm": 2000}
    drivers = {"turntable": "grbl", "arm": "uarm", "lightbox": "wled"}
    fault: Any = draw(random.Random(seed), drivers, wires, world.moves, 500)
    if isinstance(fault, FrozenFrame):
        assert 500 <= fault.after_frames < 506 and fault.frames <= 2
    elif hasattr(fault, "after_moves"):
        assert 0 <= fault.after_moves - world.moves[fault.device] < 20 and getattr(fault, "moves", 1) is not None
    else:
        assert 0 <= fault.after_messages < 300 and getattr(fault, "seconds", 1.0) is not None
