"""Getting a rig that failed back to work, so that a loose plug at night does not end the night's scan.

What the devices believed is thrown away: everything is stopped, connected and homed again. Where the coin is then, and
which shots are left, is asked of the journal, the camera and the store, as after any interrupted run.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from capture.engine.context import ScanContext
from rig.errors import DeviceError, EnvelopeError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """The attempt that brought the rig back, and how long it waited before (s)."""

    number: int
    pause_s: float


def recover_rig(context: ScanContext, problem: DeviceError) -> Attempt:
    """Stop, wait, connect and home every device, until it succeeds.

    Parameters
    ----------
    problem
        Why it is needed.

    Raises
    ------
    DeviceError
        The problem itself, where trying again would not help, or did not as often as the policy's patience allows.
    """
    if isinstance(problem, EnvelopeError):  # the same command would be refused again
        raise problem
    patience = context.policy.patience
    for number in range(1, patience.attempts + 1):
        pause_s = patience.pause_s * 2 ** (number - 1)
        context.station.stop()
        context.station.clock.sleep(pause_s)
        try:
            _reconnect(context)
            context.station.home()
        except DeviceError as error:
            log.info("attempt %d: %s", number, error)
            continue
        return Attempt(number, pause_s)
    raise problem


def _reconnect(context: ScanContext) -> None:
    context.station.close()
    context.camera.close()
    context.station.connect()
    context.camera.connect()
