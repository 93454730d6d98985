"""Printing sentences: no word is cut at the edge of a terminal, and elsewhere a message is one line, to be searched."""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text


def print_sentences(console: Console, markup: str) -> None:
    """Print text in rich's markup. A word that is longer than a line, such as a path, stays whole, to be copied."""
    text = Text.from_markup(markup)
    if console.is_terminal:
        lines = [line for paragraph in text.split("\n") for line in _between_words(paragraph, console.width)]
        text = Text("\n").join(lines)
    console.print(text, soft_wrap=True)


def _between_words(paragraph: Text, width: int) -> list[Text]:
    ends, column = [], 0
    for word in re.finditer(r"\S+\s*", paragraph.plain):
        if column and column + cell_len(word.group().rstrip()) > width:
            ends.append(word.start())
            column = 0
        column += cell_len(word.group())
    lines = list(paragraph.divide(ends))
    for line in lines[:-1]:
        line.rstrip()
    return lines
