"""Bundles: written whole, read back the same, refused when tampered with."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from calibration.bundle import Bundle, latest, load, save
from calibration.errors import CalibrationError
from calibration.lens import Lens
from tests.mutations import mutate


def _bundle(seed: int = 0, day: int = 1) -> Bundle:
    rng = np.random.default_rng(seed)
    lens = Lens(np.diag([5300.0, 5301.0, 1.0]), rng.normal(0, 1, 4), 0.03, 1280, 960)
    flats = {f"az{azimuth:03d}": rng.uniform(0.8, 1.2, (60, 80, 3)).astype(np.float16) for azimuth in (0, 60)}
    return Bundle("twin twin://camera", lens, 0.04717, flats, datetime(2026, 1, day, 12, 30, tzinfo=UTC))


def test_there_and_back(tmp_path: Path) -> None:
    bundle = _bundle()
    folder = save(bundle, tmp_path)
    assert folder.name == f"20260101T123000Z_{bundle.id}"
    back = load(folder)
    assert back.id == bundle.id
    assert back.camera == bundle.camera
    assert back.created_at == bundle.created_at
    assert (back.lens.matrix == bundle.lens.matrix).all()
    assert (back.lens.distortion == bundle.lens.distortion).all()
    assert (back.flats["az060"] == bundle.flats["az060"]).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name]


def test_id_is_of_the_content() -> None:
    bundle = _bundle()
    assert _bundle().id == bundle.id
    assert len(bundle.id) == 12
    other_flat = {**bundle.flats, "az000": bundle.flats["az000"] * np.float16(1.01)}
    for other in (
        replace(bundle, mm_per_pixel=0.0472),
        replace(bundle, camera="another"),
        replace(bundle, flats=other_flat),
        replace(bundle, lens=replace(bundle.lens, rms_px=0.04)),
        _bundle(day=2),
    ):
        assert other.id != bundle.id


def test_saving_twice_is_saving_once(tmp_path: Path) -> None:
    assert save(_bundle(), tmp_path) == save(_bundle(), tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_one_saved_last_is_used_whatever_the_clock_showed(tmp_path: Path) -> None:
    save(_bundle(day=5), tmp_path)
    save(replace(_bundle(1), created_at=datetime(2030, 3, 1, tzinfo=UTC)), tmp_path)
    last = _bundle(2, day=6)
    save(last, tmp_path)
    found = latest(tmp_path)
    assert found is not None and found.id == last.id


def test_latest_is_the_one_saved_last_and_passes_over_unfinished_ones(tmp_path: Path) -> None:
    assert latest(tmp_path) is None
    assert latest(tmp_path / "nowhere") is None
    save(_bundle(day=3), tmp_path)
    save(_bundle(seed=1, day=2), tmp_path)
    unfinished = tmp_path / ".unfinished_x"
    unfinished.mkdir()
    (unfinished / "bundle.yaml").write_text("half")
    newest = latest(tmp_path)
    assert newest is not None
    assert newest.id == _bundle(seed=1, day=2).id, "the order is that of saving, not of the dates"


def test_changed_or_damaged_bundles_are_refused(tmp_path: Path) -> None:
    folder = save(_bundle(), tmp_path)
    description = folder / "bundle.yaml"
    good = description.read_text()
    description.write_text(good.replace("0.04717", "0.05000"))
    with pytest.raises(CalibrationError, match="was changed after it was made"):
        load(folder)
    for bad in ("", "[]", "camera: [", good.replace("matrix", "matrox")):
        description.write_text(bad)
        with pytest.raises(CalibrationError, match="rig calibrate"):
            load(folder)
    description.write_text(good)
    (folder / "flats.npz").write_bytes((folder / "flats.npz").read_bytes()[:500])
    with pytest.raises(CalibrationError, match="rig calibrate"):
        load(folder)


def test_disk_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "calibrations").write_text("a file where the folder should be")
    with pytest.raises(CalibrationError, match="cannot be written"):
        save(_bundle(), tmp_path / "calibrations")


def test_damaged_bundles_are_refused_or_are_what_was_saved(tmp_path: Path, fuzz_rounds: int) -> None:
    folder, chance = save(_bundle(), tmp_path), random.Random(1)
    whole = {path: path.read_bytes() for path in sorted(folder.iterdir())}
    for _ in range(fuzz_rounds):
        path = chance.choice(list(whole))
        path.write_bytes(mutate(whole[path], chance))
        try:
            assert load(folder).id == _bundle().id
        except CalibrationError as error:
            assert str(folder) in str(error) and "\n" not in str(error)
        path.write_bytes(whole[path])
