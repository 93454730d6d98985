"""Classification of types: a backbone, its last map averaged, and a linear head; how much of it is tuned is a choice.

``inception_v3_se`` weighs the channels of Inception's last map first (Hu et al., "Squeeze-and-excitation networks",
CVPR 2018). `Tuning`: ``baseline`` trains the head alone on a frozen backbone, ``partial`` the last stages too, ``full``
everything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

from models.embedding.backbones import BASE, VisionTransformer, WeightsError, backbone, build

Tuning = Literal["baseline", "partial", "full"]
SE = "_se"
_TUNED_STAGES = 2  # of the backbone, by `partial`


class SqueezeExcitation(nn.Module):
    """Weighs each channel by what all channels' means say."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, max(4, channels // reduction))
        self.excite = nn.Linear(max(4, channels // reduction), channels)

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        """(N, C, h, w) -> the same shape."""
        weights = torch.sigmoid(self.excite(torch.relu(self.squeeze(grid.mean(dim=(2, 3))))))
        return grid * weights[:, :, None, None]


class TypeClassifier(nn.Module):
    """A ``-base`` backbone called by its plain name, squeeze-and-excitation where ``_se`` follows that, and a head."""

    def __init__(self, name: str, classes: int, make: Callable[[str], nn.Module] = build) -> None:
        super().__init__()
        plain = name.removesuffix(SE) + BASE
        network: nn.Module = make(plain)
        self.weigh: nn.Module = nn.Identity()
        self.pool: nn.Module = nn.Identity()
        if isinstance(network, nn.Sequential):
            self.pool, network = network[-1], network[:-1]
        elif name.endswith(SE):
            raise WeightsError(f"squeeze-and-excitation takes a convolutional network of torchvision, not {name}.")
        if name.endswith(SE):
            self.weigh = SqueezeExcitation(backbone(plain).channels)
        self.backbone = network
        self.head = nn.Linear(backbone(plain).channels, classes)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) -> (N, classes), not normalised."""
        return self.scores(self.last_map(batch))

    def last_map(self, batch: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) -> (N, C, h, w), weighed where channels are; one cell where the backbone has no map."""
        grid: torch.Tensor = self.weigh(self.backbone(batch))
        return grid

    def scores(self, grid: torch.Tensor) -> torch.Tensor:
        """What `last_map` gives -> (N, classes), not normalised."""
        scores: torch.Tensor = self.head(self.pool(grid).flatten(1))
        return scores

    def tune(self, tuning: Tuning) -> list[nn.Parameter]:
        """Freeze what is not tuned; returns the parameters of the backbone that are."""
        for parameter in self.backbone.parameters():
            parameter.requires_grad_(tuning == "full")
        if tuning == "partial":
            for stage in self._last_stages():
                for parameter in stage.parameters():
                    parameter.requires_grad_(True)
        return [parameter for parameter in self.backbone.parameters() if parameter.requires_grad]

    def _last_stages(self) -> list[nn.Module]:
        if isinstance(self.backbone, VisionTransformer):
            encoder = self.backbone.vit.get_submodule("encoder")
            return [*list(encoder.get_submodule("layers").children())[-_TUNED_STAGES:], encoder.get_submodule("ln")]
        stages = [stage for stage in self.backbone.children() if any(True for _ in stage.parameters())]
        return stages[-_TUNED_STAGES:]
