"""What a training leaves behind for tensorboard: its curves, beside its state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from models.training import processes

LOG_FOLDER = "tensorboard"


@contextmanager
def curves(folder: Path | None, step: int) -> Iterator[Callable[[int, dict[str, float | None]], None]]:
    """Write scalars by step and name to ``folder``/`LOG_FOLDER`; with no folder, or not in the first process, nowhere.

    Parameters
    ----------
    step
        Where the run is. What an interrupted run wrote of later steps is dropped.
    """
    if folder is None or not processes.is_first():
        yield lambda _at, _scalars: None
        return
    with SummaryWriter(str(folder / LOG_FOLDER), purge_step=step + 1) as writer:

        def write(at: int, scalars: dict[str, float | None]) -> None:
            for name, value in scalars.items():
                if value is not None:
                    writer.add_scalar(name, value, at)
            writer.flush()

        yield write
