"""Networks and where their weights come from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.embedding.backbones import BACKBONES, CROP_PX, WeightsError, build, pretrained


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_the_grid_is_as_the_table_says(name: str) -> None:
    backbone = BACKBONES[name]
    with torch.device("meta"):  # shapes without numbers
        grid = build(name).eval()(torch.zeros(1, 3, CROP_PX, CROP_PX))
    assert grid.shape == (1, backbone.channels, backbone.cells, backbone.cells)


@pytest.mark.slow
def test_what_is_left_out_when_torchvision_is_imported_can_be_imported_afterwards() -> None:
    code = (
        "import sys; from models.embedding.lean_imports import torchvision_models as first; first(); first(); "
        "left_out = {'torch._dynamo', 'torchvision.datasets'} - set(sys.modules); "
        "import torch._dynamo, torchvision.models, torchvision.datasets; "
        "print(len(left_out), torchvision.datasets.MNIST.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "2 MNIST", done.stderr


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(WeightsError, match="resnet18"):
        build("resnet9000")
    with pytest.raises(WeightsError, match="resnet18"):
        pretrained("resnet9000")


def test_weights_are_read_from_the_folder(random_weights: Path) -> None:
    with torch.inference_mode():
        one, two = (pretrained("mobilenet_v3_small").eval()(torch.ones(1, 3, 224, 224)) for _ in range(2))
    assert torch.equal(one, two)


def test_damaged_weights_name_the_file(random_weights: Path) -> None:
    path = random_weights / "mobilenet_v3_small_imagenet.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"mobilenet_v3_small_imagenet\.safetensors"):
        pretrained("mobilenet_v3_small")


def test_weights_of_another_network_are_refused(random_weights: Path) -> None:
    (random_weights / "mobilenet_v3_small_imagenet.safetensors").rename(
        random_weights / "resnet18_imagenet.safetensors"
    )
    with pytest.raises(WeightsError, match="resnet18"):
        pretrained("resnet18")
