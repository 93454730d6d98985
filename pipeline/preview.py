"""The live image: a small copy of what the camera saw last, handed from the process that drives the rig to the page.

It is one file of the lab, ``live/preview``, replaced whole and never synced. Who watches touches ``live/watched`` every
few seconds; while nobody does, an image costs the rig's process one look at that file's date. Nobody waits for anybody:
an image that comes while the one before is still being written is not shown.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ValidationError

from calibration.durable_files import make_folder, write_atomically
from calibration.image import Image, encode_jpeg
from calibration.outline import Outline
from capture.quality import Quality
from pipeline.lab import Lab

log = logging.getLogger(__name__)

WIDTH_PX = 960
LEAST_GAP_S = 0.15  # between two previews
WATCHED_S = 6.0  # for so long after the last touch somebody counts as watching
POLITENESS = 10  # how far its thread steps back behind those that work for the scan
PEAKED, CLIPPED = 1, 2  # what a pixel of the aids says
CLIPPED_LEVEL = 253
# In focus is where fine detail (0.8 to 1.6 px) is that strong against coarser (1.6 to 3.2 px), and stands out of noise
# by so many grey levels. Of a coin of the twin that marks 40 % in focus, 24 % blurred by 1 px, 4 % by 2 and 0.2 % by 3.
FINE_OVER_COARSE, LEAST_DETAIL = 0.45, 1.0
FOCUS_WIDTH_PX = 2048  # wider images are brought to it first: their pixels are finer than what the lens resolves
NEIGHBOURS_PX = 9

Aids = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Seen:
    """An image as it came from the camera, what the quality check found in it, and how it was taken.

    Attributes
    ----------
    image
        RGB, (H, W, 3) uint8.
    facts
        What else is known: coin, side, light, turntable_deg, exposure_us, gain.
    mm_per_pixel
        None where the rig was not calibrated.
    """

    image: Image
    quality: Quality
    facts: dict[str, Any]
    mm_per_pixel: float | None = None


class PreviewFacts(BaseModel):
    """What is known about a preview. ``outline`` is in its own pixels; ``reasons`` are why the frame is not good."""

    width_px: int
    height_px: int
    outline: list[tuple[int, int]] = []
    reasons: list[str] = []
    sharpness: float | None = None
    clipped: float
    mean: float | None = None
    diameter_mm: float | None = None
    coin: str | None = None
    side: str | None = None
    light: str | None = None
    turntable_deg: float | None = None
    exposure_us: int | None = None
    gain: float | None = None


@dataclass(frozen=True)
class Preview:
    """A preview: facts, a JPEG, and a PNG of the same size that says which pixels are in focus or over-exposed."""

    facts: PreviewFacts
    jpeg: bytes
    aids: bytes

    def to_bytes(self) -> bytes:
        """As it stands in the file: a line of sizes, then the three parts."""
        facts = self.facts.model_dump_json().encode()
        return b"%d %d\n" % (len(facts), len(self.jpeg)) + facts + self.jpeg + self.aids

    @classmethod
    def from_bytes(cls, data: bytes) -> Preview:
        """Read what `to_bytes` wrote; raises ValueError if it is something else."""
        line, _, rest = data.partition(b"\n")
        facts, jpeg = map(int, line.split())
        return cls(PreviewFacts.model_validate_json(rest[:facts]), rest[facts : facts + jpeg], rest[facts + jpeg :])


class PreviewWriter:
    """Writes previews in a thread of its own for as long as the block lasts, while somebody watches."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._thread = ThreadPoolExecutor(1, "preview", _step_back)
        self._writing: Future[None] | None = None
        self._last_s = 0.0

    def __enter__(self) -> Self:
        self._forget()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()
        self._forget()

    @property
    def is_wanted(self) -> bool:
        """Whether somebody watches, and the last preview is written and old enough."""
        if time.monotonic() - self._last_s < LEAST_GAP_S or not (self._writing is None or self._writing.done()):
            return False
        try:
            return abs(time.time() - self._lab.watched.stat().st_mtime) < WATCHED_S
        except OSError:
            return False

    def offer(self, seen: Seen) -> None:
        """Show this image, if anybody watches. It may be given from any thread, and is not changed."""
        if self.is_wanted:
            self._last_s = time.monotonic()
            self._writing = self._thread.submit(self._write, seen)

    def _forget(self) -> None:
        """What the camera saw in an earlier job is not live."""
        with suppress(OSError):
            self._lab.preview.unlink(missing_ok=True)

    def _write(self, seen: Seen) -> None:
        try:
            write_atomically(self._lab.preview, make_preview(seen).to_bytes(), durable=False)
        except OSError as error:  # a full disk: the scan reports it itself
            log.info("%s cannot be written: %s", self._lab.preview, error.strerror)
        except Exception:
            log.exception("No preview could be made.")


