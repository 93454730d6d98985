"""The store: images as content-addressed files, and one SQLite index of what they are."""

from capture.store.errors import StoreError
from capture.store.store import Store

__all__ = ["Store", "StoreError"]
