"""Names that people give to coins: the same letters are the same name, however they were typed."""

from __future__ import annotations

import unicodedata

_DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


class NameProblem(ValueError):  # noqa: N818 - pydantic makes its own error of it
    """Why a name cannot be used: a clause that follows the name."""


def clean_name(text: str) -> str:
    """Bring a name to one form: composed letters (NFC), plain single spaces, nothing invisible.

    Museums use any script and any length; a pasted no-break space or zero-width space does not make another coin.

    Raises
    ------
    NameProblem
        If nothing visible is left, or it holds control characters (a line break, an escape code) or what is no letter.
    """
    composed = unicodedata.normalize("NFC", text)
    name = " ".join(filter(None, "".join(map(_plain, composed)).split(" ")))
    if not name:
        raise NameProblem("is empty.")
    for letter in name:
        if "\udc80" <= letter <= "\udcff":  # how Python keeps bytes that are no letters
            byte = ord(letter) - 0xDC00
            raise NameProblem(f"holds a byte that is no letter in UTF-8 (0x{byte:02X}). Rename it.")
        if unicodedata.category(letter) == "Cs":
            raise NameProblem(f"holds half of a letter (U+{ord(letter):04X}). Type it again by hand.")
        if unicodedata.category(letter) in ("Cc", "Zl", "Zp"):
            raise NameProblem(f"holds a control character (U+{ord(letter):04X}). Type it again by hand.")
    return name


def printable(text: str) -> str:
    """A text with its control characters made visible, for terminals, logs and pages: one line, in its own order."""
    if text.isascii() and text.isprintable():  # most are, and an image within a page is a long one
        return text
    return "".join(f"\\u{ord(letter):04x}" if _controls(letter) else letter for letter in text)


def _controls(letter: str) -> bool:
    """Whether it does something to what stands around it; those that turn the order of letters round are among them."""
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in _DIRECTIONS


def _plain(letter: str) -> str:
    category = unicodedata.category(letter)
    if category == "Zs":
        return " "
    return "" if category == "Cf" else letter
