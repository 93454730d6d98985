"""What the project promises on photographs of real coins. Slow, and only where $RIG_SHARED is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.pipeline.conftest import Rig

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("RIG_SHARED" not in os.environ, reason="$RIG_SHARED is not set: the photographs are not here"),
]
SHARED = Path(os.environ.get("RIG_SHARED", "."))
SIX_LIGHTS = "sides: [obverse, reverse]\nlights: [az000, az060, az120, az180, az240, az300]\nturntable_deg: [0]\n"


def test_coins_of_a_full_tray_are_named_and_unknown_coins_are_not(rig: Rig, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    made = rig("init", "--coins", SHARED / "data" / "toulouse", "--lab", lab, "--json")
    assert made.code == 0 and made.json["coins"] == 579 and made.json["entries"] == 1158
    (lab / "plans" / "default.yaml").write_text(SIX_LIGHTS)
    known = rig("scan", "--tray", 3, "--lab", lab, "--json", timeout_s=1200)
    assert known.code == 0, known.err
    coins = known.json["coins"]
    assert len(coins) == 20
    assert sum(coin["candidates"][0]["coin"] == coin["coin"] for coin in coins) >= 19
    unknown = [coin["coin"] for coin in coins[::4]]
    assert rig("catalogue", "remove", *unknown, "--lab", lab).code == 0
    again = rig("identify", "--tray", 3, "--lab", lab, "--json", timeout_s=1200)
    assert again.code == 0, again.err
    judged = {coin["image"]: coin for coin in again.json}
    assert sum(judged[coin]["verdict"] in ("possible", "not in catalogue") for coin in unknown) >= 4
    for coin in unknown:
        assert judged[coin]["verdict"] != "match" or judged[coin]["candidates"][0]["probability"] <= 0.9
    others = [coin for coin in judged if coin not in unknown]
    assert sum(judged[coin]["candidates"][0]["coin"] == coin for coin in others) >= 14


def test_the_same_euro_is_found_again_in_another_light(rig: Rig, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    assert rig("init", "--lab", lab).code == 0
    euros = SHARED / "data" / "euro_same_coin"
    imported = rig("import", euros, "--labels", euros / "labels.csv", "--lab", lab, "--json", timeout_s=600)
    assert imported.code in (0, 3), imported.err
    assert imported.json["photographs"] == 1942 and imported.json["coins"] == 217
    evaluated = rig("evaluate", "--lab", lab, "--json", timeout_s=1800)
    assert evaluated.code == 0, evaluated.err
    assert evaluated.json["queries"] + len(evaluated.json["excluded"]) >= 1260 and len(evaluated.json["excluded"]) < 60
    assert evaluated.json["labels"] >= 215
    assert evaluated.json["rank1"] >= 0.75
    low, high = evaluated.json["rank1_interval95"]
    assert low < evaluated.json["rank1"] < high
