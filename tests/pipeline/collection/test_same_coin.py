"""A coin that was sold twice is in the catalogue under two names: no reason to be less certain of either."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.image import encode_jpeg, read_image
from rig.sides import SIDES
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.reproduction import reproduction
from tests.models.matching.die_mates import SEED, same_dies
from tests.pipeline.conftest import COINS, Rig
from tests.variants import usually

COIN = COINS[1]


def photograph(photographs: Path, path: Path, turn_deg: float, scale: float = 0.8, light: float = 0.9) -> None:
    """Another photograph of the coin's obverse: turned, of another size, darker."""
    image = read_image(photographs / f"{COIN}.jpg")
    side = cv2.resize(image[:, : image.shape[1] // 2], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    matrix = cv2.getRotationMatrix2D((side.shape[1] / 2, side.shape[0] / 2), turn_deg, 1)
    turned = cv2.warpAffine(side, matrix, side.shape[1::-1], borderValue=(250, 250, 250))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(encode_jpeg(np.clip(turned * light, 0, 255).astype("uint8"), 88))


@pytest.fixture
def query(photographs: Path, tmp_path: Path) -> Path:
    path = tmp_path / "query.jpg"
    photograph(photographs, path, 70.0)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("sales", usually((3,), (3, 5)))
def test_sold_again_and_again_it_is_a_match_and_every_lot_is_named(
    rig: Rig, lab: Path, photographs: Path, query: Path, tmp_path: Path, sales: int
) -> None:
    (once,) = rig("identify", query, "--lab", lab, "--json").json
    assert once["verdict"] == "match" and "also" not in once["candidates"][0]
    for number in range(1, sales + 1):
        path = tmp_path / "sales" / f"lot{number}_obv.jpg"
        photograph(photographs, path, 25.0 * number, 0.6 + 0.08 * number, 0.7 + 0.06 * number)
    assert rig("catalogue", "add", path.parent, "--lab", lab).code == 0
    ran = rig("identify", query, "--lab", lab, "--json", "--report")
    best, *others = ran.json[0]["candidates"]
    assert ran.json[0]["verdict"] == "match" and best["probability"] >= once["candidates"][0]["probability"] - 0.005
    lots = {COIN, *(f"lot{number}" for number in range(1, sales + 1))}
    assert {best["coin"], *(other["coin"] for other in best["also"])} == lots
    assert all(set(other) == {"coin", "entry", "probability"} for other in best["also"])
    assert not lots & {other["coin"] for other in others}
    assert {sale["coin"] for sale in best["sales"]} == lots, "the chain of its sales"
    (page,) = lab.rglob("*.html")
    assert page.read_text().count("probably the same coin") == sales
    denied = "lot3"
    for lot in lots - {denied}:
        rig("reject" if lot != best["coin"] else "confirm", denied, lot, "--why", "another flan", "--lab", lab)
    assert rig("confirm", COIN, "lot1", "--why", "the same crack", "--lab", lab).code == 0
    best = rig("identify", query, "--lab", lab, "--json").json[0]["candidates"][0]
    also = {other["coin"]: other["probability"] for other in best["also"]}
    assert also.keys() | {best["coin"]} == lots and also[denied] == 1.0, "a person's word counts above similarity"


@pytest.mark.slow
def test_building_the_catalogue_proposes_the_coins_that_are_in_it_twice(
    rig: Rig, lab: Path, photographs: Path, tmp_path: Path
) -> None:
    photograph(photographs, tmp_path / "sale" / "lot 7_obv.jpg", 130.0)
    assert rig("catalogue", "add", tmp_path / "sale", "--lab", lab).code == 0
    built = rig("catalogue", "build", "--lab", lab, "--json").json
    assert [pair["coins"] for pair in built["same_coin"]] == [[COIN, "lot 7"]]
    printed = rig("identify", tmp_path / "sale" / "lot 7_obv.jpg", "--lab", lab).out
    assert f"also {COIN}" in printed
    again = rig("catalogue", "build", "--lab", lab)
    assert f"{COIN} and lot 7" in again.out and "Comparing" not in again.err, "nothing is compared twice"


@pytest.mark.slow
def test_a_coin_of_the_same_die_is_another_coin(rig: Rig, lab: Path, tmp_path: Path) -> None:
    drawer, (own, mate) = ProceduralDrawer(SEED), same_dies(2)

    def add(sale: str, coins: dict[str, tuple[str, int]]) -> None:
        (tmp_path / sale).mkdir()
        for lot, (coin, seed) in coins.items():
            for side in SIDES:
                image = reproduction(drawer.side_texture(coin, side), seed, "photograph")
                (tmp_path / sale / f"{lot}_{side}.jpg").write_bytes(encode_jpeg(image))
        assert rig("catalogue", "add", tmp_path / sale, "--lab", lab).code == 0

    photo = tmp_path / "photo.jpg"
    photo.write_bytes(encode_jpeg(reproduction(drawer.side_texture(own, "obverse"), 1, "photograph")))
    add("first", {"mate": (mate, 1)})
    (alone,) = rig("identify", photo, "--lab", lab, "--json").json
    assert alone["verdict"] in ("same die", "not in catalogue") and alone["candidates"][0]["coin"] == "mate"
    add("second", {"own": (own, 2), "again": (own, 3)})
    built = rig("catalogue", "build", "--lab", lab, "--json").json
    assert [pair["coins"] for pair in built["same_coin"]] == [["again", "own"]]
    ran = rig("identify", photo, "--lab", lab, "--json", "--report")
    best = ran.json[0]["candidates"][0]
    assert ran.json[0]["verdict"] == "match"
    assert {best["coin"], *(other["coin"] for other in best["also"])} == {"own", "again"}
    assert {sale["coin"] for sale in best["sales"]} == {"own", "again"}
