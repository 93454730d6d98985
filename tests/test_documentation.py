"""What the pages show is what the program takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from pipeline.lab import TwinConfig
from rig.twin.faults import Fault

DOCS = Path(__file__).parents[1] / "docs"
FAULTS = get_args(get_args(Fault)[0])


def test_every_fault_of_the_twin_is_shown_with_all_its_keys() -> None:
    page = (DOCS / "twin.md").read_text("utf-8")
    twins = [
        TwinConfig.model_validate(yaml.safe_load(block)["twin"])
        for block in re.findall(r"```yaml\n(.*?)```", page, re.S)
    ]
    shown = [fault.kind for twin in twins for fault in twin.faults]
    assert sorted(shown) == sorted(fault.model_fields["kind"].default for fault in FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.model_fields["kind"].default))
def test_the_table_names_every_key_of_a_fault(fault: type) -> None:
    kind = fault.model_fields["kind"].default  # type: ignore[attr-defined]
    (row,) = re.findall(rf"^\| `{kind}` \|.*$", (DOCS / "twin.md").read_text("utf-8"), re.M)
    for key in set(fault.model_fields) - {"kind"}:  # type: ignore[attr-defined]
        assert f"`{key}`" in row, key
