"""Damaged models, checkpoints and search indexes are refused by name, or are what was saved."""

from __future__ import annotations

import copy
import functools
import random
import resource
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.embedding import embedder
from models.embedding.backbones import WeightsError
from models.embedding.embedder import CARD_FILE, STARTER_DIR, WEIGHTS_FILE, Embedder, Features
from models.matching.faiss_index import FaissIndex
from models.matching.gallery import GalleryEntry
from models.matching.index import CatalogueIndexError
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


def test_an_index_that_promises_too_much_takes_no_memory(tmp_path: Path) -> None:
    index = FaissIndex.open(tmp_path / "index", "m1")
    index.add([GalleryEntry("e", "c")], Features(np.eye(1, 8, dtype=np.float32), np.zeros((1, 2, 4, 4), np.float16)))
    (path,) = (tmp_path / "index").rglob("pooled.npy")
    path.write_bytes(path.read_bytes().replace(b"(1, 8)", b"(4000000000, 8)").replace(b" " * 9 + b"\n", b"\n"))  # 64 GB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CatalogueIndexError):
        FaissIndex.open(tmp_path / "index", "m1")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000, "kB"


def test_damaged_indexes_are_refused(tmp_path: Path, fuzz_rounds: int) -> None:
    index, chance = FaissIndex.open(tmp_path / "index", "m1"), random.Random(2)
    index.add(
        [GalleryEntry(f"e{n}", f"c{n}") for n in range(3)],
        Features(np.eye(3, 8, dtype=np.float32), np.zeros((3, 2, 4, 4), np.float16)),
    )
    whole = {path: path.read_bytes() for path in sorted((tmp_path / "index").rglob("*")) if path.is_file()}
    for _ in range(fuzz_rounds):
        path = chance.choice(list(whole))
        path.write_bytes(mutate(whole[path], chance))
        with suppress(CatalogueIndexError):
            found = FaissIndex.open(tmp_path / "index", "m1")
            assert len(found) == len(found.entries(np.arange(3))) == 3
        path.write_bytes(whole[path])


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an embedder of one's own. A network's random weights, which take long, are made only once."""
    built = functools.cache(embedder.build)
    monkeypatch.setattr(embedder, "build", lambda name: copy.deepcopy(built(name)))
    return Path(shutil.copytree(STARTER_DIR, tmp_path / "mine"))


def test_damaged_cards_are_refused(mine: Path, fuzz_rounds: int) -> None:
    path, chance = mine / CARD_FILE, random.Random(3)
    whole = path.read_bytes()
    for _ in range(fuzz_rounds):
        path.write_bytes(mutate(whole, chance))
        load_or_refuse(mine)


def test_damaged_weights_are_refused(mine: Path, fuzz_rounds: int) -> None:
    """Their header, which says where what is: of what follows, any bytes are some weights."""
    chance = random.Random(4)
    with (mine / WEIGHTS_FILE).open("r+b") as stream:
        whole = stream.read(4096)
        for _ in range(fuzz_rounds):
            stream.seek(0)
            stream.write(mutate(whole, chance)[:4096])
            stream.flush()
            load_or_refuse(mine)
            stream.seek(0)
            stream.write(whole)


def load_or_refuse(folder: Path) -> None:
    try:
        Embedder.load(folder)
    except WeightsError as error:
        assert str(folder) in str(error) and "\n" not in str(error)
