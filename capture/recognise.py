"""Whether a picture shows the same coin side as an earlier one taken under the same lamp.

For nothing finer: on the twin the same side agrees by 0.84 and more where it lies as it lay, by 0.54 and more laid down
anew, and the other side of the coin by 0.28 at most (27 coins).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image
from calibration.outline import find_coin, normalise

SIZE_PX = 96
STEP_DEG = 6
SAME_SIDE = 0.42


def agreement(image: Image, earlier: Image) -> float:
    """How well two pictures of a coin agree, at whatever turn fits best.

    Returns
    -------
    float
        Correlation inside the coin's disc, 1 for equal pictures.

    Raises
    ------
    NoCoinError
        If one of them shows no coin.
    """
    seen = normalise(image, find_coin(image), SIZE_PX)
    known = normalise(earlier, find_coin(earlier), SIZE_PX)
    inside = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    cv2.circle(inside, (SIZE_PX // 2, SIZE_PX // 2), round(0.42 * SIZE_PX), 1, cv2.FILLED)
    target = _standard(known, inside)
    centre = ((SIZE_PX - 1) / 2, (SIZE_PX - 1) / 2)
    best = -1.0
    for turn_deg in range(0, 360, STEP_DEG):
        matrix = cv2.getRotationMatrix2D(centre, turn_deg, 1.0)
        turned = cv2.warpAffine(seen, matrix, (SIZE_PX, SIZE_PX), borderMode=cv2.BORDER_REPLICATE)
        best = max(best, float(np.mean(_standard(turned, inside) * target)))
    return best


def _standard(crop: npt.NDArray[Any], inside: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    grey = cv2.GaussianBlur(crop[..., 0].astype(np.float32), (0, 0), 1.5)[inside > 0]
    return np.asarray((grey - grey.mean()) / (grey.std() + 1e-6), np.float32)
