"""`rig calibrate`: board, white card, sphere and chart before the camera, and a dated bundle of what it saw."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from calibration.axis import LEAST_VIEWS, PlateAxis, find_axis
from calibration.board import BoardSpec, BoardView, find_board
from calibration.bundle import Bundle, number_of, save
from calibration.colour_matrix import ColourMatrix
from calibration.detector import dark_level
from calibration.errors import CalibrationError
from calibration.flat import Flat, flat_field
from calibration.hot_pixels import find_hot
from calibration.image import Image
from calibration.lamp_place import LampPlace
from calibration.lens import Lens, calibrate_lens, mm_per_pixel
from calibration.plate import PlateAngle, RingSpec, plate_of, ring_corners, ring_of
from calibration.sharpness import slant_to_turn_deg
from pipeline.assembly import Rig, connected
from pipeline.bench.chart_and_sphere import SPHERE_AT_DEG, SphereView, calibrate_colours, calibrate_lamps
from pipeline.bench.imaging import CHART_TURN_DEG, Witnesses, measure_quality
from pipeline.lab import Lab
from pipeline.measuring.result import CalibrationResult
from pipeline.reporter import Reporter
from pipeline.wording import count
from rig.devices import Identity
from rig.twin.scene import BoardPose, Target

# Lying flat first, for the scale; then shifted and tilted towards all sides, for the lens.
BOARD_POSES = (
    BoardPose(),
    *(
        BoardPose(x_mm=x_mm, y_mm=y_mm, rotation_deg=11.0 * number, tilt_deg=18.0, tilt_azimuth_deg=52.0 * number)
        for number, (x_mm, y_mm) in enumerate(((0, 0), (9, 6), (-9, 6), (9, -6), (-9, -6), (0, 5), (6, 0)))
    ),
)
BOARD_LIGHT = "all"
SPHERE_POSE = BoardPose(x_mm=12.0)
SPOT_DARKER = 8  # the lamp's reflection is far brighter than the card, and so alone at an exposure this much shorter
RING_AT_DEG = tuple(range(0, 360, 45))
RING_SCALE = 0.04  # share by which the scales that board and ring give may differ: printers scale by less
RING_SPREAD_DEG = 0.5  # the ring has to turn as the turntable says it does
CARDS = 3  # images of the white card per light: their noise averages out
EXPOSURE_US = 20_000
BRIGHTEST = 235  # of 255: the exposure is lowered until the brightest hundredth is below this


def calibrate_lab(lab: Lab, reporter: Reporter, *, realtime: bool) -> CalibrationResult:
    """Calibrate the lab's camera and lights.

    Raises
    ------
    CalibrationError
        If what the camera saw is not good enough; nothing is kept then.
    DeviceError
        If a device fails.
    """
    with connected(lab, realtime=realtime) as rig:
        rig.station.home()
        return calibrate_rig(lab, rig, reporter)


def calibrate_rig(lab: Lab, rig: Rig, reporter: Reporter) -> CalibrationResult:
    """Calibrate with devices that are connected and homed; see `calibrate_lab`."""
    spec = lab.rig.board
    light = calibration_light(rig)
    rig.station.rotate_to(0.0)
    views: list[BoardView] = []
    for number, pose in enumerate(BOARD_POSES, 1):
        lie = (
            "flat in the middle" if pose.tilt_deg == 0 else "shifted and turned a little, one edge raised by about 2 cm"
        )
        _place(rig, reporter, f"Board, {number} of {len(BOARD_POSES)}: lay it {lie}.", "charuco", pose)
        rig.station.show(light)
        views.append(_see_board(rig, spec, number))
        reporter.report(f"Board {number} of {len(BOARD_POSES)}: {len(views[-1].corners_px)} corners.")
        if pose == BOARD_POSES[0]:
            board = _turned(rig, slant_to_turn_deg(views[0]))
    lens = calibrate_lens(views)
    scale = mm_per_pixel(lens, views[0])
    _place(rig, reporter, "Take the board away; leave the plate empty.", "coins", None)
    rig.station.show(light)
    ring = _see_ring(rig, lab.rig.quality.ring, lens, scale)
    plate = _expose(rig, 1)[0]
    plate_exposure_us = rig.camera.grab().exposure_us
    if ring.zero_deg is None:
        reporter.report(
            "No ring of markers was found on the plate, so its angle will not be checked (`rig print ring`)."
        )
    else:
        reporter.report(f"The plate's ring stands at {ring.zero_deg:.2f} degrees when the turntable is at 0.")
    _place(rig, reporter, "Cover the plate with the white card.", "white card", None)
    flats: dict[str, Flat] = {}
    for name in rig.station.light_names:
        rig.station.show(name)
        flats[name] = flat_field(_expose(rig, CARDS), name)
        reporter.report(f"Flat field of {name}.")
    rig.station.show(light)
    card = _expose(rig, 1)[0]
    centre_mm = np.array([0.0, 0.0, scale * lens.matrix[0, 0]]) if ring.axis is None else ring.axis.point_mm
    lamps = _see_lamps(lab, rig, lens, scale, centre_mm, light, reporter)
    dark, hot = _see_dark(rig, reporter)
    bundle = Bundle(
        camera_name(rig.camera.identity),
        lens,
        scale,
        flats,
        ring_zero_deg=ring.zero_deg,
        dark=dark,
        hot=hot,
        lamps=lamps,
        axis=ring.axis,
        valid_days=lab.rig.calibration.valid_days,
    )
    colours, chart = _see_colours(rig, bundle, light, reporter)
    bundle = replace(bundle, colours=colours)
    seen = Witnesses(plate, plate_exposure_us, board, card, chart, ring.mm_per_pixel)
    quality = measure_quality(bundle, light, spec, lab.rig.quality.ring, seen, reporter)
    _place(rig, reporter, "Take everything off the plate.", "coins", None)
    rig.station.dark()
    return CalibrationResult(bundle, number_of(save(bundle, lab.calibrations, quality)))


def _see_lamps(
    lab: Lab, rig: Rig, lens: Lens, scale: float, centre_mm: npt.NDArray[np.float64], light: str, reporter: Reporter
) -> dict[str, LampPlace]:
    """Where lights come from, by a chrome sphere on the card; those from all around are left out."""
    config = lab.rig.calibration
    request = f"Lay the chrome sphere of {config.sphere_mm:g} mm on the card, about 12 mm beside the middle."
    if not _has(rig, reporter, f"{request} Is it there? Without one, frames do not know where light comes from."):
        return {}
    _show(rig, "chrome sphere", SPHERE_POSE)
    known = lab.rig.station.lightbox.lights
    sided = [name for name in rig.station.light_names if known[name].azimuth_deg is not None]
    outlines: dict[float, Image] = {}
    spots: dict[str, dict[float, Image]] = {name: {} for name in sided}
    for angle_deg in SPHERE_AT_DEG if sided else ():
        rig.station.rotate_to(angle_deg)
        rig.station.show(light)
        outlines[angle_deg] = _expose(rig, 1)[0]
        exposure_us = rig.camera.grab().exposure_us // SPOT_DARKER
        for name in sided:
            rig.station.show(name)
            rig.camera.configure(max(50, exposure_us), 1.0)
            spots[name][angle_deg] = rig.camera.grab().image
    rig.station.rotate_to(0.0)
    places = calibrate_lamps(outlines, spots, SphereView(lens, scale, config.sphere_mm, centre_mm), reporter)
    reporter.report(f"Where the light comes from: {count(len(places), 'light')}.")
    return places


def _see_dark(rig: Rig, reporter: Reporter) -> tuple[npt.NDArray[np.float32] | None, npt.NDArray[np.int64]]:
    """What the camera reports in the dark, and its hot pixels; nothing where light gets in."""
    rig.station.dark()
    rig.camera.configure(EXPOSURE_US, 1.0)
    frames = [rig.camera.grab().image for _ in range(CARDS)]
    try:
        return dark_level(frames), find_hot(frames)
    except CalibrationError as error:
        reporter.warn(f"Dark level and hot pixels are not kept: {error}")
        return None, np.zeros((0, 2), np.int64)


def _see_colours(
    rig: Rig, bundle: Bundle, light: str, reporter: Reporter
) -> tuple[dict[str, ColourMatrix], Image | None]:
    """The colour matrix of each light, by a ColorChecker; and an image of it, turned, under one light."""
    request = "Lay the ColorChecker of 24 patches in the middle of the plate, its row of greys towards you."
    if not _has(rig, reporter, f"{request} Is it there? Without one, frames keep the camera's colours."):
        return {}, None
    _show(rig, "colour chart", BoardPose())
    shown = {}
    for name in rig.station.light_names:
        rig.station.show(name)
        shown[name] = _expose(rig, 1)[0]
    colours = calibrate_colours(shown, bundle, light, reporter)
    rig.station.show(light)
    return colours, _turned(rig, CHART_TURN_DEG)


def _turned(rig: Rig, by_deg: float) -> Image:
    """What lies on the plate when that has turned on; it is turned back afterwards."""
    rig.station.rotate_to(by_deg % 360.0)
    image = _expose(rig, 1)[0]
    rig.station.rotate_to(0.0)
    return image


def calibration_light(rig: Rig) -> str:
    """The light that the board is seen under: from all sides, where there is such a one."""
    return BOARD_LIGHT if BOARD_LIGHT in rig.station.light_names else rig.station.light_names[0]


def camera_name(camera: Identity) -> str:
    """By which name a bundle knows the camera that it was made with."""
    return f"{camera.kind} {camera.port} {camera.firmware}"


def _place(rig: Rig, reporter: Reporter, request: str, target: Target, pose: BoardPose | None) -> None:
    if rig.world is not None:
        rig.world.show_target(target, pose)
    else:
        reporter.ask(request)


def _show(rig: Rig, target: Target, pose: BoardPose | None) -> None:
    if rig.world is not None:
        rig.world.show_target(target, pose)


def _has(rig: Rig, reporter: Reporter, question: str) -> bool:
    """Whether a target that not every lab owns is there; the twin has all."""
    return rig.world is not None or reporter.confirm(question, "Calibrate with somebody at the keyboard.")


def _see_board(rig: Rig, spec: BoardSpec, number: int) -> BoardView:
    return find_board(_expose(rig, 1)[0], spec, f"view {number}")


@dataclass(frozen=True)
class _SeenRing:
    """What the ring shows when the turntable is at 0, its axis and its scale; None where it is not seen."""

    zero_deg: float | None = None
    axis: PlateAxis | None = None
    mm_per_pixel: float | None = None


def _see_ring(rig: Rig, ring: RingSpec, lens: Lens, scale: float) -> _SeenRing:
    """See the ring over a whole turn.

    The ring is a second ruler: what it measures has to agree with the board's `scale` (mm per pixel).
    """
    offsets, views, angles_deg, scales = [], [], [], []
    for angle_deg in RING_AT_DEG:
        read_deg = rig.station.rotate_to(angle_deg)
        corners = ring_corners(_expose(rig, 1)[0], ring)
        plate, view = plate_of(corners, ring), ring_of(corners, ring)
        if plate is not None:
            straight = plate_of(corners, ring, lens) or plate
            _compare_scales(straight, ring, scale)
            scales.append(straight.mm_per_pixel)
            offsets.append(np.exp(1j * np.radians(plate.angle_deg - read_deg)))
        if view is not None:
            views.append(view)
            angles_deg.append(read_deg)
    rig.station.rotate_to(0.0)
    if not offsets:
        return _SeenRing()
    middle = np.mean(offsets)
    spread_deg = float(np.degrees(np.max(np.abs(np.angle(np.array(offsets) / middle)))))
    if spread_deg > RING_SPREAD_DEG:
        raise CalibrationError(
            f"The plate's ring and the turntable differ by up to {spread_deg:.1f} degrees over a turn. Check the "
            "direction and the steps per degree of the turntable, and that the ring lies centred and flat."
        )
    axis = find_axis(views, angles_deg, lens) if len(views) >= LEAST_VIEWS else None
    return _SeenRing(round(float(np.degrees(np.angle(middle))), 3), axis, float(np.mean(scales)))


def _compare_scales(plate: PlateAngle, ring: RingSpec, scale: float) -> None:
    by_ring = plate.mm_per_pixel / scale
    if abs(by_ring - 1.0) > RING_SCALE:
        raise CalibrationError(
            f"The board makes a pixel {1000 * scale:.1f} µm, the ring on the plate {1000 * plate.mm_per_pixel:.1f} µm. "
            "One of them is not as large as rig.yaml says: measure the squares of the board (board: square_mm) and the "
            f"ring (quality: ring: radius_mm, now {ring.radius_mm:g}), correct it there, and calibrate again."
        )


def _expose(rig: Rig, count: int) -> list[Image]:
    """Images that are not over-exposed, whatever lies there."""
    exposure_us = EXPOSURE_US
    while True:
        rig.camera.configure(exposure_us, 1.0)
        image = rig.camera.grab().image
        if np.percentile(image, 99) < BRIGHTEST:
            return [image, *(rig.camera.grab().image for _ in range(count - 1))]
        exposure_us //= 2
        if exposure_us < 50:
            raise CalibrationError(
                "The camera is over-exposed at any exposure time. Close the lens's aperture or dim the lights."
            )
