"""Parts of a calibration made of photographs, as files: lens and colour as YAML, a flat as NPZ."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import yaml

from calibration.colour import MODELS, ColourCorrection
from calibration.detector import Correction
from calibration.durable_files import read_limit, write_atomically
from calibration.errors import CalibrationError
from calibration.lens import Lens

MAX_YAML_BYTES = 2_000_000
MAX_FLAT_GB = 1.0


def save_lens(lens: Lens, path: Path) -> None:
    """Write a lens as YAML, in the words of a bundle."""
    facts = {
        "kind": "lens",
        "size_px": [lens.width_px, lens.height_px],
        "matrix": [[float(value) for value in row] for row in lens.matrix],
        "distortion": [float(value) for value in lens.distortion],
        "rms_px": float(lens.rms_px),
    }
    write_atomically(path, yaml.safe_dump(facts, sort_keys=False))


def load_lens(path: Path) -> Lens:
    """Read a lens back.

    Raises
    ------
    CalibrationError
        If the file holds none.
    """
    facts = _facts(path, "lens")
    try:
        matrix = np.array(facts["matrix"], np.float64).reshape(3, 3)
        distortion = np.array(facts["distortion"], np.float64)
        width_px, height_px = map(int, facts["size_px"])
        if len(distortion) not in (4, 5, 8) or not np.isfinite([*matrix.ravel(), *distortion]).all():
            raise ValueError("no lens")
        return Lens(matrix, distortion, float(facts["rms_px"]), width_px, height_px)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "lens") from error


def save_colour(correction: ColourCorrection, path: Path) -> None:
    """Write a colour correction as YAML."""
    facts = {
        "kind": "colour",
        "model": correction.model,
        "response_kind": correction.response_kind,
        "white_balance": [float(value) for value in correction.white_balance],
        "matrix": [[float(value) for value in row] for row in correction.matrix],
        "ciede2000_mean": correction.ciede2000_mean,
        "response": [[round(float(value), 7) for value in channel] for channel in correction.response.T],
    }
    write_atomically(path, yaml.safe_dump(facts, sort_keys=False))


def load_colour(path: Path) -> ColourCorrection:
    """Read a colour correction back.

    Raises
    ------
    CalibrationError
        If the file holds none.
    """
    facts = _facts(path, "colour")
    try:
        response = np.array(facts["response"], np.float64).reshape(3, 256).T
        matrix = np.array(facts["matrix"], np.float64).reshape(-1, 3)
        balance = np.array(facts["white_balance"], np.float64).reshape(3)
        if facts["model"] not in MODELS or len(matrix) != (3 if facts["model"] == MODELS[0] else 6):
            raise ValueError("no model")
        if not np.isfinite([*response.ravel(), *matrix.ravel(), *balance]).all():
            raise ValueError("no numbers")
        mean = facts.get("ciede2000_mean")
        mean = None if mean is None else float(mean)
        return ColourCorrection(response, facts["response_kind"], facts["model"], balance, matrix, mean)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "colour") from error


def save_flat(correction: Correction, path: Path) -> None:
    """Write a flat with its dark level and hot pixels as NPZ."""
    data = io.BytesIO()
    np.savez_compressed(
        data,
        dark=correction.dark,
        gain=correction.gain,
        hot=correction.hot,
        masked=correction.masked,
        size_px=np.array([correction.width_px, correction.height_px]),
    )
    write_atomically(path, data.getvalue())


def load_flat(path: Path) -> Correction:
    """Read a flat back.

    Raises
    ------
    CalibrationError
        If the file holds none.
    """
    try:
        with ZipFile(path) as archive:
            if sum(each.file_size for each in archive.infolist()) > 1e9 * read_limit("RIG_MAX_FLATS_GB", MAX_FLAT_GB):
                raise ValueError("more than a flat can be")
        with np.load(path, allow_pickle=False) as stored:
            dark, gain, hot = (np.asarray(stored[name]) for name in ("dark", "gain", "hot"))
            width_px, height_px = map(int, stored["size_px"])
            correction = Correction(
                dark.astype(np.float32).reshape(3),
                gain.astype(np.float32),
                hot.astype(np.int64).reshape(-1, 2),
                float(stored["masked"]),
                width_px,
                height_px,
            )
        inside = (correction.hot >= 0).all() and (correction.hot < (height_px, width_px)).all()
        if gain.ndim != 3 or not np.isfinite(gain).all() or not np.isfinite(dark).all() or not inside:
            raise ValueError("no flat")
    except FileNotFoundError as error:
        raise CalibrationError(f"{path} does not exist. `rig calibrate flat --out {path}` makes one.") from error
    except Exception as error:  # of damaged archives zlib, zipfile and numpy raise what they like
        raise _damaged(path, "flat") from error
    return correction


def _facts(path: Path, kind: str) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_YAML_BYTES or not path.is_file():
            raise ValueError("no file of ours")
        facts = yaml.safe_load(path.read_text("utf-8"))
        if not isinstance(facts, dict) or facts.get("kind") != kind:
            raise ValueError("of another kind")
        return facts
    except FileNotFoundError as error:
        raise CalibrationError(f"{path} does not exist. `rig calibrate {kind} --out {path}` makes one.") from error
    except OSError as error:
        raise CalibrationError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise _damaged(path, kind) from error


def _damaged(path: Path, kind: str) -> CalibrationError:
    return CalibrationError(f"{path} holds no {kind} calibration that can be read. `rig calibrate {kind}` makes one.")
