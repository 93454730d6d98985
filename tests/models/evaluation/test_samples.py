"""Copies are left out of an evaluation; what the rig took itself is none."""

from __future__ import annotations

import pytest

from models.evaluation.samples import Sample, leave_out_copies
from tests.models.model_coins import crop_of


@pytest.mark.parametrize("is_scanned", [False, True])
def test_the_same_image_in_two_sessions_counts_once_unless_the_rig_took_it(is_scanned: bool) -> None:
    crop = crop_of(3)
    samples = [Sample(f"{day}.jpg", crop, "coin", day, is_scanned=is_scanned) for day in ("monday", "tuesday")]
    kept, copies = leave_out_copies([*samples, Sample("other.jpg", crop_of(4), "other", "monday")])
    assert len(kept) == (3 if is_scanned else 2)
    assert [(copy.name, copy.copy_of) for copy in copies] == ([] if is_scanned else [("tuesday.jpg", "monday.jpg")])
