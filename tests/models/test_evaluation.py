"""The protocol: gallery from the first session, queries from the others, candidates of one type."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from model_coins import crop_of

from calibration.image import read_image
from calibration.outline import find_coin, normalise
from models.embedder import Embedder
from models.evaluation import EvaluationError, Sample, evaluate, interval_over_coins, ranks_of_truth, split

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


def test_the_interval_is_over_coins_not_pictures() -> None:
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
        picture = read_image(folder / row["file"])
        crop = normalise(picture, find_coin(picture))
        samples.append(Sample(row["file"], crop, row["coin_id"], row["placement"], row["denomination"]))
    result = evaluate(starter, samples)
    assert (result.queries, result.labels) == (1269, 217)
    assert result.rank1_interval95[0] >= 0.75
