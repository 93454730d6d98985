"""Two photographs of one coin in register: points that they share, and the similarity that takes one onto the other.

XFeat finds points and describes them, LighterGlue says which of two images belong together, and RANSAC keeps those that
one shift, turn and scale explains (the inliers). The weights and their licence are in ``models/local_features``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from kornia.feature import LightGlue, XFeat
from kornia.feature.lightglue import CrossBlock
from safetensors import SafetensorError
from safetensors.torch import load_file

from calibration.image import Image
from calibration.outline import CROP_MARGIN, GREY_MEAN
from models.embedding.backbones import WeightsError

WEIGHTS = Path(__file__).parents[1] / "local_features" / "xfeat_lighterglue.safetensors"
SIZE_PX = 448  # crops are enlarged to this; the networks find little in smaller ones
MOST_POINTS = 1024
TOLERANCE_PX = 6.0  # at SIZE_PX: perspective and a bent flan move points this far from where a similarity puts them
_CLIP = 2.0  # of the contrast's local equalisation
_FEWEST_POINTS = 20  # of two different coins at most 18 agreed, where they have no design in common
_MOST_SCALE, _MOST_SHIFT, _LEAST_COSINE = 0.15, 0.12, 0.9  # ln(scale), shares of the width, of the turn that is left
_UNUSED = "fine_matcher."  # of XFeat: refines matches that it finds without LighterGlue

Points = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LocalFeatures:
    """Points of a crop and what surrounds them.

    Attributes
    ----------
    points
        (N, 2) float32, (x, y) in px of the enlarged crop.
    descriptors
        (N, 64) float32.
    """

    points: Points
    descriptors: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Registration:
    """How one crop lies on another.

    Attributes
    ----------
    matrix
        (2, 3) float64: takes a place (x, y) of the first crop to the second; both in shares of a crop's width, 0 to 1
        from the upper left corner. A turn, a scale and a shift.
    first, second
        (inliers, 2) float32: the points that agree, in the same units.
    """

    matrix: npt.NDArray[np.float64]
    first: Points
    second: Points

    @property
    def inliers(self) -> int:
        """How many points agree."""
        return len(self.first)

    @property
    def holds(self) -> bool:
        """Whether it is more than a coincidence: many points agree, and crops of coins differ by no more."""
        linear, centre = self.matrix[:, :2], self.matrix @ (0.5, 0.5, 1.0)
        scale = float(np.hypot(linear[0, 0], linear[1, 0]))
        return (
            self.inliers >= _FEWEST_POINTS
            and abs(np.log(scale)) <= _MOST_SCALE
            and float(np.hypot(*(centre - 0.5))) <= _MOST_SHIFT
            and linear[0, 0] / scale >= _LEAST_COSINE
        )


NOT_REGISTERED = Registration(np.eye(2, 3), np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32))


def lay_on(image: npt.NDArray[Any], registration: Registration, turn_deg: float = 0.0) -> npt.NDArray[Any]:
    """A crop, or a map of it (float32), turned by so much (counter-clockwise) and then laid on the second crop.

    Where the registration does not hold it is only turned.
    """
    size = image.shape[0]
    turn = cv2.getRotationMatrix2D((0.5, 0.5), turn_deg, 1.0)
    matrix = registration.matrix @ np.vstack([turn, (0.0, 0.0, 1.0)]) if registration.holds else turn
    # From shares of the width to the middles of pixels.
    matrix[:, 2] = matrix[:, 2] * size + matrix[:, :2] @ (0.5, 0.5) - 0.5
    outside = (round(GREY_MEAN),) * 3 if image.dtype == np.uint8 else (0.0,)
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=outside)


def register_crops(first: Image, second: Image) -> Registration:
    """Lay one normalised crop, turned upright already, on another (`register`).

    The last few are kept: a pair that was laid together to weigh it is drawn so afterwards.
    """
    return _register_bytes(first.tobytes(), second.tobytes(), first.shape, second.shape)


@lru_cache(maxsize=8)
def _register_bytes(
    first: bytes, second: bytes, first_shape: tuple[int, ...], second_shape: tuple[int, ...]
) -> Registration:
    crops = (
        np.frombuffer(data, np.uint8).reshape(shape) for data, shape in ((first, first_shape), (second, second_shape))
    )
    return register(*map(describe, crops))


def describe(crop: Image) -> LocalFeatures:
    """Find the points of a normalised crop."""
    grey = cv2.resize(crop[:, :, 0], (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_CUBIC)
    grey = cv2.createCLAHE(_CLIP, (8, 8)).apply(grey)
    image = torch.from_numpy(grey)[None, None].float() / 255.0
    with torch.inference_mode():
        found = _networks()[0].detectAndCompute(image)[0]
    points = found["keypoints"].numpy()
    centre = (SIZE_PX - 1) / 2.0
    on_coin = np.hypot(*(points - centre).T) <= CROP_MARGIN * SIZE_PX / 2.0
    return LocalFeatures(points[on_coin], found["descriptors"].numpy()[on_coin])


def register(first: LocalFeatures, second: LocalFeatures) -> Registration:
    """Lay one crop, turned upright already, on another; without a point, and as it lies, if no three agree."""
    one, other = _matched(first, second)
    if len(one) < 3:
        return NOT_REGISTERED
    one, other = (np.asarray((points + 0.5) / SIZE_PX, np.float32) for points in (one, other))
    matrix, inliers = cv2.estimateAffinePartial2D(
        one,
        other,
        method=cv2.RANSAC,
        ransacReprojThreshold=TOLERANCE_PX / SIZE_PX,
        maxIters=2000,
        confidence=0.999,
    )
    if matrix is None or int(inliers.sum()) < 3:
        return NOT_REGISTERED
    agree = inliers.ravel().astype(bool)
    return Registration(np.asarray(matrix, np.float64), one[agree], other[agree])


def _matched(first: LocalFeatures, second: LocalFeatures) -> tuple[Points, Points]:
    """The places of points that belong together, (M, 2) each."""
    if min(len(first.points), len(second.points)) == 0:
        return np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)
    size = torch.tensor([[SIZE_PX, SIZE_PX]], dtype=torch.float32)
    images = {
        name: {
            "keypoints": torch.from_numpy(each.points)[None],
            "descriptors": torch.from_numpy(each.descriptors)[None],
            "image_size": size,
        }
        for name, each in (("image0", first), ("image1", second))
    }
    with torch.inference_mode():
        pairs = _networks()[1](images)["matches"][0].numpy()
    return first.points[pairs[:, 0]], second.points[pairs[:, 1]]


@lru_cache(maxsize=1)
def _networks() -> tuple[XFeat, LightGlue]:
    """The networks, loaded once and only when something is registered.

    Raises
    ------
    WeightsError
        If the weights cannot be read, or some are missing.
    """
    try:
        saved = {key: value.float() for key, value in load_file(WEIGHTS).items()}
    except (OSError, RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{WEIGHTS} is damaged or missing. Install coinlab again.") from error
    finder = XFeat(top_k=MOST_POINTS, detection_threshold=0.0)
    _fill(finder.net, saved, "extractor.model.net.")
    settings = {key: value for key, value in LightGlue.features["xfeat"].items() if key != "weights"}
    matcher = LightGlue(features=None, **settings)  # type: ignore[arg-type]  # None: with no download
    for layer in matcher.transformers:
        layer.cross_attn = _FusedCrossBlock(matcher.conf.descriptor_dim, matcher.conf.num_heads)
    _fill(matcher, saved, "matcher.")
    return finder.eval(), matcher.eval()


class _FusedCrossBlock(CrossBlock):
    """Kornia's, with torch's fused attention on the CPU too: a pair is matched in half the time."""

    def forward(
        self, x0: torch.Tensor, x1: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Exchange information between two images, (B, M, D) and (B, N, D); nothing is masked here."""
        asks_0, asks_1, holds_0, holds_1 = (
            linear(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for linear in (self.to_qk, self.to_v)
            for x in (x0, x1)
        )
        attend = torch.nn.functional.scaled_dot_product_attention
        heard_0, heard_1 = attend(asks_0, asks_1, holds_1), attend(asks_1, asks_0, holds_0)
        first, second = (
            x + self.ffn(torch.cat([x, self.to_out(heard.transpose(1, 2).flatten(-2))], -1))
            for x, heard in ((x0, heard_0), (x1, heard_1))
        )
        return first, second


def _fill(network: torch.nn.Module, saved: dict[str, torch.Tensor], prefix: str) -> None:
    """Fill a network with its saved weights.

    Raises
    ------
    WeightsError
        If a weight that is used is missing.
    """
    weights = {key.removeprefix(prefix): value for key, value in saved.items() if key.startswith(prefix)}
    missing = network.load_state_dict(weights, strict=False).missing_keys
    unfilled = set(missing) & dict(network.named_parameters()).keys()
    if any(not name.startswith(_UNUSED) for name in unfilled):
        raise WeightsError(f"{WEIGHTS} is incomplete. Install coinlab again.")
