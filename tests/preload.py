"""Imports what any command imports sooner or later: for the server that processes of the tests are forked from."""

from __future__ import annotations

import importlib
import pkgutil

import pytest  # noqa: F401 - a forked process imports the program it belongs to

import pipeline
import tests.processes  # noqa: F401 - so that nothing is imported in a forked process
from models.embedding.vision import torchvision_models

for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
    importlib.import_module(module.name)
torchvision_models()
