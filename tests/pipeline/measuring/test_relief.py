"""`rig calibrate lights` and `rig relief`: a chrome and a matte ball that are made up, and real ones."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from calibration.image import Image, encode_png
from calibration.response import to_image
from pipeline.learning.rti import rti_coin
from tests.pipeline.conftest import Rig

SHARED = os.environ.get("RIG_SHARED")
real = pytest.mark.skipif(SHARED is None, reason="RIG_SHARED is not set")
SPHERES = Path(SHARED or ".") / "data" / "calibration" / "light_sphere"
SIZE, RADIUS, FAR = 121, 50.0, 2.9 * 121  # the camera stands where the usual lens sees the ball as large
Vectors = npt.NDArray[np.float64]


def lamps(heights: tuple[float, ...] = (70, 45, 30), around: int = 4) -> Vectors:
    angles = [(up, 360 / around * turn + 11 * ring) for ring, up in enumerate(heights) for turn in range(around)]
    up, turn = np.radians(np.array(angles)).T
    return np.stack([np.cos(up) * np.cos(turn), np.cos(up) * np.sin(turn), np.sin(up)], axis=1)


def ball() -> tuple[Vectors, npt.NDArray[np.bool_]]:
    """Normals of a ball as seen from far away, and where it is."""
    y, x = (np.indices((SIZE, SIZE)) - (SIZE - 1) / 2) / RADIUS
    inside = x**2 + y**2 < 1
    return np.stack([x, -y, np.sqrt(np.clip(1 - x**2 - y**2, 0, None))], axis=-1), inside


def chrome(light: Vectors) -> Image:
    """A mirror ball near the camera: each ray is followed to the ball and reflected."""
    y, x = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
    rays = np.stack([x / FAR, -y / FAR, -np.ones_like(x)], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    centre = np.array([0, 0, -1 / np.sin(np.arctan(RADIUS / FAR))])
    along = rays @ centre
    inside = along**2 - centre @ centre + 1
    normal = rays * (along - np.sqrt(np.clip(inside, 0, None)))[..., None] - centre
    leaving = rays - 2 * (rays * normal).sum(axis=-1, keepdims=True) * normal
    bright = np.clip((leaving @ light - 0.985) * 80, 0, 1) * (inside > 0)
    return np.repeat((255 * bright).astype(np.uint8)[..., None], 3, axis=2)


def matte(light: Vectors, gloss: float = 0.0) -> npt.NDArray[np.float64]:
    """Light of a matte ball with a highlight, and a bump that casts a shadow."""
    normals, inside = ball()
    half = light + np.array([0, 0, 1.0])
    shine = np.clip(normals @ (half / np.linalg.norm(half)), 0, 1) ** 60 * gloss
    return np.where(inside, 0.6 * np.clip(normals @ light, 0, None) + shine, 0.0)


def write(folder: Path, images: dict[str, Image], *, mask: bool = True) -> Path:
    folder.mkdir()
    for name, image in images.items():
        (folder / f"{name}.png").write_bytes(encode_png(image))
    if mask:
        inside = np.repeat(ball()[1][..., None], 3, axis=2)
        (folder / "the_mask.png").write_bytes(encode_png((inside * 255).astype(np.uint8)))
    return folder


def angles_deg(folder: Path, true: Vectors, inside: npt.NDArray[np.bool_]) -> Vectors:
    stored = cv2.imread(str(folder / "normals.png"), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16 and stored.shape[:2] == inside.shape
    found = stored[..., ::-1] / 65535 * 2 - 1
    found /= np.linalg.norm(found, axis=2, keepdims=True)
    return np.asarray(np.degrees(np.arccos(np.clip((found * true).sum(axis=2), -1, 1)))[inside])


def read_ptm(path: Path) -> Vectors:
    """(H, W, 3, 6) coefficients of u², v², uv, u, v, 1, by the format's description alone: HP's PtmFormat12.pdf."""
    data = path.read_bytes()
    lines = data.split(b"\n", 6)
    assert lines[:2] == [b"PTM_1.2", b"PTM_FORMAT_RGB"]
    width, height = int(lines[2]), int(lines[3])
    scale, bias = (np.array([float(part) for part in line.split()]) for line in lines[4:6])
    assert len(lines[6]) == 3 * 6 * width * height
    blocks = np.frombuffer(lines[6], np.uint8).reshape(3, height, width, 6)[:, ::-1]
    return np.asarray(((blocks - bias) * scale).transpose(1, 2, 0, 3))


def test_lights_and_then_a_relief_with_shadows_and_highlights(rig: Rig, tmp_path: Path) -> None:
    directions = lamps()
    write(tmp_path / "chrome", {f"{number}": chrome(each) for number, each in enumerate(directions)})
    ran = rig("calibrate", "lights", "--images", "chrome", "--out", "lights.lp", "--json")
    assert ran.code == 0, ran.err
    found = np.array([light["direction"] for light in ran.json["lights"]])
    assert np.degrees(np.arccos((found * directions).sum(axis=1))).max() < 2
    write(tmp_path / "ball", {f"{n}": to_srgb(matte(each, 0.35)) for n, each in enumerate(directions)})
    done = rig("relief", "ball", "--lights", "lights.lp", "--out", "relief", "--json")
    assert done.code == 0 and done.json["response"] == "srgb" and done.json["rti_by_law"] is False, done.err
    normals, inside = ball()
    inner = inside & (normals[..., 2] > 0.3)
    off = angles_deg(tmp_path / "relief", normals, inner)
    assert np.median(off) < 2 and off.mean() < 3
    height = cv2.imread(str(tmp_path / "relief" / "height.png"), cv2.IMREAD_UNCHANGED).astype(float)
    low, high = done.json["height_range"]
    wrong = (low + height / 65535 * (high - low) - RADIUS * normals[..., 2])[inner]
    assert wrong.std() < 0.06 * RADIUS
    check_rti(tmp_path / "relief", directions)


LISTS = (  # of the photographs "ball 0.png" and so on
    ("with another kind of file, from Windows", "{count}\n", "C:\\My RTI\\jpeg exports\\BALL {n}.JPG {x} {y} {z}\n"),
    (
        "without a count, quoted, with comments",
        "# made by hand\n\n",
        '"sub folder/ball {n}.png"\t{x}\t{y}\t{z}\n; end\n',
    ),
    ("with a byte order mark and carriage returns", "\ufeff{count}\r\n", "./ball {n}.png  {x}  {y}  {z}\r\n"),
)


@pytest.mark.parametrize(
    ("kind", "head", "line"),
    [pytest.param(*each, id=each[0], marks=[pytest.mark.slow] if number else []) for number, each in enumerate(LISTS)],
)
def test_a_list_of_lights_as_other_programs_write_it(rig: Rig, tmp_path: Path, kind: str, head: str, line: str) -> None:
    directions = lamps((60,), around=5)
    write(tmp_path / "ball", {f"ball {n}": to_srgb(matte(each)) for n, each in enumerate(directions)})
    order = [3, 1, 4, 0, 2]  # by name, not as they come
    lines = "".join(line.format(n=n, x=directions[n, 0], y=directions[n, 1], z=directions[n, 2]) for n in order)
    (tmp_path / "other.lp").write_bytes((head.format(count=5) + lines).encode())
    ran = rig("relief", "ball", "--lights", "other.lp", "--out", "relief", "--response", "srgb", "--json")
    assert ran.code == 0 and "in the order" not in ran.err, ran.err
    normals, inside = ball()
    assert np.median(angles_deg(tmp_path / "relief", normals, inside & (normals[..., 2] > 0.6))) < 1


def test_a_list_that_does_not_fit_the_photographs_is_not_guessed_at(rig: Rig, tmp_path: Path) -> None:
    directions = lamps((60,), around=5)
    write(tmp_path / "ball", {f"ball {n}": to_srgb(matte(each)) for n, each in enumerate(directions)})
    rows = [f"ball {n}.png {x} {y} {z}\n" for n, (x, y, z) in enumerate(directions)]
    (tmp_path / "one.lp").write_text("5\n" + "".join(rows[:4]) + rows[4].replace("ball 4", "ball 5"))
    ran = rig("relief", "ball", "--lights", "one.lp", "--out", "relief")
    assert ran.code == 1 and "ball 5.png" in ran.err, "paired by order, ball 4 would be lit from somewhere else"
    (tmp_path / "count.lp").write_text("6\n" + "".join(rows))
    ran = rig("relief", "ball", "--lights", "count.lp", "--out", "relief")
    assert ran.code == 1 and "says that it lists 6 lights, and lists 5" in ran.err


def check_rti(folder: Path, directions: Vectors) -> None:
    polynomial = read_ptm(folder / "relief.ptm")
    left, top, right, bottom = json.loads((folder / "relief.json").read_text())["rti_box_px"]
    seen, lit = [], []
    for u, v, _ in directions:
        value = polynomial @ np.array([u * u, v * v, u * v, u, v, 1])
        seen.append(value[..., 0].ravel() / 255)
    for each in directions:
        lit.append(to_srgb(matte(each))[top:bottom, left:right, 0].ravel() / 255)
    assert np.corrcoef(np.concatenate(seen), np.concatenate(lit))[0, 1] > 0.95
    assert rti_coin(folder / "rti").relief is not None, "what `rig train` reads"


def to_srgb(light: Vectors) -> Image:
    return to_image(np.repeat(np.clip(light, 0, 1)[..., None], 3, axis=2).astype(np.float32))


def test_sixteen_bits_in_the_order_and_brightness_that_tables_give(rig: Rig, tmp_path: Path) -> None:
    """As DiLiGenT has it: numbers in tables, files by name, lamps of different brightness."""
    directions, strong = lamps((60, 40)), np.linspace(0.5, 1.5, 8)
    folder = write(tmp_path / "ball", {})
    for number, each in enumerate(directions):
        deep = np.rint(np.clip(matte(each) * strong[number] * 0.4, 0, 1) * 65535).astype(np.uint16)
        cv2.imwrite(str(folder / f"{9 - number:03}.png"), np.repeat(deep[..., None], 3, axis=2))
    (folder / "filenames.txt").write_text("".join(f"{9 - number:03}.png\n" for number in range(8)))
    (folder / "light_directions.txt").write_text("\n".join(" ".join(map(str, each)) for each in directions))
    (folder / "light_intensities.txt").write_text("\n".join(" ".join([str(each)] * 3) for each in strong))
    ran = rig("relief", "ball", "--lights", folder / "light_directions.txt", "--out", "relief", "--json")
    assert ran.code == 0 and ran.json["response"] == "linear", ran.err
    normals, inside = ball()
    assert np.median(angles_deg(tmp_path / "relief", normals, inside & (normals[..., 2] > 0.4))) < 1


def test_what_gives_no_relief_is_refused_with_the_reason(rig: Rig, tmp_path: Path) -> None:
    directions = lamps()
    write(tmp_path / "ball", {f"{n}": to_srgb(matte(each)) for n, each in enumerate(directions)})
    flat = directions * (1, 0, 1) / np.linalg.norm(directions * (1, 0, 1), axis=1, keepdims=True)
    for name, text, reason in (
        ("few.lp", "2\n0.png 0 0 1\n1.png 0.1 0 1\n", "too few for a relief"),
        ("plane.txt", "\n".join(" ".join(map(str, each)) for each in flat), "in one plane"),
        ("bad.lp", "hello\nworld", "no directions"),
        ("behind.txt", "\n".join(" ".join(map(str, each * (1, 1, -1))) for each in directions), "from behind"),
    ):
        (tmp_path / name).write_text(text)
        ran = rig("relief", "ball", "--lights", name, "--out", "relief")
        assert ran.code == 1 and reason in ran.err.replace("\n", " "), (name, ran.err)
    assert not (tmp_path / "relief").exists()
    write(tmp_path / "dark", {"0": np.zeros((SIZE, SIZE, 3), np.uint8)})
    unlit = rig("calibrate", "lights", "--images", "dark")
    assert unlit.code == 1 and "no lamp is reflected" in unlit.err
    both = np.maximum(chrome(directions[1]), chrome(directions[3]))
    write(tmp_path / "two", {"0": both})
    assert "two lamps" in rig("calibrate", "lights", "--images", "two").err
    write(tmp_path / "bare", {"0": both}, mask=False)
    assert rig("calibrate", "lights", "--images", "bare").code == 2


@real
@pytest.mark.slow
def test_the_real_grey_sphere_under_lights_of_the_real_chrome_one(rig: Rig, tmp_path: Path) -> None:
    assert rig("calibrate", "lights", "--images", SPHERES / "chrome", "--out", "lights.lp").code == 0
    assert rig("relief", SPHERES / "gray", "--lights", "lights.lp", "--out", "relief").code == 0
    inside = cv2.imread(str(SPHERES / "gray" / "gray.mask.png"), cv2.IMREAD_GRAYSCALE) > 127
    rows, columns = np.nonzero(inside)
    radius = np.sqrt(inside.sum() / np.pi)
    y, x = np.indices(inside.shape)
    x, y = (x - columns.mean()) / radius, (rows.mean() - y) / radius
    true = np.stack([x, y, np.sqrt(np.clip(1 - x**2 - y**2, 0, None))], axis=-1)
    assert angles_deg(tmp_path / "relief", true, inside & (x**2 + y**2 < 1)).mean() < 5
