"""What the program itself says, in the reader's language: faults and remedies, reasons, what a report comes to.

Most of it was written long before somebody reads it: the journal keeps it, in English, also of labs of former versions,
and so do a run's status and whatever a command prints. It is recognised here by the English sentence that it was made
of, taken apart into that and what was filled in, and put together again by the translation in
``texts/sentences.<language>.yaml``. What is not found there stays as it is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

MOST_LETTERS, MOST_SENTENCES = 2000, 12  # of a text that is looked at
MUCH = 20  # letters
_SLOT = re.compile(r"\{(\w+)(?::([snw]))?\}")
_ANYTHING = {
    None: r"(?:(?![.!?] ).)+?",
    "n": r"-?\d[\d.,]*",
    "w": r"\S+",
    "s": r".+?",
}  # a value, number, word, sentences
_END = re.compile(r"(?<=[.!?]) +")
_MINUTE = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)( \d\d:\d\d [A-Z]{2,5})\b")
_DECIMAL = re.compile(r"\b(\d+)\.(\d+)(?= (?:mm|g|h|min|s|ms|kB|MB|GB|%|°)(?:\W|$))")

# Where the program's sentences stand in an answer to a script; all else there is a name or a number.
SENTENCE_KEYS = frozenset(
    {
        "alarm",
        "asks",
        "also",
        "at",
        "caption",
        "coin_out",
        "diameter",
        "doubt",
        "end",
        "error",
        "found",
        "holder",
        "left",
        "lines",
        "message",
        "messages",
        "check_name",
        "problem",
        "ranked",
        "reason",
        "remedy",
        "sentence",
        "why",
    }
)

KEYS_OF_PERSONS = frozenset({"at"})  # what persons hold is in their own words


@dataclass(frozen=True)
class _Pattern:
    """A sentence with what is filled in; ``is_long`` if so much of it is its own that it may stand for several."""

    matches: re.Pattern[str]
    translation: str
    is_long: bool

    @classmethod
    def of(cls, english: str, translation: str) -> _Pattern:
        parts, at = [], 0
        for slot in _SLOT.finditer(english):
            parts += [re.escape(english[at : slot.start()]), f"(?P<{slot[1]}>{_ANYTHING[slot[2]]})"]
            at = slot.end()
        return cls(
            re.compile("".join([*parts, re.escape(english[at:])]), re.DOTALL),
            translation,
            len(_SLOT.sub("", english)) >= MUCH,
        )


@functools.cache
def _patterns(language: str) -> tuple[dict[str, str], tuple[_Pattern, ...]]:
    """Sentences as they are, and those into which something is filled in, the longest first: it says most."""
    path = files("pipeline.serve") / "texts" / f"sentences.{language}.yaml"
    if not path.is_file():
        return {}, ()
    pairs: list[tuple[str, str]] = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)
    whole = {english: translation for english, translation in pairs if not _SLOT.search(english)}
    made = sorted((pair for pair in pairs if pair[0] not in whole), key=lambda pair: -len(_SLOT.sub("", pair[0])))
    return whole, tuple(_Pattern.of(english, translation) for english, translation in made)


@functools.lru_cache(maxsize=4096)
def translate(text: str, language: str) -> str:
    """A text of the program, which is in English, in another language."""
    if language == "en" or len(text) > MOST_LETTERS:
        return text
    parts = _END.split(text)
    translation = " ".join(_translate_all(parts, language)) if len(parts) <= MOST_SENTENCES else text
    return _DECIMAL.sub(r"\1,\2", _MINUTE.sub(r"\3.\2.\1\4", translation)) if language == "de" else translation


def translate_in(value: Any, language: str, keys: frozenset[str] = SENTENCE_KEYS, *, is_sentence: bool = False) -> Any:
    """Plain data for a script, its sentences (under `SENTENCE_KEYS`) in another language."""
    match value:
        case str():
            return translate(value, language) if is_sentence else value
        case dict():
            return {
                key: translate_in(
                    each, language, KEYS_OF_PERSONS if key == "opinions" else keys, is_sentence=key in keys
                )
                for key, each in value.items()
            }
        case list() | tuple():
            return [translate_in(each, language, keys, is_sentence=is_sentence) for each in value]
    return value


def _translate_all(parts: list[str], language: str) -> Iterator[str]:
    """Say sentence by sentence, several at a time where they belong together."""
    at = 0
    while at < len(parts):
        for end in range(len(parts), at, -1):
            translation = _translate_one(" ".join(parts[at:end]), language)
            if translation is not None:
                break
        else:
            translation, end = parts[at], at + 1
        yield translation
        at = end


def _translate_one(text: str, language: str) -> str | None:
    whole, made = _patterns(language)
    if text in whole:
        return whole[text]
    is_one = not _END.search(text)
    for pattern in made:
        if (is_one or pattern.is_long) and (found := pattern.matches.fullmatch(text)) is not None:
            return _fill(pattern.translation, found.groupdict(), language)
    listed = [_translate_one(each, language) for each in text.split(", ")] if is_one and ", " in text else [None]
    return None if None in listed else ", ".join(filter(None, listed))


def _fill(translation: str, values: dict[str, str], language: str) -> str:
    def fill(slot: re.Match[str]) -> str:
        value = values[slot[1]]
        return " ".join(_translate_all(_END.split(value), language)) if slot[2] == "s" else value

    return _SLOT.sub(fill, translation)
