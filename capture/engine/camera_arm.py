"""Whether the arm that holds the camera is where its poses were taught, by what the ring on the plate shows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np

from calibration.camera_pose import seen_square, shift_mm
from calibration.image import Image
from capture.engine.context import ScanContext
from capture.engine.events import CameraDrifts
from capture.store.journal_lines import DeviceDrifts
from rig.errors import AlarmError

CAMERA_ARM = "camera arm"
FRAMES = 12  # whose mean is looked at: an arm comes back to a pose a little beside it each time
SHARE = 0.5  # of the shift from which on frames are refused: from there on somebody should know
LIT = 20.0  # grey level that the brightest 1 % reaches: a dark image shows no ring
REMEDY = "Check that camera and arm are screwed on firmly, then teach its poses again: `rig jog --camera`."


def check_camera_place(image: Image, context: ScanContext) -> None:
    """See by an image from the pose for 0 degrees that an arm holds the camera there, if one does: else all is unsure.

    Raises
    ------
    AlarmError
        If the ring lies elsewhere in the image, or is not seen though the plate is lit.
    """
    square_px = context.station.taught_square_px(0.0)
    if square_px is None or context.bundle is None or float(np.percentile(image[::4, ::4], 99)) < LIT:
        return
    now_px, off_mm = seen_square(image, context.limits.ring), math.inf
    if now_px is not None:
        off_mm = float(np.linalg.norm(shift_mm(now_px, np.array(square_px), context.bundle.lens)))
    if off_mm > context.limits.max_camera_shift_mm:
        raise beside_its_pose(0.0, off_mm)


def beside_its_pose(tilt_deg: float, off_mm: float) -> AlarmError:
    """What to raise when the camera is not where the arm says; ``off_mm`` is infinite where it sees no ring."""
    seen = "the camera does not see the plate"
    if math.isfinite(off_mm):
        seen = f"the ring on the plate shows the camera {off_mm:.1f} mm beside that"
    return AlarmError(CAMERA_ARM, f"it reports that it is in its pose for {tilt_deg:g} degrees, and {seen}.", REMEDY)


class CameraDrift:
    """Watches over one run, and reports once; used by one thread."""

    def __init__(self, context: ScanContext) -> None:
        self._context = context
        self._latest: deque[Sequence[float]] = deque(maxlen=FRAMES)
        self._was_reported = False

    def add(self, shift_mm: Sequence[float]) -> None:
        """Take in how far the camera was from its pose in a frame (mm, in the camera's axes)."""
        self._latest.append(shift_mm)
        drift_mm = float(np.linalg.norm(np.mean(self._latest, axis=0)))
        limit_mm = SHARE * self._context.limits.max_camera_shift_mm
        if self._was_reported or len(self._latest) < FRAMES or drift_mm <= limit_mm:
            return
        self._was_reported = True
        problem = f"it holds the camera {drift_mm:.2f} mm beside where its poses were taught."
        line = DeviceDrifts(device=CAMERA_ARM, problem=problem, remedy=REMEDY)
        self._context.store.journal.log(line, self._context.session.id)
        self._context.emit(CameraDrifts(drift_mm, problem, REMEDY))
