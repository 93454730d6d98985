"""PyTorch, torchvision and kornia, imported without what nothing here uses: importing took longer than identifying.

All three import far more than networks: the shapes of every operation for PyTorch's compiler, the compiler itself,
data sets, detectors, augmentations. Empty modules stand in for these while they are imported, and are gone afterwards,
so that whoever needs one imports it as ever: ``import torch._meta_registrations`` for ``torch.device("meta")``.

torchvision's wheels on PyPI are built for CUDA torch. Beside a CPU torch a plain import fails with ``operator
torchvision::nms does not exist``, because its compiled operators do not load. No network here uses them, and the
modules that describe them are among those left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_OF_TORCH = ("torch._meta_registrations",)
_OF_TORCHVISION = (
    *("torch._dynamo", "torch._dynamo.utils"),
    *("torchvision._meta_registrations", "torchvision._autograd_registrations", "torchvision.datasets"),
    *(f"torchvision.models.{part}" for part in ("detection", "optical_flow", "quantization", "segmentation", "video")),
)
_OF_KORNIA = ("kornia.augmentation", "kornia.contrib", "kornia.models")


def import_torch() -> None:
    """Import PyTorch; see above."""
    with _left_out("torch", _OF_TORCH):
        import torch  # noqa: F401


def torchvision_models() -> ModuleType:
    """Return ``torchvision.models``.

    Raises
    ------
    ImportError
        If torchvision is not installed.
    """
    with _left_out("torchvision", _OF_TORCHVISION) as stands_in:
        if (utilities := stands_in.get("torch._dynamo.utils")) is not None:
            utilities.is_compile_supported = lambda device: False  # type: ignore[attr-defined]  # torchvision asks
        import torchvision.models
    return torchvision.models


def import_kornia() -> None:
    """Import kornia; see above."""
    with _left_out("kornia", _OF_KORNIA):
        import kornia.feature  # noqa: F401


@contextmanager
def _left_out(package: str, names: tuple[str, ...]) -> Iterator[dict[str, ModuleType]]:
    """Let empty modules stand in while a package is imported; not for what somebody has imported already."""
    stands_in = {name: ModuleType(name) for name in names if name not in sys.modules}
    if package in sys.modules:
        stands_in = {}
    sys.modules.update(stands_in)
    try:
        yield stands_in
    finally:
        for name, module in stands_in.items():
            del sys.modules[name]
            parent, _, own = name.rpartition(".")
            held = vars(sys.modules[parent]) if parent in sys.modules else {}
            if held.get(own) is module:
                del held[own]
