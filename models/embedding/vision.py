"""torchvision, imported in one place.

torchvision's wheels on PyPI are built for CUDA torch. Beside a CPU torch its import fails with ``operator
torchvision::nms does not exist``, because its compiled operators do not load. No network here uses those operators, so
they are declared (not defined) and the import is tried again; only after a plain import has failed in just this way.
"""

from __future__ import annotations

import sys
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
    try:
        import torchvision.models
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        _declare_operators()
        import torchvision.models
    return torchvision.models


def _declare_operators() -> None:
    """Declare the missing operators and forget the half-imported package."""
    global _library
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    _library = torch.library.Library("torchvision", "FRAGMENT")
    for declaration in _DECLARATIONS:
        _library.define(declaration)
