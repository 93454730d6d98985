"""A coin on a sheet of paper: a PDF with both its sides, what is known of it, and what it was matched with."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from calibration.image import Image
from capture.names import printable

A4_MM = (210.0, 297.0)
MARGIN_MM = 18.0
IMAGE_MM, SMALL_MM = 84.0, 48.0  # how wide images of the coin are, and of what it was matched with
LINE_MM = 5.0
LETTERS = 96  # of a line
POINTS_PER_MM = 72 / 25.4


@dataclass(frozen=True)
class SheetSection:
    """A part of the sheet: a heading, lines below it, and images side by side, each with its caption."""

    heading: str
    lines: Sequence[str] = ()
    images: Sequence[tuple[str, Image]] = ()
    image_mm: float = SMALL_MM


def draw_coin_sheet(title: str, parts: Sequence[SheetSection], footer: str) -> bytes:
    """The PDF of one A4 page; lines that do not fit on it are left out, and the last one says how many."""
    with mpl.rc_context({"pdf.fonttype": 42, "font.family": "DejaVu Sans"}):  # letters that can be searched and copied
        figure = Figure(figsize=(A4_MM[0] / 25.4, A4_MM[1] / 25.4))
        FigureCanvasPdf(figure)
        writer = _Writer(figure)
        writer.write(title, 18, bold=True)
        for part in parts:
            writer.write(part.heading, 12, bold=True)
            if part.images:
                writer.draw(part.images, part.image_mm)
            writer.write_lines(part.lines)
        writer.write_at(MARGIN_MM - 6, footer, 7)
        data = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of letters that the font lacks: they are drawn as boxes
            figure.savefig(data, format="pdf", dpi=300, metadata={"Title": printable(title), "CreationDate": None})
        return data.getvalue()


class _Writer:
    """Writes from the top of a page downwards; lengths are mm from its lower left corner."""

    def __init__(self, figure: Figure) -> None:
        self._figure = figure
        self._y = A4_MM[1] - MARGIN_MM

    def write(self, text: str, points: float, *, bold: bool = False) -> None:
        """A line, and room around it."""
        self._y -= points / POINTS_PER_MM * 1.25
        self.write_at(self._y, text, points, bold=bold)
        self._y -= 1.5

    def write_lines(self, lines: Sequence[str]) -> None:
        """Paragraphs of text, as far as there is room."""
        wrapped = [part for line in lines for part in textwrap.wrap(printable(line), LETTERS) or [""]]
        room = max(0, int((self._y - MARGIN_MM) / LINE_MM))
        if len(wrapped) > room:
            wrapped = [*wrapped[: max(0, room - 1)], f"... (+{len(wrapped) - room + 1})"][:room]
        for line in wrapped:
            self._y -= LINE_MM
            self.write_at(self._y, line, 9)
        self._y -= 3

    def draw(self, images: Sequence[tuple[str, Image]], width_mm: float) -> None:
        """Square images side by side; none if there is no room."""
        if self._y - width_mm - LINE_MM < MARGIN_MM:
            return
        self._y -= width_mm
        for number, (caption, image) in enumerate(images):
            left = MARGIN_MM + number * (width_mm + 4)
            place = (left / A4_MM[0], self._y / A4_MM[1], width_mm / A4_MM[0], width_mm / A4_MM[1])
            axes = self._figure.add_axes(place)
            axes.imshow(image, interpolation="none")
            axes.axis("off")
            self.write_at(self._y - 4, textwrap.shorten(caption, round(width_mm / 1.7), placeholder="..."), 8, left)
        self._y -= LINE_MM + 2

    def write_at(self, y_mm: float, text: str, points: float, x_mm: float = MARGIN_MM, *, bold: bool = False) -> None:
        """Text at a place."""
        weight = "bold" if bold else "normal"
        place = (x_mm / A4_MM[0], y_mm / A4_MM[1])
        self._figure.text(*place, printable(text), fontsize=points, weight=weight, parse_math=False)
