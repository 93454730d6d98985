from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from rig.registry import ARMS, LIGHTBOXES, TURNTABLES, any_config
from rig.turntables.grbl import GrblConfig, GrblTurntable


class SpindleConfig(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["spindle"] = "spindle"
    port: str = "/dev/spindle"


def test_every_kind_is_that_of_its_config() -> None:
    for registry in (TURNTABLES, ARMS, LIGHTBOXES):
        for kind, (config, _) in registry.items():
            assert config.model_fields["kind"].default == kind


def test_another_driver_is_one_line() -> None:
    registry = {"grbl": (GrblConfig, GrblTurntable), "spindle": (SpindleConfig, object)}
    configs = TypeAdapter(any_config(registry))
    assert configs.validate_python({"kind": "spindle"}) == SpindleConfig()
    assert configs.validate_python({"axis": "Z"}) == GrblConfig(axis="Z")
    assert configs.validate_python(SpindleConfig()) == SpindleConfig()
    with pytest.raises(ValidationError, match="'grbl', 'spindle'"):
        configs.validate_python({"kind": "lathe"})
