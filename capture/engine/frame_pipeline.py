"""What happens to an exposure while the rig moves: checked, calibrated, encoded, kept."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from threading import BoundedSemaphore
from types import TracebackType
from typing import Any

import numpy as np

from calibration.apply import Box, apply
from calibration.bracket import MERGED_EXPOSURE_US, BracketImage, encode_sources, merge
from calibration.image import Image, encode_lossless
from calibration.outline import Outline
from capture.engine.camera_arm import CameraDrift
from capture.engine.context import ScanContext
from capture.engine.events import FrameKept, FrameRejected
from capture.engine.taken import Taken
from capture.plan import Shot
from capture.quality import Expected, Quality, check
from capture.store.quarantine import QuarantineReason
from capture.store.records import NewFrame

WAITING_FRAMES = 16  # images, of which a bracket has several
CALIBRATED_REACH = 1.3  # of the coin's radius: what lies beyond is plate, and stays in the raw frame


@dataclass(frozen=True)
class AngleMismatch:
    """Where a frame showed the plate, or the camera's tilt, and where it was sent (deg).

    ``shift_mm`` is set where an arm holds the camera beside its pose: how far, or infinite where it saw nothing.
    """

    seen_deg: float
    commanded_deg: float
    is_tilt: bool = False
    shift_mm: float | None = None


@dataclass(frozen=True)
class Exposure:
    """An image, and how it came about. ``may_retake``: there is another chance if it is not good."""

    shot: Shot
    attempt: int
    placement: str
    taken: Taken
    may_retake: bool


@dataclass(frozen=True)
class _Merged:
    """What is checked and kept as raw: the image as it came, or a bracket's; ``sources`` is to be kept beside it.

    ``exposure_us`` is what the image of an exposure bracket is as bright as; None of others.
    """

    image: Image
    encoded: Future[bytes]
    sources: Future[bytes] | None = None
    exposure_us: float | None = None


@dataclass(frozen=True)
class _Checked:
    raw: _Merged
    quality: Quality
    metrics: dict[str, Any]
    calibrated: Image | None
    encoded: Future[bytes] | None


class FrameWorker:
    """Keeps exposures in threads of its own, in order; a context manager that finishes what it was given.

    One thread checks and calibrates a frame while another encodes it and a third writes the one before: the last
    waits for the disk, which costs no processor.

    Attributes
    ----------
    angle_mismatch
        The latest frame on which the plate did not stand where it should, until `start_over`.
    """

    def __init__(self, context: ScanContext) -> None:
        self._context = context
        self._camera = asdict(context.camera.identity)
        self._bundle = context.bundle
        self._limits = context.limits
        self._room = BoundedSemaphore(WAITING_FRAMES)
        self._under_way: deque[Future[None]] = deque()
        self._failed: list[Shot] = []
        self._error: BaseException | None = None
        self._previous: Image | None = None
        self._since_verified = 0
        self._last_pose: tuple[float, float] | None = None
        self._is_jammed = False
        self.angle_mismatch: AngleMismatch | None = None
        self._drift = CameraDrift(context)
        self._checker = ThreadPoolExecutor(1, "check")
        self._encoder = ThreadPoolExecutor(1, "encode")
        self._writer = ThreadPoolExecutor(1, "write")

    def __enter__(self) -> FrameWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stage in (self._checker, self._encoder, self._writer):  # the order in which one hands on to the next
            stage.shutdown()
        if kind is None:
            self._raise()

    def add(self, exposure: Exposure) -> None:
        """Hand over an exposure; waits only if many are waiting already.

        Raises
        ------
        Exception
            Whatever went wrong with an earlier one, such as a full disk.
        """
        self._raise()
        for _ in range(_room_for(exposure)):
            self._room.acquire()
        checked = self._checker.submit(self._check, exposure, self._as_it_came(exposure))
        self._under_way.append(self._writer.submit(self._keep, exposure, checked))

    def finish(self) -> list[Shot]:
        """Wait until everything handed over is kept; return the shots to take again, in order.

        Raises
        ------
        Exception
            Whatever went wrong.
        """
        wait(self._under_way)
        self._under_way.clear()
        self._raise()
        failed, self._failed = self._failed, []
        return failed

    def start_over(self) -> None:
        """Wait until everything handed over is kept; the plate may since stand anywhere, so the next frame is checked.

        Raises
        ------
        Exception
            Whatever went wrong.
        """
        self.finish()
        self.angle_mismatch = None
        self._last_pose = None

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _check(self, exposure: Exposure, single: _Merged | None) -> _Checked:
        merged = single or self._merge(exposure)
        shot, raw = exposure.shot, merged.image
        error_deg = math.remainder(exposure.taken.turntable_read_deg - shot.turntable_deg, 360.0)
        quality = check(raw, self._previous, error_deg, self._limits, self._expected(exposure))
        if _holds_one_twice(exposure.taken.sources):
            quality = replace(quality, reasons=(QuarantineReason.STALE, *quality.reasons))
        self._previous = raw
        self._heed(quality, shot)
        if not (self._bundle and quality.is_good and quality.outline is not None):
            return _Checked(merged, quality, quality.metrics, None, None)
        box = _around(quality.outline, raw)
        calibrated = apply(raw, self._bundle, shot.light, box)
        metrics = {**quality.metrics, "calibrated_box_px": list(box)}
        return _Checked(merged, quality, metrics, calibrated, self._encoder.submit(encode_lossless, calibrated))

    def _as_it_came(self, exposure: Exposure) -> _Merged | None:
        """A single image, which is encoded while earlier ones are checked; None of a bracket."""
        image = exposure.taken.raw.image
        return None if exposure.taken.sources else _Merged(image, self._encoder.submit(encode_lossless, image))

    def _merge(self, exposure: Exposure) -> _Merged:
        """A bracket as one image, its sources kept."""
        sources = exposure.taken.sources
        merged = merge(sources)
        kept = self._encoder.submit(encode_sources, sources, merged.depth_mm)
        as_bright_us = merged.exposure_us if exposure.shot.bracket_us else None
        return _Merged(merged.image, self._encoder.submit(encode_lossless, merged.image), kept, as_bright_us)

    def _keep(self, exposure: Exposure, checking: Future[_Checked]) -> None:
        try:
            if self._error is None:
                self._write(exposure, checking.result())
        except BaseException as error:  # handed to the thread that drives the rig
            self._error = error
        finally:
            self._room.release(_room_for(exposure))

    def _write(self, exposure: Exposure, checked: _Checked) -> None:
        quality = checked.quality
        new = NewFrame(
            shot=exposure.shot,
            attempt=exposure.attempt,
            placement=exposure.placement,
            raw=checked.raw.encoded.result(),
            sources=checked.raw.sources.result() if checked.raw.sources else None,
            calibrated=checked.encoded.result() if checked.encoded else None,
            calibration_id=self._bundle.id if self._bundle else None,
            camera=self._camera,
            turntable_read_deg=exposure.taken.turntable_read_deg,
            tilt_read_deg=exposure.taken.tilt_read_deg,
            mm_per_pixel=self._bundle.mm_per_pixel if self._bundle else None,
            quality={**checked.metrics, **self._how_calibrated(exposure.shot.light, checked)},
            quarantine_reasons=quality.reasons,
            taken_at=exposure.taken.raw.taken_at,
        )
        frame = self._context.store.frames.add(self._context.session.id, new)
        if quality.is_good:
            raw_image = checked.raw.image
            shown = raw_image if checked.calibrated is None else checked.calibrated
            self._context.emit(FrameKept(frame, quality, shown, raw_image))
            return
        if exposure.may_retake:
            self._failed.append(exposure.shot)
        self._context.emit(FrameRejected(frame, quality, exposure.may_retake, checked.raw.image))

    def _how_calibrated(self, light: str, checked: _Checked) -> dict[str, Any]:
        """How bright it was made, what was taken out of it, where its light came from, and why it counts as
        uncalibrated if it does."""
        marks: dict[str, Any] = {}
        if checked.raw.exposure_us is not None:
            marks[MERGED_EXPOSURE_US] = round(checked.raw.exposure_us, 1)
        if self._bundle is not None and checked.calibrated is not None:
            marks["applied"] = self._bundle.applied_to(light)
        if self._bundle is not None and light in self._bundle.lamps:
            marks["light_direction"] = [round(float(each), 5) for each in self._bundle.lamps[light].direction]
        if self._context.flaw is not None:
            marks["uncalibrated"] = self._context.flaw
        return marks

    def _expected(self, exposure: Exposure) -> Expected | None:
        """What the frame should show, where its pose and light are to be checked.

        Whatever the rate, those of the first frame after plate or camera moved are, since no other can be the first of
        a jam, and so are those of every one from a jam on until one is right again.
        """
        shot, every = exposure.shot, self._limits.verify_every
        if not every:
            return None
        pose = (shot.turntable_deg, shot.tilt_deg)
        has_moved = pose != self._last_pose or exposure.attempt > 1 or self._is_jammed
        self._last_pose = pose
        self._since_verified += 1
        if not has_moved and self._since_verified < every:
            return None
        self._since_verified = 0
        bundle = self._bundle
        station = self._context.station
        lens = bundle.lens if bundle and station.tilts_camera else None
        square_px = station.taught_square_px(shot.tilt_deg) if lens is not None else None
        return Expected(shot.turntable_deg, shot.light, bundle.flats if bundle else {}, shot.tilt_deg, lens, square_px)

    def _heed(self, quality: Quality, shot: Shot) -> None:
        seen_deg = quality.metrics.get("plate_deg")
        if QuarantineReason.WRONG_POSE in quality.reasons:
            self._is_jammed = True
            shift_mm = math.hypot(*quality.metrics.get("camera_shift_mm", (math.inf,)))
            self.angle_mismatch = AngleMismatch(shot.tilt_deg, shot.tilt_deg, shift_mm=shift_mm)
            return
        if seen_deg is None:
            return
        tilt_is_wrong = QuarantineReason.WRONG_TILT in quality.reasons
        self._is_jammed = tilt_is_wrong or QuarantineReason.WRONG_ANGLE in quality.reasons
        if not self._is_jammed and "camera_shift_mm" in quality.metrics:
            self._drift.add(quality.metrics["camera_shift_mm"])
        if tilt_is_wrong:
            self.angle_mismatch = AngleMismatch(quality.metrics["tilt_deg"], shot.tilt_deg, is_tilt=True)
        elif self._is_jammed:
            self.angle_mismatch = AngleMismatch(seen_deg, shot.turntable_deg)


def _room_for(exposure: Exposure) -> int:
    """How many of the images that may wait it is."""
    return min(WAITING_FRAMES, max(1, len(exposure.taken.sources)))


def _holds_one_twice(sources: Sequence[BracketImage]) -> bool:
    """Whether the camera handed out an image of a bracket again: no two exposures agree to the last bit."""
    return any(np.array_equal(one.image, other.image) for one, other in itertools.pairwise(sources))


def _around(outline: Outline, raw: Image) -> Box:
    """The square around the coin that is calibrated."""
    (x, y), reach_px = outline.centre_px, CALIBRATED_REACH * outline.radius_px
    height_px, width_px = raw.shape[:2]
    left, top = max(0, round(x - reach_px)), max(0, round(y - reach_px))
    return left, top, min(width_px, round(x + reach_px)), min(height_px, round(y + reach_px))
