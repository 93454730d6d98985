"""The protocol: gallery from the first session, queries from the others, candidates of one type."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from calibration.image import read_image
from calibration.outline import crop_coin
from models.embedding.embedder import STARTER_DIR, Embedder
from models.evaluation.evaluation import EvaluationError, evaluate, ranks_of_truth
from models.evaluation.measures import interval_over_coins
from models.evaluation.samples import Sample, split
from models.evaluation.verified import evaluate_verified
from tests.models.model_coins import crop_of

BLANK = np.zeros((1, 1, 3), np.uint8)


def sample(name: str, coin: str, session: str, kind: str = "") -> Sample:
    return Sample(name, BLANK, coin, session, kind)


def test_who_is_gallery_and_who_is_query() -> None:
    samples = [
        sample("5", "a", "s2"),
        sample("2", "a", "s1"),
        sample("1", "a", "s1"),
        sample("9", "b", "s2"),
        sample("8", "b", "s3"),
    ]
    gallery, queries, within = split(samples)
    assert [s.name for s in gallery] == ["1", "9"]
    assert [s.name for s in queries] == ["5", "8"]
    assert [s.name for s in within] == ["2"]


def test_ranks_count_candidates_of_the_type_only_and_ties_against() -> None:
    gallery = [sample("", "a", "", "x"), sample("", "b", "", "x"), sample("", "c", "", "y"), sample("", "d", "", "x")]
    queries = [sample("", "a", "", "x"), sample("", "c", "", "y"), sample("", "d", "", "x")]
    scores = np.array([[0.5, 0.6, 0.9, 0.1], [0.9, 0.9, 0.1, 0.9], [0.2, 0.3, 0.9, 0.3]], np.float32)
    assert ranks_of_truth(scores, queries, gallery).tolist() == [2, 1, 2]


def test_the_interval_is_over_coins_not_images() -> None:
    one_bad_coin = ["a"] * 90 + ["b"] * 10
    hits = np.array([True] * 90 + [False] * 10)
    low, high = interval_over_coins(hits, one_bad_coin)
    assert (low, high) == (0.0, 1.0)
    assert interval_over_coins(hits, one_bad_coin) == (low, high)
    narrow = interval_over_coins(np.array([True, False] * 100), [str(n // 2) for n in range(200)])
    assert narrow == (0.5, 0.5)


def test_coins_turned_and_lit_otherwise_are_found_again(plain: Embedder) -> None:
    samples = []
    for coin in range(12):
        samples.append(Sample(f"{coin}-a", crop_of(coin), str(coin), "monday", "type"))
        samples.append(Sample(f"{coin}-b", crop_of(coin, 150.0, 0.0, noise=9.0), str(coin), "monday", "type"))
        samples.append(Sample(f"{coin}-c", crop_of(coin, 200.0, 80.0), str(coin), "tuesday", "type"))
    steps: list[tuple[int, int]] = []
    result = evaluate(plain, samples, turns=36, on_progress=lambda done, of: steps.append((done, of)))
    assert result.queries == result.labels == 12
    assert result.rank1 >= 0.75
    assert result.rank1 <= result.rank5 <= result.rank10 <= 1.0
    assert result.rank1 <= result.map <= 1.0
    assert result.rank1_interval95[0] <= result.rank1 <= result.rank1_interval95[1]
    assert result.within_session_rank1 is not None
    assert steps[-1] == (36, 36)
    assert result.as_dict()["protocol"].startswith("cross-session")


@pytest.mark.slow
def test_some_queries_are_verified_with_their_coin_in_the_gallery_and_without() -> None:
    kinds = {coin: "a" if coin < 3 else "b" for coin in range(5)}
    samples = [
        Sample(f"{coin}-{session}", crop_of(coin, lamp_deg, turn_deg), str(coin), session, kind)
        for coin, kind in kinds.items()
        for session, lamp_deg, turn_deg in (("monday", 135.0, 0.0), ("tuesday", 170.0, 40.0))
    ]
    found = evaluate_verified(Embedder.load("starter"), samples, 4)
    assert (found.queries, found.coins) == (4, 4)
    for figures in found.stages.values():
        assert 0.0 <= figures.fnir_at_fpir["0.1"] <= figures.fnir_at_fpir["0.01"] <= 1.0 and figures.rank1 >= 0.5
        assert figures.rank1_interval95[0] <= figures.rank1 <= figures.rank1_interval95[1] and figures.ece <= 1.0


def test_without_a_second_session_there_is_nothing_to_evaluate(plain: Embedder) -> None:
    with pytest.raises(EvaluationError, match="two sessions"):
        evaluate(plain, [sample("1", "a", "s1"), sample("2", "b", "s1")])


@pytest.mark.slow
def test_real_coins_are_found_again_by_the_starter(starter: Embedder) -> None:
    shared = os.environ.get("RIG_SHARED")
    if not shared:
        pytest.skip("RIG_SHARED is not set: no real photographs here")
    folder = Path(shared) / "data" / "euro_same_coin"
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    samples = []
    for row in rows:
        image = read_image(folder / row["file"])
        crop = crop_coin(image)
        samples.append(Sample(row["file"], crop, row["coin_id"], row["placement"], row["denomination"]))
    result = evaluate(starter, samples)
    assert (result.queries, result.labels) == (1269, 217)
    assert result.rank1_interval95[0] >= 0.75


def test_intervals_are_over_coins_where_sides_are_searched_for_themselves(plain: Embedder) -> None:
    """Two sides of each of a few coins, against as many coins of one side: half as many to draw from."""

    def seen(is_one_coin: bool) -> list[Sample]:
        return [
            Sample(f"{n}{day}", crop_of(n, 135.0 + lamp), f"{n}", day, specimen=f"{n // 6}" if is_one_coin else "")
            for n in range(12)
            for day, lamp in (("a", 0.0), ("b", 150.0))
        ]

    one, other = (evaluate(plain, seen(is_one_coin), turns=1) for is_one_coin in (False, True))
    assert one.rank1 == other.rank1 and 0.0 < one.rank1 < 1.0
    assert one.rank1_interval95 != other.rank1_interval95


def days(coins: int) -> list[Sample]:
    """Coins of two types, seen on two days; two coins of a type share a die."""
    samples = []
    for coin in range(coins):
        kind, die = f"type {coin % 2}", f"die {coin // 4} of {coin % 2}"
        samples.append(Sample(f"{coin}-a", crop_of(coin), str(coin), "monday", kind, die))
        for number in range(2):
            crop = crop_of(coin, 150.0 + 20.0 * number, noise=9.0)
            samples.append(Sample(f"{coin}-{number}", lambda crop=crop: crop, str(coin), "tuesday", kind, die))
    return samples


def test_every_figure_is_given_and_blocks_on_disk_change_none(plain: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    card = {**plain.card, "probability": json.loads((STARTER_DIR / "card.json").read_text())["probability"]}
    fitted = Embedder(plain.network, card)
    result = evaluate(fitted, days(12), turns=4)
    assert result.any_type_rank1 <= result.rank1 <= (result.same_die_rank1 or 0.0)
    assert result.tar_at_far["0.1"] is not None and result.tar_at_far["0.001"] is None, "264 pairs are too few"
    assert (result.tar_at_far_same_type["0.1"] or 0.0) <= result.tar_at_far["0.1"]
    assert result.fnir_at_fpir["0.1"] <= result.fnir_at_fpir["0.01"]
    assert result.fnir_at_fpir1_interval95[0] <= result.fnir_at_fpir["0.01"] <= result.fnir_at_fpir1_interval95[1]
    assert result.ece is not None and result.curves.reliability is not None
    assert [outcome.rank == 1 for outcome in result.outcomes].count(True) == round(result.rank1 * result.queries)
    assert evaluate(plain, days(12), turns=4).ece is None, "it was never fitted"
    monkeypatch.setattr("models.evaluation.scores._BLOCK", 5)
    monkeypatch.setattr("models.evaluation.scores._IN_MEMORY", 0)
    in_blocks = evaluate(fitted, days(12), turns=4)
    assert in_blocks.rank1 == result.rank1 and in_blocks.fnir_at_fpir == result.fnir_at_fpir
    scores = [[outcome.score for outcome in each.outcomes] for each in (result, in_blocks)]
    assert scores[0] == pytest.approx(scores[1], abs=2e-3)


@pytest.mark.slow
def test_memory_does_not_hold_the_gallery() -> None:
    """Grids of the images that the second gallery has more would take 125 MB, the images themselves 1.5 GB."""
    peaks_mb = []
    for images in (2_000, 12_000):
        command = [sys.executable, str(Path(__file__).with_name("evaluate_many.py")), str(images)]
        root = Path(__file__).parents[3]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(root)}
        )
        assert done.returncode == 0, done.stderr
        peaks_mb.append(int(done.stdout) / 1024)
    an_image_kb = (peaks_mb[1] - peaks_mb[0]) * 1024 / 10_000
    print(f"{an_image_kb:.2f} kB an image of the gallery; {peaks_mb[0]:.0f} MB with 2,000")
    assert an_image_kb < 5.0, "a million would take more than 5 GB"
