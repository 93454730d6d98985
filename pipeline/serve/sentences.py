"""What the program itself says, in the reader's language: faults and remedies, reasons, what a report comes to.

Most of it was written long before somebody reads it: the journal keeps it, in English, also of labs of former versions,
and so do a run's status and whatever a command prints. It is recognised here by the English sentence that it was made
of, taken apart into that and what was filled in, and put together again by the translation in
``texts/sentences.<language>.yaml``. What is not found there stays as it is.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

MOST_LETTERS, MOST_SENTENCES = 2000, 12  # of a text that is looked at
DEEPEST = 4  # sentences within sentences
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
_SIDE = re.compile(r", (obverse|reverse)(?=[;.]|$)")  # of an entry, which its name ends with

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
        """A slot ends where what follows it stands first, for good: whatever is filled in, matching takes one pass."""
        slots = list(_SLOT.finditer(english))
        ends = [slot.start() for slot in slots[1:]] + [len(english)]
        parts = [re.escape(english[: slots[0].start()])]
        for slot, end in zip(slots, ends, strict=True):
            part = f"(?P<{slot[1]}>{_ANYTHING[slot[2]]}){re.escape(english[slot.end() : end])}"
            parts.append(part if slot is slots[-1] else f"(?>{part})")
        is_long = len(_SLOT.sub("", english)) >= MUCH
        return cls(re.compile("".join(parts), re.DOTALL), translation, is_long)


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
    translation = _translate_all(text, language)
    if language != "de":
        return translation
    translation = _SIDE.sub(lambda found: f", {_patterns(language)[0][found[1]]}", translation)
    return _DECIMAL.sub(r"\1,\2", _MINUTE.sub(r"\3.\2.\1\4", translation))


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


def _translate_all(text: str, language: str, depth: int = 0) -> str:
    """Translate sentence by sentence, several at a time where they belong together."""
    parts, translated = _END.split(text), []
    if len(parts) > MOST_SENTENCES or depth > DEEPEST:
        return text
    while parts:
        for number in range(len(parts), 0, -1):
            translation = _translate_one(" ".join(parts[:number]), language, depth)
            if translation is not None:
                break
        else:
            translation, number = parts[0], 1
        translated.append(translation)
        del parts[:number]
    return " ".join(translated)


def _translate_one(text: str, language: str, depth: int) -> str | None:
    whole, made = _patterns(language)
    if text in whole:
        return whole[text]
    is_one = not _END.search(text)
    for pattern in made:
        if (is_one or pattern.is_long) and (found := pattern.matches.fullmatch(text)) is not None:
            return _fill(pattern.translation, found.groupdict(), language, depth)
    listed = [_translate_one(each, language, depth) for each in text.split(", ")] if is_one and ", " in text else [None]
    return None if None in listed else ", ".join(filter(None, listed))


def _fill(translation: str, values: dict[str, str], language: str, depth: int) -> str:
    def fill(slot: re.Match[str]) -> str:
        value = values[slot[1]]
        return _translate_all(value, language, depth + 1) if slot[2] == "s" else value

    return _SLOT.sub(fill, translation)
