"""What a technician is asked to do, and what the answers lead to."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import pytest

from rig.arms.manual import ManualHandler, ManualHandlerConfig
from rig.clock import ScaledClock
from rig.devices import Light
from rig.errors import DeviceError, GripError, NoAnswerError
from rig.lights.manual import ManualLightbox, ManualLightboxConfig
from rig.technician import ByHand, at_keyboard

CLOCK = ScaledClock(math.inf)


class Technician:
    """Does what is asked, until it has to refuse."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.can = True

    def __call__(self, request: str) -> bool:
        self.asked.append(request)
        return self.can


@pytest.fixture
def technician() -> Technician:
    return Technician()


@pytest.fixture
def handler(technician: Technician) -> ManualHandler:
    by_hand = ManualHandler(ManualHandlerConfig(), CLOCK)
    by_hand.ask = technician
    return by_hand


@pytest.fixture
def lightbox(technician: Technician) -> ManualLightbox:
    return ManualLightbox(ManualLightboxConfig(), CLOCK, technician)


ERRANDS: list[tuple[Callable[[ManualHandler], None], str]] = [
    (lambda handler: handler.load(3), "coin of slot 3 on the middle of the plate"),
    (lambda handler: handler.unload(17), "back into slot 17"),
    (lambda handler: handler.flip(), "Turn the coin on the plate over"),
    (lambda handler: handler.fetch_from_flip_station(), "other side up than before"),
    (lambda handler: handler.home(), "keep your hands off"),
]


@pytest.mark.parametrize(("errand", "message"), ERRANDS)
def test_errands(
    handler: ManualHandler, technician: Technician, errand: Callable[[ManualHandler], None], message: str
) -> None:
    errand(handler)
    (request,) = technician.asked
    assert message in request
    technician.can = False
    with pytest.raises(GripError, match=r"technician: this could not be done: .* put it back into its slot"):
        errand(handler)


def test_nothing_is_asked_that_hands_need_not_know(handler: ManualHandler, technician: Technician) -> None:
    identity = handler.connect()
    assert (identity.kind, identity.port) == ("manual", "keyboard")
    handler.park()
    handler.stop()
    handler.make_safe()
    handler.close()
    assert not handler.holds_coin()
    assert handler.load_s() > 0
    assert handler.flip_s() > 0
    assert technician.asked == []


def test_lights_are_asked_for_once(lightbox: ManualLightbox, technician: Technician) -> None:
    lightbox.connect()
    left, all_round = Light("az180", ((150.0, 210.0),)), Light("all", ((0.0, 360.0),), 0.5, 3000)
    lightbox.show(left)
    lightbox.show(left)
    assert technician.asked == ["Switch on light az180 and no other: lamps from 150 to 210 degrees, at 100%, 5000 K."]
    lightbox.show(all_round)
    assert "lamps all around, at 50%, 3000 K" in technician.asked[-1]
    lightbox.show(left)
    assert len(technician.asked) == 3
    lightbox.dark()
    lightbox.show(left)
    assert len(technician.asked) == 4
    lightbox.stop()
    lightbox.show(Light("az000", ((-30.0, 30.0),)))
    assert "from 330 to 30 degrees" in technician.asked[-1]


def test_a_lamp_that_is_broken(lightbox: ManualLightbox, technician: Technician) -> None:
    technician.can = False
    light = Light("az000", ((-30.0, 30.0),))
    with pytest.raises(DeviceError, match=r"lightbox: this could not be done: .* az000 .* Mend the lamp"):
        lightbox.show(light)
    technician.can = True
    lightbox.show(light)
    assert len(technician.asked) == 2


def test_going_dark_waits_for_nobody(
    lightbox: ManualLightbox, technician: Technician, caplog: pytest.LogCaptureFixture
) -> None:
    lightbox.dark()
    assert caplog.messages == []
    lightbox.show(Light("az000", ((-30.0, 30.0),)))
    lightbox.dark()
    assert caplog.messages == ["lightbox: switch off light az000."]
    assert len(technician.asked) == 1


def test_both_can_be_given_another_way_to_ask(handler: ManualHandler, lightbox: ManualLightbox) -> None:
    assert isinstance(handler, ByHand)
    assert isinstance(lightbox, ByHand)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "done"), [("\n", True), ("yes\n", True), ("n\n", False), (" NO \n", False)])
def test_at_the_keyboard(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, done: bool
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert at_keyboard("Lay the coin down.") is done
    assert "Lay the coin down. [Enter when done, n if it cannot be done]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("stdin", "message"), [(io.StringIO("\n"), "no terminal"), (Terminal(""), "terminal was closed")]
)
def test_nobody_there(monkeypatch: pytest.MonkeyPatch, stdin: io.StringIO, message: str) -> None:
    monkeypatch.setattr("sys.stdin", stdin)
    with pytest.raises(NoAnswerError, match=f"technician: .*{message}.*: Lay the coin down."):
        at_keyboard("Lay the coin down.")
