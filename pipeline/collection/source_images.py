"""The images of records: files beside their table, addresses, or what the catalogue has already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from calibration.durable_files import hash_bytes, near_path
from calibration.image import ImageError, aspect_ratio
from capture.names import printable
from capture.photographs import PhotoSide, read_photo_folder
from pipeline.collection.additions import Addition
from pipeline.collection.sources.downloads import download, is_address
from pipeline.collection.sources.lots import SourceImage, SourceLot, plain_coin
from pipeline.errors import LabError

STITCHED = (1.6, 2.5)  # times as wide as high: obverse beside reverse
_DOWNLOADS_AT_ONCE = 4


class ImageProblem(Exception):  # noqa: N818 - a reason; whoever reads records adds where it stands
    """Why a record's image cannot be used, a clause."""


class SourceImages:
    """Finds the images of records; downloads are kept until it is closed.

    Parameters
    ----------
    folder
        What names of images are relative to.
    base
        An address whose files lie in `folder`, as those of a manifest that was saved with its images.
    """

    def __init__(self, folder: Path, base: str | None = None) -> None:
        self._folder, self._base = folder, base
        self._temporary = TemporaryDirectory(prefix="rig-images-")
        self._by_name: dict[str, list[Addition]] | None = None
        self._downloaded: dict[str, Path | str] = {}

    def __enter__(self) -> SourceImages:
        return self

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()

    def fetch(self, lots: Iterable[SourceLot]) -> None:
        """Download what has an address, some at once; what fails is known when it is asked for."""
        wanted = [
            image.name
            for lot in lots
            for image in lot.images
            if is_address(image.name) and self._beside(image.name) is None
        ]
        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
            self._downloaded = dict(zip(wanted, pool.map(self._download, wanted), strict=True))

    def is_downloaded(self, path: Path) -> bool:
        """Whether an image is gone when this is closed."""
        return path.is_relative_to(self._temporary.name)

    def find(self, lot: SourceLot) -> list[Addition]:
        """The images of one record.

        Raises
        ------
        ImageProblem
            If one is missing, or shows neither one side nor both beside each other.
        """
        if not lot.images:
            return self._named(lot)
        found: list[Addition] = []
        for image in lot.images:
            path = self._path(image)
            source = printable(image.name.replace("\\", "/"))
            if image.side is not None:
                found.append(Addition(lot.coin, image.side, PhotoSide(path), source))
                continue
            try:
                is_stitched = STITCHED[0] <= aspect_ratio(path) <= STITCHED[1]
            except ImageError as error:
                raise ImageProblem(str(error)) from error
            if is_stitched:
                found += [
                    Addition(lot.coin, "obverse", PhotoSide(path, "left"), source),
                    Addition(lot.coin, "reverse", PhotoSide(path, "right"), source),
                ]
            else:
                found.append(Addition(lot.coin, None, PhotoSide(path), source))
        return found

    def _path(self, image: SourceImage) -> Path:
        if is_address(image.name):
            beside = self._beside(image.name)
            fetched = self._downloaded.get(image.name) if beside is None else beside
            if isinstance(fetched, Path):
                return fetched
            raise ImageProblem(fetched or f"{image.name} was not downloaded.")
        path = self._folder / image.name.replace("\\", "/")
        if not path.is_file():
            near = near_path(path)
            raise ImageProblem(f"there is no image {path}." + (f" Did you mean {near}?" if near else ""))
        return path

    def _beside(self, address: str) -> Path | None:
        """The file that an address of this source's own base means, if it is there."""
        if self._base is None or not address.startswith(self._base):
            return None
        path = self._folder / address.removeprefix(self._base)
        is_within = path.resolve().is_relative_to(self._folder.resolve())
        return path if is_within and path.is_file() else None

    def _download(self, address: str) -> Path | str:
        try:
            data = download(address)
        except LabError as error:
            return str(error)
        suffix = Path(address.partition("?")[0]).suffix
        path = Path(self._temporary.name) / f"{hash_bytes(address.encode())}{suffix}"
        path.write_bytes(data)
        return path

    def _named(self, lot: SourceLot) -> list[Addition]:
        """Images of the folder that bear the coin's name or lot, where a record names none."""
        if self._by_name is None:
            self._by_name = {}
            for coin, sides in read_photo_folder(self._folder).sides.items():
                for side, photo in sides.items():
                    self._by_name.setdefault(plain_coin(coin), []).append(
                        Addition(coin, side, photo, printable(photo.path.name))
                    )
        found = find_by_coin(lot, self._by_name)
        return [Addition(lot.coin, each.side, each.photo, each.source) for each in found or ()]


T = TypeVar("T")


def find_by_coin(lot: SourceLot, by_name: Mapping[str, T]) -> T | None:
    """What bears the name of a record's coin, or of its lot."""
    names = (plain_coin(lot.coin), plain_coin(lot.details.lot or ""))
    return next((by_name[name] for name in names if name and name in by_name), None)
