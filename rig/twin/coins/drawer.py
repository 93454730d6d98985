"""The twin's drawer of coins: what lies on the plate when the world says so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol, get_args

import cv2
import numpy as np
import numpy.typing as npt

from rig.twin.coins.procedural import coin_type, procedural_side
from rig.twin.coins.relief import normals_of, relief_from_photo
from rig.twin.coins.surface import MARGIN, TEXTURE_PX, Array, Surface, as_array
from rig.twin.scene import Side

Image = npt.NDArray[np.uint8]

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})
SIDES: tuple[Side, ...] = get_args(Side)
_SIDE_NAME = re.compile(r"^(?P<coin>.+)[_-](?P<side>obv|rev|obverse|reverse)$", re.IGNORECASE)


class DrawerError(Exception):
    """A coin or a photograph the drawer cannot use, and what to do about it."""


class Drawer(Protocol):
    """Gives the surface of any coin it holds."""

    def side_texture(self, coin: str, side: Side) -> Surface:
        """The surface of one side; raises `DrawerError` if the drawer has no such coin."""


class ProceduralDrawer:
    """Holds a coin of every name: `rig.twin.coins.procedural` makes it from the name and the seed."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._cached = lru_cache(maxsize=12)(self._make)

    def _make(self, coin: str, side: Side) -> Surface:
        return procedural_side(coin, side, self.seed)

    def side_texture(self, coin: str, side: Side) -> Surface:
        """The surface of one side of the coin of this name."""
        return self._cached(coin, side)

    def coin_type(self, coin: str) -> str:
        """Name of the coin's type, shared by the coins whose designs are the same."""
        return f"type {coin_type(coin, self.seed):02d}"


@dataclass(frozen=True)
class PhotoSide:
    """Where the photograph of one coin side is: a file, or the left or right half of one."""

    path: Path
    half: Literal["left", "right"] | None = None


def photo_sides(directory: Path) -> dict[str, dict[Side, PhotoSide]]:
    """Find the coins photographed in a folder: coin -> side -> photograph, in order of name.

    A file `<coin>_obv.*` or `<coin>_rev.*` (also `_obverse`, `_reverse`) shows one side; any other is taken to show
    both, obverse on the left, reverse on the right, and has to be about twice as wide as high.

    Raises
    ------
    DrawerError
        If the folder holds no photographs, a file is neither of the two, or one side comes twice.
    """
    try:
        paths = sorted(path for path in directory.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)
    except OSError as error:
        raise DrawerError(
            f"{directory} cannot be listed: {error.strerror}. Give a folder of coin photographs."
        ) from error
    if not paths:
        raise DrawerError(f"{directory} holds no photographs. It should hold JPEG, PNG, TIFF or WebP files.")
    found: dict[str, dict[Side, PhotoSide]] = {}
    for path in paths:
        named = _SIDE_NAME.match(path.stem)
        if named:
            side: Side = "obverse" if named["side"].lower().startswith("obv") else "reverse"
            coin, shown = named["coin"], {side: PhotoSide(path)}
        else:
            _check_stitched(path)
            coin, shown = path.stem, {"obverse": PhotoSide(path, "left"), "reverse": PhotoSide(path, "right")}
        sides = found.setdefault(coin, {})
        for side, photo in shown.items():
            if side in sides:
                raise DrawerError(f"{photo.path} and {sides[side].path} both show the {side} of {coin}. Remove one.")
            sides[side] = photo
    return found


def _check_stitched(path: Path) -> None:
    small = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8) if path.stat().st_size else None
    if small is None:
        raise DrawerError(f"{path} is not an image that can be read. Remove it, or save it as JPEG or PNG.")
    height, width = small.shape
    if not 1.6 <= width / height <= 2.5:
        raise DrawerError(
            f"{path} is {width / height:.2f} times as wide as high: neither obverse and reverse side by side (about 2) "
            "nor named <coin>_obv or <coin>_rev. Rename it."
        )


def read_photo(photo: PhotoSide) -> Image:
    """The photograph of one side, (H, W, 3) RGB uint8.

    Raises
    ------
    DrawerError
        If the file cannot be read.
    """
    try:
        data = photo.path.read_bytes()
    except OSError as error:
        raise DrawerError(f"{photo.path} cannot be read: {error.strerror}.") from error
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if bgr is None:
        raise DrawerError(f"{photo.path} is not an image that can be read. Remove it, or save it as JPEG or PNG.")
    image = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
    middle = image.shape[1] // 2
    if photo.half == "left":
        return np.ascontiguousarray(image[:, :middle])
    if photo.half == "right":
        return np.ascontiguousarray(image[:, middle:])
    return image


class PhotoDrawer:
    """Coins out of photographs: colour as photographed, relief guessed (`rig.twin.coins.relief.relief_from_photo`)."""

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
        try:
            return surface_from_photo(read_photo(photo), self._diameter_mm)
        except ValueError as error:
            raise DrawerError(f"{photo.path}: {error}") from error


