"""Crops to features."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.embedding.backbones import WeightsError, build
from models.embedding.embedder import CARD_FILE, STARTER_DIR, WEIGHTS_FILE, Embedder, EmbedderNetwork
from tests.models.model_coins import crop_of


def test_features_have_unit_length_and_shape(plain: Embedder) -> None:
    features = plain.embed([crop_of(1), crop_of(2), crop_of(3)])
    assert features.pooled.shape == (3, 48 * 16) and features.pooled.dtype == np.float32
    assert features.grid.shape == (3, 48, 14, 14) and features.grid.dtype == np.float16
    assert np.linalg.norm(features.pooled, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert np.linalg.norm(features.grid.astype(np.float32), axis=1) == pytest.approx(1.0, abs=5e-3)


def test_nothing_in_nothing_out(plain: Embedder) -> None:
    features = plain.embed([])
    assert features.pooled.shape == (0, 48 * 16)
    assert features.grid.shape == (0, 48, 14, 14)


def test_a_crop_embeds_the_same_alone_and_in_a_crowd(plain: Embedder) -> None:
    alone = plain.embed([crop_of(5)])
    crowd = plain.embed([crop_of(n) for n in range(40)])
    assert crowd.pooled[5] @ alone.pooled[0] == pytest.approx(1.0, abs=2e-3)


def test_saved_and_loaded_it_is_the_same_embedder(tmp_path: Path) -> None:
    torch.manual_seed(3)
    card = {"name": "small", "backbone": "mobilenet_v3_small", "channels": 16, "probability": None}
    first = Embedder(EmbedderNetwork("mobilenet_v3_small", build("mobilenet_v3_small").half().float(), 16), card)
    first.save(tmp_path / "small")
    second = Embedder.load(tmp_path / "small")
    assert second.id == first.id
    assert second.card == first.card
    assert second.embed([crop_of(1)]).pooled.shape == (1, 16 * 16)
    third = Embedder.load(tmp_path / "small")
    assert np.array_equal(second.embed([crop_of(1)]).grid, third.embed([crop_of(1)]).grid)


def test_other_weights_other_id(plain: Embedder) -> None:
    torch.manual_seed(99)
    other = Embedder(EmbedderNetwork("mobilenet_v3_small", build("mobilenet_v3_small")), plain.card)
    assert other.id != plain.id


def test_an_embedder_that_is_not_there_says_what_is(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="starter"):
        Embedder.load(tmp_path / "nothing")


@pytest.mark.parametrize("damage", ["card", "weights", "channels"])
def test_a_damaged_embedder_is_refused(plain: Embedder, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "damaged"
    plain.save(folder)
    if damage == "card":
        (folder / CARD_FILE).write_text("{")
    elif damage == "weights":
        (folder / WEIGHTS_FILE).write_bytes(b"\0" * 64)
    else:
        (folder / CARD_FILE).write_text(json.dumps({**plain.card, "channels": 7}))
    with pytest.raises(WeightsError, match="damaged"):
        Embedder.load(folder)


def test_the_starter_is_small_and_knows_its_probability(starter: Embedder) -> None:
    assert sum(path.stat().st_size for path in STARTER_DIR.iterdir()) < 12_000_000
    assert starter.name == "starter"
    assert len(starter.card["probability"]["weights"]) == 3
    assert (STARTER_DIR / "card.md").is_file()
