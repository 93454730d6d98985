"""What every driver on a serial port shares: the connection, the identity, the stop, and what a failure costs.

A driver is a subclass that speaks one protocol. It says how the controller is greeted (`_greet`) and which bytes stop
it; opening, closing, locking and doubting its position are done here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from rig.clock import Clock
from rig.devices import Identity
from rig.errors import AlarmError, DeviceError, EnvelopeError, NoAnswerError
from rig.link import SerialLink

T = TypeVar("T")

TRIES = 3


class SerialConfig(BaseModel):
    """What rig.yaml says of every device on a serial port; each driver's config adds its kind and its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    port: str
    baud: int = Field(default=115200, gt=0)
    answer_s: float = Field(default=2.0, gt=0, description="longest wait for an answer (wall-clock)")


Config = TypeVar("Config", bound=SerialConfig)


class SerialDevice(Generic[Config]):
    """A device on a serial port.

    Parameters
    ----------
    config
        Its section of rig.yaml.
    clock
        What settling and motion wait on.
    link
        Its port, if it is not to be made from the config.
    """

    role: ClassVar[str]
    hold_dtr: ClassVar[bool] = False

    def __init__(self, config: Config, clock: Clock, link: SerialLink | None = None) -> None:
        self.config = config
        self.clock = clock
        self.link = link or SerialLink(config.port, config.baud, self.role, hold_dtr=self.hold_dtr)
        self._settings: dict[str, str] = {}

    def connect(self) -> Identity:
        """Open the port, wait until the controller answers, and ask who it is.

        Raises
        ------
        NotConnectedError, NoAnswerError
            If there is nothing at the port, or nothing that speaks this protocol.
        DeviceError
            If it is another device than this driver drives, or one set up in a way it cannot work with.
        """
        with self.link.lock:
            self._doubt()
            self.link.open()
            return Identity(self.config.kind, self.config.port, self._greet(), self._settings)

    def close(self) -> None:
        """Let go of the port."""
        self._doubt()
        self.link.close()

    def _greet(self) -> str:
        """Wait until the controller answers, and return its firmware; put what it is set to into `_settings`."""
        raise NotImplementedError

    def _doubt(self) -> None:
        """Believe nothing any more of what was known of the device."""


class MotionDevice(SerialDevice[Config]):
    """A device that moves, so it is homed before it moves, and stopped when something fails."""

    stop_bytes: ClassVar[bytes]
    lost_with_power: ClassVar[str] = "its position is lost"
    after_restart: ClassVar[str] = "Check its power supply, then `rig home`."

    def __init__(self, config: Config, clock: Clock, link: SerialLink | None = None) -> None:
        super().__init__(config, clock, link)
        self._homed = False

    def home(self) -> None:
        """Find the reference position, after clearing whatever alarm there is.

        Raises
        ------
        AlarmError
            If an alarm stays, or comes up on the way.
        DeviceError
            If it has no power, cannot be set up, or does not find its reference position.
        """
        with self.link.lock:
            self._doubt()
            self.link.clear_halt()
            self._find_home()
            self._homed = True

    def _find_home(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """Stop at once, from any thread; it has to be homed again."""
        self._doubt()
        self.link.halt(self.stop_bytes)

    def _doubt(self) -> None:
        self._homed = False

    def _check_homed(self) -> None:
        if not self._homed:
            raise AlarmError(self.link.device, "it is not homed, so its position is not known.", "Run `rig home`.")

    @contextlib.contextmanager
    def _stopped_if_it_fails(self) -> Iterator[None]:
        """A move: whatever goes wrong in it, the device stands still afterwards and has to be homed."""
        try:
            yield
        except EnvelopeError:
            raise  # refused before a byte was sent
        except DeviceError:
            self._doubt()
            with contextlib.suppress(DeviceError):  # it may be gone, or have been stopped already
                self.link.send(self.stop_bytes)
            raise

    def _restarted(self) -> AlarmError:
        """What to raise when the controller started again by itself."""
        self._doubt()
        return AlarmError(
            self.link.device,
            f"the controller restarted (did its supply dip?): {self.lost_with_power}.",
            self.after_restart,
        )


def retry(
    action: Callable[[], T],
    recover: Callable[[], object] = lambda: None,
    failures: tuple[type[DeviceError], ...] = (NoAnswerError,),
) -> T:
    """Do it until it succeeds, three times at most, and `recover` in between.

    Only for what does no harm when it is done twice, such as questions and absolute targets.

    Raises
    ------
    DeviceError
        What it failed with the last time; other than `failures`, at once.
    """
    for _ in range(TRIES - 1):
        try:
            return action()
        except failures:
            recover()
    return action()
