"""Everything on a page can be read: text on its background has a contrast of 4.5 at least, as WCAG's level AA asks."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

TEMPLATES = files("pipeline.reports") / "templates"
LEAST = 4.5
TEXTS = ("ink", "quiet")
WHITE_ON = ("match", "possible", "not", "bad")  # verdicts


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    digits = "".join(2 * digit for digit in colour[1:]) if len(colour) == 4 else colour[1:]
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def themes(page: str) -> list[dict[str, str]]:
    """The colours by name of a page, in light and where it has them in dark."""
    return [dict(re.findall(r"--(\w+): (#\w+)", block)) for block in re.findall(r":root \{(.*?)\}", page, re.S)]


@pytest.mark.parametrize("name", ["coins.html", "morning.html", "figures.html"])
def test_text_stands_out_from_its_background(name: str) -> None:
    page = (TEMPLATES / name).read_text("utf-8")
    pairs = [
        (theme[text], theme.get(ground, "#fff"))
        for theme in themes(page)
        for text in TEXTS
        for ground in ("paper", "wash")
    ]
    pairs += [("#fff", theme[verdict]) for theme in themes(page) for verdict in WHITE_ON if verdict in theme]
    pairs += [(text, "#fff") for text in re.findall(r"[{;] ?color: (#\w{6})[^{}]*\}", page) if not themes(page)]
    for rule in re.findall(r"\{([^{}]*)\}", page):
        ground, text = (re.search(rf"(?:^|[ ;]){key}: (#\w{{3,6}})(?![\w])", rule) for key in ("background", "color"))
        pairs += [(text[1], ground[1])] if ground and text and len(ground[1]) in (4, 7) else []
    assert len(pairs) >= 2
    assert [pair for pair in pairs if contrast(*pair) < LEAST] == []
