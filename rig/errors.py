"""What can go wrong at the bench, in words a technician can act on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


class DeviceError(Exception):
    """A device failed.

    Parameters
    ----------
    device
        Which one, with its port: ``"turntable on /dev/ttyUSB0"``.
    problem
        What happened, with the command where there is one.
    remedy
        What to do next.
    """

    def __init__(self, device: str, problem: str, remedy: str) -> None:
        super().__init__(f"{device}: {problem} {remedy}")
        self.device = device
        self.problem = problem
        self.remedy = remedy


class SeveralFailed(DeviceError):  # noqa: N818 - of several errors
    """Several devices failed at once: each with its problem, and each remedy once."""

    def __init__(self, errors: Sequence[DeviceError]) -> None:
        self.errors = tuple(errors)
        devices = ", ".join(error.device for error in errors)
        problems = " ".join(f"{error.device}: {error.problem}" for error in errors)
        super().__init__(devices, problems, " ".join(dict.fromkeys(error.remedy for error in errors)))

    def __str__(self) -> str:
        lines = "".join(f"\n  {error.device}: {error.problem}" for error in self.errors)
        return f"{len(self.errors)} devices do not answer:{lines}\n{self.remedy}"


def connect_all(connections: Iterable[Callable[[], T]]) -> list[T]:
    """Connect every device, even after one has failed, so that all that are missing are reported at once.

    Raises
    ------
    DeviceError
        If one failed; `SeveralFailed` if several did.
    """
    connected: list[T] = []
    failed: list[DeviceError] = []
    for connect in connections:
        try:
            connected.append(connect())
        except SeveralFailed as error:
            failed += error.errors
        except DeviceError as error:
            failed.append(error)
    if failed:
        raise failed[0] if len(failed) == 1 else SeveralFailed(failed)
    return connected


class NotConnectedError(DeviceError):
    """The port could not be opened, or went away."""


class NoAnswerError(DeviceError):
    """The device did not answer in time."""


class AlarmError(DeviceError):
    """The device stopped itself; its position is not to be believed until it is homed again."""


class EnvelopeError(DeviceError):
    """The command was refused before a byte was sent: out of reach, or another device is in the way."""


class GripError(DeviceError):
    """The arm does not hold what it should hold."""


class NothingThereError(GripError):
    """The arm found nothing to take up."""
