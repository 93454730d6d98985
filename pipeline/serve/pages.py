"""HTML pages and plain data: how every route answers, in the reader's language, with everything from data inert."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from pipeline.collection.reviews import Person
from pipeline.errors import UsageError
from pipeline.people import name_of_user
from pipeline.reports.pages import page_environment
from pipeline.serve.access import Access
from pipeline.serve.hands import Hands
from pipeline.serve.opened import OpenedLab
from pipeline.serve.texts import LANGUAGES, Texts, language_of, texts_of

MAX_TEXT, MAX_NAME = 2000, 100  # letters of whatever a person types


@dataclass(frozen=True)
class Page:
    """What every route needs: the lab, who may use it, what drives its rig, and how an answer is made."""

    opened: OpenedLab
    access: Access
    hands: Hands

    def prepare(self) -> None:
        """Read every text and template, so that the first reader does not wait for it."""
        for language in LANGUAGES:
            texts_of(language)
        for name in _environment().list_templates(["html"]):
            _environment().get_template(name)

    def html(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page of ``templates/``."""
        texts = self.texts(request)
        page = _environment().get_template(template)
        shown = page.render(
            t=texts,
            languages=LANGUAGES,
            lab=self.opened.lab.folder.resolve().name,
            user=name_of_user(),
            has_token=self.access.token is not None,
            path=request.url.path,
            **values,
        )
        return HTMLResponse(shown, status)

    def error(self, request: Request, message: str, status: int) -> Response:
        """What went wrong: as a page for a reader, as data for a script."""
        if "text/html" in request.headers.get("accept", ""):
            return self.html(request, "error.html", status, message=message)
        return self.data(request, {"error": message}, status)

    def data(self, request: Request, value: Any, status: int = 200) -> JSONResponse:
        """Plain data for a script, with what the program says in the reader's language."""
        return JSONResponse(self.texts(request).sentences_in(value), status)

    def texts(self, request: Request) -> Texts:
        """The texts in the reader's language."""
        return Texts(language_of(request))


async def read_json(request: Request) -> dict[str, Any]:
    """The object that a script sent.

    Raises
    ------
    UsageError
        If it is none.
    """
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise UsageError("send JSON, as application/json.")
    try:
        sent = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise UsageError("what was sent is not JSON. Load the page again.") from error
    if not isinstance(sent, dict):
        raise UsageError("what was sent is not a JSON object. Load the page again.")
    return sent


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form that was sent, of each the first value."""
    sent = parse_qs((await request.body()).decode("utf-8", "replace"))
    return {name: values[0] for name, values in sent.items()}


def text_of(sent: dict[str, Any], key: str, *, default: str | None = None) -> str:
    """A text out of what a script sent.

    Raises
    ------
    UsageError
        If it is missing, no text, or too long.
    """
    value = sent.get(key, default)
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise UsageError(f"{key!r} has to be a text of at most {MAX_TEXT} letters. Load the page again.")
    return value


def flag_of(sent: dict[str, Any], key: str) -> bool:
    """A yes or no out of what a script sent.

    Raises
    ------
    UsageError
        If it is missing, or neither.
    """
    value = sent.get(key)
    if not isinstance(value, bool):
        raise UsageError(f"{key!r} has to be true or false. Load the page again.")
    return value


def person_of(sent: dict[str, Any]) -> Person:
    """Who does what a script sent, and why; without a name it is whoever runs `rig serve`."""
    who, why = text_of(sent, "who", default=""), text_of(sent, "why", default="")
    return Person(who.strip()[:MAX_NAME] or None, why)


@functools.cache
def _environment() -> Environment:
    environment = page_environment("pipeline.serve")
    environment.filters["data"] = _as_data
    return environment


def _as_data(value: object) -> Markup:
    """Plain data for a script, in a block that no browser executes or leaves early."""
    text = json.dumps(value, ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
