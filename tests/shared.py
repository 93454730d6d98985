"""What takes long to make and is only read, made once for all processes that run tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def make_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder of that name, filled by whichever process comes first; the others wait.

    Parameters
    ----------
    make
        Makes the folder and what is in it. When it raises, the next process tries again in another one.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made = shared / f"{name}.made"
    with FileLock(shared / f"{name}.lock"):
        if not made.exists():
            folder = factory.mktemp(name) / name
            make(folder)
            made.write_text(str(folder))
    return Path(made.read_text())
