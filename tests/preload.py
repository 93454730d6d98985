"""Imports what any command imports sooner or later: for the server that processes of the tests are forked from."""

from __future__ import annotations

import functools
import gc
import importlib
import pkgutil

import cv2
import pytest  # noqa: F401 - a forked process imports the program it belongs to
import typer.main

import pipeline
import pipeline.cli
import tests.processes  # noqa: F401 - so that nothing is imported in a forked process
from models.embedding.lean_imports import torchvision_models
from rig.twin.targets import plate_reflectance

for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
    importlib.import_module(module.name)
torchvision_models()

# What every process would work out again: the tree of commands, and what the twin's plate looks like.
cv2.setNumThreads(1)  # it would start threads, which no forked process has
typer.main.get_command = functools.cache(typer.main.get_command)
typer.main.get_command(pipeline.cli.app)
plate_reflectance()
gc.freeze()  # a forked process shares what is here, and need not look through it for garbage
