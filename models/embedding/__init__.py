"""Crops in, features out: networks, their weights, and how a processor runs them fastest.

PyTorch is imported first of all, without what nothing here uses.
"""

from models.embedding.lean_imports import import_torch

import_torch()
