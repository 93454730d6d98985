"""Coins are identified beside the scan: neither the catalogue nor a failure holds up the photographing."""

from __future__ import annotations

from pathlib import Path

from calibration.image import encode_jpeg, read_image
from capture.store import Store
from tests.pipeline.conftest import COINS, Rig


def test_a_catalogue_that_cannot_be_embedded_holds_up_no_scan(
    rig: Rig, tiny_lab: Path, photographs: Path, tmp_path: Path
) -> None:
    sale = tmp_path / "sale"
    sale.mkdir()
    both = read_image(photographs / f"{COINS[0]}.jpg")
    (sale / "lot7_obv.jpg").write_bytes(encode_jpeg(both[:, : both.shape[1] // 2], 70))
    assert rig("catalogue", "add", sale, "--lab", tiny_lab).code == 0
    with Store.open(tiny_lab / "store", writing=False) as store:
        path = store.path(store.catalogue.entries(sale="sale")[0].sha256)
    path.chmod(0o644)
    sound = path.read_bytes()
    path.write_bytes(sound[:-1] + b"?")
    ran = rig("scan", "--tray", 1, "--lab", tiny_lab, "--json")
    assert ran.code == 3, "names are left over"
    assert [(coin["frames"], coin["verdict"]) for coin in ran.json["coins"]] == [(2, None)]
    assert "Embedding the catalogue: 0 of 1" in ran.err and ran.err.count("could not be identified") == 1
    assert "Traceback" not in ran.err and path.name[:12] in ran.err, "the damaged file is named"

    path.write_bytes(sound)
    later = rig("identify", "--session", ran.json["session"], "--top", 1, "--lab", tiny_lab, "--json")
    assert later.code == 0, later.err
    assert [each["image"] for each in later.json] == [each["candidates"][0]["coin"] for each in later.json]
    assert [each["image"] for each in later.json] == list(COINS[:1])
    assert f"Report: {ran.json['report']}" in later.err and "not identified" not in Path(ran.json["report"]).read_text()


def test_a_scan_that_was_not_identified_names_the_command_that_does_it(rig: Rig, short_lab: Path) -> None:
    scanned = rig("scan", "--tray", 1, "--no-identify", "--lab", short_lab, COLUMNS="400")
    assert scanned.code == 0
    assert f"2 coins are not identified: `rig identify --tray 1 --lab {short_lab}` does that" in scanned.out
    for wrong in ((), ("x.jpg", "--tray", "1"), ("--tray", "1", "--same-coin")):
        assert rig("identify", *wrong, "--lab", short_lab).code == 2
    assert "no session" in rig("identify", "--session", "x", "--lab", short_lab).err
    never = rig("identify", "--tray", 2, "--lab", short_lab)
    assert never.code == 1 and f"Scan first: `rig scan --tray 2 --lab {short_lab}`" in never.err


def test_an_empty_catalogue_is_reported_before_anything_moves(rig: Rig, short_lab: Path) -> None:
    assert rig("catalogue", "remove", *COINS, "--lab", short_lab).code == 0
    ran = rig("scan", "--tray", 1, "--lab", short_lab)
    assert ran.code == 1 and "is empty" in ran.err and "rig catalogue add" in ran.err
    with Store.open(short_lab / "store", writing=False) as store:
        assert store.sessions.find("scan") == []
