"""Crops in, features out: what a coin looks like, as numbers that can be compared.

An embedder is a backbone and, if it was trained, a projection of its grid to fewer channels. The one shipped with the
project is called ``starter``; ``resnet50`` and the other names of `models.embedding.backbones.BACKBONES` are ImageNet
networks as they are. Anything else is a folder with ``embedder.safetensors`` and ``card.json``.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.overrides import TorchFunctionMode

from calibration.durable_files import parse_json, replacing, write_atomically
from calibration.image import Image
from models.embedding.backbones import BACKBONES, CROP_PX, TIMM, WeightsError, backbone, build, pretrained
from models.embedding.forward import Forward, fastest

STARTER_DIR = Path(__file__).parents[1] / "starter"
WEIGHTS_FILE = "embedder.safetensors"
CARD_FILE = "card.json"
DISC_FRACTION = 0.95  # cells whose centre lies further out than this share of the half width see mostly background
FORMER_SHARE = "turnless_share"  # of `rotation_invariant_share`: on cards and in recipes of 0.1.0
REGIONS = 4  # regions of the crop, across and down, in the pooled features
_BATCH = 36
_MEAN = np.array((123.675, 116.28, 103.53), np.float32)
_STD = np.array((58.395, 57.12, 57.375), np.float32)
_NORMALISED = ((np.arange(256, dtype=np.float32)[:, None] - _MEAN) / _STD)[None]  # of each value of each channel


@dataclass(frozen=True)
class Features:
    """Features of N crops.

    Attributes
    ----------
    pooled
        (N, C * `REGIONS`²) float32, unit length: the mean cell of each region of the crop, for a first rough look.
        Over the whole disc at once, a mean forgets what lies where, and finds coins of one type no better than chance.
        (N, C) from a ``-base`` network, whose one cell has no regions.
    grid
        (N, C, h, w) float16, every cell of unit length.
    """

    pooled: npt.NDArray[np.float32]
    grid: npt.NDArray[np.float16]


class Embedder:
    """A network that embeds normalised crops (`calibration.outline.normalise`).

    It computes with its weights as they are saved, in fp16: what was measured is what is loaded again, to the bit.

    Attributes
    ----------
    id
        Hash of weights and architecture: features of different ids must never be compared.
    card
        The model card: where the weights come from, what they were measured to do, the fitted probability.
    """

    def __init__(self, network: nn.Module, card: Mapping[str, Any]) -> None:
        self.card = dict(card)
        self.network = _as_saved(network).eval()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.id = _identity(self.network, self.card)
        _limit_threads()

    @property
    def name(self) -> str:
        """The name on the card."""
        return str(self.card["name"])

    @cached_property
    def forward(self) -> Forward:
        """The network's forward pass over what `to_tensor` gives, made ready when first asked for."""
        return fastest(self.network, CROP_PX)

    @classmethod
    def load(cls, name_or_path: str | Path = "starter") -> Embedder:
        """Load the starter, an ImageNet backbone by name, or an embedder's folder.

        Raises
        ------
        WeightsError
            If there is no such embedder, or its weights do not fit its card.
        """
        name = str(name_or_path)
        if name in BACKBONES or name.startswith(TIMM):
            channels = backbone(name).channels
            card = {"name": name, "backbone": name, "channels": channels, "training": "ImageNet, not tuned"}
            return cls(EmbedderNetwork(name, pretrained(name)), {**card, **_shipped_fit(name)})
        folder = STARTER_DIR if name == "starter" else Path(name)
        card_path, weights_path = folder / CARD_FILE, folder / WEIGHTS_FILE
        if not card_path.is_file() or not weights_path.is_file():
            raise WeightsError(
                f"there is no embedder {name!r}: {folder} does not hold {CARD_FILE} and {WEIGHTS_FILE}. "
                f"Use `starter`, one of {', '.join(sorted(BACKBONES))}, or a trained embedder's folder."
            )
        try:
            card = parse_json(card_path.read_bytes())
            if not isinstance(card["name"], str):
                raise TypeError("its card has no name")
            state = {key: value.float() for key, value in load_file(weights_path).items()}
            with Unfilled():
                network = EmbedderNetwork(card["backbone"], build(card["backbone"]), card["channels"])
            network.load_state_dict(state)
            return cls(network, card)
        except Exception as error:  # of damaged files torch and safetensors raise what they like
            raise WeightsError(
                f"the embedder in {folder} is damaged: its card and weights are not what was saved. Copy or train it "
                "again."
            ) from error

    def save(self, folder: Path) -> None:
        """Write weights (fp16) and card into a folder."""
        state = {
            key: value.half().contiguous() if value.is_floating_point() and _fits_half(value) else value.contiguous()
            for key, value in self.network.state_dict().items()
            if not key.endswith("num_batches_tracked")
        }
        with replacing(folder / WEIGHTS_FILE) as draft:
            save_file(state, draft)
        write_atomically(folder / CARD_FILE, json.dumps(self.card, indent=2) + "\n")

    def embed(self, crops: Sequence[Image]) -> Features:
        """Embed normalised crops.

        Parameters
        ----------
        crops
            RGB, (224, 224, 3) uint8 each.
        """
        channels, cells = int(self.card["channels"]), backbone(str(self.card["backbone"])).cells
        pooled = torch.empty(len(crops), channels * _regions(cells) ** 2)
        grid = torch.empty((len(crops), channels, cells, cells), dtype=torch.half, memory_format=torch.channels_last)
        weights = _region_weights(cells)
        for place, each in enumerate(self._grids(crops)):  # what one crop takes fits the cache, a batch does not
            unit = nn.functional.normalize(each.float().permute(1, 2, 0).flatten(0, 1), dim=1)
            pooled[place] = (weights @ unit).T.flatten()
            grid[place].permute(1, 2, 0).copy_(unit.view(cells, cells, channels))
        return Features(nn.functional.normalize(pooled, dim=1).numpy(), grid.numpy())

    def _grids(self, crops: Sequence[Image]) -> Iterator[torch.Tensor]:
        """The grid (C, h, w) of each crop."""
        for start in range(0, len(crops), _BATCH):
            yield from self.forward(to_tensor(crops[start : start + _BATCH]))


