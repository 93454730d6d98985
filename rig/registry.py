"""Which drivers there are: a new one is its file and a line here."""

from __future__ import annotations

from typing import Annotated, Any, Union

from pydantic import BaseModel, Discriminator, Tag

from rig.arms.dobot import DobotArm, DobotConfig
from rig.arms.manual import ManualHandler, ManualHandlerConfig
from rig.arms.roarm import RoarmArm, RoarmConfig
from rig.arms.uarm import UarmArm, UarmConfig
from rig.lights.dmx import DmxConfig, DmxLightbox
from rig.lights.manual import ManualLightbox, ManualLightboxConfig
from rig.lights.wled import WledConfig, WledLightbox
from rig.turntables.grbl import GrblConfig, GrblTurntable
from rig.turntables.marlin import MarlinConfig, MarlinTurntable

Registry = dict[str, tuple[type[BaseModel], Any]]

TURNTABLES: Registry = {
    "grbl": (GrblConfig, GrblTurntable),
    "marlin": (MarlinConfig, MarlinTurntable),
}
ARMS: Registry = {
    "uarm": (UarmConfig, UarmArm),
    "dobot": (DobotConfig, DobotArm),
    "roarm": (RoarmConfig, RoarmArm),
    "manual": (ManualHandlerConfig, ManualHandler),
}
LIGHTBOXES: Registry = {
    "wled": (WledConfig, WledLightbox),
    "dmx": (DmxConfig, DmxLightbox),
    "manual": (ManualLightboxConfig, ManualLightbox),
}


def any_config(registry: Registry) -> Any:
    """The type of a config field that takes the config of any driver in the registry, told apart by ``kind``."""
    first = next(iter(registry))
    if len(registry) == 1:
        return registry[first][0]

    def kind_of(value: Any) -> Any:
        return value.get("kind", first) if isinstance(value, dict) else getattr(value, "kind", first)

    members = tuple(Annotated[config, Tag(kind)] for kind, (config, _) in registry.items())
    return Annotated[Union[members], Discriminator(kind_of)]  # noqa: UP007  # a union made at run time
