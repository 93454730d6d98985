"""What phones, cameras and scanners write is read as it is meant, or refused with its reason."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms, TiffImagePlugin

from calibration.image import ImageError, decode_image

RGB = np.zeros((40, 60, 3), np.uint8)
RGB[10:30, 20:40] = (200, 120, 60)


def saved(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    """An image file as Pillow writes it."""
    stream = io.BytesIO()
    Pillow.fromarray(pixels).save(stream, format=kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("hidden", [0, 255, 90])
def test_what_lies_under_transparency_is_not_seen(kind: str, hidden: int) -> None:
    rgba = np.full((40, 60, 4), (hidden, hidden, hidden, 0), np.uint8)
    rgba[10:30, 20:40] = (120, 90, 60, 255)
    image = decode_image(saved(rgba, kind, **({"lossless": True} if kind == "WEBP" else {})), "cut-out")
    assert (image[0, 0] == 255).all() and image[20, 30].tolist() == pytest.approx((120, 90, 60), abs=2)


def test_a_light_coin_without_a_background_is_put_on_black() -> None:
    rgba = np.full((40, 60, 4), (255, 255, 255, 0), np.uint8)
    rgba[10:30, 20:40] = (230, 228, 225, 255)
    assert (decode_image(saved(rgba, "PNG"), "cut-out")[0, 0] == 0).all()


@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 2), (40, 60, 3), (40, 60, 4)])
def test_jpeg_xl_of_any_channels(shape: tuple[int, ...]) -> None:
    pixels = np.full(shape, 100, np.uint8)
    if len(shape) == 3 and shape[2] in (2, 4):
        pixels[..., -1] = 255
    image = decode_image(bytes(imagecodecs.jpegxl_encode(pixels, lossless=True)), "plate.jxl")
    assert image.shape == (40, 60, 3) and (image == 100).all()


def test_an_animation_is_refused_by_name() -> None:
    frames = np.zeros((3, 40, 60, 3), np.uint8)
    with pytest.raises(ImageError, match=r"coin.jxl is an animation of 3 images"):
        decode_image(bytes(imagecodecs.jpegxl_encode(frames, lossless=True)), "coin.jxl")
    frames = [Pillow.fromarray(np.full((40, 60, 3), value, np.uint8)) for value in (0, 90)]
    stream = io.BytesIO()
    frames[0].save(stream, format="WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="animation of 2 images"):
        decode_image(stream.getvalue(), "coin.webp")


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_bits_in_use_set_the_brightness(bits: int) -> None:
    top = (1 << bits) - 1
    deep = np.zeros((40, 60, 3), np.uint16)
    deep[10:30, 20:40] = top
    ok, data = cv2.imencode(".png", deep)
    assert ok
    image = decode_image(data.tobytes(), "scan.png")
    assert (image[20, 30] == 255).all() and (image[0, 0] == 0).all()


def test_an_embedded_profile_is_honoured() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))  # not RGB: it cannot be meant for these pixels
    plain = decode_image(saved(RGB, "PNG"), "coin.png")
    odd = decode_image(saved(RGB, "PNG", icc_profile=profile.tobytes()), "coin.png")
    assert (plain == odd).all()
    broken = decode_image(saved(RGB, "PNG", icc_profile=b"no profile"), "coin.png")
    assert (plain == broken).all()


def test_a_raw_files_preview_is_not_the_photograph() -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[254], tags.tagtype[254] = 1, 4
    tags[50706], tags.tagtype[50706] = b"\x01\x04\x00\x00", 1
    data = saved(RGB, "TIFF", tiffinfo=tags)
    with pytest.raises(ImageError, match=r"DSC_1.NEF is a (raw file that cannot be read|camera's raw file)"):
        decode_image(data, "DSC_1.NEF")


def test_a_heic_photograph_is_read_or_named() -> None:
    with pytest.raises(ImageError, match=r"IMG_2.HEIC is a (damaged HEIC|HEIC or AVIF photograph)"):
        decode_image(b"\0\0\0\x18ftypheic" + bytes(200), "IMG_2.HEIC")
    heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    heif.from_pillow(Pillow.fromarray(RGB)).save(stream, quality=95)
    assert decode_image(stream.getvalue(), "IMG_3.HEIC")[20, 30].tolist() == pytest.approx((200, 120, 60), abs=12)


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    row = zlib.compress(bytes(10))

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", row) + chunk(b"IEND", b"")
    with pytest.raises(ImageError, match=r"50000 x 50000 pixels, over the limit of 200 megapixels"):
        decode_image(bomb, "bomb.png")
    monkeypatch.setenv("RIG_MAX_MEGAPIXELS", "0.001")
    with pytest.raises(ImageError, match="RIG_MAX_MEGAPIXELS"):
        decode_image(saved(RGB, "PNG"), "small.png")


def test_half_a_jpeg_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    data = saved(noise, "JPEG", quality=95)
    assert decode_image(data, "whole.jpg").shape == (200, 200, 3)
    with pytest.raises(ImageError, match=r"half.jpg is cut short"):
        decode_image(data[: len(data) // 2], "half.jpg")


def sources() -> dict[str, Callable[[], bytes]]:
    """A small file of each kind, to be damaged."""
    small = RGB[::2, ::2].copy()
    rgba = np.dstack([small, np.full(small.shape[:2], 128, np.uint8)])
    return {
        "jpeg": lambda: saved(small, "JPEG"),
        "png": lambda: saved(small, "PNG"),
        "png with alpha": lambda: saved(rgba, "PNG"),
        "tiff": lambda: saved(small, "TIFF", compression="tiff_lzw"),
        "webp": lambda: saved(small, "WEBP"),
        "bmp": lambda: saved(small, "BMP"),
        "jxl": lambda: bytes(imagecodecs.jpegxl_encode(small, lossless=True)),
    }


@pytest.mark.parametrize("kind", list(sources()))
def test_damaged_files_are_read_or_refused_and_nothing_else(
    kind: str, fuzz_rounds: int, capfd: pytest.CaptureFixture[str]
) -> None:
    data = sources()[kind]()
    chance = random.Random(kind)
    for _ in range(fuzz_rounds):
        mutated = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        if chance.random() < 0.3:
            del mutated[chance.randrange(len(mutated)) :]
        try:
            image = decode_image(bytes(mutated), "mutated")
        except ImageError as error:
            assert str(error).startswith("mutated ")
        else:
            assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    assert capfd.readouterr() == ("", ""), "no library prints what it thinks of them"


@pytest.mark.parametrize(
    ("kind", "mode"), [("JPEG", "L"), ("JPEG", "RGB"), ("PNG", "1"), ("PNG", "L"), ("PNG", "P"), ("PNG", "RGB")]
)
def test_every_program_sees_the_same_pixels(kind: str, mode: str) -> None:
    grain = np.random.default_rng(1).integers(0, 255, (40, 60, 3), np.uint8)
    stream = io.BytesIO()
    Pillow.fromarray(cv2.GaussianBlur(grain, (0, 0), 2)).convert(mode).save(stream, kind)
    seen = cv2.imdecode(np.frombuffer(stream.getvalue(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decode_image(stream.getvalue(), "x")[:, :, ::-1], seen)
