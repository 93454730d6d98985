"""Coins photographed elsewhere, in a folder: which file shows which side, and the twin's coins made out of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from calibration.image import IMAGE_SUFFIXES, Image, ImageError, aspect_ratio, read_image
from calibration.outline import NoCoinError, find_coin
from rig.sides import Side
from rig.twin.coins.drawer import DrawerError
from rig.twin.coins.photo import surface_from_photo
from rig.twin.coins.surface import Surface

_SIDE_NAME = re.compile(r"^(?P<coin>.+)[_-](?P<side>obv|rev|obverse|reverse)$", re.IGNORECASE)
_HIDDEN = (".", "@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN", "Thumbs.db", "desktop.ini")
_SIDES: dict[str, Side] = {"obv": "obverse", "rev": "reverse"}


@dataclass(frozen=True)
class PhotoSide:
    """Where the photograph of one coin side is: a file, or the left or right half of one."""

    path: Path
    half: Literal["left", "right"] | None = None


@dataclass(frozen=True)
class PhotoFolder:
    """What is in a folder of photographs.

    Attributes
    ----------
    sides
        Coin to side to photograph, in order of name.
    refused
        Why images cannot be used, a sentence each.
    contradictions
        Images that show a coin side which another shows too, a sentence each.
    skipped
        Names of files that are no images; those that systems make for themselves are passed over without a word.
    """

    sides: dict[str, dict[Side, PhotoSide]]
    refused: tuple[str, ...]
    contradictions: tuple[str, ...]
    skipped: tuple[str, ...]


def is_hidden(path: Path) -> bool:
    """Whether a file or folder is hidden, or one of those that systems and cameras make for themselves."""
    return path.name.startswith(_HIDDEN)


def side_by_name(path: Path) -> Side | None:
    """The side that a file's name gives (`<coin>_obv.*`); None where it gives none."""
    named = _SIDE_NAME.match(path.stem)
    return None if named is None else _SIDES[named["side"].lower()[:3]]


def photo_sides(directory: Path) -> dict[str, dict[Side, PhotoSide]]:
    """Find the coins photographed in a folder (`read_photo_folder`); a stray image in it is passed over.

    Raises
    ------
    DrawerError
        If the folder holds no photographs that can be used, or two of one coin side.
    """
    folder = read_photo_folder(directory)
    refused = folder.contradictions if folder.sides else (*folder.contradictions, *folder.refused)
    if refused:
        raise DrawerError(f"{refused[0]} Replace or remove it.")
    if not folder.sides:
        raise DrawerError(f"{directory} holds no photographs. It should hold JPEG, PNG, TIFF or WebP files.")
    return folder.sides


def read_photo_folder(directory: Path) -> PhotoFolder:
    """Find the coins photographed in a folder.

    A file `<coin>_obv.*` or `<coin>_rev.*` (also `_obverse`, `_reverse`) shows one side; any other is taken to show
    both, obverse on the left, reverse on the right, and has to be about twice as wide as high.

    Raises
    ------
    DrawerError
        If the folder cannot be listed.
    """
    try:
        paths = sorted(path for path in directory.iterdir() if not path.is_dir() and not is_hidden(path))
    except OSError as error:
        raise DrawerError(
            f"{directory} cannot be listed: {error.strerror}. Give a folder of coin photographs."
        ) from error
    found: dict[str, dict[Side, PhotoSide]] = {}
    refused: list[str] = []
    contradictions: list[str] = []
    for path in (path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES):
        if not path.is_file():
            refused.append(f"{path} cannot be read: it is a pipe, a device, or a link that leads nowhere.")
            continue
        named = _SIDE_NAME.match(path.stem)
        if named:
            coin, shown = named["coin"], {_SIDES[named["side"].lower()[:3]]: PhotoSide(path)}
        else:
            reason = _not_stitched(path)
            if reason is not None:
                refused.append(reason)
                continue
            coin, shown = path.stem, {"obverse": PhotoSide(path, "left"), "reverse": PhotoSide(path, "right")}
        sides = found.setdefault(coin, {})
        for side, photo in shown.items():
            if side in sides:
                contradictions.append(f"{photo.path} and {sides[side].path} both show the {side} of {coin}.")
            else:
                sides[side] = photo
    skipped = tuple(path.name for path in paths if path.suffix.lower() not in IMAGE_SUFFIXES)
    return PhotoFolder(
        {coin: sides for coin, sides in found.items() if sides}, tuple(refused), tuple(contradictions), skipped
    )


def _not_stitched(path: Path) -> str | None:
    """Why an image cannot show obverse and reverse side by side; None if it can."""
    try:
        ratio = aspect_ratio(path)
    except ImageError as error:
        return str(error)
    if 1.6 <= ratio <= 2.5:
        return None
    return (
        f"{path} is {ratio:.2f} times as wide as high, so it does not show obverse and reverse side by side. If it "
        f"shows one side, call it {path.stem}_obv{path.suffix} or {path.stem}_rev{path.suffix}."
    )


def read_photo(photo: PhotoSide) -> Image:
    """The photograph of one side, (H, W, 3) RGB uint8.

    Raises
    ------
    DrawerError
        If the file cannot be read.
    """
    try:
        image = read_image(photo.path)
    except ImageError as error:
        raise DrawerError(f"{error} Replace or remove it.") from error
    middle = image.shape[1] // 2
    if photo.half == "left":
        return np.ascontiguousarray(image[:, :middle])
    if photo.half == "right":
        return np.ascontiguousarray(image[:, middle:])
    return image


class PhotoDrawer:
    """Coins out of photographs, for the twin's plate (`rig.twin.coins.photo`)."""

    def __init__(self, directory: Path, diameter_mm: float = 24.0) -> None:
        self.photos = photo_sides(directory)
        self._directory = directory
        self._diameter_mm = diameter_mm
        self._cached = lru_cache(maxsize=12)(self._make)

    def side_texture(self, coin: str, side: Side) -> Surface:
        """The surface of one side; raises `DrawerError` if there is no photograph of it, or no coin on it."""
        return self._cached(coin, side)

    def _make(self, coin: str, side: Side) -> Surface:
        photo = self.photos.get(coin, {}).get(side)
        if photo is None:
            raise DrawerError(
                f"{self._directory} holds no photograph of the {side} of {coin}. Add one, or correct the tray."
            )
        image = read_photo(photo)
        try:
            outline = find_coin(image)
        except NoCoinError as error:
            raise DrawerError(f"{photo.path}: {error}") from error
        return surface_from_photo(image, outline.mask, self._diameter_mm)
