"""`rig explain`: two images, their evidence, one drawing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.image import encode_jpeg, read_image
from pipeline.errors import LabError, UsageError
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.reproduction import reproduction
from tests.pipeline.loop import SEED, frame, photograph, run


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, Path]:
    """A photograph and a turned frame of one coin."""
    paths = tmp_path / "one.jpg", tmp_path / "other.jpg"
    for path, image in zip(paths, (photograph("x1"), frame("x1", 135.0, 1)), strict=True):
        path.write_bytes(encode_jpeg(image, 92))
    return paths


@pytest.mark.slow  # by default the model's explanation sums to its score
@pytest.mark.parametrize(
    ("in_lab", "reference"),
    [(True, "12 entries of the catalogue"), (False, "24 procedural coins")],
)
def test_the_parts_sum_to_the_score_and_are_drawn(
    lab: Path, images: tuple[Path, Path], tmp_path: Path, in_lab: bool, reference: str
) -> None:
    out = tmp_path / "why.png"
    where = ("--lab", lab) if in_lab else ()
    found = run("explain", *images, "--out", out, *where, "--json").json
    assert found["reference"] == reference
    assert found["common"] + sum(pair["part"] for pair in found["pairs"]) == pytest.approx(found["score"], abs=1e-5)
    drawn = read_image(out).astype(int)
    assert drawn.shape == (1344, 896, 3)
    points, agree, differ = drawn[:448], drawn[448:896], drawn[896:]
    assert (points[..., 1] - points[..., 0] > 60).sum() > 100, "points of both are green"
    assert (agree[..., 0] - agree[..., 2] > 60).sum() > 1000, "what agrees is red"
    assert not (points[..., 0] - points[..., 1] > 60).any() and not (differ[..., 0] - differ[..., 2] > 60).any()


def test_one_coin_is_laid_on_the_other_and_drawn_in_register(
    lab: Path, images: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "why.png"
    found = run("explain", *images, "--out", out, "--lab", lab, "--method", "gradcam", "--json").json
    laid = found["registration"]
    assert laid["inliers"] >= 60
    centre = np.array(laid["matrix"]) @ (0.5, 0.5, 1.0)
    assert np.abs(centre - 0.5).max() < 0.03
    left, right = np.hsplit(read_image(out)[:448, :, 0].astype(float), 2)
    inner = slice(60, 388)
    assert np.corrcoef(left[inner, inner].ravel(), right[inner, inner].ravel())[0, 1] > 0.5
    other = tmp_path / "another.jpg"
    other.write_bytes(encode_jpeg(photograph("x2"), 92))
    apart = run("explain", images[0], other, "--out", out, "--lab", lab, "--method", "gradcam", "--json").json
    assert apart["registration"]["inliers"] < laid["inliers"] / 2


def test_an_entry_of_the_catalogue_can_be_named(lab: Path, images: tuple[Path, Path], tmp_path: Path) -> None:
    from capture.store import Store

    with Store.open(lab / "store", writing=False) as store:
        entry = store.catalogue.entries()[0].id
    args = ("--method", "gradcam", "--out", tmp_path / "why.png", "--lab", lab)
    found = run("explain", images[0], entry, *args, "--json").json
    assert found["second"] == entry and "pairs" not in found and found["score"] > 0.0
    with pytest.raises(UsageError, match="neither"):
        run("explain", images[0], "no such entry", *args)


@pytest.mark.slow
def test_a_side_is_compared_with_the_same_side(tmp_path: Path) -> None:
    sides = {name: ProceduralDrawer(SEED).side_texture("x1", name) for name in ("obverse", "reverse")}
    seen = {name: reproduction(side, 3, "photograph") for name, side in sides.items()}
    obverse, reverse, both, plain = (tmp_path / name for name in ("x_obv.jpg", "x_rev.jpg", "x.jpg", "photo.jpg"))
    for path, image in (
        (obverse, seen["obverse"]),
        (reverse, seen["reverse"]),
        (both, np.hstack([seen["obverse"], seen["reverse"]])),
        (plain, seen["reverse"]),
    ):
        path.write_bytes(encode_jpeg(image, 92))
    quick = ("--method", "gradcam", "--out", tmp_path / "why.png")
    named = run("explain", obverse, both, *quick, "--json").json
    assert named["sides"] == ["obverse", "obverse"] and named["score"] > 0.75 and named["others"] == []
    unnamed = run("explain", plain, both, *quick)
    assert "of the first image with the reverse of the second" in unnamed.out
    assert "Less similar: " in unnamed.out and "with the obverse of the second" in unnamed.out
    chosen = run("explain", both, both, "--side", "reverse", *quick, "--json").json
    assert chosen["sides"] == ["reverse", "reverse"]
    with pytest.raises(LabError, match=r"x_obv\.jpg shows the obverse, .*x_rev\.jpg the reverse"):
        run("explain", obverse, reverse, *quick)


def test_what_cannot_be_explained_is_reported(images: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.png"):
        run("explain", *images, "--out", tmp_path / "why.txt")
    blank = tmp_path / "blank.jpg"
    blank.write_bytes(encode_jpeg(np.full((200, 200, 3), 240, np.uint8), 90))
    with pytest.raises(LabError, match=r"blank\.jpg"):
        run("explain", images[0], blank)
