"""How ArduinoJson 6 reads JSON from a serial port: leniently, and no further than it has to.

Written after JsonDeserializer and parseNumber of ArduinoJson 6.18.1 (as bundled with WLED v0.15.0, faadb67:
wled00/src/dependencies/json/ArduinoJson-v6.h). Keys need no quotes and quotes may be single; a bare word that begins
with ``t`` is true if it has four characters, one with ``f`` false if it has five, one with ``n`` null if it has four.
An error ends the reading where it is: what follows stays in the port.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

BARE = re.compile(rb"[0-9_-zA-Z+\-.]")  # canBeInNonQuotedString(): from "_" to "z", which takes the backtick in
NUMBER = re.compile(rb"(?=[-+]?[0-9.])[-+]?(\d*\.?\d*)(?:[eE][-+]?\d*)?")
LONGEST_BARE = 63
DEEPEST = 10  # ARDUINOJSON_DEFAULT_NESTING_LIMIT
SPACES = b" \t\r\n"
ESCAPES = dict(zip(b"bfnrt/\\\"'", b"\b\f\n\r\t/\\\"'", strict=True))


@dataclass(frozen=True)
class Reading:
    """What came of reading: how it ended, how many bytes were taken from the port, and the value.

    It ends with ``"more"`` where the bytes end before the value does.
    """

    end: Literal["whole", "invalid", "more"]
    taken: int
    value: Any = None


def read_json(data: bytes) -> Reading:
    """Read one value from the bytes that a port has received so far."""
    reader = _Reader(data)
    try:
        value = reader.variant(DEEPEST)
    except _MoreError:
        return Reading("more", len(data))
    except _InvalidError:
        return Reading("invalid", min(reader.place + 1, len(data)))  # what is wrong has been taken as well
    return Reading("whole", reader.place, value)


class _MoreError(Exception):
    """The bytes end here."""


class _InvalidError(Exception):
    """This byte may not stand here."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def variant(self, depth: int) -> Any:
        match self._current_after_spaces():
            case 0x5B:  # [
                return self._array(depth)
            case 0x7B:  # {
                return self._object(depth)
            case 0x22 | 0x27:  # quotes
                return self._quoted()
            case _:
                return self._bare_value()

    def _current(self) -> int:
        if self.place >= len(self.data):
            raise _MoreError
        if not self.data[self.place]:
            raise _InvalidError  # a zero ends the input
        return self.data[self.place]

    def _current_after_spaces(self) -> int:
        while self._current() in SPACES:
            self.place += 1
        return self._current()

    def _eats(self, byte: int) -> bool:
        eaten = self._current_after_spaces() == byte
        self.place += eaten
        return eaten

    def _array(self, depth: int) -> list[Any]:
        self._descend(depth)
        values: list[Any] = []
        if self._eats(ord("]")):
            return values
        while True:
            values.append(self.variant(depth - 1))
            if self._eats(ord("]")):
                return values
            if not self._eats(ord(",")):
                raise _InvalidError

    def _object(self, depth: int) -> dict[str, Any]:
        self._descend(depth)
        members: dict[str, Any] = {}
        if self._eats(ord("}")):
            return members
        while True:
            quoted = self._current_after_spaces() in b"\"'"
            key = self._quoted() if quoted else self._bare()
            if not (key or quoted) or not self._eats(ord(":")):
                raise _InvalidError
            members[key] = self.variant(depth - 1)
            if self._eats(ord("}")):
                return members
            if not self._eats(ord(",")):
                raise _InvalidError

    def _descend(self, depth: int) -> None:
        if not depth:
            raise _InvalidError
        self.place += 1

    def _quoted(self) -> str:
        quote = self._current()
        text = bytearray()
        while True:
            self.place += 1
            byte = self._current()
            if byte == quote:
                self.place += 1
                return text.decode("latin-1")
            if byte == ord("\\"):
                self.place += 1
                byte = ESCAPES.get(self._current(), 0)
                if not byte:
                    raise _InvalidError
            text.append(byte)

    def _bare(self) -> str:
        begin = self.place
        while BARE.match(self.data, self.place):
            self.place += 1
        if self.place == len(self.data):
            raise _MoreError
        return self.data[begin : self.place].decode("ascii")

    def _bare_value(self) -> Any:
        word = self._bare()
        if word[:1] in ("t", "f", "n"):
            if len(word) != (5 if word[0] == "f" else 4):
                raise _InvalidError
            return {"t": True, "f": False, "n": None}[word[0]]
        number = NUMBER.fullmatch(word.encode())
        if number is None or len(word) > LONGEST_BARE:
            raise _InvalidError
        if word.lstrip("+-").isdecimal():
            return int(word)
        try:
            return float(word)
        except ValueError:  # "." and "1e" are numbers to it
            return float(number[1] or 0) if number[1] != b"." else 0.0
