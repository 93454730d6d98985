"""Coins drawn here, so that the models' tests need no rig and no photographs."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import torch

from calibration.image import Image
from models.embedding.embedder import to_tensor


@functools.cache
def relief_of(number: int) -> np.ndarray:
    """A relief of blobs and strokes that is this coin's own, (256, 256) float32."""
    rng = np.random.default_rng(1000 + number)
    height = cv2.GaussianBlur(rng.normal(0, 1, (256, 256)).astype(np.float32), (0, 0), 9) * 14
    for _ in range(9):
        ends = rng.integers(30, 226, (2, 2))
        cv2.line(height, ends[0].tolist(), ends[1].tolist(), float(rng.uniform(0.8, 2.5)), int(rng.integers(4, 12)))
    return cv2.GaussianBlur(height, (0, 0), 2.0)


def crop_of(number: int, lamp_deg: float = 135.0, turn_deg: float = 0.0, noise: float = 6.0) -> Image:
    """A normalised crop of a coin turned counter-clockwise, lit from an azimuth of the image."""
    size = 256
    turn = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), turn_deg, 1.0)
    height = cv2.warpAffine(relief_of(number), turn, (size, size), borderMode=cv2.BORDER_REFLECT)
    slope_x, slope_y = cv2.Sobel(height, cv2.CV_32F, 1, 0), -cv2.Sobel(height, cv2.CV_32F, 0, 1)
    lamp = np.radians(lamp_deg)
    grey = 116 - 30 * (slope_x * np.cos(lamp) + slope_y * np.sin(lamp)) + 6 * height
    grey = cv2.resize(grey.astype(np.float32), (224, 224), interpolation=cv2.INTER_AREA)
    grey += np.random.default_rng(number).normal(0, noise, grey.shape).astype(np.float32)
    y, x = np.mgrid[:224, :224] - 111.5
    inside = np.hypot(x, y) <= 107
    grey = (grey - grey[inside].mean()) / grey[inside].std() * 46 + 116
    grey[~inside] = 116
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def settled(network: torch.nn.Module) -> None:
    """Let batch normalisation see some coins, without which numbers drawn at random die out layer by layer."""
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    network.train()
    with torch.no_grad():
        network(to_tensor([crop_of(n) for n in range(8)]))
    network.eval()
