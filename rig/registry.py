"""Which drivers there are, for every kind of device: a new one is its file and a line in its registry.

Turntables, arms, lightboxes and balances stand here, cameras in `capture.cameras`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Union

from pydantic import BaseModel, Discriminator, Tag

from rig.arms.dobot import DobotArm, DobotConfig
from rig.arms.manual import ManualHandler, ManualHandlerConfig
from rig.arms.roarm import RoarmArm, RoarmConfig
from rig.arms.uarm import UarmArm, UarmConfig
from rig.balances.kern import KernBalance, KernConfig
from rig.balances.sbi import SbiBalance, SbiConfig
from rig.balances.sics import SicsBalance, SicsConfig
from rig.clock import Clock
from rig.lights.dmx import DmxConfig, DmxLightbox
from rig.lights.manual import ManualLightbox, ManualLightboxConfig
from rig.lights.wled import WledConfig, WledLightbox
from rig.turntables.grbl import GrblTurntable
from rig.turntables.grbl_protocol import GrblConfig
from rig.turntables.marlin import MarlinConfig, MarlinTurntable


@dataclass(frozen=True)
class Registry:
    """The drivers for one role.

    Attributes
    ----------
    role
        Its section of rig.yaml, and what the device is called in messages.
    drivers
        The model of the config and the class of the driver, made with that config and a clock, by `kind`.
    default
        The kind meant where rig.yaml names none; None where it has to name one.
    """

    role: str
    drivers: dict[str, tuple[type[BaseModel], Any]]
    default: str | None = None

    def make(self, config: Any, clock: Clock) -> Any:
        """The driver that a section of rig.yaml describes, not yet connected."""
        return self.drivers[config.kind][1](config, clock)

    def default_config(self) -> Any:
        """The config of the default driver, as it comes."""
        assert self.default is not None
        return self.drivers[self.default][0]()

    def config_type(self) -> Any:
        """The type of a config field that takes the config of any driver, distinguished by ``kind``."""

        def kind_of(value: Any) -> Any:
            return value.get("kind", self.default) if isinstance(value, dict) else getattr(value, "kind", None)

        members = tuple(Annotated[config, Tag(kind)] for kind, (config, _) in self.drivers.items())
        return Annotated[Union[members], Discriminator(kind_of)]  # noqa: UP007  # a union made at run time


TURNTABLES = Registry(
    "turntable",
    {
        "grbl": (GrblConfig, GrblTurntable),
        "marlin": (MarlinConfig, MarlinTurntable),
    },
    default="grbl",
)
ARMS = Registry(
    "arm",
    {
        "uarm": (UarmConfig, UarmArm),
        "dobot": (DobotConfig, DobotArm),
        "roarm": (RoarmConfig, RoarmArm),
        "manual": (ManualHandlerConfig, ManualHandler),
    },
    default="uarm",
)
LIGHTBOXES = Registry(
    "lightbox",
    {
        "wled": (WledConfig, WledLightbox),
        "dmx": (DmxConfig, DmxLightbox),
        "manual": (ManualLightboxConfig, ManualLightbox),
    },
    default="wled",
)
BALANCES = Registry(
    "balance",
    {
        "sics": (SicsConfig, SicsBalance),
        "sbi": (SbiConfig, SbiBalance),
        "kern": (KernConfig, KernBalance),
    },
)
STATION = (TURNTABLES, ARMS, LIGHTBOXES)
