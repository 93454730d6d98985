from __future__ import annotations

import math
import threading

import pytest

from rig.clock import Clock, ScaledClock, SystemClock


def test_hardware_time_passes_only_while_somebody_waits_for_it() -> None:
    clock = ScaledClock(math.inf)
    clock.sleep(1.5)
    clock.sleep(0)
    clock.sleep(-1)
    assert clock.now() == 1.5


def test_no_time_is_lost_between_threads() -> None:
    clock = ScaledClock(math.inf)
    threads = [threading.Thread(target=lambda: [clock.sleep(1) for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.now() == 2000


def test_a_clock_that_stands_still_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        ScaledClock(0)


def test_true_time_goes_forward() -> None:
    clock = SystemClock()
    before = clock.now()
    clock.sleep(0.001)
    assert clock.now() > before


@pytest.mark.parametrize("clock", [SystemClock(), ScaledClock(100.0), ScaledClock(math.inf)])
def test_what_is_asked_for_later_is_done_while_somebody_waits(clock: Clock) -> None:
    done: list[float] = []
    asked_s = clock.now()
    clock.after(0.02, lambda: done.append(clock.now() - asked_s))
    clock.after(0.01, lambda: done.append(clock.now() - asked_s))
    assert not done
    for _ in range(100):
        clock.sleep(0.03)
        if len(done) == 2:
            break
    assert 0.01 <= done[0] <= done[1]
