"""Kern's balances of before KCP: one letter asks, and there is nothing else.

Written to KERN FKB_A-BA-e-1513, p. 37: ``w`` is answered by the weight as it is, ``t`` tares and is not answered,
neither is followed by CR LF. A weight is sign, value, and the unit where it stands; without the unit it does not.
"Error" in its place is a fault, such as overload.
"""

from __future__ import annotations

import re
from typing import Literal

from rig.balances.balance import BalanceConfig, SerialBalance
from rig.devices import Weight
from rig.errors import DeviceError
from rig.serial_device import retry

READING = re.compile(r"M?\s*(?P<value>[-+]? *\d+(?:\.\d*)?)\s*(?P<unit>[a-zA-Z%]+)?\s*")
ERROR = re.compile(r"\s*Error\s*", re.IGNORECASE)


class KernConfig(BalanceConfig):
    """`balance:` of rig.yaml for Kern's of before KCP; newer ones are `kind: sics`."""

    kind: Literal["kern"] = "kern"


class KernBalance(SerialBalance[KernConfig]):
    """The balance."""

    def _greet(self) -> str:
        retry(self._read, self._resynchronise)  # that it weighs says who it is: there is no other question
        return "Kern"

    def _zero(self) -> None:
        self.link.send(b"t")

    def _read(self) -> Weight:
        self.link.send(b"w")
        line = self.link.wait_for(
            lambda line: READING.fullmatch(line) is not None or ERROR.fullmatch(line) is not None,
            self.config.answer_s,
            "w",
        )
        if ERROR.fullmatch(line):
            raise DeviceError(self.link.device, "it says 'Error'.", "Look whether too much lies on it; weigh again.")
        found = READING.fullmatch(line)
        assert found is not None
        return self._grams(found["value"], found["unit"] or "g", is_stable=found["unit"] is not None)
