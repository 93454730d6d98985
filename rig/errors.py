"""What can go wrong at the bench, in words a technician can act on."""


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
