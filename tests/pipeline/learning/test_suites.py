"""`rig evaluate --suite`: every row is our figure, or what it needs and how to get it; never one of something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from models.embedding.backbones import build
from models.embedding.embedder import Embedder, EmbedderNetwork
from tests.pipeline.loop import album, run

NO_PHOTOGRAPHS = "the poster's photographs"


def poster(lab: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = run("evaluate", "--suite", "poster", "--lab", lab, "--json").json
    return rows


def kept_curve(lab: Path, images: int, pretrained: bool) -> None:
    """A curve of ViT on 1,000 images, 200 of which test, as `rig types` keeps it."""
    kept = {
        "config": {"pretrained": pretrained},
        "training_pictures": 800,
        "test_pictures": 200,
        "points": [{"share": images / 800, "pictures": images, "accuracy": 0.5}],
    }
    (lab / "results").mkdir(exist_ok=True)
    (lab / "results" / "types-rrc60-vit_b_16-full.json").write_text(json.dumps(kept))


def test_without_data_every_row_says_what_it_needs(lab: Path) -> None:
    rows = poster(lab)
    assert len(rows) == 8 and all(row["ours"] is None and NO_PHOTOGRAPHS in str(row["needs"]) for row in rows)
    assert [row["published"] for row in rows] == [95.48, None, 73.75, None, 85.40, None, 35.22, None]
    printed = run("evaluate", "--suite", "poster", "--lab", lab).out
    assert "95.48 %" in printed and printed.count("not in print") == 4


def test_a_curve_answers_for_the_share_of_the_images_it_is_of(lab: Path) -> None:
    def ours() -> list[float | None]:
        return [row["ours"] for row in run("evaluate", "--suite", "rrc60", "--lab", lab, "--json").json]

    rows = run("evaluate", "--suite", "rrc60", "--lab", lab, "--json").json
    assert [row["published"] for row in rows] == [99.10, None, None, None, None, 96.58]
    assert all("lab of its own" in row["needs"] for row in rows)
    assert "--shares 1,0.25,0.125,0.0625" in rows[1]["needs"] and "--shares 1`" in rows[5]["needs"]
    kept_curve(lab, 200, pretrained=True)
    assert ours() == [None, 50.0, None, None, None, None], "200 of 1,000 images are 20 %"
    kept_curve(lab, 700, pretrained=True)
    assert ours() == [None] * 6, "70 % are not the 80 % of the published row"
    kept_curve(lab, 800, pretrained=False)
    assert ours() == [None] * 6, "the published one did not start from scratch"


@pytest.fixture
def with_photographs(lab: Path, tmp_path: Path) -> Path:
    """A lab with photographs called as the poster's, and the models of two rows, one of them made otherwise."""
    labels = album(tmp_path / "sawhill-poster", ["e0", "e1", "e2"])
    assert run("import", tmp_path / "sawhill-poster", "--labels", labels, "--lab", lab).code == 0
    torch.manual_seed(1)
    network = EmbedderNetwork("inception_v3", build("inception_v3"), 8)
    for kind, made_with in (("tuned", "tuned"), ("standard", None)):
        name = f"poster-inception_v3-{kind}"
        training = {"config": {"backbone": "inception_v3", "augmentation": {"kind": made_with}}}
        card = {"name": name, "backbone": "inception_v3", "channels": 8, "training": training}
        Embedder(network, card).save(lab / "models" / name)
    return lab


@pytest.mark.slow
def test_a_row_is_answered_by_the_model_that_was_made_for_it(with_photographs: Path) -> None:
    rows = {row["name"]: row for row in poster(with_photographs)}
    answered = rows["Inception, tuned augmentation"]
    assert answered["needs"] is None and 0.0 <= float(str(answered["ours"])) <= 100.0
    other = rows["Inception, standard augmentation"]
    assert other["ours"] is None and "no named augmentation" in str(other["needs"])
    for name in ("ResNet50 truncated, tuned augmentation", "ConvNeXt, standard augmentation"):
        assert rows[name]["ours"] is None and "rig train CONFIG" in str(rows[name]["needs"])
    assert "augmentation: {kind: tuned}" in str(rows["ResNet50 truncated, tuned augmentation"]["needs"])
