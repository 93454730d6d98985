"""Why are two coins alike? Which places on them make the score, drawn as a map of each.

``cells`` is exact. The score is a sum over pairs of cells: of a truncated network, each cell of one coin with the cell
in the same place on the other; of a base network, whose score is the cosine of two means, every cell with every cell.
Of each pair the part is taken away that coins in general have there. With a the cell of one coin, b of the other, and
m and n the mean cells in those places over some other coins (the reference):

    a·b = (a - m)·(b - n)  +  (a·n + m·b - m·n)
          evidence            common

so that the parts of all pairs and what is common sum to the score. ``gradcam`` (Selvaraju et al., "Grad-CAM", ICCV
2017), ``attention`` (Abnar and Zuidema, "Quantifying attention flow in transformers", ACL 2020) and ``occlusion``
(Zeiler and Fergus, ECCV 2014: how much is lost when a place is hidden) are the usual maps, to hold against it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from calibration.image import Image
from calibration.outline import GREY_MEAN
from models.embedding.backbones import CROP_PX, VisionTransformer
from models.embedding.embedder import Embedder, EmbedderNetwork, Features, disc, to_tensor
from models.matching.grid import TURNS, compare, embed_entries, turn_crop

Method = Literal["cells", "gradcam", "attention", "occlusion"]
Map = npt.NDArray[np.float32]
_HIDDEN_PX = 32  # side of what occlusion hides: two cells of a truncated network
_STEP_PX = 16


class ExplanationError(Exception):
    """A network that cannot be explained in the way asked for."""


@dataclass(frozen=True)
class CellPair:
    """A place on each coin, (x, y) in px of its crop, and what the two contribute to the score."""

    first_px: tuple[float, float]
    second_px: tuple[float, float]
    part: float


@dataclass(frozen=True)
class Explanation:
    """Where the likeness of two coins lies.

    Attributes
    ----------
    score
        What is explained: the likeness at the best turn.
    turn_deg
        How far the first crop was turned (counter-clockwise) to fit the second.
    first, second
        (224, 224) float32 for each crop as it was given: evidence by ``cells`` (in units of the score, per cell),
        otherwise in the method's own units. Nothing lies outside the coin.
    common
        By ``cells``: what coins in general have in common in the same places. None otherwise.
    pairs
        By ``cells``: all pairs, strongest first; their parts and ``common`` sum to ``score``.
    """

    method: Method
    score: float
    turn_deg: float
    first: Map
    second: Map
    common: float | None = None
    pairs: tuple[CellPair, ...] = ()


def explain(
    embedder: Embedder,
    first: Image,
    second: Image,
    method: Method = "cells",
    *,
    reference: Sequence[Image] = (),
    turns: int = TURNS,
) -> Explanation:
    """Explain the likeness of two normalised crops.

    Parameters
    ----------
    reference
        Crops of other coins, for ``cells``: what these have too is no evidence. Without any, nothing is taken away.
    turns
        How many turns of the first crop are tried, as matching does.

    Raises
    ------
    ExplanationError
        If the network has no such explanation.
    """
    goal = embed_entries(embedder, [second])
    turned = embedder.embed([turn_crop(first, 360.0 * step / turns) for step in range(turns)])
    scores = compare(turned.grid, goal.grid)[:, 0]
    turn_deg = 360.0 * int(np.argmax(scores)) / turns
    upright = turn_crop(first, turn_deg)
    if method == "cells":
        return _by_cells(embedder, upright, second, reference, turn_deg)
    maps = {"gradcam": _by_gradient, "attention": _by_attention, "occlusion": _by_occlusion}[method]
    one, other = maps(embedder, upright, second)
    return Explanation(method, float(scores.max()), turn_deg, _turned_back(painted(one), turn_deg), painted(other))


# --- exact ---------------------------------------------------------------------------------------------------------


def _by_cells(
    embedder: Embedder, upright: Image, second: Image, reference: Sequence[Image], turn_deg: float
) -> Explanation:
    a, usual_a = _cells(embedder, [upright, *reference], embedder.embed)
    b, usual_b = _cells(embedder, [second, *reference], lambda crops: embed_entries(embedder, crops))
    side = round(len(a) ** 0.5)
    places = np.stack([np.tile(np.arange(side), side), np.repeat(np.arange(side), side)], axis=1)
    if _is_base(embedder):
        scale = 1.0 / (np.linalg.norm(a.sum(axis=0)) * np.linalg.norm(b.sum(axis=0)))
        score = float(a.mean(axis=0) @ b.mean(axis=0))
        score /= float(np.linalg.norm(a.mean(axis=0)) * np.linalg.norm(b.mean(axis=0)))
        parts = (a - usual_a) @ (b - usual_b).T * scale
        whole_a, whole_b = usual_a.sum(axis=0), usual_b.sum(axis=0)
        common = float((a.sum(axis=0) @ whole_b + whole_a @ b.sum(axis=0) - whole_a @ whole_b) * scale)
        rows, columns = (index.ravel() for index in np.indices(parts.shape))
    else:
        inside = disc(side).ravel()
        score = float(compare(_as_grid(a, side), _as_grid(b, side))[0, 0])
        parts = np.diag(np.where(inside, np.sum((a - usual_a) * (b - usual_b), axis=1), 0.0) / inside.sum())
        common = float(np.sum((a * usual_b + usual_a * b - usual_a * usual_b)[inside]) / inside.sum())
        rows = columns = np.flatnonzero(inside)
    order = np.argsort(-parts[rows, columns], kind="stable")
    first_px = _turn_points(_centres_px(places, side), turn_deg)
    second_px = _centres_px(places, side)
    pairs = tuple(
        CellPair(_point(first_px[row]), _point(second_px[column]), float(parts[row, column]))
        for row, column in zip(rows[order], columns[order], strict=True)
    )
    on_first, on_second = (parts.sum(axis=axis).reshape(side, side) for axis in (1, 0))
    first = _turned_back(painted(on_first), turn_deg)
    return Explanation("cells", score, turn_deg, first, painted(on_second), common, pairs)


def _cells(
    embedder: Embedder, crops: Sequence[Image], embed: Callable[[Sequence[Image]], Features]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The very cells the score is made of, (cells, C): of the first crop, and the mean of the others (0 without any).

    Of a base network they are those of its last map.
    """
    cells = _cells_of_all(embedder, crops, embed)
    return cells[0], cells[1:].mean(axis=0) if len(cells) > 1 else np.zeros_like(cells[0])


