"""Balances that speak Sartorius' SBI.

Written to Sartorius Cubis MSE, Operating Instructions, "Data Interfaces", p. 71 on (commands), and Sartorius Master
series, Operating Instructions, p. 5-3 and 5-5 (data output):

- A command is ESC and a letter, then CR LF: ``P`` prints, ``V`` zeroes, ``T`` tares and zeroes. None is answered but
  by what is printed; ``ESC x1_`` prints the model, ``ESC x2_`` the serial number.
- A print is 16 characters, sign, value, unit; 22 with six of identification before it (``N     +  123.56 g``). The
  unit is left out while the weight does not stand. ``H`` is overload, ``L`` underload, ``Err 54`` an error, with
  ``Stat`` before it in the longer form.
- Menus may let it print only what stands, after however long that takes.
"""

from __future__ import annotations

import contextlib
import re
from typing import Literal

from rig.balances.balance import BalanceConfig, SerialBalance
from rig.devices import Weight
from rig.errors import DeviceError, NoAnswerError
from rig.serial_device import retry

READING = re.compile(r"(?:[A-Z#][\w#]{0,5} *)?(?P<value>[-+]? *\d+(?:\.\d*)?(?:\[\d+\])?)\s*(?P<unit>[a-zA-Z/%]+)?\s*")
STATE = re.compile(r"(?:Stat)?\s*(?P<state>H+|L+|C|(?:Err?|ERR)\.? *\d+)\s*")


class SbiConfig(BalanceConfig):
    """`balance:` of rig.yaml for Sartorius; older ones are set to 1200 baud, 7 bits, odd parity."""

    kind: Literal["sbi"] = "sbi"


class SbiBalance(SerialBalance[SbiConfig]):
    """The balance."""

    def _greet(self) -> str:
        names = []
        for command in ("x1_", "x2_"):
            self.link.drain(0.05)
            self.link.send(b"\x1b" + command.encode() + b"\r\n")
            with contextlib.suppress(NoAnswerError):  # older ones have no such command
                names.append(self.link.wait_for(lambda line: bool(line.strip()), self.config.answer_s, command).strip())
        if not names:
            retry(self._read, self._resynchronise)  # that it weighs says who it is
        return f"Sartorius {' '.join(names)}".strip()

    def _zero(self) -> None:
        self.link.send(b"\x1bV\r\n\x1bT\r\n")  # those that do not know the first zero by the second

    def _read(self) -> Weight:
        self.link.send(b"\x1bP\r\n")
        line = self.link.wait_for(
            lambda line: READING.fullmatch(line) is not None or STATE.fullmatch(line) is not None,
            max(self.config.answer_s, self.config.stable_s),
            "ESC P",
        )
        state = STATE.fullmatch(line)
        if state is not None:
            match state["state"][0]:
                case "H":
                    raise self._overloaded()
                case "L":
                    raise self._underloaded()
                case _:
                    raise DeviceError(
                        self.link.device, f"it says {state['state']!r}.", "Look at its display; then weigh again."
                    )
        found = READING.fullmatch(line)
        assert found is not None
        value = found["value"].replace("[", "").replace("]", "")
        return self._grams(value, found["unit"] or "g", is_stable=found["unit"] is not None)
