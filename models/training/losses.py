"""What training minimises: one table of losses by name, all from pytorch-metric-learning.

Losses that compare images with each other (``ntxent``, ``supcon``, ``triplet``, ``multi_similarity``) need only tell
labels of a batch apart; those that compare an image with a learned centre of each coin (``arcface``,
``subcentre_arcface``) need labels 0 to ``classes`` - 1, and have parameters of their own for the optimiser. A
cross-batch memory (Wang et al., "Cross-batch memory for embedding learning", CVPR 2020) compares each image with
those of the last batches too; labels must then mean the same in every batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pytorch_metric_learning import losses, miners
from torch import Tensor, nn

Name = Literal["ntxent", "supcon", "triplet", "multi_similarity", "arcface", "subcentre_arcface"]
_MEMORY = ("queue_idx", "has_been_filled")
CENTRED: tuple[Name, ...] = ("arcface", "subcentre_arcface")


class LossError(Exception):
    """A loss that cannot be made as it is configured."""


class LossConfig(BaseModel):
    """Which loss, and its numbers; the defaults are those of the papers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = "ntxent"
    temperature: float = Field(default=0.08, gt=0.0, description="ntxent, supcon")
    margin_deg: float = Field(default=28.6, ge=0.0, lt=90.0, description="arcface, subcentre_arcface")
    scale: float = Field(default=64.0, gt=0.0, description="arcface, subcentre_arcface")
    centres: int = Field(default=3, ge=1, le=16, description="centres of each coin: subcentre_arcface")
    margin: float = Field(default=0.05, ge=0.0, le=2.0, description="triplet")
    mining: Literal["all", "semihard", "hard"] = Field(default="semihard", description="which triplets: triplet")
    memory: int = Field(default=0, ge=0, description="images of earlier batches compared with; 0 for none")

    @property
    def needs_classes(self) -> bool:
        """Whether labels must be the same coin's in every batch, and below ``classes``."""
        return self.name in CENTRED or self.memory > 0


class Loss(nn.Module):
    """``loss(vectors, labels)``: (N, dim) and (N,) int64 give a scalar. Its parameters, if any, are to be trained."""

    def __init__(self, loss: nn.Module, miner: nn.Module | None = None) -> None:
        super().__init__()
        self.loss = loss
        self.miner = miner

    def get_extra_state(self) -> dict[str, Any]:
        """Where the memory of earlier batches resumes: the library keeps that beside its buffers."""
        return {name: getattr(self.loss, name) for name in _MEMORY if hasattr(self.loss, name)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take up what `get_extra_state` gave."""
        for name, value in state.items():
            setattr(self.loss, name, value)

    def forward(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """Mean loss over the batch."""
        value: Tensor
        if self.miner is None:
            value = self.loss(vectors, labels)
        else:
            value = self.loss(vectors, labels, self.miner(vectors, labels))
        return value


def make_loss(config: LossConfig, classes: int, dim: int) -> Loss:
    """Make a loss by its config.

    Parameters
    ----------
    classes
        How many coin sides there are.
    dim
        Length of the vectors that will be compared.

    Raises
    ------
    LossError
        If a memory is asked for with a loss that compares with learned centres, or there are fewer than two classes.
    """
    if classes < 2:
        raise LossError(f"a loss takes at least two coins to tell apart; {classes} given.")
    loss = _MAKERS[config.name](config, classes, dim)
    miner = _miner(config)
    if config.memory == 0:
        return Loss(loss, miner)
    if config.name in CENTRED:
        raise LossError(
            f"{config.name} compares with learned centres, not with other images: `memory` has no use there. "
            "Set it to 0, or choose another loss."
        )
    return Loss(losses.CrossBatchMemory(loss, dim, memory_size=config.memory, miner=miner))


def _miner(config: LossConfig) -> Any:
    if config.name == "triplet":
        return miners.TripletMarginMiner(margin=config.margin, type_of_triplets=config.mining)
    return miners.MultiSimilarityMiner() if config.name == "multi_similarity" else None


_MAKERS: dict[Name, Callable[[LossConfig, int, int], Any]] = {
    "ntxent": lambda config, _classes, _dim: losses.NTXentLoss(temperature=config.temperature),
    "supcon": lambda config, _classes, _dim: losses.SupConLoss(temperature=config.temperature),
    "triplet": lambda config, _classes, _dim: losses.TripletMarginLoss(margin=config.margin),
    "multi_similarity": lambda _config, _classes, _dim: losses.MultiSimilarityLoss(),
    "arcface": lambda config, classes, dim: losses.ArcFaceLoss(
        classes, dim, margin=config.margin_deg, scale=config.scale
    ),
    "subcentre_arcface": lambda config, classes, dim: losses.SubCenterArcFaceLoss(
        num_classes=classes,
        embedding_size=dim,
        margin=config.margin_deg,
        scale=config.scale,
        sub_centers=config.centres,
    ),
}
