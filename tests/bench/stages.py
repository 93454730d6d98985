"""``python -m tests.bench.stages FILE ARGS``: run ``rig ARGS`` and write what its main thread spent its time on (s).

Time inside a stage that another stage takes part of is counted once, for the inner one; what no stage claims is
``the rest``: Python, the terminal, locks.
"""

from __future__ import annotations

import functools
import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from capture.cameras.replay import ReplayCamera
from capture.engine.coin_check import CoinCheck
from capture.engine.frame_pipeline import FrameWorker
from pipeline.cli import main
from pipeline.scanning.identification import Identification, LateIdentifier
from rig.clock import ScaledClock
from rig.station import Station

seconds: dict[str, float] = {}
inner_s = [0.0]


def time_stage(owner: Any, name: str, stage: str) -> None:
    function: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            return function(*args, **kwargs)
        began_s = time.perf_counter()
        inner_s.append(0.0)
        try:
            return function(*args, **kwargs)
        finally:
            took_s = time.perf_counter() - began_s
            seconds[stage] = seconds.get(stage, 0.0) + took_s - inner_s.pop()
            inner_s[-1] += took_s

    setattr(owner, name, timed)


folder, sys.argv[1:] = Path(sys.argv[1]), sys.argv[2:]
time_stage(ScaledClock, "sleep", "devices: motion, settling, exposure")
time_stage(Station, "connect", "connecting")
time_stage(ReplayCamera, "grab", "waiting for the played image")
time_stage(FrameWorker, "add", "waiting for room in the queue of frames")
time_stage(FrameWorker, "finish", "waiting for the last frames of a side")
time_stage(CoinCheck, "examine", "checking the coin on the plate")
time_stage(CoinCheck, "plate_is_free", "checking that the plate is free")
time_stage(LateIdentifier, "require_model", "waiting for the model")
time_stage(Identification, "__exit__", "waiting for the last coin's match, and the report")
with suppress(SystemExit):
    main()
folder.write_text(json.dumps(seconds))
