"""Balances that speak MT-SICS: Mettler-Toledo's, and Kern's under the name of KCP.

Written to METTLER TOLEDO Standard Interface Command Set, Reference Manual 11780711B (MT-SICS 0 version 2.3x), and to
KERN Communications Protocol, KCP-ZB-e-19137 (KCP 1.1.2), which has the same commands of level 0:

- Commands are upper case and end with CR LF. ``SI`` is answered ``S S     100.00 g`` when the weight stands, ``S D``
  while it does not; ``S I`` says that it cannot be done now, ``S +`` overload, ``S -`` underload.
- Some of Kern's (KET-TM, KEN-TM-BA-e-1420) repeat the command in the answer and say ``?`` where it does not stand:
  ``SI ?       18.5 g``.
- ``Z`` zeroes once it is at rest: ``Z A``, or ``Z I``, ``Z +``, ``Z -``.
- ``I4`` gives the serial number, ``I2`` model and capacity. ``ES``, ``ET``, ``EL`` are errors: not understood, damaged
  on the way, cannot be done.
"""

from __future__ import annotations

import re
from typing import Literal

from rig.balances.balance import TABLE, BalanceConfig, SerialBalance
from rig.devices import Weight
from rig.errors import DeviceError, NoAnswerError
from rig.serial_device import retry

READING = re.compile(r"SI? (?:(?P<state>[SD])|(?P<sign>\?)?) *(?P<value>[-+]? *\d+(?:\.\d+)?) *(?P<unit>\S+)?\s*")
NOT_NOW, OVER, UNDER = ("S I", "SI I"), ("S +", "SI +"), ("S -", "SI -")
ERRORS = ("ES", "ET", "EL")
QUOTED = re.compile(r'I([24]) A "([^"]*)".*')


class SicsConfig(BalanceConfig):
    """`balance:` of rig.yaml for Mettler-Toledo, and for Kern's KCP."""

    kind: Literal["sics"] = "sics"


class SicsBalance(SerialBalance[SicsConfig]):
    """The balance."""

    def _greet(self) -> str:
        def ask(number: int) -> str:
            def exchange() -> str:
                self.link.send(f"I{number}\r\n".encode())
                line = self.link.wait_for(
                    lambda line: QUOTED.fullmatch(line) is not None or line in (*ERRORS, f"I{number} I"),
                    self.config.answer_s,
                    f"I{number}",
                )
                found = QUOTED.fullmatch(line)
                return found[2].strip() if found else ""

            return retry(exchange, self._resynchronise)

        serial = ask(4)
        return f"{ask(2) or 'MT-SICS'} (serial number {serial or 'not given'})"

    def _zero(self) -> None:
        until_s = self.clock.now() + self.config.stable_s
        while True:
            self.link.send(b"Z\r\n")
            answer = self.link.wait_for(
                lambda line: line in ("Z A", "Z I", "Z +", "Z -", *ERRORS),
                self.config.answer_s + self.config.stable_s,
                "Z",
            )
            if answer == "Z A":
                return
            if answer in ("Z +", "Z -"):
                raise DeviceError(
                    self.link.device, "it cannot be zeroed with what lies on its pan.", "Empty the pan first."
                )
            if self.clock.now() >= until_s:
                raise NoAnswerError(self.link.device, f"it cannot be zeroed ({answer}).", TABLE)
            self.clock.sleep(0.5)

    def _read(self) -> Weight:
        self.link.send(b"SI\r\n")
        line = self.link.wait_for(
            lambda line: READING.fullmatch(line) is not None or line in (*NOT_NOW, *OVER, *UNDER, *ERRORS),
            self.config.answer_s,
            "SI",
        )
        if line in OVER:
            raise self._overloaded()
        if line in UNDER:
            raise self._underloaded()
        found = READING.fullmatch(line)
        if found is None:
            raise NoAnswerError(self.link.device, f"it answers 'SI' with {line!r}.", "Weigh again.")
        is_stable = found["state"] == "S" or (found["state"] is None and found["sign"] is None)
        return self._grams(found["value"], found["unit"] or "g", is_stable)
