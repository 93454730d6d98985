"""The same photograph under two names is found; another photograph of the coin is not taken for it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from calibration.image import Image
from models.matching.duplicates import find_duplicates, join_names, unroll
from tests.models.model_coins import crop_of


def saved_again(crop: Image) -> Image:
    """Smaller, compressed, and back."""
    small = cv2.resize(crop, (150, 150), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])
    return cv2.resize(cv2.imdecode(data, cv2.IMREAD_COLOR), (224, 224), interpolation=cv2.INTER_LINEAR)


def turned(crop: Image, turn_deg: float) -> Image:
    matrix = cv2.getRotationMatrix2D(((crop.shape[1] - 1) / 2,) * 2, turn_deg, 1)
    return np.asarray(cv2.warpAffine(crop, matrix, crop.shape[1::-1]), np.uint8)


def marked(crop: Image) -> Image:
    """With a watermark across it."""
    with_mark = cv2.putText(crop.copy(), "SALE 12", (30, 120), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255, 255, 255), 2)
    return np.asarray(cv2.addWeighted(crop, 0.4, with_mark, 0.6, 0), np.uint8)


COPIES: dict[str, Callable[[Image], Image]] = {
    "saved again": saved_again,
    "brighter": lambda crop: np.clip(crop * 1.25 + 15, 0, 255).astype(np.uint8),
    "turned": lambda crop: turned(crop, 71),
    "mirrored": lambda crop: np.ascontiguousarray(crop[:, ::-1]),
    "mirrored and turned": lambda crop: turned(np.ascontiguousarray(crop[:, ::-1]), 140),
    "watermarked": marked,
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_copy_is_found_whatever_was_done_to_it(copy: Callable[[Image], Image]) -> None:
    crops = [crop_of(number, noise=2.0) for number in range(8)]
    crops += [copy(crops[3]), copy(crops[7])]
    images, names = [unroll(crop) for crop in crops], [str(number) for number in range(len(crops))]
    assert {(pair.first, pair.second) for pair in find_duplicates(images, names)} == {(3, 8), (7, 9)}
    names[8] = names[3]
    assert len(find_duplicates(images, names)) == 1, "images of one name are not compared"


def test_another_photograph_of_the_coin_is_no_copy() -> None:
    crops = [crop_of(3), crop_of(3, lamp_deg=300.0), crop_of(5), crop_of(5, turn_deg=60.0)]
    assert find_duplicates([unroll(crop) for crop in crops], list("abcd")) == []
    assert find_duplicates([], []) == []


def test_names_are_joined_through_others() -> None:
    groups = join_names(["a", "b", "c", "d", "e"], [("d", "b"), ("b", "e")])
    assert groups == {"a": "a", "b": "b", "c": "c", "d": "b", "e": "b"}
