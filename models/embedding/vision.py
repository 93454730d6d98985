"""torchvision, imported in one place.

torchvision's wheels on PyPI are built for CUDA torch. Beside a CPU torch its import fails with ``operator
torchvision::nms does not exist``, because its compiled operators do not load. No network here uses those operators, so
they are declared (not defined) and the import is tried again; only after a plain import has failed in just this way.

Those operators also import PyTorch's compiler, which takes as long as torch itself, only to ask whether they are being
compiled. An answer in its place spares everybody who identifies a photograph that wait.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import torch

_DECLARATIONS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_library: torch.library.Library | None = None  # kept alive: the declarations go with it


def torchvision_models() -> ModuleType:
    """Return ``torchvision.models``.

    Raises
    ------
    ImportError
        If torchvision is not installed.
    """
    with _without_compiler():
        try:
            import torchvision.models
        except RuntimeError as error:
            if "torchvision::nms" not in str(error):
                raise
            _declare_operators()
            import torchvision.models
    return torchvision.models


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Let the compiler be absent while torchvision is imported, unless somebody has imported it already."""
    if "torch._dynamo" in sys.modules or "torchvision" in sys.modules:
        yield
        return
    compiler, utilities = ModuleType("torch._dynamo"), ModuleType("torch._dynamo.utils")
    utilities.is_compile_supported = lambda device: False  # type: ignore[attr-defined]
    stands_in = {"torch._dynamo": compiler, "torch._dynamo.utils": utilities}
    sys.modules.update(stands_in)
    try:
        yield
    finally:
        for name in stands_in:
            del sys.modules[name]


def _declare_operators() -> None:
    """Declare the missing operators and forget the half-imported package."""
    global _library
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    _library = torch.library.Library("torchvision", "FRAGMENT")
    for declaration in _DECLARATIONS:
        _library.define(declaration)
