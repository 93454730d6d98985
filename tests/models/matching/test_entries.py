"""Catalogue entries: their rotation-invariant part."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.embedding.embedder import STARTER_DIR, Embedder
from models.matching.entries import ENTRY_TURNS, embed_entries
from models.matching.grid import cells_on_coin, compare
from models.matching.probability import Probability
from models.matching.rotation import turn_crop
from tests.models.model_coins import crop_of


def test_an_entry_holds_its_rotation_invariant_part_as_the_card_says(plain: Embedder) -> None:
    crops = [crop_of(4), crop_of(5)]
    query, bare = plain.embed([crop_of(4, 200.0, 40.0)]), plain.embed(crops)
    assert np.array_equal(embed_entries(plain, crops).grid, bare.grid)
    mixing = Embedder(plain.network, {**plain.card, "rotation_invariant_share": 0.25})
    assert mixing.id != plain.id
    entries = embed_entries(mixing, crops)
    turns = [360.0 * step / ENTRY_TURNS for step in range(ENTRY_TURNS)]
    for place, crop in enumerate(crops):
        total = cells_on_coin(plain.embed([turn_crop(crop, turn) for turn in turns]).grid).sum(axis=0)
        rotation_invariant = float(cells_on_coin(query.grid)[0] @ total) / float(np.linalg.norm(total))
        expected = 0.75 * compare(query.grid, bare.grid)[0, place] + 0.25 * rotation_invariant
        assert compare(query.grid, entries.grid)[0, place] == pytest.approx(expected, abs=2e-3)


def test_the_rotation_invariant_part_alone_tells_coins_apart_at_any_turn(plain: Embedder) -> None:
    mixing = Embedder(plain.network, {**plain.card, "rotation_invariant_share": 0.95})
    entries = embed_entries(mixing, [crop_of(coin) for coin in range(8)])
    queries = plain.embed([crop_of(coin, 135.0 + 77.0, 77.0) for coin in range(8)])
    found = compare(queries.grid, entries.grid).argmax(axis=1)
    assert np.mean(found == np.arange(8)) >= 0.75


def test_cards_of_version_0_1_0_are_read(plain: Embedder) -> None:
    now = Embedder(plain.network, {**plain.card, "rotation_invariant_share": 0.25})
    former = Embedder(plain.network, {**plain.card, "turnless_share": 0.25})
    assert former.id == now.id, "what was embedded by 0.1.0 is still of this model"
    crops = [crop_of(4)]
    assert np.array_equal(embed_entries(former, crops).grid, embed_entries(now, crops).grid)
    card = json.loads((STARTER_DIR / "card.json").read_text())
    renamed = {**card["probability"], "strangers": card["probability"]["impostors"]}
    del renamed["impostors"]
    assert Probability.from_card({"probability": renamed}) == Probability.from_card(card)
