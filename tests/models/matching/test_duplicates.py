"""The same photograph under two names is found; another photograph of the coin is not taken for it."""

from __future__ import annotations

import cv2
import numpy as np

from calibration.image import Image
from models.embedding.embedder import Embedder
from models.matching.duplicates import find_duplicates, join_names, perceptual_hash
from tests.models.model_coins import crop_of


def saved_again(crop: Image) -> Image:
    """Smaller, compressed, and back."""
    small = cv2.resize(crop, (150, 150), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])
    return cv2.resize(cv2.imdecode(data, cv2.IMREAD_COLOR), (224, 224), interpolation=cv2.INTER_LINEAR)


def test_only_the_same_image_is_a_duplicate(starter: Embedder) -> None:
    crops = [crop_of(number, noise=2.0) for number in range(12)]
    crops += [saved_again(crops[3]), saved_again(crops[7])]
    crops += [crop_of(3, lamp_deg=300.0), crop_of(5, turn_deg=20.0)]  # other photographs of coins that are there
    hashes = np.stack([perceptual_hash(crop) for crop in crops])
    coins = [str(number) for number in range(len(crops))]
    found = find_duplicates(hashes, coins, starter, crops.__getitem__)
    assert {(pair.first, pair.second) for pair in found} == {(3, 12), (7, 13)}
    coins[12] = coins[3]
    assert len(find_duplicates(hashes, coins, starter, crops.__getitem__)) == 1, "a coin may be seen twice"


def test_names_are_joined_through_others() -> None:
    groups = join_names(["a", "b", "c", "d", "e"], [("d", "b"), ("b", "e")])
    assert groups == {"a": "a", "b": "b", "c": "c", "d": "b", "e": "b"}
