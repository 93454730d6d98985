"""`rig relief --coin`: the relief of a coin side in the store, from its frames and the calibration's lamps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from calibration.bundle import find
from calibration.image import Image, encode_png
from calibration.rti import encode_lp
from capture.store import Store
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.measuring.lit_frames import coin_in, lights_of, one_angle, shared_parts, shows_from_above
from pipeline.measuring.relief import ReliefResult, measure_relief_of
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
        frame for frame in store.frames.select((), (), (coin,), ()) if shows_from_above(frame) and frame.side == side
    ]
    if not good:
        raise LabError(f"There is no calibrated frame of the {side} of {coin} from above. `rig scan` takes some.")
    session_id = max(good, key=lambda each: each.number).session_id
    frames = one_angle([frame for frame in good if frame.session_id == session_id])
    bundle = find(lab.calibrations, str(frames[0].calibration_id))
    lamps = {} if bundle is None else bundle.lamps
    lit = [frame for frame in frames if frame.light in lamps]
    if not lit:
        raise LabError(
            f"Where the lights of calibration {frames[0].calibration_id} come from is not known. Run "
            f"`{lab.command('rig calibrate')}` with the chrome sphere, and scan the coin again."
        )
    with TemporaryDirectory() as kept:
        work = Path(kept)
        names = [f"{frame.light}.png" for frame in lit]
        paths = [work / name for name in names]
        mask = coin_in(lights_of(_kept(shared_parts(store, lit), paths))[0]).mask
        directions = np.array([lamps[str(frame.light)].direction for frame in lit])
        (work / "lights.lp").write_text(encode_lp(names, directions), "utf-8")
        shown = np.repeat(mask[..., None].astype(np.uint8) * np.uint8(255), 3, axis=2)
        (work / "mask.png").write_bytes(encode_png(shown))
        return measure_relief_of(
            paths, work / "lights.lp", work / "mask.png", "srgb", frames[0].mm_per_pixel, out, reporter
        )


def _kept(images: Iterable[Image], paths: Sequence[Path]) -> Iterator[Image]:
    """Write each image to its path when it comes by: no two are in memory, and none is decoded twice."""
    for path, image in zip(paths, images, strict=True):
        path.write_bytes(encode_png(image))
        yield image
