"""Names are shown as they are, in their place: nothing in them is markup, an escape code, another line or a path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capture.store import Store
from capture.store.records import NewEntry
from tests.capture.conftest import PLAN, TRAY, add_frame, small_image
from tests.pipeline.conftest import Rig

ODD = (
    "[/]",
    "1921[b].4",
    "[red]x[/red]",
    "a/b",
    "a_b",
    "a:b",
    "A_B",
    "CON",
    "Ὀ" * 25,
    "Ὀ" * 200 + "a",
    "Ὀ" * 200 + "b",
)
FORGED = "2024.9\x1b[2J\nrig: done \u202egnp.exe\x9b"
SHOWN = "2024.9\\u001b[2J\\u000arig: done \\u202egnp.exe\\u009b"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A lab whose store holds odd names, also such as no command would let in today."""
    folder = tmp_path / "lab"
    (folder / "trays").mkdir(parents=True)
    (folder / "rig.yaml").write_text("twin: {}\ncamera: {kind: twin}\n")
    tray = TRAY.model_copy(update={"slots": dict(enumerate(ODD, 1))})
    with Store.open(folder / "store") as store:
        session = store.sessions.begin_scan(tray, PLAN)
        shots = {shot.coin: shot for shot in store.sessions.missing_shots(session.id)}
        for seed, coin in enumerate(ODD):
            add_frame(store, session.id, shots[coin], seed)
        store.catalogue.add_entries(
            NewEntry(coin, small_image(100 + number), f"{number}.jxl", "[/] 1936")
            for number, coin in enumerate((*ODD, FORGED))
        )
    return folder


def test_names_are_printed_as_they_are(lab: Path, rig: Rig) -> None:
    ran = rig("store", "delete", "--coin", "1921[b].4", "--why", "test", "--dry-run", "--lab", lab)
    assert (ran.code, "  1921[b].4  " in ran.out) == (0, True), ran.err
    assert "[/] 1936" in rig("catalogue", "list", "--lab", lab).out
    for args in (
        ("catalogue", "list", "--sale", "[/] 1936"),
        ("report", FORGED),
        ("models", "promote", FORGED, "--force"),
    ):
        ran = rig(*args, "--lab", lab)
        assert SHOWN in ran.out + ran.err and "Traceback" not in ran.err
        assert not set("\x1b\x9b\u202e") & set(ran.out + ran.err)
    ran = rig("catalogue", "list", "--sale", "[/] 1936", "--json", "--lab", lab)
    assert not set("\x1b\x9b\u202e") & set(ran.out)
    assert json.loads(ran.out)[-1]["coin"] == FORGED


def test_pages_show_names_as_they_are(lab: Path, rig: Rig) -> None:
    ran = rig("report", "--json", "--lab", lab)
    assert ran.code == 0, ran.err
    page = Path(ran.json["report"]).read_text()
    assert all(f">{coin}<" in page or coin in page for coin in ODD)


def test_every_coin_is_exported_into_its_own_folder(lab: Path, rig: Rig, tmp_path: Path) -> None:
    ran = rig("store", "export", tmp_path / "out", "--no-bag", "--lab", lab)
    assert ran.code == 0, ran.err
    folders = [path.name for path in (tmp_path / "out" / "frames").iterdir()]
    assert len({name.casefold() for name in folders}) == len(ODD)
    assert "1921_b_.4" not in folders
    listed = json.loads((tmp_path / "out" / "frames.json").read_text())
    assert {row["coin_id"] for row in listed} == set(ODD)
    assert all((tmp_path / "out" / row["raw"]).is_file() for row in listed)


@pytest.mark.parametrize(
    "args",
    [
        ("scan", "--tray", "../trays/1", "--dry-run"),
        ("scan", "--tray", "1", "--plan", "../plans/default", "--dry-run"),
        ("models", "promote", "../models/starter", "--force"),
        ("models", "compare", "starter", "other", "--dataset", "../datasets/euro"),
        ("train", "recipe.yaml"),
    ],
    ids=lambda args: " ".join(args[:2]),
)
def test_a_name_is_no_path(lab: Path, rig: Rig, tmp_path: Path, args: tuple[str, ...]) -> None:
    (lab / "trays" / "1.yaml").write_text("slots: {1: a}\n")
    (tmp_path / "recipe.yaml").write_text("name: ../outside\n")
    ran = rig(*args, "--lab", lab)
    assert ran.code in (1, 2)
    assert "../" in ran.err and ("does not exist" in ran.err or "no name for a" in ran.err), ran.err