def _cells_of_all(
    embedder: Embedder, crops: Sequence[Image], embed: Callable[[Sequence[Image]], Features]
) -> npt.NDArray[np.float64]:
    if not _is_base(embedder):
        grid = embed(crops).grid
        if grid.shape[-1] == 1:
            raise _placeless(embedder)
        return grid.reshape(len(grid), grid.shape[1], -1).transpose(0, 2, 1).astype(np.float64)
    with torch.inference_mode():
        maps = [_last_map(embedder, crop)[1] for crop in crops]
        projected = torch.cat([_network(embedder).projection(each) for each in maps])
    return projected.flatten(2).permute(0, 2, 1).double().numpy()


def _as_grid(cells: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float16]:
    return cells.T.reshape(1, -1, side, side).astype(np.float16)


def _is_base(embedder: Embedder) -> bool:
    """Whether the network averages its last map, so that the score is a cosine of means."""
    backbone = _network(embedder).backbone
    return isinstance(backbone, nn.Sequential) and isinstance(backbone[-1], nn.AdaptiveAvgPool2d)


def _last_map(embedder: Embedder, crop: Image) -> tuple[nn.Module, torch.Tensor]:
    """What stands between the last map and the grid, and that map (1, C, h, w), in full precision."""
    backbone = _network(embedder).backbone
    batch = to_tensor([crop])
    if _is_base(embedder):
        assert isinstance(backbone, nn.Sequential)
        return backbone[-1], backbone[:-1](batch)
    last: torch.Tensor = backbone(batch)
    if last.shape[-1] == 1:
        raise _placeless(embedder)
    return nn.Identity(), last


def _placeless(embedder: Embedder) -> ExplanationError:
    return ExplanationError(
        f"{embedder.card['backbone']} gives one vector without a place on the coin. "
        "Use `--method attention` (vit_b_16) or `--method occlusion`."
    )


def _network(embedder: Embedder) -> EmbedderNetwork:
    assert isinstance(embedder.network, EmbedderNetwork)
    return embedder.network


# --- the usual maps ------------------------------------------------------------------------------------------------


def _by_gradient(embedder: Embedder, upright: Image, second: Image) -> tuple[Map, Map]:
    """Grad-CAM of the score, on the network's last map."""
    if isinstance(_network(embedder).backbone, VisionTransformer):
        raise ExplanationError("Grad-CAM is for convolutional networks. Use `--method attention`, or cells.")
    with torch.no_grad():
        (pool, one), (_, other) = (_last_map(embedder, crop) for crop in (upright, second))
    one, other = one.clone().requires_grad_(), other.clone().requires_grad_()
    units = [nn.functional.normalize(_network(embedder).projection(pool(each)), dim=1) for each in (one, other)]
    inside = torch.from_numpy(disc(units[0].shape[-1]))
    (units[0] * units[1]).sum(dim=1)[:, inside].mean().backward()
    assert one.grad is not None and other.grad is not None
    return class_activation(one.detach(), one.grad), class_activation(other.detach(), other.grad)


