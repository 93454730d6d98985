"""What every balance on a serial port shares: zeroing, and waiting until a weight stands.

A driver says how its balance is zeroed and how one reading is asked for; how long one is waited for, and what units
mean, is here. Nothing moves, so nothing has to be homed or stopped.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from pydantic import Field

from rig.clock import Clock
from rig.devices import Weight
from rig.errors import DeviceError, NoAnswerError
from rig.link import SerialLink
from rig.serial_device import SerialConfig, SerialDevice, retry

GRAMS = {"g": 1.0, "kg": 1000.0, "mg": 0.001}
ZERO_G = 0.0101  # what a balance to 0.01 g may show after it was zeroed
LAST_DIGIT_G = 0.0011
POLL_S = 0.25  # KCP asks for 0.1 s at least between questions
TABLE = "Stand it on stone, shut its draught shield, and keep away from the table; then weigh again."


class BalanceConfig(SerialConfig):
    """What rig.yaml says of every balance; each driver's config adds its kind."""

    port: str = "twin://balance"
    baud: int = Field(default=9600, gt=0)
    data_bits: Literal[7, 8] = 8
    parity: Literal["none", "odd", "even"] = "none"
    stable_s: float = Field(default=15.0, gt=0, description="longest wait for a weight that stands")


Config = TypeVar("Config", bound=BalanceConfig)


class SerialBalance(SerialDevice[Config], Generic[Config]):
    """See `rig.devices.Balance`."""

    role = "balance"

    def __init__(self, config: Config, clock: Clock, link: SerialLink | None = None) -> None:
        framed = SerialLink(config.port, config.baud, self.role, data_bits=config.data_bits, parity=config.parity)
        super().__init__(config, clock, link or framed)

    def stop(self) -> None:
        """Nothing moves."""

    def zero(self) -> None:
        """Make what lies on the pan the zero.

        Raises
        ------
        NoAnswerError
            If it does not come to rest.
        """
        with self.link.lock:
            self._zero()
            weight = self._settled()
        if not weight.is_stable or abs(weight.grams) > ZERO_G:
            raise NoAnswerError(
                self.link.device,
                f"it shows {weight.grams:g} g after it was zeroed{'' if weight.is_stable else ', and is not at rest'}.",
                TABLE,
            )

    def weigh(self) -> Weight:
        """What lies on the pan, once it stands; what it shows then, marked as unstable, if it never does.

        Raises
        ------
        DeviceError
            If it is overloaded or its pan is not in place, or it weighs in another unit than grams.
        """
        with self.link.lock:
            return self._settled()

    def _settled(self) -> Weight:
        """Read until two readings that stand agree: no line has a checksum, and what lost a digit is a weight too."""
        until_s = self.clock.now() + self.config.stable_s
        before: Weight | None = None
        while True:
            while self.link.line(0.0) is not None:
                pass  # what is late is of another time
            weight = retry(self._read, self._resynchronise)
            agrees = before is not None and weight.is_stable and abs(weight.grams - before.grams) <= LAST_DIGIT_G
            if agrees or self.clock.now() >= until_s:
                return weight if agrees else Weight(weight.grams, False)
            before = weight if weight.is_stable else None
            self.clock.sleep(POLL_S)

    def _zero(self) -> None:
        raise NotImplementedError

    def _read(self) -> Weight:
        """One reading, as it is now."""
        raise NotImplementedError

    def _resynchronise(self) -> None:
        """Read away what is still under way."""
        self.link.drain(0.15)

    def _grams(self, value: str, unit: str, is_stable: bool) -> Weight:
        if unit not in GRAMS:
            raise DeviceError(self.link.device, f"it weighs in {unit!r}.", "Set its unit to g.")
        return Weight(round(float(value.replace(" ", "")) * GRAMS[unit], 6), is_stable)

    def _overloaded(self) -> DeviceError:
        return DeviceError(self.link.device, "there is too much on its pan.", "Take it off, zero it, then weigh again.")

    def _underloaded(self) -> DeviceError:
        return DeviceError(self.link.device, "its pan is not in place.", "Put the pan on, zero it, then weigh again.")
