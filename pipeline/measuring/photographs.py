"""The photographs that a person names: files and folders of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from calibration.durable_files import near_path
from calibration.image import IMAGE_SUFFIXES
from capture.photographs import is_hidden
from pipeline.errors import LabError, UsageError


def photographs(paths: Sequence[Path], what: str) -> list[Path]:
    """The image files among what was named, those of a folder in order of name; `what` is for messages.

    Raises
    ------
    UsageError
        If a path leads to nothing.
    LabError
        If there is no image.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(
                (each for each in path.iterdir() if each.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(each)),
                key=lambda each: _in_order(each.name),
            )
        elif path.exists():
            found.append(path)
        else:
            near = near_path(path)
            remedy = f"Did you mean {near}?" if near is not None else "Check the path."
            raise UsageError(f"{what}: {path} does not exist. {remedy}")
    if not found:
        raise LabError(f"{what}: {', '.join(map(str, paths))} holds no images. Give JPEG, PNG or TIFF files.")
    return list(dict.fromkeys(found))


def _in_order(name: str) -> tuple[tuple[int, str], ...]:
    """A key by which `2.png` comes before `10.png`."""
    parts: list[tuple[int, str]] = []
    digits = ""
    for letter in [*name, ""]:
        if letter.isdigit() and letter.isascii():
            digits += letter
            continue
        if digits:
            parts.append((int(digits), ""))
            digits = ""
        parts.append((-1, letter))
    return tuple(parts)


def split_mask(files: Sequence[Path]) -> tuple[list[Path], Path | None]:
    """The photographs, and the mask that lies among them: the one file that is called so."""
    masks = [file for file in files if "mask" in file.stem.lower()]
    return [file for file in files if file not in masks], masks[0] if len(masks) == 1 else None
