"""All that changes while training, kept in a file that an interrupted run resumes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from calibration.durable_files import replacing
from models.embedding.embedder import EmbedderNetwork
from models.training import processes
from models.training.batches import TrainingError
from models.training.config import with_current_names

STATE_FILE = "state.pt"


@dataclass
class Run:
    """A training under way. What a batch holds is no part of it: that hangs on the seed and the step alone.

    Attributes
    ----------
    losses
        Of the grid, and of the pooled features.
    start
        The weights before the first step.
    recent
        Loss and retrieved share of the steps since the last report.
    best
        The weights with the best figure on real images.
    figures
        Step and figure on real images.
    """

    network: EmbedderNetwork
    losses: nn.ModuleList
    optimiser: torch.optim.Optimizer
    start: dict[str, torch.Tensor]
    step: int = 0
    recent: list[tuple[float, float]] = field(default_factory=list)
    best: dict[str, torch.Tensor] | None = None
    figures: list[tuple[int, float]] = field(default_factory=list)

    def weights(self) -> dict[str, torch.Tensor]:
        """A copy of the network's weights, in the computer's own memory."""
        return {key: value.detach().cpu().clone() for key, value in self.network.state_dict().items()}

    def save(self, path: Path, config: dict[str, Any]) -> None:
        """Write everything to a file, replacing what is there at once.

        Raises
        ------
        TrainingError
            If there is no room for it.
        """
        state = {
            "config": config,
            "network": self.network.state_dict(),
            "losses": self.losses.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "start": self.start,
            "step": self.step,
            "recent": self.recent,
            "best": self.best,
            "figures": self.figures,
        }
        try:
            with replacing(path) as draft:
                torch.save(state, draft)
        except (OSError, RuntimeError) as error:  # torch has no words of its own for a full disk
            raise TrainingError(
                f"{path} cannot be written ({error}). Free some space, then run the same command again: it resumes at "
                "the last saved step."
            ) from error

    def load(self, path: Path, config: dict[str, Any]) -> None:
        """Resume a run where `save` left it, if it did; the first process reads for all.

        Raises
        ------
        TrainingError
            If the file is damaged, or of a run with another recipe.
        """
        state = processes.from_first(lambda: _read(path))
        if state is None:
            return
        try:
            if with_current_names(state["config"]) != config:
                raise TrainingError(
                    f"{path} holds a run of another recipe. Give the recipe another name, or delete {path.parent}."
                )
            self.network.load_state_dict(state["network"])
            self.losses.load_state_dict(state["losses"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.start, self.step, self.best = state["start"], state["step"], state["best"]
            self.recent = [tuple(each) for each in state["recent"]]
            self.figures = [tuple(each) for each in state["figures"]]
        except TrainingError:
            raise
        except Exception as error:  # it is not what `save` wrote
            raise _damaged(path) from error


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a damaged file torch, pickle and zipfile raise what they like
        raise _damaged(path) from error
    return state


def _damaged(path: Path) -> TrainingError:
    return TrainingError(f"{path} is damaged: it is not what was saved. Delete {path.parent} to start over.")
