"""A network's last map, which the usual explanations are drawn from."""

from __future__ import annotations

import torch
from torch import nn

from calibration.image import Image
from models.embedding.embedder import Embedder, EmbedderNetwork, to_tensor


class ExplanationError(Exception):
    """A network that cannot be explained in the way asked for."""


def network_of(embedder: Embedder) -> EmbedderNetwork:
    """The embedder's backbone and projection."""
    assert isinstance(embedder.network, EmbedderNetwork)
    return embedder.network


def is_base(embedder: Embedder) -> bool:
    """Whether the network averages its last map, so that the score is a cosine of means."""
    backbone = network_of(embedder).backbone
    return isinstance(backbone, nn.Sequential) and isinstance(backbone[-1], nn.AdaptiveAvgPool2d)


def last_map(embedder: Embedder, crop: Image) -> tuple[nn.Module, torch.Tensor]:
    """What stands between the last map and the grid, and that map (1, C, h, w), in full precision.

    Raises
    ------
    ExplanationError
        If the network gives a single vector.
    """
    backbone = network_of(embedder).backbone
    batch = to_tensor([crop])
    if is_base(embedder):
        assert isinstance(backbone, nn.Sequential)
        return backbone[-1], backbone[:-1](batch)
    last: torch.Tensor = backbone(batch)
    if last.shape[-1] == 1:
        raise no_place_error(embedder)
    return nn.Identity(), last


def no_place_error(embedder: Embedder) -> ExplanationError:
    """Why a network of one vector cannot be explained by its cells."""
    return ExplanationError(
        f"{embedder.card['backbone']} gives one vector without a place on the coin. "
        "Use `--method attention` (vit_b_16) or `--method occlusion`."
    )
