"""Calibrated frames of one scene under several lights, taken together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from calibration.bracket import MERGED_EXPOSURE_US
from calibration.image import Image
from calibration.outline import Outline, find_coin
from calibration.response import LUMINANCE, to_image, to_linear
from capture.store import Store
from capture.store.records import Frame


def shows_from_above(frame: Frame) -> bool:
    """Whether a frame is good, calibrated, and taken from straight above."""
    return frame.is_good and frame.calibrated_sha256 is not None and not frame.tilt_deg


def one_angle(frames: Sequence[Frame]) -> list[Frame]:
    """The frames of the commonest placement, at the angle that was lit by most lights; one of each light."""
    if not frames:
        return []
    placement = Counter(frame.placement for frame in frames).most_common(1)[0][0]
    placed = [frame for frame in frames if frame.placement == placement]
    angle = Counter(frame.turntable_deg for frame in placed).most_common(1)[0][0]
    return list({frame.light: frame for frame in placed if frame.turntable_deg == angle}.values())


def shared_parts(store: Store, frames: Sequence[Frame]) -> Iterator[Image]:
    """Of each calibrated frame (H, W, 3), the part that all of them show; as if all were exposed for as long."""
    boxes = np.array([frame.quality["calibrated_box_px"] for frame in frames])
    left, top = boxes[:, :2].max(axis=0)
    right, bottom = boxes[:, 2:].min(axis=0)
    images = (store.image(str(frame.calibrated_sha256)) for frame in frames)
    parts = (
        np.ascontiguousarray(image[top - box[1] : bottom - box[1], left - box[0] : right - box[0]])
        for image, box in zip(images, boxes, strict=True)
    )
    return exposed_alike(frames, parts)


def exposed_alike(frames: Sequence[Frame], images: Iterable[Image]) -> Iterator[Image]:
    """Images (H, W, 3) of frames, as if all were exposed for as long.

    Those of exposure brackets are each as bright as they can be: they are brought to the shortest exposure of them.
    """
    exposures_us: list[float | None] = [frame.quality.get(MERGED_EXPOSURE_US) for frame in frames]
    shortest_us = min((each for each in exposures_us if each), default=None)
    for exposure_us, image in zip(exposures_us, images, strict=True):
        if shortest_us is not None and exposure_us is not None and exposure_us > shortest_us:
            yield to_image(to_linear(image) * np.float32(shortest_us / exposure_us))
        else:
            yield image


def lights_of(parts: Iterable[Image]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mean and brightest linear light (H, W) of images (H, W, 3), of which there is at least one."""
    lights = (to_linear(part) @ LUMINANCE for part in parts)
    total = brightest = next(lights)
    number = 1
    for light in lights:
        total, number = total + light, number + 1
        brightest = np.maximum(brightest, light)
    return np.asarray(total / number, np.float32), np.asarray(brightest, np.float32)


def coin_in(light: npt.NDArray[np.float32]) -> Outline:
    """Find the coin in light (H, W).

    Raises
    ------
    NoCoinError
        If there is none.
    """
    return find_coin(to_image(np.repeat(light[..., None], 3, axis=2)))
