"""The first Ctrl-C or SIGTERM asks to stop, the second interrupts; elsewhere the first does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from pipeline.signals import ENDING, Interrupted, interrupt_on_signals, stop_on_signals


@pytest.fixture(autouse=True)
def as_in_a_command() -> Iterator[None]:
    """Signals as `rig` sets them, whatever they were when the tests were started."""
    former = {number: signal.getsignal(number) for number in ENDING}
    interrupt_on_signals()
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("first", ENDING)
@pytest.mark.parametrize("second", ENDING)
def test_the_first_signal_asks_to_stop_and_the_second_interrupts(first: signal.Signals, second: signal.Signals) -> None:
    stop = threading.Event()
    with stop_on_signals(stop):
        signal.raise_signal(first)
        assert stop.is_set()
        with pytest.raises(Interrupted):
            signal.raise_signal(second)


@pytest.mark.parametrize("number", ENDING)
def test_after_the_block_a_signal_interrupts_as_before_it(number: signal.Signals) -> None:
    stop = threading.Event()
    with stop_on_signals(stop):
        pass
    with pytest.raises(Interrupted):
        signal.raise_signal(number)
    assert not stop.is_set()
