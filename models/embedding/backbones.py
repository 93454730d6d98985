"""The networks: an image of a coin in, a grid of features out.

A plain name (``resnet50``) is the network ``truncated``: cut where its grid still says where on the coin a feature
lies (torchvision's ``layer3``: 14 x 14 cells for a crop of 224). ``resnet18-layer2`` is cut a stage earlier, its 28 x
28 cells averaged to 14 x 14: edges and scratches rather than parts of things, for a fifth of the weights.
``resnet18-layer2+3`` has both, side by side in every cell and equally strong.
With ``-base`` behind it (``resnet50-base``) it is the whole network, its last map averaged to one cell;
``vit_b_16-base`` gives its class token instead. ``timm/<architecture>``, with or without ``-base``, is any network of
timm (extra ``timm``).

Weights come from ``$RIG_WEIGHTS/<backbone>_imagenet.safetensors`` where that file exists (one file serves both cuts),
else from torchvision's download; timm's always from timm's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from models.embedding.lean_imports import torchvision_models

CROP_PX = 224
BASE, LAYER2, BOTH = "-base", "-layer2", "-layer2+3"
TIMM = "timm/"
_HEADS = ("fc.", "classifier.", "heads.", "head.", "AuxLogits.")  # what is cut off anyway may be missing
_RESNET = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
_INCEPTION = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2"),
    *("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    *("Mixed_7a", "Mixed_7b", "Mixed_7c"),
)


class WeightsError(Exception):
    """A network's weights are missing, damaged, or of another network."""


@dataclass(frozen=True)
class Backbone:
    """What there is to know of a network: its grid is ``channels`` x ``cells`` x ``cells`` for a crop of `CROP_PX`."""

    name: str
    channels: int
    cells: int


BACKBONES = {
    backbone.name: backbone
    for name, truncated, cells, whole in (
        ("resnet18", 256, 14, 512),
        ("resnet50", 1024, 14, 2048),
        ("mobilenet_v3_small", 48, 14, 576),
        ("convnext_tiny", 384, 14, 768),
        ("convnext_base", 512, 14, 1024),
        ("inception_v3", 768, 12, 2048),
        ("vit_b_16", 768, 14, 768),
    )
    for backbone in (Backbone(name, truncated, cells), Backbone(name + BASE, whole, 1))
} | {
    name + cut: Backbone(name + cut, channels, 14)
    for name, cut, channels in (
        ("resnet18", LAYER2, 128),
        ("resnet18", BOTH, 384),
        ("resnet50", LAYER2, 512),
        ("resnet50", BOTH, 1536),
    )
}


@lru_cache(maxsize=64)
def backbone(name: str) -> Backbone:
    """Look a network up.

    Raises
    ------
    WeightsError
        If no backbone has this name.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    if not name.startswith(TIMM):
        raise WeightsError(
            f"there is no backbone {name!r}. Known: {', '.join(sorted(BACKBONES))}, and {TIMM}<architecture>."
        )
    with torch.inference_mode():
        grid = build(name).eval()(torch.zeros(1, 3, CROP_PX, CROP_PX))
    return Backbone(name, int(grid.shape[1]), int(grid.shape[2]))


def build(name: str) -> nn.Module:
    """Build a network, its weights random.

    Raises
    ------
    WeightsError
        If no backbone has this name.
    """
    return _cut(name, _whole(name))


def pretrained(name: str) -> nn.Module:
    """Build a network with ImageNet weights.

    Raises
    ------
    WeightsError
        If no backbone has this name, or its weights cannot be had.
    """
    return _cut(name, pretrained_whole(name))


def pretrained_whole(name: str) -> nn.Module:
    """The network with ImageNet weights before anything is cut off; see `pretrained`."""
    folder = os.environ.get("RIG_WEIGHTS")
    plain = _plain(name)
    path = Path(folder) / f"{plain}_imagenet.safetensors" if folder else None
    if path is None or plain.startswith(TIMM) or not path.is_file():
        return _downloaded(name, path)
    network = _whole(name)
    try:
        state = {key: value.float() for key, value in load_file(path).items()}
        missing, unexpected = network.load_state_dict(state, strict=False)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{path} does not hold weights of {plain}: {error}. Fetch the file again.") from error
    wrong = [key for key in missing if not key.startswith(_HEADS)]
    wrong += [key for key in unexpected if not key.startswith(_HEADS)]
    if wrong:
        raise WeightsError(f"{path} does not hold weights of {plain}: {wrong[0]} does not fit. Fetch the file again.")
    return network


def _downloaded(name: str, looked_for: Path | None) -> nn.Module:
    """Fetch torchvision's or timm's own weights."""
    try:
        return _whole(name, weights=True)
    except (OSError, RuntimeError) as error:  # no network, or a damaged download
        where = f"{looked_for} does not exist" if looked_for else "RIG_WEIGHTS is not set"
        raise WeightsError(
            f"the ImageNet weights of {_plain(name)} cannot be had: {where}, and the download failed "
            f"({error}). Put the file into that folder, or use the embedder `starter`, which needs neither."
        ) from error


def _whole(name: str, weights: bool = False) -> nn.Module:
    """The network as its library builds it."""
    if name.startswith(TIMM):
        return _timm_whole(name, weights)
    if name not in BACKBONES:
        backbone(name)  # raises, with the names there are
    plain = _plain(name)
    # Inception's own initialisation takes seconds and is overwritten or trained over.
    options: dict[str, Any] = {"aux_logits": True, "init_weights": False} if plain == "inception_v3" else {}
    if plain == "inception_v3" and weights:
        options = {}
    network: nn.Module = getattr(torchvision_models(), plain)(weights="DEFAULT" if weights else None, **options)
    return network


def _timm() -> ModuleType:
    torchvision_models()  # timm imports torchvision too, and would stumble where `torchvision_models` does not
    try:
        import timm
    except ModuleNotFoundError as error:
        raise WeightsError(
            "networks of timm take the package timm, which is not installed: `pip install 'coinlab[timm]'`."
        ) from error
    return timm


def _timm_whole(name: str, weights: bool) -> nn.Module:
    architecture, timm = name.removeprefix(TIMM).removesuffix(BASE), _timm()
    try:
        if name.endswith(BASE):
            network: nn.Module = timm.create_model(architecture, pretrained=weights, num_classes=0)
        else:
            network = timm.create_model(architecture, pretrained=weights, features_only=True)
    except RuntimeError as error:
        if "Unknown model" not in str(error):
            raise
        raise WeightsError(
            f"timm has no network {architecture!r}. `python -c 'import timm; print(timm.list_models())'` lists them."
        ) from error
    return network


def _plain(name: str) -> str:
    """The network's name without how it is cut."""
    return name.removesuffix(BASE).removesuffix(BOTH).removesuffix(LAYER2)


