"""A small network that says place by place whether two crops in register show one coin, two of one die or of one type.

Light draws the same scratch otherwise from every side, so that images of one coin hardly correlate under two lamps.
The network draws each image in features of its own, fitted to be alike under any light (some of them plain filters).
It sets those of the two beside each other at every place, correlates them around it in windows of two sizes, and weighs
what it finds by how much there is to see there. It compares in both orders and knows no direction: it was fitted on
pairs turned and mirrored at random (`models.training.surface_training`).
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from calibration.durable_files import replacing
from models.embedding.backbones import WeightsError
from models.embedding.embedder import Unfilled
from models.matching.relighting import coin_disc

SURFACE_PX = 192
JUDGED = 3  # relations that the network tells apart: one coin, one die, one type

_LEVEL_PX, _FLAT = 10.0, 16.0  # what is levelled out; grey values squared, below which contrast is noise
_DRAWN, _PLAIN, _MIXED = 24, 8, 40
_LENGTH = 4.0  # of a place's features
_WINDOWS = (3, 7)  # places across, each of 4 px
_NOISE = 0.02  # variance of a feature that counts as none
_ON_COIN = 0.92  # of the radius

Places = npt.NDArray[np.float32]
"""(JUDGED, 48, 48): of each place on the crop how likely it is in each relation, ln but for a constant."""


class SurfaceNetwork(nn.Module):
    """Two images (N, 1, n, n) of what `level_out` gives -> (N, JUDGED, n / 4, n / 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.draw = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, _DRAWN, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(_DRAWN, _DRAWN, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_DRAWN, _DRAWN, 3, padding=1),
        )
        self.plain = nn.Conv2d(1, _PLAIN, 7, stride=2, padding=3)
        self.beside = nn.Sequential(
            nn.Conv2d(2 * _DRAWN, _DRAWN, 1), nn.ReLU(), nn.Conv2d(_DRAWN, _MIXED, 3, stride=2, padding=1), nn.ReLU()
        )
        correlated = (_DRAWN + _PLAIN) * (len(_WINDOWS) + 2)
        self.around = nn.Sequential(nn.Conv2d(correlated, _MIXED, 1), nn.ReLU())
        self.weigh = nn.Sequential(nn.Conv2d(2 * _MIXED, _MIXED, 3, padding=1), nn.ReLU())
        self.judge = nn.Conv2d(_MIXED, JUDGED, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Compare two images that lie on each other."""
        both = torch.cat([first, second])
        drawn = self.draw(both)
        one, other = (functional.normalize(drawn, dim=1) * _LENGTH).chunk(2)
        beside = self.beside(torch.cat([one * other, (one - other).abs()], 1))
        around = self.around(_correlations(*torch.cat([drawn, self.plain(both)], 1).float().chunk(2)))
        judged: Tensor = self.judge(self.weigh(torch.cat([beside, around], 1)))
        return judged

    @classmethod
    def load(cls, path: Path) -> SurfaceNetwork:
        """Read what was saved.

        Raises
        ------
        WeightsError
            If it cannot be read, or is of another network.
        """
        try:
            with Unfilled():
                network = cls()
            network.load_state_dict({name: value.float() for name, value in load_file(path).items()})
        except (OSError, RuntimeError, SafetensorError) as error:
            raise WeightsError(f"{path} is damaged or missing. Install coinlab again.") from error
        return network.eval()

    def save(self, path: Path) -> None:
        """Write the weights (fp16)."""
        with replacing(path) as draft:
            save_file({name: value.half().contiguous() for name, value in self.state_dict().items()}, draft)


def _correlations(one: Tensor, other: Tensor) -> Tensor:
    """Of each feature in each window, and how much there is of it in both and in one alone; half as wide and high."""
    products = functional.avg_pool2d(torch.cat([one, other, one * one, other * other, one * other], 1), 2)
    found = []
    for window in _WINDOWS:
        around = functional.avg_pool2d(products, window, 1, window // 2, count_include_pad=False)
        mean, mean_other, square, square_other, product = around.chunk(5, 1)
        spread = (square - mean * mean).clamp_min(0.0) + _NOISE
        spread_other = (square_other - mean_other * mean_other).clamp_min(0.0) + _NOISE
        found.append((product - mean * mean_other) / torch.sqrt(spread * spread_other))
    seen, seen_other = spread.log(), spread_other.log()
    return torch.cat([*found, seen + seen_other, (seen - seen_other).abs()], 1)


def level_out(grey: npt.NDArray[np.uint8], level_px: float = _LEVEL_PX) -> npt.NDArray[np.float32]:
    """Brightness and contrast of an image (n, n) levelled out."""
    image = grey.astype(np.float32)
    detail = image - cv2.GaussianBlur(image, (0, 0), level_px)
    contrast = cv2.GaussianBlur(detail * detail, (0, 0), 1.5 * level_px)
    return np.asarray(detail / np.sqrt(contrast + _FLAT), np.float32)


def judge_places(network: SurfaceNetwork, laid: npt.NDArray[np.uint8]) -> Places:
    """What each place says of two crops in register (2, SURFACE_PX, SURFACE_PX)."""
    first, second = (torch.from_numpy(level_out(each))[None] for each in laid)
    with torch.inference_mode():
        judged = network(torch.stack([first, second]), torch.stack([second, first])).mean(dim=0)
    return np.asarray(judged.numpy(), np.float32)


def mean_of_places(places: Places) -> npt.NDArray[np.float64]:
    """(JUDGED,): the mean over the coin, of each relation."""
    return np.asarray(places[:, coin_disc(places.shape[1], _ON_COIN)].mean(axis=1), np.float64)
