"""What `rig --json` prints on the twin's trays stays what it was."""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path

import pytest

from tests.pipeline.answers import REFERENCES, full_answers, quick_answers, without_chance
from tests.pipeline.conftest import Scanned
from tests.processes import run


def answer(*args: object) -> str:
    return run(*args, timeout_s=1800).out


def check(name: str, answer: str, folder: Path) -> None:
    now, before = without_chance(answer, folder), (REFERENCES / f"{name}.json").read_text()
    assert now == before, "\n".join(difflib.unified_diff(before.splitlines(), now.splitlines(), name, "now", n=2))


def test_answers_are_what_they_were(scanned: Scanned, made_lab: Path, photographs: Path, tmp_path: Path) -> None:
    check("scan", scanned.answer.out, scanned.lab.parent)
    made, lab = tmp_path / "made", tmp_path / "scanned"
    shutil.copytree(made_lab, made)
    shutil.copytree(scanned.lab, lab)
    for name, given in quick_answers(answer, made, lab, photographs, tmp_path).items():
        check(name, given, tmp_path)


@pytest.mark.slow
def test_answers_on_the_tray_of_a_new_lab_are_what_they_were(tmp_path: Path) -> None:
    for name, given in full_answers(answer, tmp_path).items():
        check(name, given, tmp_path)
