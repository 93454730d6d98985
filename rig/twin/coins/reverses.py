"""Reverse dies: figures standing and seated, temple, wreath, altar, eagle, galley, horseman, star; with legends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rig.twin.coins.lettering import arched_text, straight_text
from rig.twin.coins.portraits import rim_dots
from rig.twin.coins.relief import Die, smooth_curve

_LEGENDS = (
    "GENIO POPVLI ROMANI",
    "SOLI INVICTO COMITI",
    "PROVIDENTIA DEORVM",
    "CONCORDIA MILITVM",
    "SALVS AVG",
    "PAX AVGVSTI",
    "VICTORIA AVGG",
    "FIDES EXERCITVS",
    "AEQVITAS AVG",
    "MARTI CONSERVATORI",
    "ROMAE AETERNAE",
    "SPES PVBLICA",
    "TR P COS III PP",
    "IOVI CONSERVATORI",
    "VIRTVS AVG",
    "CONSECRATIO",
)
_MINTS = ("PTR", "PLC", "SIS", "ANT", "RP", "TT", "PLN", "SMK", "ALE")


def cut_reverse(die: Die, seed: np.random.SeedSequence) -> None:
    """Cut a reverse. The same seed cuts the same die."""
    rng = np.random.default_rng(seed)
    _DEVICES[int(rng.integers(0, len(_DEVICES)))](die, rng)
    legend = str(rng.choice(_LEGENDS))
    height = float(rng.uniform(0.11, 0.135))
    spread = min(40 + 11.5 * len(legend), 250.0)
    letters = arched_text(legend, 0.885 - height, height, 90 + spread / 2, 90 - spread / 2)
    die.add_strokes(letters, 0.027, 0.42)
    die.dots([stroke[i] for stroke in letters for i in (0, -1)], 0.019, 0.16)
    rim_dots(die, int(rng.integers(62, 84)), 0.955)


def _exergue(die: Die, rng: np.random.Generator, y: float = -0.58) -> None:
    half = float(np.sqrt(0.86**2 - y**2)) * 0.8
    die.add_strokes([[(-half, y), (half, y)]], 0.03, 0.3)
    mint = str(rng.choice(_MINTS))
    die.add_strokes(straight_text(mint, 0.0, y - 0.13, 0.12), 0.027, 0.4)


def _figure(die: Die, rng: np.random.Generator, x: float, size: float, mirrored: bool) -> None:
    """Somebody standing, one arm out, in a tunic or a cloak, holding things."""
    flip = -1 if mirrored else 1

    def at(u: float, v: float) -> tuple[float, float]:
        return x + flip * size * u, size * v - 0.02

    def limb(a: tuple[float, float], b: tuple[float, float], r0: float, r1: float, height: float) -> None:
        die.limb(at(*a), at(*b), (size * r0, size * r1), height)

    sway = float(rng.normal(0, 0.03))
    robed = rng.random() < 0.5
    limb((0.0, 0.28), (sway, -0.02), 0.115, 0.085, 0.75)  # trunk
    limb((0.02, 0.40), (0.0, 0.30), 0.04, 0.05, 0.6)
    limb((0.015, 0.475), (0.02, 0.50), 0.068, 0.062, 0.85)  # head
    if robed:
        hem = [(-0.14, -0.56), (0.15, -0.56), (0.13, -0.25), (0.10, 0.02), (0.0, 0.1), (-0.10, 0.02), (-0.13, -0.28)]
        die.raise_shape(smooth_curve([at(u + sway, v) for u, v in hem]), 0.55, size * 0.1, base=0.1)
        folds = [
            [at(u / 2 + sway, 0.02), at(u + sway, -0.26), at(1.15 * u + sway, -0.54)]
            for u in np.linspace(-0.11, 0.11, 6)
        ]
        die.add_strokes(folds, 0.022, 0.22, smooth=True)
    else:
        limb((sway - 0.05, -0.02), (sway - 0.06, -0.30), 0.075, 0.052, 0.72)
        limb((sway - 0.06, -0.30), (sway - 0.075, -0.55), 0.05, 0.032, 0.6)
        limb((sway + 0.05, -0.02), (sway + 0.09, -0.29), 0.075, 0.052, 0.72)
        limb((sway + 0.09, -0.29), (sway + 0.07, -0.55), 0.05, 0.032, 0.6)
        limb((sway - 0.075, -0.56), (sway - 0.13, -0.57), 0.03, 0.02, 0.5)
        limb((sway + 0.07, -0.56), (sway + 0.13, -0.57), 0.03, 0.02, 0.5)
        cloak = [at(0.10, 0.3), at(0.20, 0.05), at(0.17, -0.2), at(0.22, -0.42)]
        die.add_strokes([cloak, [(u + 0.03, v - 0.03) for u, v in cloak]], 0.03, 0.3, smooth=True)
    elbow = (-0.20, 0.16 + float(rng.normal(0, 0.04)))
    hand = (-0.30 + float(rng.normal(0, 0.03)), float(rng.uniform(0.10, 0.36)))
    limb((-0.10, 0.29), elbow, 0.05, 0.04, 0.65)
    limb(elbow, hand, 0.04, 0.026, 0.6)
    other_hand = (0.25, float(rng.uniform(0.12, 0.3)))
    limb((0.10, 0.29), (0.2, 0.14), 0.05, 0.04, 0.65)
    limb((0.2, 0.14), other_hand, 0.04, 0.026, 0.6)
    _held(die, rng, at(*hand), size)
    if rng.random() < 0.5:
        die.add_strokes([[at(0.27, 0.62), at(0.27, -0.57)]], 0.024, 0.4)  # sceptre
        die.dots([at(0.27, 0.62)], 0.03, 0.35)
    else:
        limb((0.22, 0.06), (0.34, 0.40), 0.025, 0.075, 0.6)  # horn of plenty
        die.dots([at(0.30, 0.46), at(0.36, 0.48), at(0.41, 0.43)], 0.03, 0.3)


def _held(die: Die, rng: np.random.Generator, hand: tuple[float, float], size: float) -> None:
    x, y = hand
    thing = int(rng.integers(0, 5))
    if thing == 0:  # dish
        die.limb((x - 0.05, y), (x + 0.03, y), (0.05, 0.05), 0.5)
    elif thing == 1:  # globe
        die.limb((x - 0.02, y + 0.05), (x - 0.02, y + 0.05), (0.07 * size, 0.07 * size), 0.75)
    elif thing == 2:  # wreath
        angles = np.linspace(0, 2 * np.pi, 15)
        ring = np.stack([x - 0.05 + 0.09 * np.cos(angles), y + 0.03 + 0.09 * np.sin(angles)], axis=1)
        die.add_strokes([ring], 0.035, 0.38)
    elif thing == 3:  # branch
        die.add_strokes([[(x, y), (x - 0.05, y + 0.25)]], 0.02, 0.3)
        die.dots([(x - 0.05 * t + s * 0.035, y + 0.25 * t) for t in (0.4, 0.65, 0.9) for s in (-1, 1)], 0.024, 0.3)
    else:  # scales
        die.add_strokes(
            [
                [(x - 0.11, y), (x + 0.11, y)],
                [(x - 0.09, y), (x - 0.09, y - 0.13)],
                [(x + 0.09, y), (x + 0.09, y - 0.13)],
            ],
            0.018,
            0.35,
        )
        die.dots([(x - 0.09, y - 0.15), (x + 0.09, y - 0.15)], 0.04, 0.3)


def _standing(die: Die, rng: np.random.Generator) -> None:
    _figure(die, rng, 0.02, float(rng.uniform(1.0, 1.12)), bool(rng.random() < 0.4))
    _exergue(die, rng, -0.66)
    if rng.random() < 0.6:
        letter = str(rng.choice(list("ABSCTVPKF")))
        die.add_strokes(straight_text(letter, -0.46, -0.12, 0.16) + straight_text("F", 0.50, -0.12, 0.16), 0.03, 0.4)


def _two_figures(die: Die, rng: np.random.Generator) -> None:
    _figure(die, rng, -0.27, 0.92, False)
    _figure(die, rng, 0.29, 0.92, True)
    _exergue(die, rng)


def _seated(die: Die, rng: np.random.Generator) -> None:
    die.limb((0.05, 0.30), (0.10, 0.0), (0.13, 0.12), 0.8)
    die.limb((0.04, 0.49), (0.04, 0.52), (0.075, 0.07), 0.9)
    die.limb((0.10, -0.02), (-0.20, -0.06), (0.12, 0.085), 0.8)
    die.limb((-0.20, -0.06), (-0.24, -0.48), (0.085, 0.05), 0.7)
    die.limb((-0.24, -0.52), (-0.33, -0.53), (0.04, 0.025), 0.5)
    die.limb((-0.02, 0.28), (-0.32, 0.18), (0.055, 0.03), 0.7)
    die.limb((0.15, 0.28), (0.32, 0.22), (0.055, 0.03), 0.7)
    folds = [[(0.12 - 0.05 * i, -0.08), (0.02 - 0.05 * i, -0.3), (-0.03 - 0.05 * i, -0.5)] for i in range(5)]
    die.add_strokes(folds, 0.024, 0.28, smooth=True)
    throne = [
        [(0.28, 0.12), (0.28, -0.54)],
        [(-0.02, -0.18), (0.3, -0.18)],
        [(0.0, -0.2), (0.0, -0.54)],
        [(0.28, 0.12), (0.34, 0.2)],
    ]
    die.add_strokes(throne, 0.04, 0.4)
    _held(die, rng, (-0.34, 0.2), 1.0)
    die.add_strokes([[(0.36, 0.58), (0.36, -0.54)]], 0.022, 0.35)
    _exergue(die, rng)


def _temple(die: Die, rng: np.random.Generator) -> None:
    columns = int(rng.choice([4, 6]))
    for x in np.linspace(-0.42, 0.42, columns):
        die.limb((float(x), -0.34), (float(x), 0.16), (0.036, 0.03), 0.7)
        die.add_strokes([[(x - 0.05, 0.19), (x + 0.05, 0.19)], [(x - 0.05, -0.37), (x + 0.05, -0.37)]], 0.03, 0.4)
    die.add_strokes([[(-0.54, 0.25), (0.54, 0.25)], [(-0.54, 0.25), (0, 0.52), (0.54, 0.25)]], 0.045, 0.5)
    die.add_strokes(
        [[(-0.54 - 0.03 * i, -0.42 - 0.06 * i), (0.54 + 0.03 * i, -0.42 - 0.06 * i)] for i in range(3)], 0.035, 0.4
    )
    die.dots([(0.0, 0.36), (0.0, 0.58), (-0.56, 0.31), (0.56, 0.31)], 0.04, 0.5)
    die.limb((0.0, -0.3), (0.0, 0.02), (0.06, 0.05), 0.6)
    die.limb((0.0, 0.1), (0.0, 0.11), (0.045, 0.045), 0.6)
    _exergue(die, rng, -0.64)


def _wreath(die: Die, rng: np.random.Generator) -> None:
    for angle in np.radians(np.arange(-75, 256, 7.5)):
        along = np.array([np.cos(angle), np.sin(angle)])
        turn = np.array([-along[1], along[0]]) * (1 if np.cos(angle) > 0 else -1)
        root = 0.60 * along
        for lean in (-0.045, 0.045):
            tip = root + 0.10 * turn + lean * along
            die.limb((float(root[0]), float(root[1])), (float(tip[0]), float(tip[1])), (0.024, 0.010), 0.6)
    rows = {0: ["VOT", "XX", "MVLT", "XXX"], 1: ["S C"], 2: ["SPQR", "OPTIMO"], 3: ["VOT", "V"], 4: ["AVG"]}[
        int(rng.integers(0, 5))
    ]
    size = 0.2 if len(rows) < 3 else 0.15
    for i, row in enumerate(rows):
        strokes = straight_text(row, 0.0, (len(rows) / 2 - 0.5 - i) * 1.45 * size, size)
        die.add_strokes(strokes, 0.032, 0.45)
    die.dots([(0.0, 0.62)], 0.06, 0.5)


def _altar(die: Die, rng: np.random.Generator) -> None:
    die.raise_shape([(-0.27, -0.50), (0.27, -0.50), (0.27, 0.08), (-0.27, 0.08)], 0.5, 0.05, base=0.15)
    die.raise_shape([(-0.34, 0.06), (0.34, 0.06), (0.34, 0.15), (-0.34, 0.15)], 0.65, 0.04, base=0.1)
    die.raise_shape([(-0.36, -0.58), (0.36, -0.58), (0.36, -0.48), (-0.36, -0.48)], 0.65, 0.04, base=0.1)
    panel = [
        [(-0.2, -0.42), (0.2, -0.42), (0.2, 0.0), (-0.2, 0.0), (-0.2, -0.42)],
        [(-0.2, -0.42), (0.2, 0.0)],
        [(-0.2, 0.0), (0.2, -0.42)],
    ]
    die.add_strokes(panel[: int(rng.integers(1, 4))], 0.025, 0.25)
    for x in (-0.2, -0.07, 0.07, 0.2):
        lean = float(rng.normal(0, 0.04))
        die.limb((x, 0.2), (x + lean, 0.42 + float(rng.uniform(0, 0.12))), (0.06, 0.015), 0.65)
    _exergue(die, rng, -0.66)


def _eagle(die: Die, rng: np.random.Generator) -> None:
    spread = float(rng.uniform(0.85, 1.1))
    die.limb((0.0, 0.22), (0.02, -0.22), (0.13, 0.10), 0.85)
    die.limb((0.0, 0.30), (-0.06, 0.47), (0.08, 0.065), 0.85)
    die.limb((-0.09, 0.48), (-0.18, 0.44), (0.035, 0.012), 0.75)
    for side in (-1, 1):
        die.limb((0.08 * side, 0.18), (0.42 * side * spread, 0.34), (0.09, 0.06), 0.7)
        for i in range(7):
            t = i / 6
            root = (side * spread * (0.14 + 0.28 * t), 0.18 + 0.16 * t)
            tip = (side * spread * (0.20 + 0.40 * t), -0.26 + 0.22 * t)
            die.limb(root, tip, (0.042, 0.022), 0.6)
        die.limb((0.06 * side, -0.24), (0.09 * side, -0.42), (0.05, 0.03), 0.65)
        die.add_strokes([[(0.09 * side + 0.05 * k, -0.47), (0.09 * side, -0.41)] for k in (-1, 0, 1)], 0.022, 0.35)
    for k in (-1, 0, 1):
        die.limb((0.02, -0.26), (0.02 + 0.08 * k, -0.50), (0.05, 0.035), 0.5)
    die.add_strokes([[(-0.3, -0.52), (0.3, -0.52)]], 0.05, 0.4)
    scales = [(x + 0.03 * (row % 2), 0.2 - 0.06 * row) for row in range(7) for x in (-0.06, 0.0, 0.06)]
    die.dots(scales, 0.02, 0.12)
    if rng.random() < 0.6:
        _exergue(die, rng, -0.62)


def _galley(die: Die, rng: np.random.Generator) -> None:
    hull = [
        (-0.62, 0.02),
        (-0.50, -0.22),
        (0.42, -0.24),
        (0.60, -0.02),
        (0.70, 0.20),
        (0.60, 0.26),
        (0.52, 0.06),
        (0.30, -0.06),
    ]
    hull += [(-0.45, -0.06), (-0.56, 0.14)]
    die.raise_shape(smooth_curve(hull), 0.6, 0.07, base=0.15)
    oars = np.linspace(-0.42, 0.36, int(rng.integers(8, 13)))
    die.add_strokes([[(x, -0.16), (x - 0.07, -0.42)] for x in oars], 0.024, 0.35)
    die.add_strokes([[(-0.5, -0.13), (0.45, -0.14)]], 0.02, 0.25)
    die.add_strokes([[(0.0, -0.05), (0.0, 0.58)], [(-0.3, 0.50), (0.3, 0.50)]], 0.03, 0.4)
    sail = [(-0.28, 0.48), (0.28, 0.48), (0.22, 0.16), (0.0, 0.10), (-0.22, 0.16)]
    die.raise_shape(smooth_curve(sail), 0.35, 0.12, base=0.1)
    for x in (-0.30, -0.18, 0.24):
        die.limb((x, 0.02), (x, 0.10), (0.045, 0.035), 0.7)
    waves = [[(x, -0.48), (x + 0.06, -0.44), (x + 0.12, -0.48)] for x in np.linspace(-0.6, 0.5, 9)]
    die.add_strokes(waves, 0.024, 0.25, smooth=True)
    _exergue(die, rng, -0.58)


def _rider(die: Die, rng: np.random.Generator) -> None:
    lift = float(rng.uniform(0.0, 0.14))
    die.limb((-0.24, -0.05), (0.22, 0.02 + lift), (0.15, 0.145), 0.85)
    die.limb((0.26, 0.06 + lift), (0.42, 0.30 + lift), (0.11, 0.07), 0.8)
    die.limb((0.42, 0.32 + lift), (0.56, 0.20 + lift), (0.065, 0.035), 0.75)
    for start, knee, foot in (
        ((0.22, -0.02 + lift), (0.40, -0.12 + 1.6 * lift), (0.48, -0.28 + 1.6 * lift)),
        ((0.18, -0.06 + lift), (0.26, -0.28 + lift), (0.20, -0.46 + lift)),
        ((-0.28, -0.10), (-0.34, -0.32), (-0.42, -0.52)),
        ((-0.20, -0.12), (-0.18, -0.34), (-0.24, -0.52)),
    ):
        die.limb(start, knee, (0.085, 0.045), 0.7)
        die.limb(knee, foot, (0.042, 0.026), 0.6)
    tail = [[(-0.37, 0.02), (-0.50, -0.02), (-0.52, -0.22), (-0.60, -0.34)]]
    die.add_strokes(tail, 0.05, 0.45, smooth=True)
    mane = [[(0.30 + 0.03 * i, 0.18 + 0.03 * i + lift), (0.24 + 0.03 * i, 0.16 + 0.04 * i + lift)] for i in range(6)]
    die.add_strokes(mane, 0.025, 0.25)
    die.limb((-0.02, 0.16), (0.0, 0.40), (0.095, 0.10), 0.9)
    die.limb((0.01, 0.54), (0.01, 0.56), (0.068, 0.064), 0.95)
    die.limb((0.0, 0.12), (0.10, -0.20), (0.07, 0.045), 0.95)
    die.limb((0.06, 0.42), (0.26, 0.46), (0.045, 0.03), 0.8)
    die.add_strokes(
        [[(-0.16, 0.62), (0.56, 0.28)]] if rng.random() < 0.5 else [[(-0.06, 0.42), (-0.3, 0.36), (-0.36, 0.2)]],
        0.028,
        0.4,
    )
    _exergue(die, rng)


def _star(die: Die, rng: np.random.Generator) -> None:
    rays = int(rng.choice([6, 8, 16]))
    for angle in np.linspace(0, 2 * np.pi, rays, endpoint=False) + np.pi / 2:
        tip = (0.40 * float(np.cos(angle)), 0.08 + 0.40 * float(np.sin(angle)))
        die.limb((0.0, 0.08), tip, (0.075, 0.012), 0.7)
    die.limb((0.0, 0.08), (0.0, 0.08), (0.11, 0.11), 0.85)
    if rng.random() < 0.7:
        angles = np.radians(np.linspace(200, 340, 17))
        outer = np.stack([0.60 * np.cos(angles), 0.08 + 0.60 * np.sin(angles)], axis=1)
        inner = np.stack([0.50 * np.cos(angles[::-1]), 0.19 + 0.56 * np.sin(angles[::-1])], axis=1)
        die.raise_shape(np.concatenate([outer, inner]), 0.6, 0.05)
    die.dots([(-0.55, 0.3), (0.55, 0.3), (-0.62, 0.0), (0.62, 0.0)], 0.035, 0.4)


_DEVICES: tuple[Callable[[Die, np.random.Generator], None], ...] = (
    _standing,
    _standing,
    _standing,
    _two_figures,
    _seated,
    _temple,
    _wreath,
    _altar,
    _eagle,
    _galley,
    _rider,
    _star,
)
