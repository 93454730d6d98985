"""How to train: the numbers of a recipe."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from models.embedding.embedder import FORMER_SHARE
from models.training.augmentation import Augmentation
from models.training.losses import LossConfig


class TrainingConfig(BaseModel):
    """How to train; `models/recipes` holds whole recipes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "starter"
    backbone: str = "resnet18"
    channels: int = Field(default=128, ge=8, le=2048)
    steps: int = Field(default=600, ge=1)
    coins_per_batch: int = Field(default=24, ge=2)
    coins_per_group: int = Field(default=8, ge=1, description="coins of one type in a batch, where types are known")
    loss: LossConfig = LossConfig()
    rotation_invariant_share: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        validation_alias=AliasChoices("rotation_invariant_share", FORMER_SHARE),
        description="of a score, see `models.matching.entries`",
    )
    pooled_share: float = Field(default=0.1, ge=0.0, le=1.0, description="of the loss")
    learning_rate: float = Field(default=5e-5, gt=0.0)
    weight_decay: float = Field(default=1e-4, ge=0.0)
    keep: float = Field(
        default=0.25, ge=0.0, lt=1.0, description="share of the starting weights in the result (see `train`)"
    )
    warm_up_steps: int = Field(default=50, ge=0)
    save_every: int = Field(default=50, ge=1, description="steps between states that a run resumes from")
    validate_every: int = Field(default=100, ge=1, description="steps between figures on real images")
    patience: int = Field(default=4, ge=1, description="figures without a better one after which training stops")
    seed: int = 0
    augmentation: Augmentation = Augmentation()


def with_current_names(config: dict[str, Any]) -> dict[str, Any]:
    """A recipe that 0.1.0 kept beside a run or a search, with its fields called as they are today."""
    return {"rotation_invariant_share" if key == FORMER_SHARE else key: value for key, value in config.items()}
