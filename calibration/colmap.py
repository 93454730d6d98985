"""Images with known cameras as COLMAP reads them: `cameras.txt`, `images.txt`, `points3D.txt`, `images/`.

The format is that of COLMAP's documentation ("Output format", text files): a pixel's centre is at a half, an image's
pose leads from the world to the camera, whose x is to the right, y down and z forward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.lens import Lens
from calibration.view_poses import ViewPose

Points = npt.NDArray[np.float64]

HALF_PX = 0.5  # COLMAP counts from the corner of the first pixel, the rest of this program from its centre
POINT_COLOUR = "96 96 96"


@dataclass(frozen=True, eq=False)
class PosedImage:
    """One image: its file's name, the camera's pose, and known points that are seen in it: number -> (x, y) in px."""

    name: str
    pose: ViewPose
    seen_px: Mapping[int, Points]


def encode_colmap(images: Sequence[PosedImage], points_mm: Mapping[int, Points], lens: Lens) -> dict[str, str]:
    """The three text files by name, of images without distortion; points by number, from 1."""
    matrix = lens.matrix
    camera = [
        *(f"{value:.6f}" for value in (matrix[0, 0], matrix[1, 1])),
        *(f"{value + HALF_PX:.6f}" for value in (matrix[0, 2], matrix[1, 2])),
    ]
    cameras = [
        "# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]: fx, fy, cx, cy",
        f"1 PINHOLE {lens.width_px} {lens.height_px} {' '.join(camera)}",
    ]
    lines = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME", "# POINTS2D[] as (X, Y, POINT3D_ID)"]
    tracks: dict[int, list[tuple[int, int, float]]] = {number: [] for number in points_mm}
    for image_id, image in enumerate(images, 1):
        pose = (*image.pose.quaternion, *image.pose.translation_mm)
        lines.append(f"{image_id} {' '.join(f'{value:.9f}' for value in pose)} 1 {image.name}")
        seen = []
        for index, (number, at) in enumerate(image.seen_px.items()):
            seen.append(f"{at[0] + HALF_PX:.4f} {at[1] + HALF_PX:.4f} {number}")
            miss = float(np.linalg.norm(image.pose.project(points_mm[number][None], lens)[0] - at))
            tracks[number].append((image_id, index, miss))
        lines.append(" ".join(seen))
    points = ["# POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)"]
    for number, track in tracks.items():
        if track:
            place = " ".join(f"{value:.6f}" for value in points_mm[number])
            error = float(np.mean([miss for _, _, miss in track]))
            where = " ".join(f"{image_id} {index}" for image_id, index, _ in track)
            points.append(f"{number} {place} {POINT_COLOUR} {error:.4f} {where}")
    texts = {"cameras.txt": cameras, "images.txt": lines, "points3D.txt": points}
    return {name: "\n".join(text) + "\n" for name, text in texts.items()}
