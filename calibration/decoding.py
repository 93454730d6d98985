"""What phones, cameras and scanners write, brought to RGB of 8 bits: alpha, colour profiles, 16 bits, HEIC, raw.

A file is known by its bytes, never by its name. What cannot be read with certainty is refused with its reason: several
images in one file, the small preview of a raw file, an image larger than `MAX_MEGAPIXELS`, the beginning of a file.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration.durable_files import read_limit

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what it would print, our errors say better

Pixels = npt.NDArray[np.uint8]

MAX_MEGAPIXELS = 200.0  # an image of 200 MP takes 0.6 GB as RGB; `RIG_MAX_MEGAPIXELS` sets another limit
_JXL = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis"}  # ISO/IEC 23008-12, brands
_RAW_HEADS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\x00")  # Fujifilm, Olympus, Panasonic
# Tags of TIFF 6.0 and DNG 1.7
_NEW_SUBFILE, _BITS, _MAKE, _SUB_IFDS, _FORMAT, _DNG_VERSION = 254, 258, 271, 330, 339, 50706
_PNG_DEPTH = 24  # where the bits of a value are in a PNG
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")  # the last two of more than 4 GB
_NO_PAGE = 0b101  # of NewSubfileType: a smaller copy, a mask
_MOST_PAGES = 10_000  # that are counted
_LIGHT_COIN = 150  # grey level from which a cut-out is put on a dark ground
_NUMBERS = (
    "holds 32-bit or floating-point numbers, and which of them is white cannot be known. Save it with 8 or 16 bits a "
    "colour."
)
logging.getLogger("imagecodecs").addHandler(logging.NullHandler())  # or its warnings would be printed


class Undecodable(Exception):  # noqa: N818 - a reason; `calibration.image` makes the error of it
    """Why bytes are not taken for an image: a clause that follows the file's name."""


def decode(data: bytes, page: int = 0) -> Pixels:
    """Decode the bytes of an image file to RGB, (H, W, 3).

    Transparent parts become a plain ground that the coin stands out from. Embedded colour profiles are honoured, the
    EXIF orientation too. 16-bit images are scaled by the bits that are in use.

    Parameters
    ----------
    page
        Which image of a TIFF of several (`list_pages`).

    Raises
    ------
    Undecodable
        If they are not one whole image of a kind that can be read.
    """
    if not data:
        raise Undecodable("is an empty file.")
    if data.startswith(_JXL):
        return _jpeg_xl(data)
    if (data[4:8] == b"ftyp" and data[8:11] == b"crx") or data.startswith(_RAW_HEADS) or _is_raw_tiff(data):
        return _raw(data)
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF:
        return _heif(data)
    return _common(data, page)


def count_pages(data: bytes) -> int:
    """How many images of full size a file holds, as far as it is sound: of a scanner's TIFF, its pages."""
    return len(list_pages(data).pages)


@dataclass(frozen=True)
class Pages:
    """The images of full size in a file, by their place among all its images; and whether it ends before its last."""

    pages: tuple[int, ...]
    is_cut_short: bool


def list_pages(data: bytes) -> Pages:
    """Which images of a file are pages, for `decode`: thumbnails and masks, which are marked as such, are none."""
    if data[:4] not in _TIFF:
        return Pages((0,), False)
    pages: list[int] = []
    is_cut_short = False
    try:
        with _opened(data) as opened:
            for number in range(_MOST_PAGES):
                opened.seek(number)
                if not opened.tag_v2.get(_NEW_SUBFILE, 0) & _NO_PAGE:
                    pages.append(number)
    except EOFError:
        pass
    except Exception:  # of damage behind the first page Pillow raises what it likes
        is_cut_short = bool(pages)
    return Pages(tuple(pages) or (0,), is_cut_short)


@contextmanager
def _opened(data: bytes) -> Iterator[Any]:
    """The bytes as Pillow opens them, which neither warns meanwhile nor minds sizes: the limit is ours, and named."""
    from PIL import Image as Pillow

    limit = Pillow.MAX_IMAGE_PIXELS
    Pillow.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield Pillow.open(io.BytesIO(data))
    finally:
        Pillow.MAX_IMAGE_PIXELS = limit


