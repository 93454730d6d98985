"""The page's texts: a file per language in ``texts/``, chosen by the reader, else by what their browser asks for.

They are plain YAML rather than gettext catalogues: nothing has to be compiled, the scripts in the browser are given
the same texts as the templates, and a translator needs no tool. English is complete; what another language lacks is
shown in English.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import yaml
from starlette.requests import Request

from pipeline.serve.sentences import translate, translate_in
from pipeline.wording import minute

LANGUAGES = {"en": "English", "de": "Deutsch"}
COOKIE = "language"


@functools.cache
def texts_of(language: str) -> Mapping[str, str]:
    """Every text by its name."""
    return {**_read("en"), **(_read(language) if language != "en" else {})}


def language_of(request: Request) -> str:
    """The language that a reader chose, else the first that their browser asks for and the page has."""
    wanted = [request.cookies.get(COOKIE, ""), *_asked_for(request.headers.get("accept-language", ""))]
    return next((each for each in wanted if each in LANGUAGES), "en")


class Texts:
    """The texts of one language: ``texts("stop.asked", coin="2024.1.11")``."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.all = texts_of(language)

    def __call__(self, name: str, /, **values: Any) -> str:
        """A text with what is to be filled in; of a ``count`` of one its ``.one``, where there is such."""
        one = f"{name}.one"
        chosen = one if values.get("count") == 1 and one in self.all else name
        return re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), self.all[chosen])

    def sentence(self, text: str) -> str:
        """What the program says (`pipeline.serve.sentences`)."""
        return translate(text, self.language)

    def sentences_in(self, value: Any) -> Any:
        """Plain data for a script, with what the program says in it."""
        return translate_in(value, self.language)

    def minute(self, time: str) -> str:
        """A time of the store to the minute."""
        return self.sentence(minute(time))

    def number(self, value: float, digits: int | None = None, *, sign: bool = False) -> str:
        """A number as this language writes it, with so many decimals, else as many as it has."""
        shown = format(value, f"{'+' if sign else ''}{'g' if digits is None else f'.{digits}f'}")
        return shown.replace(".", ",") if self.language == "de" else shown

    def for_scripts(self, *prefixes: str) -> dict[str, str]:
        """Those that a script needs, by the beginnings of their names."""
        return {name: text for name, text in self.all.items() if name.startswith(prefixes)}


def _asked_for(header: str) -> list[str]:
    ranked = []
    for part in header.split(",")[:20]:
        name, _, quality = part.partition(";q=")
        try:
            ranked.append((-float(quality or 1), name.strip().lower().partition("-")[0]))
        except ValueError:
            continue
    return [name for _, name in sorted(ranked, key=lambda each: each[0])]


def _read(language: str) -> dict[str, str]:
    text = (files("pipeline.serve") / "texts" / f"{language}.yaml").read_text("utf-8")
    read: dict[str, str] = yaml.load(text, Loader=yaml.BaseLoader)
    return read
