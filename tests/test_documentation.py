"""What the pages show is what the program takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from pipeline.lab import TwinConfig
from rig.twin.faults import Fault

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
EXAMPLES = {"rig/turntables/rotor.py", "capture/cameras/argus.py"}  # drivers that a page shows how to write
FAULTS = get_args(get_args(Fault)[0])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    code = r"`((?:calibration|capture|models|pipeline|rig|tests)/[\w./-]*(?:/|\.py|\.yaml|\.md))`"
    named = re.findall(code, page.read_text("utf-8"))
    assert [path for path in named if path not in EXAMPLES and not (ROOT / path).exists()] == []


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
