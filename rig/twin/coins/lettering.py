"""Legends as an engraver cuts them: straight strokes and bows, with a wedge where a stroke ends."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Line = npt.NDArray[np.float64]


def _bow(centre_x: float, centre_y: float, radius_x: float, radius_y: float, start_deg: float, stop_deg: float) -> Line:
    angles = np.radians(np.linspace(start_deg, stop_deg, 13))
    return np.stack([centre_x + radius_x * np.cos(angles), centre_y + radius_y * np.sin(angles)], axis=1)


def _line(*points: tuple[float, float]) -> Line:
    return np.array(points, np.float64)


# Strokes in a box of height 1 (y up); widths are in WIDTHS where they are not 0.62.
_STROKES: dict[str, tuple[Line, ...]] = {
    "A": (_line((0, 0), (0.31, 1)), _line((0.31, 1), (0.62, 0)), _line((0.12, 0.36), (0.5, 0.36))),
    "B": (_line((0.05, 0), (0.05, 1)), _bow(0.1, 0.76, 0.4, 0.24, 90, -90), _bow(0.1, 0.26, 0.5, 0.26, 90, -90)),
    "C": (_bow(0.4, 0.5, 0.4, 0.5, 55, 305),),
    "D": (_line((0.05, 0), (0.05, 1)), _bow(0.08, 0.5, 0.54, 0.5, 90, -90)),
    "E": (
        _line((0.05, 0), (0.05, 1)),
        _line((0.05, 1), (0.5, 1)),
        _line((0.05, 0.52), (0.42, 0.52)),
        _line((0.05, 0), (0.52, 0)),
    ),
    "F": (_line((0.05, 0), (0.05, 1)), _line((0.05, 1), (0.52, 1)), _line((0.05, 0.52), (0.42, 0.52))),
    "G": (_bow(0.4, 0.5, 0.4, 0.5, 55, 330), _line((0.45, 0.42), (0.74, 0.42))),
    "H": (_line((0.05, 0), (0.05, 1)), _line((0.6, 0), (0.6, 1)), _line((0.05, 0.5), (0.6, 0.5))),
    "I": (_line((0.05, 0), (0.05, 1)),),
    "K": (_line((0.05, 0), (0.05, 1)), _line((0.55, 1), (0.08, 0.48)), _line((0.2, 0.6), (0.6, 0))),
    "L": (_line((0.05, 0), (0.05, 1)), _line((0.05, 0), (0.52, 0))),
    "M": (
        _line((0, 0), (0.14, 1)),
        _line((0.14, 1), (0.4, 0.1)),
        _line((0.4, 0.1), (0.66, 1)),
        _line((0.66, 1), (0.8, 0)),
    ),
    "N": (_line((0.05, 0), (0.05, 1)), _line((0.05, 1), (0.6, 0)), _line((0.6, 0), (0.6, 1))),
    "O": (_bow(0.42, 0.5, 0.42, 0.5, 0, 360),),
    "P": (_line((0.05, 0), (0.05, 1)), _bow(0.08, 0.73, 0.44, 0.27, 90, -90)),
    "Q": (_bow(0.42, 0.5, 0.42, 0.5, 0, 360), _line((0.45, 0.2), (0.85, -0.12))),
    "R": (_line((0.05, 0), (0.05, 1)), _bow(0.08, 0.74, 0.42, 0.26, 90, -90), _line((0.2, 0.48), (0.6, 0))),
    "S": (_bow(0.3, 0.74, 0.26, 0.26, 40, 255), _bow(0.28, 0.26, 0.28, 0.26, 85, -140)),
    "T": (_line((0, 1), (0.62, 1)), _line((0.31, 1), (0.31, 0))),
    "V": (_line((0, 1), (0.31, 0)), _line((0.31, 0), (0.62, 1))),
    "X": (_line((0, 1), (0.6, 0)), _line((0, 0), (0.6, 1))),
    "·": (_line((0.1, 0.5), (0.13, 0.5)),),
}
_WIDTHS = {
    "I": 0.1,
    "M": 0.8,
    "O": 0.84,
    "Q": 0.84,
    "G": 0.78,
    "C": 0.7,
    "S": 0.56,
    "E": 0.52,
    "F": 0.52,
    "L": 0.52,
    "·": 0.2,
}
_GAP = 0.3
_SPACE = 0.55


def text_width(text: str) -> float:
    """Width of a line of text of height 1, spaced as a legend."""
    return sum((_SPACE if letter == " " else _WIDTHS.get(letter, 0.62)) + _GAP for letter in text)


def straight_text(text: str, x: float, y: float, height: float) -> list[Line]:
    """Strokes of a line of text centred on (x, y)."""
    cursor = x - text_width(text) * height / 2
    strokes = []
    for letter in text:
        if letter != " ":
            strokes += [stroke * height + (cursor, y - height / 2) for stroke in _STROKES[letter]]
        cursor += ((_SPACE if letter == " " else _WIDTHS.get(letter, 0.62)) + _GAP) * height
    return strokes


def arched_text(text: str, radius: float, height: float, start_deg: float, stop_deg: float) -> list[Line]:
    """Strokes of a legend along a circle, clockwise from one angle to another, heads of the letters outwards.

    The letters are spread over the arc; `radius` is that of their feet.
    """
    arc = np.radians(start_deg - stop_deg)
    stretch = arc * radius / (text_width(text) * height)
    cursor = np.radians(start_deg)
    strokes = []
    for letter in text:
        advance = ((_SPACE if letter == " " else _WIDTHS.get(letter, 0.62)) + _GAP) * height * stretch / radius
        if letter != " ":
            width = min(stretch, 1.25) * height
            for stroke in _STROKES[letter]:
                angles = cursor - stroke[:, 0] * width / radius
                radii = radius + stroke[:, 1] * height
                strokes.append(np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1))
        cursor -= advance
    return strokes
