"""The lab's YAML files: every slip is reported with file, line and remedy."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.plan import Plan, Tray
from pipeline.documents import parse, read_document
from pipeline.errors import LabError
from pipeline.lab import RigConfig
from tests.mutations import mutate
from tests.pipeline.conftest import Rig, run_well

SLIPS = {
    "unknown key": ("plans/default.yaml", "exposure_ms: 20\n", "line 1", "exposure_us"),
    "unit in a number": ("plans/default.yaml", "gain: 1\nexposure_us: 20ms\n", "line 2", "without a unit"),
    "angle out of range": ("plans/default.yaml", "turntable_deg: [0, 400]\n", "line 1", "360"),
    "light that is not there": ("plans/default.yaml", "gain: 1\nlights: [az000, az045]\n", "line 2", "az060"),
    "side that is not there": ("plans/default.yaml", "sides: [front]\n", "line 1", "obverse"),
    "not YAML": ("plans/default.yaml", "gain: 1\nsides: [obverse\n", "line 3", "not valid YAML"),
    "a list instead of keys": ("plans/default.yaml", "- 1\n", "line 1", "key: value"),
    "coin in two slots": ("trays/1.yaml", "slots:\n  1: 1994.1\n  2: 1994.1\n", "line 3", "slot 1 and in slot 2"),
    "slot given twice": ("trays/1.yaml", "slots:\n  1: 1994.1\n  1: 1994.2\n", "line 3", "line 2"),
    "one slot in two spellings": ("trays/1.yaml", "slots:\n  1: 1994.1\n  01: 1994.2\n", "line 1", "the same slot"),
    "a number sign in a name": ("trays/1.yaml", "slots:\n  1: coin #9\n", "line 2", "in quotes"),
    "a control character in a name": ("trays/1.yaml", 'slots:\n  1: "a\\eb"\n', "slot 1", "control character"),
    "half a letter": ("trays/1.yaml", 'slots:\n  1: "\\ud800"\n', "line 2", "surrogate"),
    "aliases of aliases": (
        "trays/1.yaml",
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "line",
        "stands for more than 50,000 values",
    ),
    "a list that holds itself": ("trays/1.yaml", "slots: &a [*a]\n", "line 1", "a * stands for"),
    "nested without end": ("trays/1.yaml", "slots: " + "[" * 5000 + "\n", "trays/1.yaml", "nested too deeply"),
    "slot beyond the tray": ("trays/1.yaml", "slots:\n  21: 1994.1\n", "line 2", "1 to 20"),
    "empty tray": ("trays/1.yaml", "slots:\n  1:\n", "Every slot is empty", "accession"),
    "empty file": ("trays/1.yaml", "", "line 1", "slots"),
    "unknown kind of device": ("rig.yaml", "camera: {kind: polaroid}\n", "line 1", "opencv"),
    "misspelt kind of device": (
        "rig.yaml",
        "camera: {kind: twin}\nstation:\n  turntable: {kind: gbrl}\n",
        "line 3: station.turntable: kind: 'gbrl' is not known.",
        "Did you mean 'grbl'?",
    ),
    "a key of another kind": (
        "rig.yaml",
        "camera: {kind: twin}\ntwin:\n  faults:\n    - {kind: unplugged, device: arm, first: 3}\n",
        "line 4: twin.faults.first: this key does not belong here.",
        "It can be after_messages, device, kind or seconds.",
    ),
    "one value in place of a list": ("plans/default.yaml", "gain: 1\nlights: az000\n", "line 2", "such as [az000]"),
    "a list in a slot": ("trays/1.yaml", "slots:\n  1: [1994.1, 1994.2]\n", "slot 1", "give one accession number"),
    "no web address": ("rig.yaml", "camera: {kind: twin}\nnotify: {webhook: chat}\n", "line 2", "https://"),
    "unknown key of a device": (
        "rig.yaml",
        "camera: {kind: twin}\nstation:\n  turntable:\n    kind: grbl\n    boud: 9600\n",
        "line 5",
        "baud",
    ),
}


@pytest.mark.parametrize(("file", "text", "where", "remedy"), SLIPS.values(), ids=SLIPS)
def test_a_slip_in_a_file_is_reported_with_place_and_remedy(
    rig: Rig, lab: Path, file: str, text: str, where: str, remedy: str
) -> None:
    (lab / file).write_text(text)
    ran = rig("scan", "--tray", 1, "--dry-run", "--lab", lab)
    assert ran.code == 1
    assert file in ran.err and where in ran.err and remedy in ran.err
    assert "Traceback" not in ran.err
    assert len(ran.err.strip().splitlines()) == 1, "one paragraph"


def test_a_tray_that_does_not_exist_names_those_that_do(rig: Rig, lab: Path) -> None:
    ran = rig("scan", "--tray", 9, "--lab", lab)
    assert ran.code == 2
    assert "tray 9 does not exist" in ran.err and "1, 2" in ran.err
    ran = rig("scan", "--tray", "1.yaml", "--lab", lab)
    assert ran.code == 2
    assert "trays are named without folder and .yaml: give 1" in ran.err


def test_accession_numbers_are_text(tmp_path: Path) -> None:
    path = tmp_path / "1.yaml"
    path.write_text("slots:\n  1: 2024.10\n  2: 007\n  3:\n  4: ~\n  5: 1e3\n")
    assert read_document(path, Tray, id="1").slots == {1: "2024.10", 2: "007", 3: None, 4: None, 5: "1e3"}


@given(
    text=st.text(max_size=60)
    | st.from_regex(r"(slots|sides|camera|gain):( *[\[\{\-~&\*!|>'\"a-z0-9:]*\n)+", fullmatch=True)
)
def test_no_text_brings_forth_anything_but_a_complaint(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text, "utf-8")
    for model, extra in ((Tray, {"id": "1"}), (Plan, {"name": "p"}), (RigConfig, {})):
        try:
            read_document(path, model, **extra)
        except LabError as error:
            assert "file.yaml" in str(error)
            assert "Input" not in str(error) and "valid " not in str(error).replace("not valid YAML", "")


def test_damaged_files_are_read_or_refused_in_a_paragraph(tmp_path: Path, fuzz_rounds: int) -> None:
    chance, lab = random.Random(1), tmp_path / "lab"
    run_well("init", "--bench", "--lab", lab)
    documents = {lab / "rig.yaml": RigConfig, lab / "trays" / "1.yaml": Tray, lab / "plans" / "default.yaml": Plan}
    whole = {path: path.read_bytes() for path in documents}
    for _ in range(fuzz_rounds):
        path, model = chance.choice(list(documents.items()))
        path.write_bytes(mutate(whole[path], chance))
        try:
            read_document(path, model, **({"id": "1"} if model is Tray else {}))
        except LabError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)


def test_limits_of_yaml_are_those_that_are_set(lab: Path) -> None:
    path = lab / "trays" / "1.yaml"
    for text, variable, less in (
        ("slots: " + "[" * 20 + "]" * 20, "RIG_MAX_YAML_LEVELS", "10"),
        ("slots: [" + "a, " * 600 + "]", "RIG_MAX_YAML_ELEMENTS", "500"),
        ("#" + "a" * 21_000 + "\nslots: [a]", "RIG_MAX_YAML_MB", "0.02"),
    ):
        path.write_text(text)
        assert parse(path)[0]["slots"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(variable, less)
            with pytest.raises(LabError, match=variable):
                parse(path)
    path.write_text("slots: " + "[" * 45 + "]" * 45)
    with pytest.raises(LabError, match="RIG_MAX_YAML_LEVELS"):
        parse(path)


def test_a_list_within_itself_is_refused_whatever_the_limit(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lab / "trays" / "1.yaml"
    path.write_text("slots: &a [*a]\n")
    monkeypatch.setenv("RIG_MAX_YAML_LEVELS", "1000000")
    with pytest.raises(LabError, match="nested too deeply"):
        parse(path)
