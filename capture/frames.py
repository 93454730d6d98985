"""What happens to a picture while the rig moves on: checked, calibrated, encoded, kept."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from types import TracebackType

from calibration.apply import Box, apply
from calibration.bundle import Bundle
from calibration.image import Image, encode_lossless
from calibration.outline import Outline
from capture.cameras import Picture
from capture.events import Event, FrameKept, FrameRejected
from capture.plan import Shot
from capture.quality import Expected, Limits, Quality, check
from capture.store import Store
from rig.devices import Identity

WAITING_FRAMES = 16
CALIBRATED_REACH = 1.3  # of the coin's radius: what lies beyond is plate, and stays in the raw frame


@dataclass(frozen=True)
class Astray:
    """Where a frame showed the plate, and where the turntable was told to be (deg)."""

    seen_deg: float
    commanded_deg: float


@dataclass(frozen=True)
class Exposure:
    """A picture, and how it came about. ``may_retake``: there is another chance if it is not good."""

    shot: Shot
    attempt: int
    placement: str
    turntable_read_deg: float
    picture: Picture
    may_retake: bool


class FrameWorker:
    """Keeps exposures in a thread of its own, in order; a context manager that finishes what it was given.

    Parameters
    ----------
    store, session_id
        Where frames go.
    camera
        Who took them.
    bundle
        How they are calibrated; None to keep raw frames alone.
    limits
        What is good enough.
    on_event
        Told of every frame, from this thread.

    Attributes
    ----------
    astray
        The latest frame on which the plate did not stand where it should, until `start_over`.
    """

    def __init__(
        self,
        store: Store,
        session_id: str,
        camera: Identity,
        bundle: Bundle | None,
        limits: Limits,
        on_event: Callable[[Event], None],
    ) -> None:
        self._store = store
        self._session_id = session_id
        self._camera = asdict(camera)
        self._bundle = bundle
        self._limits = limits
        self._on_event = on_event
        self._waiting: queue.Queue[Exposure | None] = queue.Queue(WAITING_FRAMES)
        self._failed: list[Shot] = []
        self._error: BaseException | None = None
        self._previous: Image | None = None
        self._since_verified = 0
        self._last_angle_deg: float | None = None
        self._is_jammed = False
        self.astray: Astray | None = None
        self._encoder = ThreadPoolExecutor(1, "encode")  # the codec leaves half of two cores to the check
        self._thread = threading.Thread(target=self._work, name="frames", daemon=True)

    def __enter__(self) -> FrameWorker:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.put(None)
        self._thread.join()
        self._encoder.shutdown()
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
        self._waiting.put(exposure)

    def finish(self) -> list[Shot]:
        """Wait until everything handed over is kept; return the shots to take again, in order.

        Raises
        ------
        Exception
            Whatever went wrong.
        """
        self._waiting.join()
        self._raise()
        failed, self._failed = self._failed, []
        return failed

    def start_over(self) -> None:
        """Wait until everything handed over is kept; the plate may since stand anywhere, so look at the next frame.

        Raises
        ------
        Exception
            Whatever went wrong.
        """
        self.finish()
        self.astray = None
        self._last_angle_deg = None

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while True:
            exposure = self._waiting.get()
            try:
                if exposure is None:
                    return
                if self._error is None:
                    self._keep(exposure)
            except BaseException as error:  # handed to the thread that drives the rig
                self._error = error
            finally:
                self._waiting.task_done()

    def _keep(self, exposure: Exposure) -> None:
        shot, raw = exposure.shot, exposure.picture.image
        encoded = self._encoder.submit(encode_lossless, raw)
        error_deg = (exposure.turntable_read_deg - shot.turntable_deg + 180.0) % 360.0 - 180.0
        quality = check(raw, self._previous, error_deg, self._limits, self._expected(exposure))
        self._previous = raw
        self._heed(quality, shot)
        metrics, calibrated = quality.metrics, None
        if self._bundle and quality.is_good and quality.outline is not None:
            box = _around(quality.outline, raw)
            calibrated = apply(raw, self._bundle, shot.light, box)
            metrics = {**metrics, "calibrated_box_px": list(box)}
        frame = self._store.add_frame(
            self._session_id,
            shot,
            exposure.attempt,
            exposure.placement,
            encoded.result(),
            encode_lossless(calibrated) if calibrated is not None else None,
            calibration_id=self._bundle.id if self._bundle else None,
            camera=self._camera,
            turntable_read_deg=exposure.turntable_read_deg,
            mm_per_pixel=self._bundle.mm_per_pixel if self._bundle else None,
            quality=metrics,
            quarantine_reason=", ".join(quality.reasons) or None,
            taken_at=exposure.picture.taken_at,
        )
        if quality.is_good:
            self._on_event(FrameKept(frame, quality, raw if calibrated is None else calibrated))
            return
        if exposure.may_retake:
            self._failed.append(shot)
        self._on_event(FrameRejected(frame, quality, exposure.may_retake))

    def _expected(self, exposure: Exposure) -> Expected | None:
        """What the frame should show, where it is its turn to be looked at.

        Whatever the rate, the first frame after the plate was told to turn is, since no other can be the first of a
        jam, and so is every one from a jam on until one is right again.
        """
        shot, every = exposure.shot, self._limits.verify_every
        if not every:
            return None
        has_turned = shot.turntable_deg != self._last_angle_deg or exposure.attempt > 1 or self._is_jammed
        self._last_angle_deg = shot.turntable_deg
        self._since_verified += 1
        if not has_turned and self._since_verified < every:
            return None
        self._since_verified = 0
        return Expected(shot.turntable_deg, shot.light, self._bundle.flats if self._bundle else {})

    def _heed(self, quality: Quality, shot: Shot) -> None:
        seen_deg = quality.metrics.get("plate_deg")
        if seen_deg is None:
            return
        self._is_jammed = "wrong angle" in quality.reasons
        if self._is_jammed:
            self.astray = Astray(seen_deg, shot.turntable_deg)


def _around(outline: Outline, raw: Image) -> Box:
    """The square around the coin that is calibrated."""
    (x, y), reach_px = outline.centre_px, CALIBRATED_REACH * outline.radius_px
    height_px, width_px = raw.shape[:2]
    left, top = max(0, round(x - reach_px)), max(0, round(y - reach_px))
    return left, top, min(width_px, round(x + reach_px)), min(height_px, round(y + reach_px))
