"""One training by many processes, as torchrun starts them: each computes its part of every batch.

Without torchrun there is one process, and what would be gathered or sent is returned as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.nn.functional import all_gather

_PATIENCE = timedelta(hours=12)  # the others wait while the first takes a figure on real images
T = TypeVar("T")


@contextmanager
def joined() -> Iterator[None]:
    """Meet the processes that torchrun started beside this one, if it did: by NCCL on GPUs, else by gloo."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield
        return
    if device().type == "cuda":
        torch.cuda.set_device(device())
    dist.init_process_group("nccl" if device().type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def count() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def place() -> int:
    """Which of them this one is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Whether this is the one that speaks, saves and judges."""
    return place() == 0


def device() -> torch.device:
    """Where this process computes: a GPU of its own, if there is one for every process of this machine."""
    if torch.cuda.device_count() < _beside():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def threads() -> int:
    """How many threads may draw images beside this process: its share of the machine, from 2 to 8."""
    return min(8, max(2, (os.cpu_count() or 2) // _beside()))


def part(total: int) -> slice:
    """Which of ``total`` things are this process's; all parts in order are the whole, and none is empty unless
    there are more processes than things.
    """
    return slice(*_bounds(place(), total))


def gathered(own: torch.Tensor, total: int) -> torch.Tensor:
    """The parts of all processes, (total, ...), of which this one has `part` (total); gradients find their way back.

    A loss of the whole then gives every process ``count()`` times its part of the gradient: see `average_gradients`.
    """
    if count() == 1:
        return own
    bounds = [_bounds(number, total) for number in range(count())]
    longest = max(end - begin for begin, end in bounds)  # what is gathered has to be of one length everywhere
    padded = torch.cat([own, own.new_zeros(longest - len(own), *own.shape[1:])])
    return torch.cat([each[: end - begin] for each, (begin, end) in zip(all_gather(padded), bounds, strict=True)])


def _beside() -> int:
    """How many processes this machine has."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def _bounds(number: int, total: int) -> tuple[int, int]:
    return total * number // count(), total * (number + 1) // count()


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the mean of all processes' gradients."""
    if count() == 1:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            dist.all_reduce(parameter.grad)
            parameter.grad /= count()


def from_first(make: Callable[[], T]) -> T:
    """What ``make`` gives in the first process, sent to all; the others do not call it."""
    if count() == 1:
        return make()
    shared: list[T | None] = [make() if is_first() else None]
    dist.broadcast_object_list(shared)
    made: T = shared[0]  # type: ignore[assignment]
    return made
