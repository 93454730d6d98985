"""A lab that may only be read, as a researcher's view of the collection's server: what asks answers all the same."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.conftest import COINS, Rig, Scanned


@pytest.fixture
def read_only(scanned: Scanned, tmp_path: Path) -> Iterator[Path]:
    """The scanned lab where nobody can write: by a mount for root, by permissions for others."""
    if os.geteuid():
        subprocess.run(("chmod", "-R", "a-w", scanned.lab), check=True)
        try:
            yield scanned.lab
        finally:
            subprocess.run(("chmod", "-R", "u+w", scanned.lab), check=True)
        return
    folder = tmp_path / "server"
    folder.mkdir()
    if subprocess.run(("mount", "--bind", scanned.lab, folder), capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        subprocess.run(("mount", "-o", "remount,bind,ro", folder), check=True)
        yield folder
    finally:
        subprocess.run(("umount", "--lazy", folder), check=True)


def test_what_asks_answers_in_a_lab_that_is_read_only(
    read_only: Path, photographs: Path, rig: Rig, tmp_path: Path
) -> None:
    answered = rig("identify", photographs / f"{COINS[1]}.jpg", "--coin", 1, "--lab", read_only, "--json", "--report")
    assert answered.code == 0, answered.err
    assert answered.json[0]["candidates"][0]["coin"] == COINS[1]
    for args in (("status",), ("catalogue", "list"), ("store", "verify"), ("report", "--tray", 1), ("models", "list")):
        ran = rig(*args, "--lab", read_only)
        assert ran.code == 0, (args, ran.err)
    assert len(list(tmp_path.glob("*.html"))) == 2  # the pages, where the commands were run
    ran = rig("store", "rebuild", "--dry-run", "--lab", read_only, "--json")
    assert ran.code == 0, ran.err
    rows = ran.json["rows"].values()
    assert [each["before"] for each in rows] == [each["after"] for each in rows]
