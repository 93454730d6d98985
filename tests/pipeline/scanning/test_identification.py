"""Coins are identified beside the scan: neither the catalogue nor a failure holds up the photographing."""

from __future__ import annotations

from pathlib import Path

from calibration.image import encode_jpeg, read_image
from capture.store import Store
from tests.pipeline.conftest import COINS, Rig


def test_a_catalogue_that_cannot_be_embedded_holds_up_no_scan(
    rig: Rig, short_lab: Path, photographs: Path, tmp_path: Path
) -> None:
    sale = tmp_path / "sale"
    sale.mkdir()
    both = read_image(photographs / f"{COINS[0]}.jpg")
    (sale / "lot7_obv.jpg").write_bytes(encode_jpeg(both[:, : both.shape[1] // 2], 70))
    assert rig("catalogue", "add", sale, "--lab", short_lab).code == 0
    with Store.open(short_lab / "store", writing=False) as store:
        path = store.path(store.catalogue.entries(sale="sale")[0].sha256)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    ran = rig("scan", "--tray", 1, "--lab", short_lab, "--json")
    assert [(coin["frames"], coin["verdict"]) for coin in ran.json["coins"]] == [(4, None)] * 3
    assert "Embedding the catalogue: 0 of 1" in ran.err and ran.err.count("could not be identified") == 3
    assert "Traceback" not in ran.err and path.name[:12] in ran.err, "the damaged file is named"


def test_an_empty_catalogue_is_reported_before_anything_moves(rig: Rig, short_lab: Path) -> None:
    assert rig("catalogue", "remove", *COINS, "--lab", short_lab).code == 0
    ran = rig("scan", "--tray", 1, "--lab", short_lab)
    assert ran.code == 1 and "is empty" in ran.err and "rig catalogue add" in ran.err
    with Store.open(short_lab / "store", writing=False) as store:
        assert store.sessions.find("scan") == []
