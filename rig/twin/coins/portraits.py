"""Obverse dies: a head in profile, its hair, what it wears, and its name round the rim."""

from __future__ import annotations

import cv2
import numpy as np

from rig.twin.coins.lettering import arched_text
from rig.twin.coins.relief import Die, smooth_curve
from rig.twin.coins.surface import as_array

_NAMES = (
    "IMP CAES TRAIANVS AVG",
    "IMP CONSTANTINVS PF AVG",
    "DN MAXIMIANO FELICISSIMO",
    "FL VAL CONSTANTIVS NOB C",
    "ANTONINVS AVG PIVS PP",
    "HADRIANVS AVGVSTVS",
    "IMP PROBVS PF AVG",
    "CAESAR DIVI F",
    "SEVERVS PIVS AVG BRIT",
    "IMP C GALLIENVS AVG",
    "NERO CLAVDIVS CAESAR",
    "L CALPVRNIVS PISO",
    "ROMA",
    "DIVVS AVGVSTVS PATER",
    "MAXENTIVS P F AVG",
    "IMP C DIOCLETIANVS PF AVG",
)
_EMPRESSES = (
    "FAVSTINA AVGVSTA",
    "IVLIA DOMNA AVG",
    "SABINA AVGVSTA",
    "LVCILLA AVGVSTA",
    "IVLIA MAMAEA AVG",
    "CRISPINA AVG",
    "FL HELENA AVGVSTA",
    "SALONINA AVG",
)


