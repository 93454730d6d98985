"""Scanned pages: of a PDF, of a TIFF, or images of one page each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.decoding import list_pages, max_megapixels
from calibration.image import IMAGE_SUFFIXES, Image, ImageError, decode_image, encode_lossless, read_image_bytes
from capture.names import printable
from capture.photographs import is_hidden
from pipeline.errors import LabError

DPI = 300
PAGE_SUFFIXES = (".pdf", ".tif", ".tiff")


@dataclass(frozen=True)
class ScannedPage:
    """A page: its number from 1, what it is called, its bytes as they are kept, and its image.

    ``path`` is the file that has these bytes, if there is one.
    """

    number: int
    name: str
    data: bytes
    image: Image
    path: Path | None = None


def read_pages(path: Path) -> Iterator[tuple[int, ScannedPage | str]]:
    """Each page of a PDF, a TIFF, an image or a folder of images, after how many there are; or why it cannot be read.

    Raises
    ------
    LabError
        If nothing can be read.
    """
    if path.is_dir():
        files = sorted(each for each in path.iterdir() if each.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(each))
        if not files:
            raise LabError(f"{path} holds no images of pages (JPEG, PNG, TIFF, WebP, JPEG XL).")
        for number, file in enumerate(files, 1):
            yield len(files), _image_page(file, number)
    elif path.suffix.lower() == ".pdf":
        yield from _pdf_pages(path)
    else:
        yield from _tiff_pages(path)


def _page_name(path: Path, number: int) -> str:
    """What a page of a file is called, as a file of its own would be."""
    return printable(f"{path.stem} page {number}{path.suffix}")


def _image_page(path: Path, number: int) -> ScannedPage | str:
    try:
        data = read_image_bytes(path)
        return ScannedPage(number, printable(path.name), data, decode_image(data, str(path)), path)
    except ImageError as error:
        return str(error)


def _pdf_pages(path: Path) -> Iterator[tuple[int, ScannedPage | str]]:
    import pypdfium2

    try:
        if not path.is_file():
            raise LabError(f"{path} does not exist. Name a PDF, a TIFF or a folder.")
        document = pypdfium2.PdfDocument(path)
        total = len(document)
    except (pypdfium2.PdfiumError, OSError) as error:
        raise LabError(f"{path} {_why_not(path, getattr(error, 'err_code', None))}") from error
    for number in range(1, total + 1):
        name = _page_name(path, number)
        try:
            page = document[number - 1]
            megapixels = page.get_width() * page.get_height() * (DPI / 72) ** 2 / 1e6
            if megapixels > max_megapixels():
                yield total, f"{name} would have {megapixels:.0f} megapixels. Save the page as an image."
                continue
            image = np.asarray(page.render(scale=DPI / 72).to_pil().convert("RGB"), np.uint8)
        except pypdfium2.PdfiumError:
            yield total, f"{name} is damaged, and was left out."
            continue
        yield total, ScannedPage(number, name, encode_lossless(image), image)
    document.close()


def _why_not(path: Path, code: int | None) -> str:
    """Why a PDF cannot be opened, and what to do; ``code`` is PDFium's."""
    from pypdfium2.raw import FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY

    if code == FPDF_ERR_PASSWORD:
        return (
            "is locked with a password. Open it with that in a viewer and print it into a new PDF, or "
            "`qpdf --decrypt --password=... OLD.pdf NEW.pdf`; then add the new one."
        )
    if code == FPDF_ERR_SECURITY:
        return (
            "is locked in a way that only its publisher's viewer can open. Print it there into a new PDF, or ask for "
            "one that is not locked."
        )
    with path.open("rb") as stream:
        is_pdf = b"%PDF-" in stream.read(1024)
    if not is_pdf:
        return "is no PDF, whatever its name says. Download it again, or name the pages' images."
    return (
        "is damaged: where its pages begin is not found. Download it again, or open it in a viewer and print it into "
        "a new PDF."
    )


def _tiff_pages(path: Path) -> Iterator[tuple[int, ScannedPage | str]]:
    try:
        data = read_image_bytes(path)
        listed = list_pages(data)
        first = decode_image(data, str(path), listed.pages[0])
    except ImageError as error:
        raise LabError(str(error)) from error
    total = len(listed.pages)
    own = data if listed.pages[0] == 0 else encode_lossless(first)  # what is stored is read again as its first image
    yield total, ScannedPage(1, printable(path.name) if total == 1 else _page_name(path, 1), own, first)
    for number, place in enumerate(listed.pages[1:], 2):
        try:
            page = decode_image(data, _page_name(path, number), place)
        except ImageError as error:
            yield total, f"{error} It was left out."
            continue
        yield total, ScannedPage(number, _page_name(path, number), encode_lossless(page), page)
    if listed.is_cut_short:
        yield total, f"{path.name} is damaged behind page {total}: what follows was left out. Copy or scan it again."
