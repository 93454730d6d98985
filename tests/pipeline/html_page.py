"""A report as a browser would read it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from calibration.image import Image, decode_image

WITHOUT_END = frozenset({"meta", "img", "br", "link", "path", "use", "rect"})


@dataclass
class Element:
    """A row, item or section of the page: what is in it."""

    text: str = ""
    images: list[Image] = field(default_factory=list)


class Page(HTMLParser):
    """The page's rows by id and in order, its tags, and every address it names."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.images: list[Image] = []
        self.by_id: dict[str, Element] = {}
        self.rows: list[Element] = []
        self.sections: dict[str, Element] = {}
        self.sentence = ""
        self._open: list[Element] = []
        self._stack: list[tuple[str, list[Element]]] = []
        self._in_sentence = False
        self.html = path.read_text("utf-8")
        self.feed(self.html)
        self.close()
        assert self._stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        begun: list[Element] = []
        if tag in ("tr", "section", "div"):
            begun = [Element()]
            if tag == "tr":
                self.rows.append(begun[0])
            if attributes.get("id"):
                (self.sections if tag == "section" else self.by_id)[str(attributes["id"])] = begun[0]
        self._in_sentence = attributes.get("class") == "sentence"
        self.tags.append(tag)
        if tag not in WITHOUT_END:
            self._stack.append((tag, begun))
            self._open += begun
        for name in ("src", "href", "xlink:href", "srcset"):
            value = attributes.get(name)
            if value and value.startswith("data:image/jpeg;base64,"):
                image = decode_image(base64.b64decode(value.partition(",")[2]), "image")
                self.images.append(image)
                for element in self._open:
                    element.images.append(image)
            elif value:
                self.addresses.append(value)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in WITHOUT_END:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in WITHOUT_END:
            return
        opened, begun = self._stack.pop()
        assert opened == tag
        del self._open[len(self._open) - len(begun) :]

    def handle_data(self, data: str) -> None:
        if self._in_sentence:
            self.sentence += data
            self._in_sentence = False
        for element in self._open:
            element.text += data