def rim_dots(die: Die, count: int, radius: float) -> None:
    """The dotted border."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    die.dots(np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1), 0.62 * np.pi * radius / count, 0.3)


def cut_portrait(die: Die, seed: np.random.SeedSequence) -> None:
    """Cut an obverse. The same seed cuts the same die."""
    rng = np.random.default_rng(seed)
    woman = rng.random() < 0.25
    beard = not woman and rng.random() < 0.5
    crown = "none" if woman else str(rng.choice(["laurel", "laurel", "radiate", "diadem", "none"]))
    left_facing = rng.random() < 0.18
    nose, chin, brow, jaw = rng.normal(0, [0.025, 0.022, 0.014, 0.02])
    skull, neck = rng.normal(0, [0.03, 0.025])

    profile = [
        (0.27, 0.50), (0.345, 0.41), (0.375 + brow, 0.305), (0.350 + brow / 2, 0.245), (0.42 + nose, 0.155),
        (0.475 + 1.5 * nose, 0.085), (0.45 + nose, 0.052), (0.395, 0.035), (0.415, -0.002), (0.40, -0.022),
        (0.375, -0.038), (0.402, -0.062), (0.395, -0.095), (0.365, -0.115), (0.375 + chin, -0.165),
        (0.36 + chin, -0.22), (0.29 + chin / 2, -0.262 - jaw), (0.175, -0.25 - jaw), (0.125 + neck, -0.33),
        (0.13 + neck, -0.45), (0.22, -0.56), (0.30, -0.62), (0.12, -0.72), (-0.14, -0.715), (-0.37, -0.60),
        (-0.27, -0.50), (-0.20 - neck, -0.36),
        (-0.21 - neck, -0.2), (-0.29, -0.06), (-0.37 - skull, 0.10), (-0.40 - skull, 0.28), (-0.35 - skull, 0.46),
        (-0.22, 0.60 + skull), (-0.03, 0.67 + skull), (0.14, 0.645 + skull / 2),
    ]  # fmt: skip
    hair = [
        (0.27, 0.505), (0.235, 0.44), (0.20, 0.36), (0.155, 0.31), (0.15, 0.20), (0.10, 0.12), (0.07, 0.17),
        (0.03, 0.20), (-0.04, 0.10), (-0.10, -0.02), (-0.17, -0.16), (-0.215, -0.23), (-0.30, -0.06),
        (-0.39 - skull, 0.10), (-0.425 - skull, 0.28), (-0.37 - skull, 0.48), (-0.23, 0.625 + skull),
        (-0.03, 0.695 + skull), (0.14, 0.67 + skull / 2), (0.25, 0.575),
    ]  # fmt: skip
    die.raise_shape(smooth_curve(profile), 0.82, 0.26)
    before_hair = die.height.copy()
    die.raise_shape(smooth_curve(hair), 0.26, 0.10, base=0.66)
    if woman:
        for x, y, r in ((-0.36, 0.02, 0.13), (-0.42, 0.12, 0.09)):
            die.limb((x, y), (x - 0.03, y - 0.05), (r, 0.7 * r), 0.85)
    _comb(die, rng, die.height > before_hair + 0.02, curly=not woman and rng.random() < 0.5)
    _face(die, rng, beard)
    _bust(die, rng)
    _headgear(die, crown, skull)
    size = float(rng.uniform(0.98, 1.1))
    middle = die.size_px / 2
    matrix = np.array([[size, 0, (1 - size) * middle], [0, size, (1 - size) * middle]])
    if left_facing:
        matrix[0] = -size, 0, (1 + size) * middle
    die.height = as_array(cv2.warpAffine(die.height, matrix, die.height.shape))
    _inscribe(die, rng, str(rng.choice(_EMPRESSES if woman else _NAMES)))


def _comb(die: Die, rng: np.random.Generator, where: np.ndarray, curly: bool) -> None:
    """Hair: strands that run from the crown of the head, or locks."""
    n = die.size_px
    axis = (np.arange(n, dtype=np.float32) / np.float32(die.scale)) - np.float32(die.REACH)
    x, y = axis[None, :] + np.float32(0.10), -axis[:, None] - np.float32(0.36)
    angle, away = np.arctan2(y, x), np.hypot(x, y)
    twist, strands = np.float32(rng.uniform(1.5, 4.0)), int(rng.integers(22, 34))
    wave = np.sin(strands * angle + twist * np.sin(7 * away + 2 * angle) + 9 * away)
    if curly:
        locks = int(rng.integers(10, 15))
        wave = np.sin(locks * angle + 14 * away) * np.cos(30 * away - 0.6 * locks * angle) * np.float32(1.3)
    soft = cv2.GaussianBlur(where.astype(np.float32), (0, 0), 1.5)
    # Strands would crowd at the crown itself: they rise with the distance from it.
    die.height += soft * (wave * np.clip(away * 5 - np.float32(0.35), 0, 1)).astype(np.float32) * np.float32(0.11)


def _face(die: Die, rng: np.random.Generator, beard: bool) -> None:
    eye = rng.normal(0, 0.008)
    die.limb((0.20, 0.255), (0.34, 0.275), (0.035, 0.03), 0.93)  # brow ridge
    die.limb((0.12, 0.02), (0.27, 0.06), (0.12, 0.08), 0.86)  # cheek
    die.limb((0.245, 0.195 + eye), (0.285, 0.195 + eye), (0.034, 0.026), 0.93)
    lids = [
        [(0.195, 0.19 + eye), (0.25, 0.232 + eye), (0.325, 0.195 + eye)],
        [(0.205, 0.183 + eye), (0.26, 0.16 + eye), (0.315, 0.18 + eye)],
    ]
    die.add_strokes(lids, 0.014, 0.13, smooth=True)
    die.add_strokes([[(0.285, -0.033), (0.33, -0.038), (0.385, -0.036)]], 0.018, -0.16, smooth=True)  # mouth
    die.add_strokes([[(0.37, 0.075), (0.375, 0.105), (0.40, 0.125)]], 0.018, -0.14, smooth=True)  # nostril's wing
    die.add_strokes([[(0.335, 0.05), (0.295, 0.0), (0.285, -0.05)]], 0.02, -0.06, smooth=True)  # cheek fold
    ear = [[(0.035, 0.075), (0.0, 0.14), (0.03, 0.205), (0.075, 0.19), (0.07, 0.13), (0.045, 0.09), (0.035, 0.075)]]
    die.add_strokes(ear, 0.026, 0.22, smooth=True)
    die.add_strokes(
        [[(0.02, -0.26), (0.06, -0.40), (0.13, -0.55)], [(-0.10, -0.20), (-0.09, -0.40)]], 0.04, 0.07, smooth=True
    )
    if beard:
        starts = rng.uniform((0.06, -0.24), (0.36, 0.04), (170, 2))
        on_jaw = starts[:, 1] < 0.06 - 0.85 * np.abs(starts[:, 0] - 0.08) ** 0.9 - 0.02
        on_jaw |= (starts[:, 0] > 0.26) & (starts[:, 1] < -0.10)
        locks = [[(x, y), (x + 0.012, y - 0.02), (x + 0.03, y - 0.036)] for x, y in starts[on_jaw]]
        die.add_strokes(locks, 0.012, 0.2)


def _bust(die: Die, rng: np.random.Generator) -> None:
    """Nothing, a cloak, or armour, below the neck."""
    dress = rng.integers(0, 3)
    if dress == 0:
        return
    chest = [(0.16, -0.46), (0.30, -0.53), (0.40, -0.62), (0.30, -0.72), (0.0, -0.77), (-0.30, -0.73), (-0.44, -0.60)]
    chest += [(-0.34, -0.48), (-0.20, -0.42), (-0.02, -0.50)]
    die.raise_shape(smooth_curve(chest), 0.5, 0.12, base=0.2)
    if dress == 1:
        folds = [
            [(-0.36 + 0.09 * i, -0.50 - 0.02 * i), (-0.16 + 0.08 * i, -0.62), (0.08 + 0.06 * i, -0.72 + 0.03 * i)]
            for i in range(int(rng.integers(4, 7)))
        ]
        die.add_strokes(folds, 0.03, 0.18, smooth=True)
        die.dots([(-0.24, -0.50)], 0.05, 0.3)
    else:
        die.add_strokes([[(-0.22, -0.45), (0.0, -0.53), (0.20, -0.49)]], 0.04, 0.25, smooth=True)
        straps = [[(-0.40 + 0.035 * i, -0.58 - 0.012 * i), (-0.36 + 0.035 * i, -0.70 - 0.008 * i)] for i in range(7)]
        die.add_strokes(straps, 0.018, 0.25)


def _headgear(die: Die, crown: str, skull: float) -> None:
    band = smooth_curve(
        [(-0.37, 0.08), (-0.31, 0.28), (-0.15, 0.42), (0.07, 0.50), (0.26, 0.53)], closed=False, steps=6
    )
    ties = [
        [(-0.37, 0.08), (-0.46, 0.02), (-0.44, -0.08), (-0.52, -0.16)],
        [(-0.37, 0.08), (-0.42, -0.05), (-0.37, -0.16), (-0.40, -0.28)],
    ]
    if crown == "none":
        return
    die.add_strokes(ties, 0.03, 0.3, smooth=True)
    if crown == "laurel":
        for i in range(3, len(band) - 1, 3):
            (x, y), (dx, dy) = band[i], band[i] - band[i - 1]
            along = np.array([dx, dy]) / np.hypot(dx, dy)
            across = np.array([-along[1], along[0]])
            for side in (-1, 1):
                tip = band[i] + 0.10 * along + side * 0.055 * across
                die.limb((x, y), (float(tip[0]), float(tip[1])), (0.026, 0.012), 1.12)
    elif crown == "diadem":
        die.add_strokes([np.add(band, (0.0, 0.025)), np.subtract(band, (0.0, 0.025))], 0.02, 0.2)
        die.dots(band[::3], 0.024, 0.3)
    else:
        die.add_strokes([band], 0.03, 0.25)
        for i in range(6, len(band), 4):
            root = band[i]
            lean = np.array([0.25 * (i / len(band) - 0.6), 1.0])
            tip = root + 0.29 * lean / np.hypot(*lean) + (0.0, skull / 2)
            die.raise_shape([(root[0] - 0.035, root[1]), tuple(tip), (root[0] + 0.04, root[1])], 0.75, 0.03)


def _inscribe(die: Die, rng: np.random.Generator, name: str) -> None:
    height = float(rng.uniform(0.115, 0.14))
    feet = 0.885 - height
    spread = min(40 + 11.0 * len(name), 275.0)
    middle = float(rng.normal(90, 6))
    letters = arched_text(name, feet, height, middle + spread / 2, middle - spread / 2)
    die.add_strokes(letters, 0.027, 0.42)
    die.dots([stroke[i] for stroke in letters for i in (0, -1)], 0.019, 0.16)
    rim_dots(die, int(rng.integers(62, 84)), 0.955)
