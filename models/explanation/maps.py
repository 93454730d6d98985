"""The usual maps of what decides, to compare the exact one with.

Grad-CAM (Selvaraju et al., "Grad-CAM", ICCV 2017), attention rolled out (Abnar and Zuidema, "Quantifying attention flow
in transformers", ACL 2020), and occlusion (Zeiler and Fergus, ECCV 2014: how much is lost when a place is hidden).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from calibration.image import Image
from calibration.outline import GREY_MEAN
from models.embedding.backbones import CROP_PX, VisionTransformer
from models.embedding.embedder import Embedder, disc, to_tensor
from models.explanation.last_map import ExplanationError, last_map, network_of
from models.explanation.places import Map
from models.matching.grid import compare

_HIDDEN_PX = 32  # side of what occlusion hides: two cells of a truncated network
_STEP_PX = 16


def explain_by_gradient(embedder: Embedder, upright: Image, second: Image) -> tuple[Map, Map]:
    """Grad-CAM of the score, on the network's last map."""
    if isinstance(network_of(embedder).backbone, VisionTransformer):
        raise ExplanationError("Grad-CAM is for convolutional networks. Use `--method attention`, or cells.")
    with torch.no_grad():
        (pool, one), (_, other) = (last_map(embedder, crop) for crop in (upright, second))
    one, other = one.clone().requires_grad_(), other.clone().requires_grad_()
    units = [nn.functional.normalize(network_of(embedder).projection(pool(each)), dim=1) for each in (one, other)]
    inside = torch.from_numpy(disc(units[0].shape[-1]))
    (units[0] * units[1]).sum(dim=1)[:, inside].mean().backward()
    assert one.grad is not None and other.grad is not None
    return class_activation(one.detach(), one.grad), class_activation(other.detach(), other.grad)


def class_activation(last: torch.Tensor, slope: torch.Tensor) -> Map:
    """Grad-CAM of a last map (1, C, h, w), given the slope of what is explained along it: (h, w), not below 0."""
    weighed = (slope.mean(dim=(2, 3), keepdim=True) * last).sum(dim=1)
    return torch.relu(weighed)[0].numpy().astype(np.float32)


def explain_by_attention(embedder: Embedder, upright: Image, second: Image) -> tuple[Map, Map]:
    """Attention rolled out over all blocks of a ViT: what its class token, or its mean patch, drew from each patch."""
    backbone = network_of(embedder).backbone
    if not isinstance(backbone, VisionTransformer):
        raise ExplanationError("attention maps are for vit_b_16. Use `--method gradcam`, or cells.")
    first, other = (roll_out_attention(backbone, to_tensor([crop])) for crop in (upright, second))
    return first, other


def roll_out_attention(network: VisionTransformer, batch: torch.Tensor) -> Map:
    """How much of each patch of one image (1, 3, 224, 224) the ViT's output is drawn from, (14, 14)."""
    seen: list[torch.Tensor] = []

    def ask_for_weights(_module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, {**kwargs, "need_weights": True, "average_attn_weights": True}

    def keep(_module: nn.Module, _args: Any, output: tuple[torch.Tensor, torch.Tensor]) -> None:
        seen.append(output[1][0])

    attending = [module for module in network.modules() if isinstance(module, nn.MultiheadAttention)]
    hooks = [module.register_forward_pre_hook(ask_for_weights, with_kwargs=True) for module in attending]
    hooks += [module.register_forward_hook(keep) for module in attending]
    try:
        with torch.inference_mode():
            network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    rolled = torch.eye(len(seen[0]))
    for attention in seen:
        rolled = (0.5 * attention + 0.5 * torch.eye(len(attention))) @ rolled
    drawn = rolled[0, 1:] if network.class_token else rolled[1:, 1:].mean(dim=0)
    side = round(len(drawn) ** 0.5)
    return drawn.reshape(side, side).numpy().astype(np.float32)


def explain_by_occlusion(embedder: Embedder, upright: Image, second: Image) -> tuple[Map, Map]:
    """How much of the score is lost when a place of one coin is hidden."""
    plain = embedder.embed([upright, second])
    score = float(compare(plain.grid[:1], plain.grid[1:])[0, 0])
    side = CROP_PX // _STEP_PX
    where = np.flatnonzero(disc(side).ravel())
    maps = []
    for crop, against in ((upright, plain.grid[1:]), (second, plain.grid[:1])):
        hidden = [_hide(crop, int(place) // side, int(place) % side) for place in where]
        lost = np.zeros(side * side, np.float32)
        lost[where] = score - compare(embedder.embed(hidden).grid, against)[:, 0]
        maps.append(lost.reshape(side, side))
    return maps[0], maps[1]


def _hide(crop: Image, row: int, column: int) -> Image:
    x, y = (int((place + 0.5) * _STEP_PX - _HIDDEN_PX / 2) for place in (column, row))
    hidden = crop.copy()
    hidden[max(0, y) : y + _HIDDEN_PX, max(0, x) : x + _HIDDEN_PX] = round(GREY_MEAN)
    return hidden
