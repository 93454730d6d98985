"""A network as this processor runs it fastest: by OpenVINO where it is installed (extra ``fast``), else by PyTorch.

Both compute in bfloat16 where the processor does so itself. What they give differs by rounding alone; a process keeps
to one of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from models.embedding.backbones import VisionTransformer

Forward = Callable[[torch.Tensor], torch.Tensor]


def fastest(network: nn.Module, size_px: int) -> Forward:
    """A forward pass over batches (N, 3, size_px, size_px), float32; gives grids (N, C, h, w)."""
    openvino = _openvino()
    # OpenVINO takes a network by tracing it, and torchvision's attention is another graph each time it is traced.
    if openvino is None or any(isinstance(module, VisionTransformer) for module in network.modules()):
        return by_torch(network, bf16_pays())
    return _by_openvino(openvino, network, size_px)


def by_torch(network: nn.Module, is_half: bool) -> Forward:
    """A forward pass by PyTorch, in bfloat16 where it may be (``is_half``)."""

    def forward(batch: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=is_half):
            grids: torch.Tensor = network(batch)
        return grids

    return forward


def bf16_pays() -> bool:
    """Whether this processor computes in bfloat16 itself; emulated, it is slower than float32."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    flags = Path("/proc/cpuinfo")
    return bool(supported and supported()) and flags.is_file() and "avx512_bf16" in flags.read_text()


def _openvino() -> ModuleType | None:
    try:
        import openvino
    except ModuleNotFoundError:
        return None
    return openvino


def _by_openvino(openvino: ModuleType, network: nn.Module, size_px: int) -> Forward:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about the tracing that OpenVINO does
        converted = openvino.convert_model(network, example_input=torch.zeros(1, 3, size_px, size_px))
    converted.reshape([-1, 3, size_px, size_px])
    how = {
        "INFERENCE_PRECISION_HINT": "bf16" if bf16_pays() else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.Core().compile_model(converted, "CPU", how)

    def forward(batch: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(compiled(batch.contiguous().numpy())[0])

    return forward
