"""`rig relief --coin`: the relief of a coin side in the store, from its frames and the calibration's lamps."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from calibration.bundle import folder_of, load
from calibration.image import encode_png
from calibration.outline import find_coin
from calibration.response import to_image
from calibration.rti import encode_lp
from capture.store import Store
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.measuring.relief import ReliefResult, measure_relief_of
from pipeline.measuring.stored import mean_light, one_angle, shared_parts
from pipeline.reporter import Reporter
from rig.sides import Side


def measure_stored_relief(lab: Lab, store: Store, coin: str, side: Side, out: Path, reporter: Reporter) -> ReliefResult:
    """Measure the relief of one side, in the frames of its latest session at the angle that most lights were used at.

    Raises
    ------
    LabError
        If there are no such frames, or their calibration does not know where lights come from.
    CalibrationError
        If the lights do not determine a relief.
    """
    good = [
        frame
        for frame in store.frames.select((), (), (coin,), ())
        if frame.is_good and frame.side == side and frame.calibrated_sha256 is not None and not frame.tilt_deg
    ]
    if not good:
        raise LabError(f"There is no calibrated frame of the {side} of {coin} from above. `rig scan` takes some.")
    frames = one_angle(
        [frame for frame in good if frame.session_id == max(good, key=lambda each: each.number).session_id]
    )
    folder = folder_of(lab.calibrations, str(frames[0].calibration_id))
    lamps = {} if folder is None else load(folder).lamps
    lit = [frame for frame in frames if frame.light in lamps]
    if not lit:
        raise LabError(
            f"Where the lights of calibration {frames[0].calibration_id} come from is not known. Run "
            f"`{lab.command('rig calibrate')}` with the chrome sphere, and scan the coin again."
        )
    with TemporaryDirectory() as kept:
        work = Path(kept)
        names = [f"{frame.light}.png" for frame in lit]
        for name, part in zip(names, shared_parts(store, lit), strict=True):
            (work / name).write_bytes(encode_png(part))
        directions = np.array([lamps[str(frame.light)].direction for frame in lit])
        (work / "lights.lp").write_text(encode_lp(names, directions), "utf-8")
        light = mean_light(store, lit)
        mask = find_coin(to_image(np.repeat(light[..., None], 3, axis=2))).mask
        shown = np.repeat(mask[..., None].astype(np.uint8) * np.uint8(255), 3, axis=2)
        (work / "mask.png").write_bytes(encode_png(shown))
        paths = [work / name for name in names]
        return measure_relief_of(
            paths, work / "lights.lp", work / "mask.png", "srgb", frames[0].mm_per_pixel, out, reporter
        )