def coin_mask(image: Image) -> npt.NDArray[np.uint8]:
    """255 on the coin of a photograph on a plain background, (H, W).

    The background's colour is that of the image's border; of what differs from it, the roundest large piece is the
    coin (scale bars and labels are not round).

    Raises
    ------
    ValueError
        If nothing round stands out.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    frame = np.concatenate([lab[:4].reshape(-1, 3), lab[-4:].reshape(-1, 3), lab[:, :4].reshape(-1, 3)])
    difference = np.linalg.norm(lab - np.median(frame, axis=0), axis=2)
    threshold, _ = cv2.threshold(
        np.clip(difference, 0, 255).astype(np.uint8), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU
    )
    stands_out = (difference > min(max(0.5 * threshold, 10.0), 30.0)).astype(np.uint8)
    stands_out = cv2.morphologyEx(stands_out, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(stands_out, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    best, best_score = None, 0.0
    for contour in contours:
        hull = cv2.convexHull(contour)
        area = cv2.contourArea(hull)
        _, radius = cv2.minEnclosingCircle(hull)
        roundness = area / (np.pi * radius**2) if radius else 0.0
        if roundness > 0.6 and area * roundness > best_score:
            best, best_score = contour, area * roundness
    if best is None or best_score < 0.02 * difference.size:
        raise ValueError("no coin stands out from the background. Photograph it on a plain one.")
    mask = np.zeros(difference.shape, np.uint8)
    cv2.drawContours(mask, [best], -1, 255, -1)
    return mask


def surface_from_photo(image: Image, diameter_mm: float, size_px: int = TEXTURE_PX) -> Surface:
    """Make a coin side out of a photograph (H, W, 3) of it on a plain background.

    Raises
    ------
    ValueError
        If no coin is found on it.
    """
    mask = coin_mask(image)
    outline = np.argwhere(mask)[:, ::-1].astype(np.int32)
    (centre_x, centre_y), radius = cv2.minEnclosingCircle(cv2.convexHull(outline))
    scale = size_px / (2 * MARGIN * radius)
    crop = np.array([[scale, 0, size_px / 2 - scale * centre_x], [0, scale, size_px / 2 - scale * centre_y]])
    how = cv2.INTER_AREA if scale < 0.7 else cv2.INTER_CUBIC
    flat = cv2.warpAffine(image, crop, (size_px, size_px), flags=how, borderMode=cv2.BORDER_REPLICATE)
    coverage = cv2.warpAffine(mask.astype(np.float32) / 255, crop, (size_px, size_px), flags=cv2.INTER_LINEAR)
    coverage = as_array(cv2.GaussianBlur(cv2.erode(coverage, np.ones((5, 5), np.uint8)), (0, 0), 1.0))
    linear = as_array((flat.astype(np.float32) / 255) ** np.float32(2.2))
    inside = coverage > 0.5
    linear *= np.float32(np.clip(0.24 / linear[inside].mean(), 0.5, 2.0))
    luminance = as_array(linear @ np.array([0.2126, 0.7152, 0.0722], np.float32))

    pitch_mm = diameter_mm * MARGIN / size_px
    depth = cv2.distanceTransform((coverage > 0.5).astype(np.uint8), cv2.DIST_L2, 3) * np.float32(pitch_mm)
    shoulder = np.clip(depth / np.float32(0.6), 0, 1)
    relief_mm = relief_from_photo(luminance, coverage) * np.float32(PHOTO_RELIEF_MM)
    relief_mm = np.clip(relief_mm, -0.8, 0.8) - (1 - np.sqrt(shoulder * (2 - shoulder))) * np.float32(0.5)
    normals = normals_of(relief_mm, pitch_mm)
    albedo = _unlit(linear, normals)
    return Surface(
        albedo=albedo,
        normals=normals,
        height_mm=relief_mm,
        coverage=coverage,
        specular=np.clip(luminance * np.float32(0.8), 0.02, 0.35),
        shininess=12.0,
        diameter_mm=diameter_mm,
        thickness_mm=2.0,
        side_mm=diameter_mm * MARGIN,
    )


PHOTO_RELIEF_MM = 0.125  # standard deviation of the guessed relief: that of a follis


def _unlit(linear: Array, normals: Array) -> Array:
    """Take part of the photograph's own light (upper left) out of its colours; the rest passes for toning."""
    lamp = np.array([[-0.5, 0.5, 0.707]], np.float32)
    shading = np.clip(cv2.transform(normals, lamp), 0.2, None) / np.float32(0.707)
    colour = linear / (shading ** np.float32(0.6))[..., None]
    return np.asarray(np.clip(colour, 0.015, 0.9), np.float32)
