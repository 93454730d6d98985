"""How sharp a camera is: the response to frequencies that a slanted edge shows, and how far its colours lie apart.

ISO 12233:2017 (resolution and spatial frequency responses of electronic still cameras), annex D: the edge is found row
by row, the rows are laid over each other in bins of a quarter of a pixel, and the transform of their slope is the
response. P. D. Burns, "Slanted-edge MTF for digital camera and scanner analysis", PICS 2000.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.board import BoardSpec, BoardView
from calibration.response import LUMINANCE

Values = npt.NDArray[np.float64]
Light = npt.NDArray[np.float32]

BINS = 4  # of a pixel
SLANT_DEG = (2.0, 14.0)  # from the rows or columns of pixels: less shows too few phases, more is no small slant
BEST_SLANT_DEG = 5.0
LEAST_ROWS, LEAST_REACH_PX = 16, 4.0  # of an edge
LEAST_CONTRAST = 0.25  # (light - dark) / (light + dark)
INSIDE = 0.18  # share of a square's side that is left out at either end of an edge: corners are rounded
CLEAR_PX = 2.5  # from the edge of the marker in the white square, as far as its blur reaches
LEAST_EDGES = 3  # in one direction, of which the median is taken
FLAT = 0.5  # share of the window that changes nothing
NYQUIST = 0.5  # cycles a pixel


@dataclass(frozen=True)
class Sharpness:
    """What slanted edges show, in the direction in which it is worse; frequencies in cycles a pixel of the image.

    Attributes
    ----------
    edges
        How many were measured.
    mtf50, mtf10
        Where the response falls to a half, and to a tenth.
    greatest
        The greatest response; above 1 where the image was sharpened.
    misregistration_px
        The greatest distance between the edge in one channel and in another.
    """

    edges: int
    mtf50: float
    mtf10: float
    greatest: float
    misregistration_px: float

    @property
    def sampling_efficiency(self) -> float:
        """MTF10 as a share of what the pixels could show at best."""
        return min(self.mtf10, NYQUIST) / NYQUIST


def slant_to_turn_deg(view: BoardView) -> float:
    """How far a board that lies flat has to be turned, counter-clockwise, for its edges to be well slanted."""
    sideways = _to_image(view)[:2, 0]
    angle_deg = float(np.degrees(np.arctan2(-sideways[1], sideways[0])))
    return (BEST_SLANT_DEG - angle_deg + 45.0) % 90.0 - 45.0


def measure_sharpness(light: Light, view: BoardView, spec: BoardSpec) -> Sharpness | None:
    """Measure the edges of a board's squares; None where too few are slanted well, long enough and clear.

    Parameters
    ----------
    light
        (H, W, 3) linear light of a straightened image of the board, lying flat.
    view
        Where its corners are in that image.
    """
    to_image = _to_image(view)
    measured: tuple[list[tuple[float, ...]], ...] = ([], [])
    for start_mm, end_mm in _edges_of(spec):
        ends = cv2.perspectiveTransform(np.array([[start_mm, end_mm]]), to_image)[0]
        per_mm = float(np.linalg.norm(ends[1] - ends[0])) / float(np.linalg.norm(end_mm - start_mm))
        reach_px = per_mm * (spec.square_mm - spec.marker_mm) / 2 - CLEAR_PX
        if reach_px >= LEAST_REACH_PX and (edge := _measure_edge(light, ends, reach_px)) is not None:
            upright, *values = edge
            measured[int(upright)].append(tuple(values))
    found = [np.median(np.array(each), axis=0) for each in measured if len(each) >= LEAST_EDGES]
    if not found:
        return None
    mtf50, mtf10, *_ = np.min(found, axis=0)
    *_, greatest, apart = np.max(found, axis=0)
    return Sharpness(sum(map(len, measured)), float(mtf50), float(mtf10), float(greatest), float(apart))


def edge_response(distances_px: Values, values: Values) -> tuple[Values, Values]:
    """Frequencies (cycles a pixel) and the response at each, of pixels by their distance from the edge."""
    reach = int(np.floor(np.abs(distances_px).max() * BINS))
    place = np.clip(np.rint(distances_px * BINS).astype(int) + reach, 0, 2 * reach)
    number = np.bincount(place, minlength=2 * reach + 1)
    profile = np.bincount(place, values, minlength=2 * reach + 1) / np.maximum(number, 1)
    known = number > 0
    profile = np.interp(np.arange(len(profile)), np.flatnonzero(known), profile[known])
    slope = np.diff(profile)
    middle = float(np.average(np.arange(len(slope)), weights=np.abs(slope) ** 2 + 1e-30))
    half = min(middle, len(slope) - 1 - middle)
    away = (np.arange(len(slope)) - middle) / max(half, 1.0)
    end = np.clip((np.abs(away) - FLAT) / (1 - FLAT), 0, 1)  # Tukey's window: Hamming's would sharpen a wide slope
    window = 0.5 + 0.5 * np.cos(np.pi * end)
    size = 16 * len(slope)
    spectrum = np.abs(np.fft.rfft(slope * window, size))
    frequencies = np.fft.rfftfreq(size, 1 / BINS)
    # A difference of two bins is not yet the slope at a place, and a bin not yet a point.
    filtered = np.sinc(frequencies / BINS) ** 2
    shown = frequencies <= 1.0
    return np.asarray(frequencies[shown]), np.asarray(spectrum[shown] / spectrum[0] / filtered[shown])


def _to_image(view: BoardView) -> Values:
    found, _ = cv2.findHomography(view.corners_mm[:, :2].astype(np.float64), view.corners_px.astype(np.float64))
    return np.asarray(found, np.float64)


def _edges_of(spec: BoardSpec) -> list[tuple[Values, Values]]:
    """Both ends, in mm on the board, of each edge between two squares."""
    side, inside = spec.square_mm, INSIDE * spec.square_mm
    edges = []
    for row in range(1, spec.squares_y - 1):
        for column in range(1, spec.squares_x - 1):
            corner = np.array([column, row]) * side
            edges += [(corner + inside * way, corner + (side - inside) * way) for way in np.eye(2)]
    return edges


def _measure_edge(light: Light, ends: Values, reach_px: float) -> tuple[float, ...] | None:
    """Whether an edge between two ends (x, y) is upright; its MTF50, MTF10, greatest response, and channels apart."""
    along = ends[1] - ends[0]
    is_upright = abs(along[1]) > abs(along[0])
    if not is_upright:  # looked at with rows and columns exchanged
        light, ends, along = light.transpose(1, 0, 2), ends[:, ::-1], along[::-1]
    slope = float(along[0] / along[1])
    slant_deg = abs(float(np.degrees(np.arctan(slope))))
    if not SLANT_DEG[0] <= slant_deg <= SLANT_DEG[1]:
        return None
    top, bottom = (int(np.ceil(ends[:, 1].min())), int(np.floor(ends[:, 1].max())))
    rows = np.arange(top, bottom + 1)
    across = np.arange(-int(np.floor(reach_px)) - 1, int(np.floor(reach_px)) + 2)
    if len(rows) < LEAST_ROWS or top < 0 or bottom >= light.shape[0]:
        return None
    offset = float(ends[0, 0] - slope * ends[0, 1])
    for _ in range(3):
        columns = np.rint(offset + slope * rows)[:, None].astype(int) + across
        if columns.min() < 0 or columns.max() >= light.shape[1]:
            return None
        part = light[rows[:, None], columns].astype(np.float64)
        offset, slope = _line_of(part.mean(axis=2), rows, columns, offset, slope)
    dark, bright = np.percentile(part.mean(axis=2), (10, 90))
    if bright - dark < LEAST_CONTRAST * (bright + dark) or abs(np.degrees(np.arctan(slope))) < SLANT_DEG[0]:
        return None
    distances = (columns - offset - slope * rows[:, None]) * np.cos(np.arctan(slope))
    near = np.abs(distances) <= reach_px
    frequencies, response = edge_response(distances[near], (part @ LUMINANCE)[near])
    at = []
    for channel in range(3):
        line = offset, slope
        for _ in range(4):  # each from where it was found: what is far from it counts less, and draws it back
            line = _line_of(part[..., channel], rows, columns, *line)
        at.append(line[0] + line[1] * rows.mean())
    return (
        float(is_upright),
        _falls_to(0.5, frequencies, response),
        _falls_to(0.1, frequencies, response),
        float(response[frequencies <= NYQUIST].max()),
        float(np.ptp(at)) * float(np.cos(np.arctan(slope))),
    )


def _line_of(
    part: Values, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], offset: float, slope: float
) -> tuple[float, float]:
    """The edge as column = offset + slope x row: the middle of the change in each row, and a line through them."""
    change = np.abs(np.diff(part, axis=1))
    between = (columns[:, 1:] + columns[:, :-1]) / 2
    away = between - (offset + slope * rows[:, None])
    reach = float(np.abs(away).max())
    weight = change * np.clip(0.54 + 0.46 * np.cos(np.pi * away / reach), 0, None)  # noise far from it counts less
    middle = (weight * between).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)
    steeper, start = np.polyfit(rows, middle, 1)
    return float(start), float(steeper)


def _falls_to(level: float, frequencies: Values, response: Values) -> float:
    """The first frequency at which the response falls to a level; the last one where it never does."""
    below = np.flatnonzero(response < level)
    if not len(below) or below[0] == 0:
        return float(frequencies[-1])
    at = below[0]
    before, after = response[at - 1], response[at]
    return float(frequencies[at - 1] + (before - level) / (before - after) * (frequencies[at] - frequencies[at - 1]))
