"""Training the network that compares surfaces (`models.matching.surface_network`) on pairs whose relation is known.

Patches of pairs, turned, mirrored, scaled and shifted at random, each image toned, blurred and made noisy by itself.
Every source of pairs counts as much as any other, and within it one coin as much as other coins: how many pairs there
are of each says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from models.matching.surface_network import SURFACE_PX, SurfaceNetwork, level_out
from models.progress import Progress

PATCH_PX = 112
BATCH = 32
_REACH = 0.3  # of the width: how far from the crop's middle a patch's may be
_RATE, _WARM = 3e-3, 0.1  # the highest learning rate, and the share of the steps that leads up to it
_DECAY = 1e-3
_SCALED, _SHIFTED_PX, _TURNED_RAD = 0.03, 0.7, 0.006  # spread of both images' scale; of one against the other

Relief = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SurfacePair:
    """Two crops in register.

    Attributes
    ----------
    laid
        (2, SURFACE_PX, SURFACE_PX) uint8.
    relation
        0: one coin, 1: one die, 2: one type; None for two coins of whose dies nothing is known.
    source
        What kind of coins these are.
    """

    laid: npt.NDArray[np.uint8]
    relation: int | None
    source: str


def train_network(pairs: Sequence[SurfacePair], steps: int, seed: int, on_progress: Progress) -> SurfaceNetwork:
    """Train from random weights; one thread computes it the same way each time.

    Raises
    ------
    ValueError
        If there is no pair of one coin, or none of two.
    """
    if {pair.relation == 0 for pair in pairs} != {True, False}:
        raise ValueError("training takes pairs of one coin, and of two.")
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    levelled = [(level_out(pair.laid[0]), level_out(pair.laid[1])) for pair in pairs]
    chances = _chances(pairs)
    network = SurfaceNetwork().train()
    optimiser = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps + 1, pct_start=_WARM)
    for step in range(steps):
        on_progress(step, steps)
        drawn = rng.choice(len(pairs), BATCH, p=chances)
        patches = torch.from_numpy(np.stack([_patches(levelled[place], rng) for place in drawn]))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            judged = network(patches[:, :1], patches[:, 1:])
        loss = _loss(judged.float().mean((2, 3)), [pairs[place].relation for place in drawn])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    on_progress(steps, steps)
    return network.eval()


def _chances(pairs: Sequence[SurfacePair]) -> npt.NDArray[np.float64]:
    """How probable it is that each pair is drawn."""
    kinds = [(pair.source, -1 if pair.relation is None else pair.relation) for pair in pairs]
    weights = np.zeros(len(pairs))
    for kind in sorted(set(kinds)):
        own = np.array([each == kind for each in kinds])
        weights[own] = (2.0 if kind[1] == 0 else 1.0) / own.sum()
    return weights / weights.sum()


def _loss(judged: Tensor, relations: Sequence[int | None]) -> Tensor:
    """Cross entropy (N, 3); where the dies are unknown, of one coin against the rest."""
    likely = functional.log_softmax(judged, dim=1)
    known = torch.tensor([relation is not None for relation in relations])
    wanted = torch.tensor([relation or 0 for relation in relations])
    apart = torch.logsumexp(likely[:, 1:], dim=1)
    return -torch.where(known, likely.gather(1, wanted[:, None])[:, 0], apart).mean()


def _patches(pair: tuple[Relief, Relief], rng: np.random.Generator) -> Relief:
    """The same part (2, PATCH_PX, PATCH_PX) of both, in any order."""
    first, second = pair if rng.random() < 0.5 else pair[::-1]
    middle = (SURFACE_PX - 1) / 2.0
    far, towards = _REACH * SURFACE_PX * np.sqrt(rng.random()), rng.uniform(0.0, 2.0 * np.pi)
    matrix = cv2.getRotationMatrix2D((middle, middle), rng.uniform(0, 360), float(np.exp(rng.normal(0, _SCALED))))
    matrix[:, 2] += PATCH_PX / 2.0 - middle - far * np.array([np.cos(towards), np.sin(towards)])
    turned_rad, beside = rng.normal(0, _TURNED_RAD), matrix.copy()
    beside[:, :2] @= np.array([[np.cos(turned_rad), -np.sin(turned_rad)], [np.sin(turned_rad), np.cos(turned_rad)]])
    # about the patch's own middle
    kept = np.linalg.solve(matrix[:, :2], PATCH_PX / 2.0 - matrix[:, 2])
    beside[:, 2] = PATCH_PX / 2.0 - beside[:, :2] @ kept + rng.normal(0, _SHIFTED_PX, 2)
    size = (PATCH_PX, PATCH_PX)
    parts = [cv2.warpAffine(image, how, size) for image, how in ((first, matrix), (second, beside))]
    if rng.random() < 0.5:
        parts = [part[:, ::-1] for part in parts]
    return np.stack([_developed(np.asarray(part, np.float32), rng) for part in parts])


def _developed(part: Relief, rng: np.random.Generator) -> Relief:
    """As another camera might have kept it."""
    if rng.random() < 0.3:
        part = np.asarray(cv2.GaussianBlur(np.ascontiguousarray(part), (0, 0), rng.uniform(0.4, 1.2)), np.float32)
    part = part * np.float32(np.exp(rng.normal(0, 0.15))) + np.float32(rng.normal(0, 0.08))
    if rng.random() < 0.5:
        part = part + rng.normal(0, rng.uniform(0, 0.15), part.shape).astype(np.float32)
    if rng.random() < 0.3:
        part = np.sign(part) * np.abs(part) ** np.float32(rng.uniform(0.7, 1.3))
    return np.asarray(part, np.float32)
