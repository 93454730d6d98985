from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from capture.cameras import CAMERAS
from rig.registry import STATION, Registry
from rig.turntables.grbl import GrblTurntable
from rig.turntables.grbl_protocol import GrblConfig


class SpindleConfig(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["spindle"] = "spindle"
    port: str = "/dev/spindle"


def test_every_kind_is_that_of_its_config() -> None:
    for registry in (*STATION, CAMERAS):
        for kind, (config, _) in registry.drivers.items():
            assert config.model_fields["kind"].default == kind


def test_another_driver_is_one_line() -> None:
    drivers = {"grbl": (GrblConfig, GrblTurntable), "spindle": (SpindleConfig, object)}
    configs = TypeAdapter(Registry("turntable", drivers, default="grbl").config_type())
    assert configs.validate_python({"kind": "spindle"}) == SpindleConfig()
    assert configs.validate_python({"axis": "Z"}) == GrblConfig(axis="Z")
    assert configs.validate_python(SpindleConfig()) == SpindleConfig()
    with pytest.raises(ValidationError, match="'grbl', 'spindle'"):
        configs.validate_python({"kind": "lathe"})


def test_a_camera_has_to_be_named() -> None:
    with pytest.raises(ValidationError, match="Unable to extract tag"):
        TypeAdapter(CAMERAS.config_type()).validate_python({"device": 2})
