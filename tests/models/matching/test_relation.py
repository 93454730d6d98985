"""One coin photographed twice, or two of one die: the surface in register says which."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.outline import crop_coin
from models.matching.relation import RELATIONS, Regression, Relation
from models.matching.verification import shipped_verification
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.reproduction import reproduction
from tests.models.matching.die_mates import SEED, same_dies


def test_two_prints_of_a_coin_are_one_coin_and_its_die_mate_is_another() -> None:
    drawer, (own, mate) = ProceduralDrawer(SEED), same_dies(2)
    prints = [(own, 1), (own, 2), (mate, 1)]
    crops = [crop_coin(reproduction(drawer.side_texture(coin, "obverse"), n, "photograph")) for coin, n in prints]
    first, again, of_mate = crops
    verifier = shipped_verification().verifier
    same = verifier.compare(first, again)
    other = verifier.compare(first, of_mate)
    assert same.shares["same coin"] > 0.9 and same.log_ratio > 2
    assert other.shares["same coin"] < 0.1 and other.log_ratio < -2
    assert sum(same.shares.values()) == pytest.approx(1.0) and tuple(same.shares) == RELATIONS


def test_what_cannot_be_registered_is_hardly_the_coin() -> None:
    likelihoods = shipped_verification().verifier.likelihoods(None)
    assert likelihoods.argmax() == RELATIONS.index("other") and likelihoods.argmin() == RELATIONS.index("same coin")


def test_a_regression_learns_what_sets_one_coin_apart_and_is_the_same_read_from_its_card() -> None:
    rng = np.random.default_rng(0)
    levels: dict[Relation, float] = {"same coin": 3.0, "same die": 1.0, "same type": 0.0}
    pairs = [(relation, rng.normal(level, 0.3, 5)) for relation, level in levels.items() for _ in range(30)]
    fitted = Regression.fit(pairs, squared=True)
    read = Regression.from_card(fitted.as_card(), 5, squared=True)
    for place, level in enumerate(levels.values()):
        likelihoods = read.likelihoods(np.full(5, level))
        assert likelihoods.argmax() == place
        assert likelihoods == pytest.approx(fitted.likelihoods(np.full(5, level)), abs=1e-2)
    with pytest.raises(ValueError, match="of one die"):
        Regression.fit([pair for pair in pairs if pair[0] != "same die"], squared=True)
    with pytest.raises(ValueError, match="another version"):
        Regression.from_card(fitted.as_card(), 5, squared=False)
