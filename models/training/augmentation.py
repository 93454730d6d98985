"""What may change between two images of one coin without its being another: place in the crop, light, print.

Everything works on normalised grey crops, (size, size) float32 of 0 to 255, and ends in the same neutral brightness.

How much changes has names (`KINDS`). ``standard`` is what any photograph is put through, the eight of the COIN
Research Group's poster: brightness, contrast, saturation, Gaussian blur, rotation, translation, bilinear interpolation,
perspective. ``tuned`` is the same eight by values that suit one coin photographed twice; `rig tune` finds them for
one's own coins. ``reproduction`` adds to it what a printed catalogue does: screen, tone curve, highlights flat as on a
cast, low resolution, JPEG. ``relight`` adds to that another lamp.

Crops are grey, so saturation has nothing to act on and no field here. They end in one mean and spread, so brightness
and contrast change what they drive into black and white, and how strong noise and screen are beside the relief.
"""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from calibration.image import Image
from calibration.outline import CROP_MARGIN, GREY_MEAN, GREY_STD
from models.training.relight import Relief, guessed_relief, relit

Grey = npt.NDArray[np.float32]
Kind = Literal["standard", "tuned", "reproduction", "relight"]


class Augmentation(BaseModel):
    """How far things may change; every draw is uniform, each effect's probability is its own.

    Where a ``kind`` is named, what is not given is as `KINDS` has it; else it is as the defaults here.

    ``turn_deg``, ``shift`` and ``scale`` are what the outline may be wrong by and the rotation search may leave over
    (shift and scale as shares of the crop).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind | None = None
    turn_deg: float = Field(default=6.0, ge=0.0, le=180.0)
    shift: float = Field(default=0.025, ge=0.0, le=0.2)
    scale: float = Field(default=0.04, ge=0.0, le=0.3)
    perspective: float = Field(default=0.0, ge=0.0, le=0.2, description="how far the corners move, share of the crop")
    brightness: float = Field(default=0.0, ge=0.0, le=127.0, description="grey levels")
    contrast: float = Field(default=0.0, ge=0.0, le=2.0, description="log of the largest change")
    bilinear: float = Field(
        default=0.0, ge=0.0, le=0.9, description="share of the resolution lost by shrinking and enlarging again"
    )
    relight: float = Field(default=0.0, ge=0.0, le=1.0, description="probability that a batch is relit")
    gradient: float = Field(
        default=0.5, ge=0.0, le=1.0, description="contrast lost across the coin, as under one-sided light"
    )
    gamma: float = Field(default=0.35, ge=0.0, le=1.0, description="log of the largest change of the tone curve")
    blur_px: float = Field(default=1.6, ge=0.0, le=8.0)
    noise: float = Field(default=9.0, ge=0.0, le=60.0, description="grey levels")
    flatten: float = Field(
        default=0.2, ge=0.0, le=1.0, description="probability of losing the highlights, as a cast does"
    )
    halftone: float = Field(default=0.2, ge=0.0, le=1.0, description="probability of a printer's screen")
    coarse: float = Field(default=0.3, ge=0.0, le=1.0, description="probability of low resolution and JPEG")
    hide: float = Field(default=0.3, ge=0.0, le=1.0, description="probability of a hidden spot: dirt, glare")

    @model_validator(mode="before")
    @classmethod
    def _of_its_kind(cls, given: Any) -> Any:
        kind = given.get("kind") if isinstance(given, dict) else None
        return {**KINDS[kind], **given} if isinstance(kind, str) and kind in KINDS else given

    def apply(
        self,
        crop: Image,
        turn_deg: float,
        rng: np.random.Generator,
        lamp_deg: float | None = None,
        relief: Relief | None = None,
    ) -> Image:
        """A changed crop, turned by ``turn_deg`` (counter-clockwise) and the little more that is drawn.

        With a lamp it is relit from about there, before it is turned, on its measured or else its guessed relief.
        """
        grey = crop[:, :, 0].astype(np.float32)
        if lamp_deg is not None:
            lamp, elevation = lamp_deg + rng.uniform(-20.0, 20.0), rng.uniform(20.0, 60.0)
            gloss, paint = rng.uniform(0.0, 1.5), rng.uniform(0.1, 0.5)
            grey = relit(relief or guessed_relief(grey), lamp, elevation, gloss, paint)
        grey = self._placed(grey, turn_deg, rng)
        grey = self._lit(grey, rng)
        grey = self._printed(grey, rng)
        return _neutral(grey)

    def _placed(self, grey: Grey, turn_deg: float, rng: np.random.Generator) -> Grey:
        size = grey.shape[0]
        turn = turn_deg + rng.uniform(-self.turn_deg, self.turn_deg)
        scale = 1.0 + rng.uniform(-self.scale, self.scale)
        matrix = cv2.getRotationMatrix2D(((size - 1) / 2.0, (size - 1) / 2.0), turn, scale)
        matrix[:, 2] += rng.uniform(-self.shift, self.shift, 2) * size
        matrix = np.vstack([matrix, [0.0, 0.0, 1.0]])
        if self.perspective > 0.0:
            corners = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float32)
            moved = corners + rng.uniform(-self.perspective, self.perspective, (4, 2)).astype(np.float32) * size
            matrix = cv2.getPerspectiveTransform(corners, moved) @ matrix
        placed = cv2.warpPerspective(grey, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=GREY_MEAN)
        return np.asarray(placed, np.float32)

    def _lit(self, grey: Grey, rng: np.random.Generator) -> Grey:
        size = grey.shape[0]
        azimuth = rng.uniform(0.0, 2.0 * np.pi)
        axis = np.linspace(-1.0, 1.0, size, dtype=np.float32)
        along = np.float32(np.cos(azimuth)) * axis[None, :] + np.float32(np.sin(azimuth)) * axis[:, None]
        contrast = 1.0 + np.float32(rng.uniform(0.0, self.gradient)) * along
        if self.contrast > 0.0:
            contrast *= np.float32(np.exp(rng.uniform(-self.contrast, self.contrast)))
        middle = 127.5
        if self.brightness > 0.0:
            middle += float(rng.uniform(-self.brightness, self.brightness))
        relative = np.clip(((grey - GREY_MEAN) * contrast + middle) / 255.0, 0.0, 1.0)
        relative = relative ** np.float32(np.exp(rng.uniform(-self.gamma, self.gamma)))
        if rng.random() < self.flatten:
            top = np.float32(rng.uniform(0.5, 0.8))
            relative = np.minimum(relative, top + 0.2 * (relative - top))
        grey = np.asarray(relative * 255.0, np.float32)
        if rng.random() < self.hide:
            spot = np.zeros_like(grey)
            centre = tuple(int(v) for v in rng.integers(size // 6, size - size // 6, 2))
            cv2.circle(spot, centre, int(rng.uniform(0.04, 0.14) * size), 1.0, cv2.FILLED)
            spot = np.asarray(cv2.GaussianBlur(spot, (0, 0), 3.0), np.float32)
            grey = grey * (1.0 - spot) + spot * np.float32(rng.uniform(40.0, 215.0))
        return np.asarray(grey, np.float32)

    def _printed(self, grey: Grey, rng: np.random.Generator) -> Grey:
        size = grey.shape[0]
        sigma = float(rng.uniform(0.0, self.blur_px))
        if sigma > 0.2:
            grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma), np.float32)
        if self.bilinear > 0.0:
            small_px = round(size * (1.0 - rng.uniform(0.0, self.bilinear)))
            small = cv2.resize(grey, (small_px, small_px), interpolation=cv2.INTER_LINEAR)
            grey = np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)
        if rng.random() < self.halftone:
            grey = _screened(grey, float(rng.uniform(2.2, 4.0)), float(rng.uniform(30.0, 60.0)))
        grey = grey + rng.normal(0.0, rng.uniform(0.0, self.noise), grey.shape).astype(np.float32)
        if rng.random() < self.coarse:
            small_px = int(rng.integers(size // 2, size))
            small = cv2.resize(
                np.clip(grey, 0, 255).astype(np.uint8), (small_px, small_px), interpolation=cv2.INTER_AREA
            )
            _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))])
            decoded = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
            assert decoded is not None
            grey = cv2.resize(decoded, (size, size), interpolation=cv2.INTER_LINEAR).astype(np.float32)
        return np.asarray(grey, np.float32)


_NOTHING = {name: 0.0 for name in Augmentation.model_fields if name != "kind"}
_STANDARD = {
    "brightness": 51.0,
    "contrast": 0.2,
    "blur_px": 2.0,
    "turn_deg": 15.0,
    "shift": 0.1,
    "bilinear": 0.5,
    "perspective": 0.1,
}
_TUNED = {
    "brightness": 30.0,
    "contrast": 0.5,
    "blur_px": 1.6,
    "turn_deg": 6.0,
    "shift": 0.025,
    "bilinear": 0.5,
    "perspective": 0.02,
}
_REPRODUCTION = {"scale": 0.04, "gamma": 0.5, "noise": 10.0, "flatten": 0.2, "halftone": 0.15, "coarse": 0.3}
_RELIGHT = {"relight": 0.75, "gradient": 0.5, "hide": 0.3}
KINDS: dict[str, dict[str, float]] = {
    "standard": _NOTHING | _STANDARD,
    "tuned": _NOTHING | _TUNED,
    "reproduction": _NOTHING | _TUNED | _REPRODUCTION,
    "relight": _NOTHING | _TUNED | _REPRODUCTION | _RELIGHT,
}


def _screened(grey: Grey, pitch_px: float, angle_deg: float) -> Grey:
    """A halftone screen: dots that grow with darkness, then the softness of paper and scanner."""
    size = grey.shape[0]
    y, x = np.mgrid[:size, :size].astype(np.float32)
    angle = np.radians(angle_deg)
    u = (x * np.cos(angle) + y * np.sin(angle)) * (2.0 * np.pi / pitch_px)
    v = (y * np.cos(angle) - x * np.sin(angle)) * (2.0 * np.pi / pitch_px)
    screen = (np.cos(u) * np.cos(v)).astype(np.float32)
    ink = np.clip((grey - 128.0) / 60.0 + screen, -0.5, 0.5) + 0.5
    return np.asarray(cv2.GaussianBlur(ink * 255.0, (0, 0), 0.9), np.float32)


def _neutral(grey: Grey) -> Image:
    """Mean and spread inside the coin's disc as `calibration.outline.normalise` leaves them, neutral outside."""
    size = grey.shape[0]
    axis = np.arange(size, dtype=np.float32) - (size - 1) / 2.0
    inside = np.hypot(axis[None, :], axis[:, None]) <= CROP_MARGIN * size / 2.0
    values = grey[inside]
    even = (grey - values.mean()) / (values.std() + 1.0) * GREY_STD + GREY_MEAN
    even[~inside] = GREY_MEAN
    out = np.clip(np.rint(even), 0, 255).astype(np.uint8)
    return np.repeat(out[:, :, None], 3, axis=2)
