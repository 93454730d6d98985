"""Stores as earlier versions wrote them, kept in ``tests/capture/store/stores`` and never written again.

``0.1.0.tar.gz``: a finished scan of tray 4 with two rankings, an import, an unfinished scan of tray 3 with quarantined
frames and retakes; a catalogue of four entries, one taken out; a model with embeddings; journal lines of handling.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

STORES = Path(__file__).parent / "stores"


def unpack(version: str, folder: Path) -> Path:
    """Unpack a store, to be changed at will."""
    with tarfile.open(STORES / f"{version}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "store"