def watch(lab: Lab) -> None:
    """Say that somebody watches; in a lab that cannot be written there is no live image."""
    with suppress(OSError):
        make_folder(lab.watched.parent)
        lab.watched.touch()


def read_preview(lab: Lab) -> Preview | None:
    """The last preview; None where there is none."""
    try:
        return Preview.from_bytes(lab.preview.read_bytes())
    except (OSError, ValueError, ValidationError):
        return None


def make_preview(seen: Seen) -> Preview:
    """Make an image small, and mark on it what is in focus and what is over-exposed, both judged at full size."""
    height_px, width_px = seen.image.shape[:2]
    scale = min(1.0, WIDTH_PX / width_px)
    size = (round(width_px * scale), round(height_px * scale))
    small = cv2.resize(seen.image, size, interpolation=cv2.INTER_AREA)
    clipped = cv2.inRange(seen.image, (0, 0, 0), (CLIPPED_LEVEL,) * 3) == 0
    aids = np.zeros(size[::-1], np.uint8)
    aids[_in_focus(seen.image, size)] = PEAKED
    share = cv2.resize(clipped.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    aids[share > 0.25] = CLIPPED
    done, encoded = cv2.imencode(".png", aids, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert done
    metrics, outline = seen.quality.metrics, seen.quality.outline
    facts = PreviewFacts(
        width_px=size[0],
        height_px=size[1],
        outline=_polygon(outline, size) if outline else [],
        reasons=[str(reason) for reason in seen.quality.reasons],
        sharpness=metrics.get("sharpness"),
        clipped=round(float(metrics.get("clipped_fraction", clipped.mean())), 4),
        mean=metrics.get("mean"),
        diameter_mm=round(2 * outline.radius_px * seen.mm_per_pixel, 2) if outline and seen.mm_per_pixel else None,
        **seen.facts,
    )
    return Preview(facts, encode_jpeg(np.asarray(small, np.uint8), 82), encoded.tobytes())


def _in_focus(image: Image, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Where the image is in focus."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if (scale := FOCUS_WIDTH_PX / grey.shape[1]) < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    blurred = [cv2.GaussianBlur(grey, (0, 0), sigma).astype(np.float32) for sigma in (0.8, 1.6, 3.2)]
    fine, coarse = (cv2.blur(cv2.absdiff(*pair), (NEIGHBOURS_PX,) * 2) for pair in pairwise(blurred))
    in_focus = (fine > FINE_OVER_COARSE * coarse) & (fine > LEAST_DETAIL)
    return np.asarray(cv2.resize(in_focus.view(np.uint8), size, interpolation=cv2.INTER_AREA) > 0, np.bool_)


def _polygon(outline: Outline, size: tuple[int, int]) -> list[tuple[int, int]]:
    mask = cv2.resize(outline.mask.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return []
    longest = cv2.approxPolyDP(max(contours, key=cv2.contourArea), 1.0, True)
    return [(int(x), int(y)) for x, y in longest.reshape(-1, 2)]


def _step_back() -> None:
    """Let every other thread of the process go first, where the system can do that for a thread."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), POLITENESS)