class EmbedderNetwork(nn.Module):
    """A backbone, then a projection of every cell to ``channels`` (none where the backbone has as many)."""

    def __init__(self, name: str, network: nn.Module, channels: int | None = None) -> None:
        super().__init__()
        self.backbone = network
        has = backbone(name).channels
        self.projection: nn.Module = nn.Identity() if channels in (None, has) else nn.Conv2d(has, channels or has, 1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """(N, 3, 224, 224) normalised by `to_tensor` -> (N, C, h, w), cells not of unit length."""
        out: torch.Tensor = self.projection(self.backbone(batch))
        return out


class Unfilled(TorchFunctionMode):
    """Networks are built without random weights, which take longer than the saved ones that overwrite them."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call what torch calls, but for what draws numbers."""
        return args[0] if func in (torch.Tensor.normal_, torch.Tensor.uniform_) else func(*args, **(kwargs or {}))


def rotation_invariant_share(card: Mapping[str, Any]) -> float:
    """Share of a score that is similarity to the rotation-invariant part of an entry; 0 unless the card has one."""
    return float(card.get("rotation_invariant_share", card.get(FORMER_SHARE, 0.0)))


def to_tensor(crops: Sequence[Image]) -> torch.Tensor:
    """Stack crops to a (N, 3, H, W) float32 tensor with ImageNet's mean and spread, channels last."""
    batch = np.empty((len(crops), *crops[0].shape), np.float32)
    for normalised, crop in zip(batch, crops, strict=True):  # one by one: a crop fits the cache, a batch does not
        cv2.LUT(crop, _NORMALISED, normalised)
    return torch.from_numpy(batch).permute(0, 3, 1, 2)


def disc(cells: int) -> npt.NDArray[np.bool_]:
    """Which cells of a (cells, cells) grid lie on the coin."""
    y, x = np.mgrid[:cells, :cells]
    centre = (cells - 1) / 2.0
    return np.asarray(np.hypot(x - centre, y - centre) <= DISC_FRACTION * cells / 2.0)


def _regions(cells: int) -> int:
    """Regions across in the pooled features of a grid."""
    return REGIONS if cells > 1 else 1


@lru_cache(maxsize=8)
def _region_weights(cells: int) -> torch.Tensor:
    """(regions, cells²): what each cell counts in the mean of each region; nothing off the coin."""
    each_cell = torch.eye(cells * cells).view(-1, cells, cells) * torch.from_numpy(disc(cells))
    return nn.functional.adaptive_avg_pool2d(each_cell, _regions(cells)).flatten(1).T.contiguous()


def _as_saved(network: nn.Module) -> nn.Module:
    """The network if its weights are fp16's already, else a rounded copy: training continues with the original."""
    weights = [value for value in network.state_dict().values() if value.is_floating_point()]
    if all(torch.equal(value.half().to(value.dtype), value) or not _fits_half(value) for value in weights):
        return network
    rounded = copy.deepcopy(network)
    for value in rounded.state_dict().values():
        if value.is_floating_point() and _fits_half(value):
            value.copy_(value.half())
    return rounded


def _fits_half(value: torch.Tensor) -> bool:
    """Whether fp16 holds every number of it; a running variance may be too large."""
    return value.numel() == 0 or bool(value.abs().amax() <= torch.finfo(torch.float16).max)


def _identity(network: nn.Module, card: Mapping[str, Any]) -> str:
    """Hash architecture, crop size, what is mixed into entries, and weights (as fp16, as they are saved)."""
    digest = hashlib.sha256(f"{card['backbone']} {CROP_PX} {REGIONS} {DISC_FRACTION}".encode())
    digest.update(str(rotation_invariant_share(card) or "").encode())
    for key, value in sorted(network.state_dict().items()):
        if value.is_floating_point():
            digest.update(key.encode())
            digest.update(value.detach().half().numpy().tobytes())
    return digest.hexdigest()[:16]


def _shipped_fit(name: str) -> dict[str, Any]:
    """The probability fitted for an ImageNet backbone, kept beside the starter; empty if there is none."""
    path = STARTER_DIR / "fits.json"
    fits: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return {"probability": fits[name]} if name in fits else {}


def _limit_threads() -> None:
    """At most two threads unless set otherwise: the rig works beside this."""
    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > 2:
        torch.set_num_threads(2)
