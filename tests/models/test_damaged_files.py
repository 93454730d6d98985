"""Damaged models, checkpoints and search indexes are refused by name, or are what was saved."""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.embedding.backbones import WeightsError
from models.embedding.embedder import CARD_FILE, STARTER_DIR, WEIGHTS_FILE, Embedder, Features
from models.matching.index import CatalogueIndexError, FaissIndex, GalleryEntry
from models.training.batches import TrainingError
from models.training.state import Run
from tests.mutations import mutate


def a_run() -> Run:
    network = nn.Linear(3, 2)
    optimiser = torch.optim.Adam(network.parameters())
    return Run(network, nn.ModuleList([nn.Linear(1, 1)]), optimiser, start=dict(network.state_dict()))  # type: ignore[arg-type]


def test_damaged_checkpoints_are_refused(tmp_path: Path, fuzz_rounds: int) -> None:
    path, chance = tmp_path / "run" / "state.pt", random.Random(1)
    a_run().save(path, {"seed": 1})
    whole = path.read_bytes()
    for _ in range(fuzz_rounds):
        path.write_bytes(mutate(whole, chance))
        try:
            a_run().load(path, {"seed": 1})
        except TrainingError as error:
            assert str(path) in str(error) and "\n" not in str(error)


def test_damaged_indexes_are_refused(tmp_path: Path, fuzz_rounds: int) -> None:
    index, chance = FaissIndex("m1"), random.Random(2)
    index.add(
        [GalleryEntry(f"e{n}", f"c{n}") for n in range(3)],
        Features(np.eye(3, 8, dtype=np.float32), np.zeros((3, 2, 4, 4), np.float16)),
    )
    index.save(tmp_path / "index")
    whole = {path: path.read_bytes() for path in sorted((tmp_path / "index").iterdir())}
    for _ in range(fuzz_rounds):
        path = chance.choice(list(whole))
        path.write_bytes(mutate(whole[path], chance))
        with suppress(CatalogueIndexError):
            assert len(FaissIndex.load(tmp_path / "index", "m1")) == 3
        path.write_bytes(whole[path])


def test_damaged_embedders_are_refused(tmp_path: Path, fuzz_rounds: int) -> None:
    """Loading one takes a while: a hundredth of the rounds."""
    folder, chance = tmp_path / "mine", random.Random(3)
    shutil.copytree(STARTER_DIR, folder)
    card = (folder / CARD_FILE).read_bytes()
    head = (folder / WEIGHTS_FILE).read_bytes()[:4096]
    for number in range(fuzz_rounds // 100 + 2):
        if number % 2:
            (folder / CARD_FILE).write_bytes(mutate(card, chance))
        else:
            with (folder / WEIGHTS_FILE).open("r+b") as stream:
                stream.write(mutate(head, chance)[:4096])
        try:
            Embedder.load(folder)
        except WeightsError as error:
            assert str(folder) in str(error) and "\n" not in str(error)
        (folder / CARD_FILE).write_bytes(card)
        with (folder / WEIGHTS_FILE).open("r+b") as stream:
            stream.write(head)