def _cut(name: str, network: nn.Module) -> nn.Module:
    """Keep what leads to the grid (truncated), or to the last map, averaged (base)."""
    whole, plain = name.endswith(BASE), _plain(name)
    if name.startswith(TIMM):
        return _TimmBase(network) if whole else _TimmTruncated(network)
    if plain == "vit_b_16":
        return VisionTransformer(network, class_token=whole)
    parts: list[nn.Module]
    if plain.startswith("resnet"):
        if name.endswith(BOTH):
            return _TwoStages(network)
        last = "layer4" if whole else "layer2" if name.endswith(LAYER2) else "layer3"
        parts = [network.get_submodule(stage) for stage in _RESNET[: _RESNET.index(last) + 1]]
        parts += [nn.AvgPool2d(2)] if name.endswith(LAYER2) else []
    elif plain == "inception_v3":
        kept = _INCEPTION if whole else _INCEPTION[: _INCEPTION.index("Mixed_6e") + 1]
        parts = [_InceptionRange(), *(network.get_submodule(stage) for stage in kept)]
    else:  # MobileNet and ConvNeXt keep their stages in one list
        stages = list(network.get_submodule("features").children())
        parts = stages if whole else stages[: 9 if plain.startswith("mobilenet") else 6]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1)) if whole else nn.Sequential(*parts)


class _TwoStages(nn.Module):
    """A ResNet's second and third stage on one grid, the cells of each of unit length."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        until = _RESNET.index("layer2") + 1
        self.second = nn.Sequential(*(network.get_submodule(stage) for stage in _RESNET[:until]))
        self.third = network.get_submodule("layer3")

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """(N, 3, 224, 224) -> (N, C2 + C3, 14, 14)."""
        second = self.second(batch)
        grids = nn.functional.avg_pool2d(second, 2), self.third(second)
        return torch.cat([nn.functional.normalize(grid, dim=1) for grid in grids], dim=1)


class VisionTransformer(nn.Module):
    """torchvision's ViT as a grid: its patch tokens (C, 14, 14), or its class token (C, 1, 1)."""

    def __init__(self, network: Any, class_token: bool) -> None:
        super().__init__()
        self.vit: Any = network
        self.vit.heads = nn.Identity()
        self.class_token = class_token

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """(N, 3, 224, 224) -> (N, 768, 14, 14) or (N, 768, 1, 1)."""
        patches = self.vit._process_input(batch)
        first = self.vit.class_token.expand(len(patches), -1, -1)
        tokens: torch.Tensor = self.vit.encoder(torch.cat([first, patches], dim=1))
        if self.class_token:
            return tokens[:, 0, :, None, None]
        side = round((tokens.shape[1] - 1) ** 0.5)
        return tokens[:, 1:].transpose(1, 2).reshape(len(tokens), -1, side, side)


class _InceptionRange(nn.Module):
    """From ImageNet's mean and spread to the -1 to 1 that Inception's weights were trained on."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        std = batch.new_tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1)
        mean = batch.new_tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1)
        return (batch * std + mean - 0.5) / 0.5


class _TimmTruncated(nn.Module):
    """The finest of timm's feature maps at a sixteenth of the image, else the last."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        reductions = list(network.feature_info.reduction())
        self.place = reductions.index(16) if 16 in reductions else len(reductions) - 1

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        grid: torch.Tensor = self.network(batch)[self.place]
        return grid


class _TimmBase(nn.Module):
    """timm's pooled features as one cell."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.network(batch)
        return pooled[:, :, None, None]


def freeze_statistics(network: nn.Module) -> None:
    """Keep batch normalisation at its stored statistics while training: batches here are small and uniform."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