def _common(data: bytes, page: int) -> Pixels:
    """JPEG, PNG, TIFF, WebP and BMP. Pillow knows what else is in the file.

    It decodes JPEG and PNG, too, to the same bits: OpenCV's decoders would print what they think of a damaged one.
    """
    from PIL import UnidentifiedImageError

    if data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < len(data) // 2:
        raise Undecodable("is cut short: its end is missing. Copy it again.")
    try:
        with _opened(data) as opened:
            opened.seek(page)
            _check_size(*opened.size)
            count = getattr(opened, "n_frames", 1)
            if count > 1 and opened.format not in ("TIFF", "JPEG", "MPO"):  # there the others are thumbnails or pages
                raise Undecodable(f"is an animation of {count} images. Save the one that is meant.")
            if opened.format == "TIFF" and opened.mode in ("F", "I"):
                raise Undecodable(_NUMBERS)
            if _has_alpha(opened):
                return _on_ground(np.asarray(opened.convert("RGBA"), np.uint8))
            profile = opened.info.get("icc_profile")
            if opened.format in ("JPEG", "MPO", "PNG"):
                is_deep = opened.format == "PNG" and data[_PNG_DEPTH] == 16
                pixels = _png_of_16_bits(data) if is_deep else _upright(opened)
                return _to_srgb(pixels, profile) if profile else pixels
    except Undecodable:
        raise
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        struct.error,
        KeyError,
        TypeError,
        EOFError,
    ) as error:
        if data[:4] in _TIFF or data[:2] == b"BM":  # of these OpenCV reads kinds that Pillow does not
            profile = None
        else:
            raise Undecodable("is damaged, or not an image. Give a JPEG, PNG, TIFF, WebP or JPEG XL file.") from error
    except (MemoryError, OverflowError, RecursionError) as error:
        raise Undecodable("is damaged: its sizes make no sense.") from error
    try:
        bgr = _with_opencv(data, page)
    except cv2.error as error:
        raise Undecodable("is damaged, or too large to be read.") from error
    if bgr is None:
        if data[:4] in _TIFF and not _has_common_numbers(data):
            raise Undecodable(_NUMBERS)
        raise Undecodable("is not an image that can be read. Give a JPEG, PNG, TIFF, WebP or JPEG XL file.")
    rgb = cv2.cvtColor(_eight_bits(bgr), cv2.COLOR_BGR2RGB)
    return _to_srgb(np.asarray(rgb, np.uint8), profile) if profile else np.asarray(rgb, np.uint8)


def _with_opencv(data: bytes, page: int) -> Any:
    """One image of a file, (H, W, 3) BGR; None if it is none."""
    way = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    if page == 0:
        return cv2.imdecode(np.frombuffer(data, np.uint8), way)
    _, found = cv2.imdecodemulti(np.frombuffer(data, np.uint8), way, range=(page, page + 1))
    return found[0] if found else None


