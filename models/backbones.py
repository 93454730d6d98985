"""The networks: a picture of a coin in, a grid of features out.

``truncated`` means cut after the third stage (torchvision's ``layer3``), which keeps where on the coin a feature
lies: 14 x 14 cells for a crop of 224. Weights come from ``$RIG_WEIGHTS/<backbone>_imagenet.safetensors`` where that
file exists, else from torchvision's download.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from models.vision import torchvision_models

CROP_PX = 224


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
    for backbone in (
        Backbone("resnet18", 256, 14),
        Backbone("resnet50", 1024, 14),
        Backbone("mobilenet_v3_small", 48, 14),
    )
}


def build(name: str) -> nn.Sequential:
    """Build a truncated network, its weights random.

    Raises
    ------
    WeightsError
        If no backbone has this name.
    """
    if name not in BACKBONES:
        raise WeightsError(f"there is no backbone {name!r}. Known: {', '.join(sorted(BACKBONES))}.")
    return _truncate(name, getattr(torchvision_models(), name)(weights=None))


def pretrained(name: str) -> nn.Sequential:
    """Build a truncated network with ImageNet weights.

    Raises
    ------
    WeightsError
        If no backbone has this name, or its weights cannot be had.
    """
    if name not in BACKBONES:
        raise WeightsError(f"there is no backbone {name!r}. Known: {', '.join(sorted(BACKBONES))}.")
    folder = os.environ.get("RIG_WEIGHTS")
    path = Path(folder) / f"{name}_imagenet.safetensors" if folder else None
    if path is None or not path.is_file():
        return _truncate(name, _downloaded(name, path))
    network = getattr(torchvision_models(), name)(weights=None)
    try:
        state = {key: value.float() for key, value in load_file(path).items()}
        missing, unexpected = network.load_state_dict(state, strict=False)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{path} does not hold weights of {name}: {error}. Fetch the file again.") from error
    wrong = [key for key in missing if not key.startswith(("fc.", "classifier."))] + list(unexpected)
    if wrong:
        raise WeightsError(f"{path} does not hold weights of {name}: {wrong[0]} does not fit. Fetch the file again.")
    return _truncate(name, network)


def _downloaded(name: str, looked_for: Path | None) -> nn.Module:
    """Fetch torchvision's own weights."""
    try:
        network: nn.Module = getattr(torchvision_models(), name)(weights="DEFAULT")
    except (OSError, RuntimeError) as error:  # no network, or a damaged download
        where = f"{looked_for} does not exist" if looked_for else "RIG_WEIGHTS is not set"
        raise WeightsError(
            f"the ImageNet weights of {name} cannot be had: {where}, and the download failed ({error}). "
            "Put the file into that folder, or use the embedder `starter`, which needs neither."
        ) from error
    return network


def _truncate(name: str, network: nn.Module) -> nn.Sequential:
    """Cut a network where its grid has 14 x 14 cells."""
    if name.startswith("mobilenet"):
        features = network.get_submodule("features")
        assert isinstance(features, nn.Sequential)
        return nn.Sequential(*list(features.children())[:9])
    stages = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3")
    return nn.Sequential(*(network.get_submodule(stage) for stage in stages))


def freeze_statistics(network: nn.Module) -> None:
    """Keep batch normalisation at its stored statistics while training: batches here are small and alike."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
