"""Balances byte for byte, as the documents have them that their drivers name: MT-SICS, SBI, Kern's letters.

What lies on the pan is the world's; each shows it to 0.001 g, and says that it stands once it has swung out.
"""

from __future__ import annotations

from collections import deque

from rig.twin.emulator import Emulator, Firmware
from rig.twin.world import World

SWINGS_OUT_S = 2.5  # until what was laid down stands, to the last digit
MOST_G = 220.0


class BalanceEmulator(Emulator):
    """A balance; subclasses take bytes apart and say what it shows."""

    def __init__(self, world: World) -> None:
        super().__init__(world.clock)
        self.world = world
        self._zero_g = 0.0
        self._bytes = bytearray()
        self._asked: deque[str] = deque()

    def reset(self) -> None:
        """Opening its port does nothing to it."""
        if self._main is None:
            super().reset()

    def main(self) -> Firmware:
        """Answer what is asked, in its turn."""
        while True:
            while self._asked:
                yield from self.answer(self._asked.popleft())
            yield None

    def answer(self, command: str) -> Firmware:
        """Carry out one command."""
        raise NotImplementedError

    def shows(self) -> tuple[float, bool]:
        """Grams on the display, and whether they stand."""
        grams, since_s = self.world.pan()
        passed_s = self.clock.now() - since_s
        stands = passed_s >= SWINGS_OUT_S and not self.world.is_draughty()
        swing_g = 0.0 if stands else 0.05 * max(0.05, 1 - passed_s / SWINGS_OUT_S)
        return round(grams - self._zero_g + swing_g, 3), stands

    def zero(self) -> None:
        """What lies on the pan is the zero."""
        self._zero_g = self.world.pan()[0]

    def _overload(self) -> bool:
        return self.world.pan()[0] > MOST_G


class SicsEmulator(BalanceEmulator):
    """MT-SICS, level 0 and 1 as far as a lab asks; a damaged line is ``ES``."""

    def received(self, data: bytes) -> None:
        """Lines."""
        self._bytes += data
        while b"\n" in self._bytes:
            line, _, self._bytes = self._bytes.partition(b"\n")
            self._asked.append(line.decode("latin-1").strip("\r"))

    def answer(self, command: str) -> Firmware:
        """One line."""
        grams, stands = self.shows()
        match command:
            case "SI":
                self.say("S +\r\n" if self._overload() else f"S {'S' if stands else 'D'} {grams:10.3f} g\r\n")
            case "S":
                until_s = self.clock.now() + 10
                while not (now := self.shows())[1] and self.clock.now() < until_s:
                    yield from self.wait(0.1)
                self.say(f"S S {now[0]:10.3f} g\r\n" if now[1] else "S I\r\n")
            case "Z":
                if stands:
                    self.zero()
                self.say("Z A\r\n" if stands else "Z I\r\n")
            case "I2":
                self.say('I2 A "XS204 Excellence 220.0090 g"\r\n')
            case "I4":
                self.say('I4 A "1126493049"\r\n')
            case _:
                self.say("ES\r\n")
        yield from self.wait(0.01)


class SbiEmulator(BalanceEmulator):
    """SBI with prints of 16 characters, with or without stability; what is no command is dropped."""

    def received(self, data: bytes) -> None:
        """ESC, a letter, perhaps a digit and an underline."""
        for byte in data:
            if byte == 0x1B:
                self._bytes = bytearray(b"\x1b")
            elif byte in b"\r\n":
                if self._bytes[:1] == b"\x1b":
                    self._asked.append(self._bytes[1:].decode("latin-1"))
                self._bytes.clear()
            elif self._bytes:
                self._bytes.append(byte)

    def answer(self, command: str) -> Firmware:
        """One command."""
        grams, stands = self.shows()
        match command:
            case "P" if self._overload():
                self.say("      H       \r\n")
            case "P":
                sign = "-" if grams < 0 else "+"
                self.say(f"{sign} {abs(grams):8.3f} {'g' if stands else '':<3}\r\n")
            case "V" | "T":
                self.zero()
            case "x1_":
                self.say("MSE224S\r\n")
            case "x2_":
                self.say("30405060\r\n")
        yield from self.wait(0.01)


class KernEmulator(BalanceEmulator):
    """Single letters, at once."""

    def received(self, data: bytes) -> None:
        """Every byte is a command or nothing."""
        self._asked.extend(chr(byte) for byte in data if byte in b"wst")

    def answer(self, command: str) -> Firmware:
        """One letter."""
        grams, stands = self.shows()
        if command == "t":
            self.zero()
        elif self._overload():
            self.say("       Error\r\n")
        elif command == "w" or stands:
            sign = "-" if grams < 0 else " "
            self.say(f" {sign}{abs(grams):9.3f} " + (" g  \r\n" if stands else "\r\n"))
        yield from self.wait(0.01)