def _upright(opened: Any) -> Pixels:
    """Decode what Pillow has opened, turned as its EXIF data say."""
    from PIL import ImageOps

    opened.load()
    if opened.mode == "CMYK":
        light = 255 - np.asarray(opened, np.uint16)
        return np.asarray(light[:, :, :3] * light[:, :, 3:] // 255, np.uint8)
    with suppress(Exception):  # of damaged EXIF data it raises what it likes: the image is sound
        opened = ImageOps.exif_transpose(opened)
    return np.asarray(opened.convert("RGB"), np.uint8)


def _png_of_16_bits(data: bytes) -> Pixels:
    import imagecodecs

    def read() -> Pixels:
        return _any_channels(_eight_bits(np.asarray(imagecodecs.png_decode(data))))

    return _refusing("is a damaged PNG file.", read)


def _jpeg_xl(data: bytes) -> Pixels:
    import imagecodecs  # 0.2 s to import, and hand-held photographs never need it

    def read() -> Pixels:
        decoded = np.asarray(imagecodecs.jpegxl_decode(data))
        if decoded.ndim == 4:
            raise Undecodable(f"is an animation of {len(decoded)} images. Save the one that is meant.")
        _check_size(decoded.shape[1], decoded.shape[0])
        return _any_channels(_eight_bits(decoded))

    return _refusing("is a damaged JPEG XL file.", read)


def _heif(data: bytes) -> Pixels:
    heif = _extra("pillow_heif", "a HEIC or AVIF photograph")

    def read() -> Pixels:
        opened = heif.open_heif(data, convert_hdr_to_8bit=True)
        _check_size(*opened.size)
        image = opened.to_pillow()
        pixels = _any_channels(np.asarray(image.convert("RGBA" if _has_alpha(image) else "RGB"), np.uint8))
        profile = image.info.get("icc_profile")
        return _to_srgb(pixels, profile) if profile else pixels

    return _refusing("is a damaged HEIC or AVIF file.", read)


def _raw(data: bytes) -> Pixels:
    rawpy = _extra("rawpy", "a camera's raw file")

    def read() -> Pixels:
        with rawpy.imread(io.BytesIO(data)) as raw:
            _check_size(raw.sizes.width, raw.sizes.height)
            return np.asarray(raw.postprocess(use_camera_wb=True, output_bps=8), np.uint8)

    return _refusing("is a raw file that cannot be read, or holds a preview alone. Save it as TIFF or JPEG.", read)


def _extra(module: str, what: str) -> Any:
    """Import a decoder that a lab may do without."""
    try:
        return __import__(module)
    except ImportError as error:
        raise Undecodable(
            f"is {what}, which needs {module.replace('_', '-')}. Install it with `pip install 'coinlab[photos]'`, or "
            "save the image as TIFF or JPEG."
        ) from error


def _refusing(reason: str, read: Callable[[], Pixels]) -> Pixels:
    """Run a library's decoder; whatever it raises on bad bytes becomes the reason."""
    try:
        return read()
    except Undecodable:
        raise
    except Exception as error:  # decoders of third parties raise what they like on bad bytes
        raise Undecodable(reason) from error


def _is_raw_tiff(data: bytes) -> bool:
    """Whether a TIFF is a raw file or the preview out of one: DNG, NEF, CR2, ARW and the like."""
    if data[8:10] == b"CR" and data[:2] == b"II":
        return True
    tags = _tiff_tags(data)
    return _DNG_VERSION in tags or (tags.get(_NEW_SUBFILE, 0) & 1 == 1 and (_SUB_IFDS in tags or _MAKE in tags))


def _tiff_tags(data: bytes) -> dict[int, int]:
    """The tags of a TIFF's first image, each with its first value or where it is; those that can be read."""
    tags: dict[int, int] = {}
    if data[:4] not in (b"II*\x00", b"MM\x00*"):
        return tags
    order = "<" if data[:2] == b"II" else ">"
    try:
        (offset,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, offset)
        for number in range(min(count, 512)):
            tag, _, _, value = struct.unpack_from(f"{order}HHII", data, offset + 2 + 12 * number)
            tags[tag] = value if order == "<" else value >> 16 or value
    except struct.error:
        pass
    return tags


def _has_common_numbers(data: bytes) -> bool:
    """Whether a TIFF holds whole numbers of at most 16 bits."""
    tags = _tiff_tags(data)
    return tags.get(_BITS, 8) <= 16 and tags.get(_FORMAT, 1) == 1


def max_megapixels() -> float:
    """The largest image that is read: `MAX_MEGAPIXELS`, unless `RIG_MAX_MEGAPIXELS` sets another limit."""
    return read_limit("RIG_MAX_MEGAPIXELS", MAX_MEGAPIXELS)


def _check_size(width: int, height: int) -> None:
    limit = max_megapixels()
    if width * height > limit * 1e6:
        raise Undecodable(
            f"has {width} x {height} pixels, over the limit of {limit:g} megapixels. Make it smaller, or set "
            "RIG_MAX_MEGAPIXELS."
        )


def _has_alpha(image: Any) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _on_ground(rgba: Pixels) -> Pixels:
    """Put a cut-out on white; one of light metal on black, so that it stands out."""
    alpha = rgba[:, :, 3:].astype(np.float32) / 255.0
    shown = rgba[:, :, 3] > 127
    lightness = float(np.median(rgba[:, :, :3][shown])) if shown.any() else 0.0
    ground = 0.0 if lightness > _LIGHT_COIN else 255.0
    return np.asarray(np.rint(rgba[:, :, :3] * alpha + ground * (1.0 - alpha)), np.uint8)


def _eight_bits(pixels: npt.NDArray[Any]) -> Pixels:
    """Scale integers of more bits by the bits in use (10, 12, 14 or 16): a camera's 12 bits in 16 are not dark."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype != np.uint16:
        raise Undecodable(_NUMBERS)
    top = next(bits for bits in (8, 10, 12, 14, 16) if int(pixels.max(initial=0)) < 1 << bits)
    return np.asarray(np.rint(pixels * np.float32(255.0 / ((1 << top) - 1))), np.uint8)


def _any_channels(pixels: Pixels) -> Pixels:
    """Grey, grey with alpha, RGB or RGBA, as RGB."""
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    channels = pixels.shape[2]
    if channels in (1, 2):
        pixels = np.concatenate([pixels[:, :, :1].repeat(3, axis=2), pixels[:, :, 1:]], axis=2)
    if pixels.shape[2] == 4:
        return _on_ground(pixels)
    if pixels.shape[2] != 3:
        raise Undecodable(f"has {channels} channels, where grey or RGB is needed.")
    return np.ascontiguousarray(pixels)


def _to_srgb(rgb: Pixels, profile: bytes) -> Pixels:
    """Bring colours from an embedded ICC profile to sRGB; a profile that cannot be read changes nothing."""
    from PIL import Image as Pillow
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != "RGB " or "srgb" in (source.profile.profile_description or "").lower():
            return rgb
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(Pillow.fromarray(rgb), source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return rgb
    return np.asarray(converted, np.uint8) if converted is not None else rgb
