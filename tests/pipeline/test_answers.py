"""What `rig --json` prints on the twin's trays stays what it was; `--rewrite-answers` where that changes on purpose."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.answers import REFERENCES, full_answers, quick_answers, without_chance
from tests.pipeline.conftest import Scanned
from tests.processes import run

Check = Callable[..., None]


def answer(*args: object) -> str:
    return run(*args, timeout_s=1800).out


@pytest.fixture
def check(request: pytest.FixtureRequest) -> Check:
    """Compares an answer, in which these folders are named, with the one before."""

    def compare(name: str, answer: str, *folders: Path) -> None:
        now, reference = without_chance(answer, *folders), REFERENCES / f"{name}.json"
        if request.config.getoption("--rewrite-answers"):
            reference.write_text(now)
        before = reference.read_text()
        assert now == before, "\n".join(difflib.unified_diff(before.splitlines(), now.splitlines(), name, "now", n=2))

    return compare


def test_answers_are_what_they_were(
    check: Check, scanned: Scanned, made_lab: Path, photographs: Path, tmp_path: Path
) -> None:
    check("scan", scanned.answer.out, scanned.lab.parent)
    made, lab = tmp_path / "made", tmp_path / "scanned"
    shutil.copytree(made_lab, made)
    shutil.copytree(scanned.lab, lab)
    for name, given in quick_answers(answer, made, lab, photographs, tmp_path).items():
        check(name, given, tmp_path, scanned.lab.parent)


@pytest.mark.slow
def test_answers_on_the_tray_of_a_new_lab_are_what_they_were(check: Check, tmp_path: Path) -> None:
    for name, given in full_answers(answer, tmp_path).items():
        check(name, given, tmp_path)
