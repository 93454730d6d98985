"""What may change between two images of one coin, by name and by number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from calibration.outline import GREY_MEAN
from models.training.augmentation import KINDS, Augmentation
from tests.models.model_coins import crop_of

STILL = dict.fromkeys(KINDS["standard"], 0.0)
POSTERS = ("brightness", "contrast", "blur_px", "turn_deg", "shift", "bilinear", "perspective")


@given(seed=st.integers(0, 10_000), turn_deg=st.floats(0, 360), kind=st.sampled_from(sorted(KINDS)))
def test_changed_crops_stay_normalised(seed: int, turn_deg: float, kind: str) -> None:
    changed = Augmentation(kind=kind, halftone=0.5, hide=0.5).apply(crop_of(1), turn_deg, np.random.default_rng(seed))
    assert changed.shape == (224, 224, 3) and changed.dtype == np.uint8
    assert (changed[0, 0] == round(GREY_MEAN)).all()
    y, x = np.mgrid[:224, :224] - 111.5
    assert changed[np.hypot(x, y) < 100].mean() == pytest.approx(GREY_MEAN, abs=14)


def test_without_strength_nothing_changes_but_the_turn() -> None:
    crop = crop_of(1)
    same = Augmentation(**STILL).apply(crop, 0.0, np.random.default_rng(0))
    assert np.abs(same.astype(int) - crop.astype(int)).mean() < 3


@pytest.mark.parametrize("name", [name for name in STILL if name != "relight"])
def test_every_number_changes_the_image(name: str) -> None:
    crop, strong = crop_of(1), Augmentation(**{**STILL, name: 0.9 * _most(name)})
    still = Augmentation(**STILL).apply(crop, 0.0, np.random.default_rng(0)).astype(int)
    changed = [strong.apply(crop, 0.0, np.random.default_rng(seed)).astype(int) for seed in range(8)]
    assert max(np.abs(each - still).mean() for each in changed) > 2


def _most(name: str) -> float:
    return next(float(limit.le) for limit in Augmentation.model_fields[name].metadata if hasattr(limit, "le"))


def test_a_kind_names_all_numbers_and_others_may_be_given() -> None:
    tuned = Augmentation.model_validate({"kind": "tuned", "shift": "0.03"})
    assert tuned.shift == 0.03
    assert tuned.model_dump() == {"kind": "tuned", **KINDS["tuned"], "shift": 0.03}
    assert Augmentation.model_validate(tuned.model_dump()) == tuned
    with pytest.raises(ValidationError, match="standard"):
        Augmentation.model_validate({"kind": "strong"})


def test_standard_and_tuned_are_the_posters_and_the_others_add_to_them() -> None:
    for kind in ("standard", "tuned"):
        assert {name for name, value in KINDS[kind].items() if value} == set(POSTERS)
    for less, more in (("tuned", "reproduction"), ("reproduction", "relight")):
        added = {name for name in STILL if KINDS[less][name] != KINDS[more][name]}
        assert added and all(KINDS[less][name] == 0.0 for name in added)