def class_activation(last: torch.Tensor, slope: torch.Tensor) -> Map:
    """Grad-CAM of a last map (1, C, h, w), given the slope of what is explained along it: (h, w), not below 0."""
    weighed = (slope.mean(dim=(2, 3), keepdim=True) * last).sum(dim=1)
    return torch.relu(weighed)[0].numpy().astype(np.float32)


def _by_attention(embedder: Embedder, upright: Image, second: Image) -> tuple[Map, Map]:
    """Attention rolled out over all blocks of a ViT: what its class token, or its mean patch, drew from each patch."""
    backbone = _network(embedder).backbone
    if not isinstance(backbone, VisionTransformer):
        raise ExplanationError("attention maps are for vit_b_16. Use `--method gradcam`, or cells.")
    first, other = (rolled_out(backbone, to_tensor([crop])) for crop in (upright, second))
    return first, other


def rolled_out(network: VisionTransformer, batch: torch.Tensor) -> Map:
    """How much of each patch of one picture (1, 3, 224, 224) the ViT's output is drawn from, (14, 14)."""
    seen: list[torch.Tensor] = []

    def ask(_module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, {**kwargs, "need_weights": True, "average_attn_weights": True}

    def keep(_module: nn.Module, _args: Any, output: tuple[torch.Tensor, torch.Tensor]) -> None:
        seen.append(output[1][0])

    attending = [module for module in network.modules() if isinstance(module, nn.MultiheadAttention)]
    hooks = [module.register_forward_pre_hook(ask, with_kwargs=True) for module in attending]
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


def _by_occlusion(embedder: Embedder, upright: Image, second: Image) -> tuple[Map, Map]:
    """How much of the score is lost when a place of one coin is hidden."""
    plain = embedder.embed([upright, second])
    score = float(compare(plain.grid[:1], plain.grid[1:])[0, 0])
    side = CROP_PX // _STEP_PX
    where = np.flatnonzero(disc(side).ravel())
    maps = []
    for crop, against in ((upright, plain.grid[1:]), (second, plain.grid[:1])):
        hidden = [_hidden(crop, int(place) // side, int(place) % side) for place in where]
        lost = np.zeros(side * side, np.float32)
        lost[where] = score - compare(embedder.embed(hidden).grid, against)[:, 0]
        maps.append(lost.reshape(side, side))
    return maps[0], maps[1]


def _hidden(crop: Image, row: int, column: int) -> Image:
    x, y = (int((place + 0.5) * _STEP_PX - _HIDDEN_PX / 2) for place in (column, row))
    hidden = crop.copy()
    hidden[max(0, y) : y + _HIDDEN_PX, max(0, x) : x + _HIDDEN_PX] = round(GREY_MEAN)
    return hidden


# --- places --------------------------------------------------------------------------------------------------------


def painted(cells: npt.NDArray[Any]) -> Map:
    """Values of cells as a map over the crop, nothing outside the coin."""
    smooth = cv2.resize(cells.astype(np.float32), (CROP_PX, CROP_PX), interpolation=cv2.INTER_CUBIC)
    return np.where(disc(CROP_PX), smooth, 0.0).astype(np.float32)


def _turned_back(turned: Map, turn_deg: float) -> Map:
    middle = (CROP_PX - 1) / 2.0
    matrix = cv2.getRotationMatrix2D((middle, middle), -turn_deg, 1.0)
    return np.asarray(cv2.warpAffine(turned, matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR), np.float32)


def _centres_px(places: npt.NDArray[Any], side: int) -> npt.NDArray[np.float64]:
    return (places + 0.5) * (CROP_PX / side) - 0.5


def _turn_points(points_px: npt.NDArray[np.float64], turn_deg: float) -> npt.NDArray[np.float64]:
    """Where points of the turned crop lie in the crop as it was given."""
    middle = (CROP_PX - 1) / 2.0
    matrix = cv2.getRotationMatrix2D((middle, middle), -turn_deg, 1.0)
    return np.asarray(points_px @ matrix[:, :2].T + matrix[:, 2], np.float64)


def _point(point: npt.NDArray[np.float64]) -> tuple[float, float]:
    return round(float(point[0]), 1), round(float(point[1]), 1)
