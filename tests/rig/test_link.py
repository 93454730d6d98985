"""The link over wires that are not ours: pyserial's loopback, and a pseudo-terminal of the system."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.errors import AlarmError, NoAnswerError, NotConnectedError
from rig.link import LONGEST_LINE, SerialLink


@pytest.fixture
def loop() -> Iterator[SerialLink]:
    """A wire that gives back what is sent."""
    link = SerialLink("loop://", 115200, "loop")
    link.open()
    yield link
    link.close()


def test_lines_are_framed_whatever_pieces_they_come_in(loop: SerialLink) -> None:
    for piece in (b"fir", b"st\r\nsec", b"ond\n", b"\n"):
        loop.send(piece)
    assert [loop.line(0.2) for _ in range(4)] == ["first", "second", "", None]


def test_noise_is_text_that_no_driver_takes_for_an_answer(loop: SerialLink) -> None:
    loop.send(b"\xff\xfeok\x00\n")
    assert loop.line(0.2) == "\ufffd\ufffdok"


def test_noise_without_an_end_is_cut(loop: SerialLink) -> None:
    lines = []
    for _ in range(LONGEST_LINE // 1000 + 1):
        loop.send(b"x" * 1000)
        lines.append(loop.line(0))
    assert [len(line) for line in lines if line] == [LONGEST_LINE + 1]


@given(noise=st.binary(max_size=200))
def test_any_bytes_become_lines(noise: bytes) -> None:
    link = SerialLink("loop://", 115200, "loop")
    link.open()
    link.send(noise + b"\nend\n")
    with contextlib.closing(link):
        assert link.wait_for(lambda line: line.endswith("end"), 1, "noise").endswith("end")


def test_waiting_skips_other_lines_and_gives_up_in_time(loop: SerialLink) -> None:
    loop.send(b"@5 V1\nok\n")
    assert loop.wait_for(lambda line: line == "ok", 0.2, "G0") == "ok"
    with pytest.raises(NoAnswerError, match=r"loop on loop://: no answer to 'G0' within 0\.05 s"):
        loop.wait_for(lambda line: line == "ok", 0.05, "G0")


def test_what_was_left_over_can_be_drained(loop: SerialLink) -> None:
    loop.send(b"old\nolder\nhal")
    assert loop.drain() == ["old", "older"]
    loop.send(b"new\n")
    assert loop.line(0.2) == "new"


def test_a_port_that_does_not_exist_is_named_with_a_remedy() -> None:
    with pytest.raises(NotConnectedError, match=r"arm on /dev/no-such-port: .* Check cable and power") as caught:
        SerialLink("/dev/no-such-port", 115200, "arm").open()
    assert caught.value.device == "arm on /dev/no-such-port"


def test_a_port_that_is_not_open_says_so() -> None:
    with pytest.raises(NotConnectedError, match="not open"):
        SerialLink("loop://", 115200, "loop").send(b"?")


def test_halting_breaks_off_a_wait_and_keeps_the_line_silent(loop: SerialLink) -> None:
    waiting = threading.Event()
    caught: list[BaseException] = []

    def wait() -> None:
        waiting.set()
        try:
            loop.wait_for(lambda line: line == "never", 30, "G4 P0")
        except AlarmError as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait()
    loop.halt(b"\x18")
    thread.join(5)
    assert caught and "stopped" in str(caught[0])
    with pytest.raises(AlarmError):
        loop.send(b"G0\n")
    loop.clear_halt()
    loop.send(b"$H\n")


def test_the_transcript_has_every_line_both_ways(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "rig.link")
    link = SerialLink("loop://", 115200, "turntable")
    link.open()
    link.send(b"?\x18\n")
    link.line(0.2)
    link.close()
    lines = ["-- opened", r">> ?\x18", r"<< ?\x18", "-- closed"]
    assert [line.split(maxsplit=1)[1] for line in link.recent] == lines
    assert caplog.messages == [f"turntable on loop:// {line}" for line in lines]


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_a_real_terminal_works_and_its_loss_is_reported() -> None:
    controller, terminal = os.openpty()
    link = SerialLink(os.ttyname(terminal), 115200, "turntable", hold_dtr=True)
    link.open()
    os.close(terminal)
    link.send(b"?\n")
    assert os.read(controller, 10) == b"?\n"
    os.write(controller, b"<Idle>\r\n")
    assert link.line(1) == "<Idle>"
    os.close(controller)
    with pytest.raises(NotConnectedError, match="connection was lost"):
        for _ in range(50):
            link.send(b"?\n")
            link.line(0.05)


def test_nothing_leaves_after_the_bytes_of_a_halt(loop: SerialLink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the halt comes between a driver's question whether it may send, and its bytes."""
    sent: list[bytes] = []
    monkeypatch.setattr(loop, "_write", sent.append)
    halts: list[threading.Thread] = []

    def halted_meanwhile() -> None:
        halts.append(threading.Thread(target=loop.halt, args=(b"!",)))
        halts[0].start()
        halts[0].join(0.1)

    monkeypatch.setattr(loop, "_check_halt", halted_meanwhile)
    loop.send(b"move\n")
    halts[0].join()
    assert sent == [b"move\n", b"!"]
