"""XFeat's points of a crop, and LighterGlue's pairs of them.

The weights and their licence are beside this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from kornia.feature import LightGlue, XFeat
from kornia.feature.lightglue import CrossBlock
from safetensors import SafetensorError
from safetensors.torch import load_file

from calibration.image import Image
from calibration.outline import CROP_MARGIN
from models.embedding.backbones import WeightsError
from models.embedding.embedder import Unfilled

WEIGHTS = Path(__file__).parent / "xfeat_lighterglue.safetensors"
SIZE_PX = 448  # crops are enlarged to this; the networks find little in smaller ones
MOST_POINTS = 1024
_CLIP = 2.0  # of the contrast's local equalisation
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


def match_points(first: LocalFeatures, second: LocalFeatures) -> tuple[Points, Points]:
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
    settings = {key: value for key, value in LightGlue.features["xfeat"].items() if key != "weights"}
    with Unfilled():
        finder = XFeat(top_k=MOST_POINTS, detection_threshold=0.0)
        matcher = LightGlue(features=None, **settings)  # type: ignore[arg-type]  # None: with no download
        for layer in matcher.transformers:
            layer.cross_attn = _FusedCrossBlock(matcher.conf.descriptor_dim, matcher.conf.num_heads)
    _fill(finder.net, saved, "extractor.model.net.")
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
