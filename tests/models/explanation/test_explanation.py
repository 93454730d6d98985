"""Why two coins are similar: the parts sum to the score, and the mark that two coins share is found."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from models.embedding.backbones import BACKBONES, build
from models.embedding.embedder import Embedder, EmbedderNetwork
from models.explanation.explanation import Explanation, explain
from models.explanation.last_map import ExplanationError
from models.matching.entries import embed_entries
from models.matching.grid import compare
from models.matching.rotation import turn_crop
from tests.models.explanation.planted import shares_found
from tests.models.model_coins import crop_of

OTHERS = [crop_of(number) for number in range(20, 26)]
METHODS = ("cells", "gradcam", "occlusion")


def sum_of(explanation: Explanation) -> float:
    assert explanation.common is not None
    return explanation.common + sum(pair.part for pair in explanation.pairs)


def embedder_of(backbone: str) -> Embedder:
    torch.manual_seed(2)
    card = {"name": backbone, "backbone": backbone, "channels": BACKBONES[backbone].channels}
    return Embedder(EmbedderNetwork(backbone, build(backbone)), card)


@pytest.mark.parametrize("reference", [[], OTHERS], ids=["no reference", "reference"])
def test_the_parts_sum_to_the_score_that_matching_gives(plain: Embedder, reference: list[np.ndarray]) -> None:
    first, second = turn_crop(crop_of(3), 50.0), crop_of(3, noise=9.0)
    explanation = explain(plain, first, second, reference=reference)
    turned = plain.embed([turn_crop(first, explanation.turn_deg)])
    assert explanation.score == pytest.approx(float(compare(turned.grid, plain.embed([second]).grid)[0, 0]), abs=1e-6)
    assert sum_of(explanation) == pytest.approx(explanation.score, abs=1e-5)
    assert explanation.turn_deg in (300.0, 310.0, 320.0)
    strengths = [pair.strength for pair in explanation.pairs]
    assert strengths == sorted(strengths, reverse=True)


def test_a_model_that_scores_with_a_rotation_invariant_part_is_explained_as_exactly(plain: Embedder) -> None:
    sharing = Embedder(plain.network, {**plain.card, "rotation_invariant_share": 0.4})
    first, second = crop_of(3), crop_of(3, lamp_deg=170.0)
    explanation = explain(sharing, first, second, reference=OTHERS[:2], turns=4)
    turned = sharing.embed([turn_crop(first, explanation.turn_deg)])
    score = float(compare(turned.grid, embed_entries(sharing, [second]).grid)[0, 0])
    assert explanation.score == pytest.approx(score, abs=1e-6)
    assert sum_of(explanation) == pytest.approx(score, abs=1e-5)


def test_of_a_base_network_every_cell_is_paired_with_every_cell() -> None:
    explanation = explain(embedder_of("mobilenet_v3_small-base"), crop_of(1), crop_of(2), reference=OTHERS, turns=4)
    assert len(explanation.pairs) == 49 * 49
    assert sum_of(explanation) == pytest.approx(explanation.score, abs=1e-5)


def test_the_evidence_lies_where_the_coins_are_similar_and_turns_with_the_first(plain: Embedder) -> None:
    one, other = crop_of(4), crop_of(5).copy()
    other[40:110, 40:110] = one[40:110, 40:110]
    explanation = explain(plain, one, other, reference=OTHERS, turns=1)
    strongest = np.unravel_index(int(explanation.second.argmax()), (224, 224))
    assert all(36 <= place <= 114 for place in strongest)
    turned = explain(plain, np.ascontiguousarray(np.rot90(one)), other, reference=OTHERS, turns=4)
    assert turned.turn_deg == 270.0
    assert (
        np.corrcoef(np.rot90(explanation.first)[30:194, 30:194].ravel(), turned.first[30:194, 30:194].ravel())[0, 1]
        > 0.9
    )
    x, y = turned.pairs[0].first_px
    assert (x, y) != turned.pairs[0].second_px


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_map_of_each_coin(plain: Embedder, method: str) -> None:
    explanation = explain(plain, crop_of(6), crop_of(6, noise=9.0), method, turns=1)  # type: ignore[arg-type]
    for found in (explanation.first, explanation.second):
        assert found.shape == (224, 224) and found.dtype == np.float32
        assert found.max() > 0.0 and found[0, 0] == 0.0
    assert (explanation.common is None) == (method != "cells")


def test_what_a_network_cannot_explain_is_reported(plain: Embedder) -> None:
    with pytest.raises(ExplanationError, match="gradcam"):
        explain(plain, crop_of(1), crop_of(2), "attention", turns=1)


@pytest.mark.slow
def test_a_transformer_shows_what_it_attends_to() -> None:
    for name in ("vit_b_16", "vit_b_16-base"):
        explanation = explain(embedder_of(name), crop_of(1), crop_of(2), "attention", turns=1)
        assert explanation.first.max() > 0.0
        with pytest.raises(ExplanationError, match="attention"):
            explain(embedder_of(name), crop_of(1), crop_of(2), "gradcam", turns=1)
    with pytest.raises(ExplanationError, match="attention"):
        explain(embedder_of("vit_b_16-base"), crop_of(1), crop_of(2), turns=1)


NEEDS_WEIGHTS = pytest.mark.skipif("RIG_SHARED" not in os.environ, reason="$RIG_SHARED is not set: no weights here")


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_WEIGHTS", os.path.join(os.environ["RIG_SHARED"], "weights"))  # noqa: PTH118


@pytest.mark.slow
def test_the_shipped_model_points_at_the_centre_of_a_countermark_that_two_coins_share() -> None:
    embedder = Embedder.load("starter")
    centre, part = shares_found(embedder, 20, is_planted=True, same_type=True)
    print(f"{embedder.name}: centre {centre:.1%}, any part {part:.1%}")
    assert centre >= 0.75 and part >= 0.85


@pytest.mark.slow
@NEEDS_WEIGHTS
def test_a_countermark_that_two_coins_share_is_in_the_top_of_the_evidence(weights: None) -> None:
    _, part = shares_found(Embedder.load("resnet18"), 5, others=8, is_planted=True, same_type=True)
    assert part >= 0.8


@pytest.mark.slow
@NEEDS_WEIGHTS
@pytest.mark.parametrize("same_type", [True, False], ids=["one type", "two types"])
def test_even_the_cell_at_the_centre_of_the_mark_is_in_the_top(weights: None, same_type: bool) -> None:
    embedder = Embedder.load("resnet18")
    centre, part = shares_found(embedder, 60, is_planted=True, same_type=same_type)
    chance, part_by_chance = shares_found(embedder, 60, is_planted=False, same_type=same_type)
    print(f"{embedder.name}: centre {centre:.1%}, any part {part:.1%}; unmarked {chance:.1%}, {part_by_chance:.1%}")
    assert centre >= 0.8 and chance <= 0.25
