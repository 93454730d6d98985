"""What is kept beside a bundle of the images that it corrects: how good they are, value by value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import yaml

Quality = Mapping[str, float]
"""Values by the keys of `calibration.guidelines.CRITERIA`; what was not measured is not in it."""

QUALITY = "quality.yaml"


def encode_quality(quality: Quality) -> str:
    """The file's text."""
    return yaml.safe_dump({key: round(float(value), 6) for key, value in quality.items()}, sort_keys=False)


def read_quality(folder: Path) -> Quality:
    """What was measured with a bundle, by its folder; nothing for one that was made without, or that is damaged."""
    try:
        stored = yaml.safe_load((folder / QUALITY).read_text("utf-8"))
        return {str(key): float(value) for key, value in stored.items() if np.isfinite(float(value))}
    except (OSError, AttributeError, TypeError, ValueError, RecursionError, yaml.YAMLError):
        return {}
