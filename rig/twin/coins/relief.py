"""Shapes in relief: what dies are cut with, what wear and corrosion do, and relief guessed from a photograph."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from rig.twin.coins.surface import Array, as_array

Points = Sequence[tuple[float, float]] | npt.NDArray[np.float64]


def normals_of(height_mm: Array, pitch_mm: float) -> Array:
    """Unit normals (n, n, 3) in bench axes of a height field (n, n)."""
    scale = 1 / (8 * pitch_mm)
    slope_x = cv2.Sobel(height_mm, cv2.CV_32F, 1, 0, ksize=3, scale=scale)
    slope_y = cv2.Sobel(height_mm, cv2.CV_32F, 0, 1, ksize=3, scale=scale)
    up = 1 / cv2.sqrt(slope_x * slope_x + slope_y * slope_y + 1)
    return np.asarray(cv2.merge([-slope_x * up, slope_y * up, up]), np.float32)


def fractal_noise(rng: np.random.Generator, size_px: int, coarsest: int, octaves: int, fade: float = 0.55) -> Array:
    """Noise (size_px, size_px) of standard deviation about 1, made of octaves from `coarsest` cells a side on."""
    total = np.zeros((size_px, size_px), np.float32)
    weight, power = 1.0, 0.0
    for octave in range(octaves):
        cells = min(coarsest * 2**octave, size_px)
        grid = rng.standard_normal((cells + 3, cells + 3), np.float32)
        fine = cv2.resize(grid, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
        total += np.float32(weight) * fine
        power += weight * weight * 0.6
        weight *= fade
    return np.asarray(total / np.float32(np.sqrt(power)), np.float32)


def smooth_curve(points: Points, closed: bool = True, steps: int = 8) -> npt.NDArray[np.float64]:
    """Points along the Catmull-Rom curve through the given ones."""
    knots = np.asarray(points, np.float64)
    if closed:
        knots = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        knots = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    before, start, stop, after = knots[:-3], knots[1:-2], knots[2:-1], knots[3:]
    curve = 0.5 * (
        2 * start
        + (stop - before) * t
        + (2 * before - 5 * start + 4 * stop - after) * t**2
        + (3 * start - before - 3 * stop + after) * t**3
    )
    path = curve.transpose(1, 0, 2).reshape(-1, 2)
    return path if closed else np.concatenate([path, knots[-2:-1]])


class Die:
    """A die being cut: a height field that shapes are raised on.

    Coordinates are (x, y), y up, the border near radius 1. Heights are in units of the highest relief; `height` is
    (size_px, size_px).
    """

    REACH = 1.15  # half the side, so that an off-centre strike still has field to show

    def __init__(self, size_px: int) -> None:
        self.size_px = size_px
        self.scale = size_px / (2 * self.REACH)
        self.height = np.zeros((size_px, size_px), np.float32)

    def to_px(self, points: Points) -> npt.NDArray[np.int32]:
        """Pixel coordinates with four fractional bits, as OpenCV draws them."""
        xy = np.asarray(points, np.float64)
        columns = (xy[:, 0] + self.REACH) * self.scale
        rows = (self.REACH - xy[:, 1]) * self.scale
        return np.asarray(np.round(np.stack([columns, rows], axis=1) * 16), np.int32)

    def mask(self, points: Points) -> npt.NDArray[np.uint8]:
        """255 inside the polygon."""
        inside = np.zeros(self.height.shape, np.uint8)
        cv2.fillPoly(inside, [self.to_px(points)], 255, cv2.LINE_8, 4)
        return inside

    def rounded(self, inside: npt.NDArray[np.uint8], shoulder: float) -> Array:
        """0 outside, rising over `shoulder` as a quarter ellipse to 1 inside."""
        depth = as_array(cv2.distanceTransform(inside, cv2.DIST_L2, 3))
        depth = np.minimum(depth * np.float32(1 / (shoulder * self.scale)), np.float32(1))
        return np.sqrt(depth * (2 - depth))

    def raise_shape(self, points: Points, height: float, shoulder: float, base: float = 0.0) -> None:
        """Raise a polygon to `base` + `height` with rounded shoulders; what is higher already stays."""
        profile = self.rounded(self.mask(points), shoulder)
        lifted = profile * np.float32(height) + np.float32(base) * (profile > 0)
        cv2.max(self.height, lifted, dst=self.height)

    def add_strokes(self, lines: Sequence[Points], width: float, height: float, smooth: bool = False) -> None:
        """Add ridges (or, with a negative height, cut grooves) along lines."""
        drawn = np.zeros(self.height.shape, np.uint8)
        thickness = max(1, round(width * self.scale))
        paths = [self.to_px(smooth_curve(line, closed=False) if smooth else line) for line in lines]
        cv2.polylines(drawn, paths, False, 255, thickness, cv2.LINE_AA, 4)
        ridge = cv2.GaussianBlur(drawn.astype(np.float32), (0, 0), max(0.35 * width * self.scale, 0.6))
        self.height += ridge * np.float32(height / 255)

    def limb(
        self, start: tuple[float, float], stop: tuple[float, float], radii: tuple[float, float], height: float
    ) -> None:
        """Raise a rounded, tapering limb between two points, melting into what it touches."""
        (ax, ay), (bx, by) = start, stop
        widest = max(radii)
        low_x, high_x = min(ax, bx) - widest, max(ax, bx) + widest
        low_y, high_y = min(ay, by) - widest, max(ay, by) + widest
        left, right = (int(np.clip((v + self.REACH) * self.scale, 0, self.size_px)) for v in (low_x, high_x))
        top, bottom = (int(np.clip((self.REACH - v) * self.scale, 0, self.size_px)) for v in (high_y, low_y))
        if right - left < 2 or bottom - top < 2:
            return
        x = np.arange(left, right, dtype=np.float32)[None, :] / np.float32(self.scale) - np.float32(self.REACH)
        y = np.float32(self.REACH) - np.arange(top, bottom, dtype=np.float32)[:, None] / np.float32(self.scale)
        length2 = max((bx - ax) ** 2 + (by - ay) ** 2, 1e-6)
        along = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length2, 0, 1)
        away2 = (x - ax - along * (bx - ax)) ** 2 + (y - ay - along * (by - ay)) ** 2
        radius = radii[0] + along * (radii[1] - radii[0])
        bump = np.sqrt(np.clip(1 - away2 / radius**2, 0, 1)) * radius / widest * height
        window = self.height[top:bottom, left:right]
        np.maximum(window, bump.astype(np.float32), out=window)

    def dots(self, centres: Points, radius: float, height: float) -> None:
        """Raise round dots."""
        drawn = np.zeros(self.height.shape, np.uint8)
        for column, row in self.to_px(centres):
            cv2.circle(drawn, (int(column), int(row)), max(1, round(radius * self.scale * 16)), 255, -1, cv2.LINE_AA, 4)
        soft = cv2.GaussianBlur(drawn.astype(np.float32), (0, 0), max(0.45 * radius * self.scale, 0.6))
        self.height += soft * np.float32(height / 255)


def relief_from_photo(luminance: Array, coverage: Array) -> Array:
    """Guess relief from one photograph of a coin: (n, n) of standard deviation about 1 inside the coin.

    There is no exact answer. Two guesses are added. Linear shape from shading (A. Pentland, "Linear shading analysis",
    1990) for a lamp at the upper left, the museum photographer's habit: slopes towards the lamp are bright, so height
    is brightness summed along the light. And "dark is deep": dirt stays in hollows and worn points are bare. Both are
    kept to scales below a fifth of the coin, where stains and uneven light have less part. On procedural coins, whose
    relief is known, the normals correlate at about 0.8 with the true ones; either guess alone reaches 0.5 to 0.6.
    """
    size = luminance.shape[0]
    inside = coverage > 0.5
    level = float(luminance[inside].mean())
    flat = np.where(inside, np.log(np.maximum(luminance, 0.02) / max(level, 0.02)), 0.0).astype(np.float32)
    flat *= cv2.GaussianBlur(coverage, (0, 0), size / 60)
    spectrum = np.fft.rfft2(flat)
    u = np.fft.rfftfreq(size)[None, :]
    v = np.fft.fftfreq(size)[:, None]
    frequency = np.hypot(u, v)
    band = (1 - np.exp(-((frequency * size / 5) ** 2))) * np.exp(-((frequency * 4) ** 2))
    # What faces the upper left rises towards the lower right: brightness is the slope along (1, 1).
    along = 2j * np.pi * (u + v) / np.sqrt(2)
    damping = (2 * np.pi * 0.7 * frequency) ** 2 + 1e-5
    from_shading = np.conj(along) / (np.abs(along) ** 2 + damping)
    from_dirt = 0.8 / (2 * np.pi * (frequency + 1 / size))
    height = np.fft.irfft2(spectrum * band * (from_shading + from_dirt), s=flat.shape)
    return np.asarray(height / max(float(height[inside].std()), 1e-6), np.float32)
