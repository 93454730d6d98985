"""`rig calibrate`: board and white card in front of the camera, and a dated bundle out of what it saw."""

from __future__ import annotations

import numpy as np

from calibration.board import BoardSpec, BoardView, find_board
from calibration.bundle import Bundle, bundle_folders, number_of, save
from calibration.errors import CalibrationError
from calibration.flat import flat_field
from calibration.image import Image
from calibration.lens import Lens, calibrate_lens, mm_per_pixel
from calibration.plate import PlateAngle, RingSpec, plate_angle_deg
from pipeline.assembly import Rig, connected
from pipeline.lab import Lab
from pipeline.measuring.result import CalibrationResult
from pipeline.reporter import Reporter
from rig.devices import Identity
from rig.twin.scene import BoardPose, Target

# Lying flat first, for the scale; then shifted and tilted towards all sides, for the lens.
BOARD_POSES = (
    BoardPose(),
    *(
        BoardPose(x_mm=x_mm, y_mm=y_mm, rotation_deg=11.0 * number, tilt_deg=18.0, tilt_azimuth_deg=52.0 * number)
        for number, (x_mm, y_mm) in enumerate(((0, 0), (5, 3), (-5, 3), (5, -3), (-5, -3), (0, 4), (4, 0)))
    ),
)
BOARD_LIGHT = "all"
RING_AT_DEG = (0.0, 90.0, 180.0, 270.0)
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
        bundle = calibrate_rig(lab, rig, reporter)
        return CalibrationResult(bundle, number_of(bundle_folders(lab.calibrations)[-1]))


def calibrate_rig(lab: Lab, rig: Rig, reporter: Reporter) -> Bundle:
    """Calibrate with devices that are connected and homed; see `calibrate_lab`."""
    spec = lab.rig.board
    light = calibration_light(rig)
    rig.station.rotate_to(0.0)
    views = []
    for number, pose in enumerate(BOARD_POSES, 1):
        lie = (
            "flat in the middle" if pose.tilt_deg == 0 else "shifted and turned a little, one edge raised by about 2 cm"
        )
        _place(rig, reporter, f"Board, {number} of {len(BOARD_POSES)}: lay it {lie}.", "charuco", pose)
        rig.station.show(light)
        views.append(_see_board(rig, spec, number))
        reporter.report(f"Board {number} of {len(BOARD_POSES)}: {len(views[-1].corners_px)} corners.")
    lens = calibrate_lens(views)
    _place(rig, reporter, "Cover the plate with the white card.", "white card", None)
    flats = {}
    for name in rig.station.light_names:
        rig.station.show(name)
        flats[name] = flat_field(_expose(rig, CARDS), name)
        reporter.report(f"Flat field of {name}.")
    _place(rig, reporter, "Take the white card away; leave the plate empty.", "coins", None)
    rig.station.show(light)
    scale = mm_per_pixel(lens, views[0])
    ring_zero_deg = _ring_zero_deg(rig, lab.rig.quality.ring, lens, scale)
    rig.station.dark()
    if ring_zero_deg is None:
        reporter.report(
            "No ring of markers was found on the plate, so its angle will not be checked (`rig print ring`)."
        )
    else:
        reporter.report(f"The plate's ring stands at {ring_zero_deg:.2f} degrees when the turntable is at 0.")
    bundle = Bundle(camera_name(rig.camera.identity), lens, scale, flats, ring_zero_deg=ring_zero_deg)
    save(bundle, lab.calibrations)
    return bundle


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


def _see_board(rig: Rig, spec: BoardSpec, number: int) -> BoardView:
    return find_board(_expose(rig, 1)[0], spec, f"view {number}")


def _ring_zero_deg(rig: Rig, ring: RingSpec, lens: Lens, scale: float) -> float | None:
    """What the ring shows when the turntable is at 0 (deg), from a whole turn; None where it is not seen.

    The ring is a second ruler: what it measures has to agree with the board's `scale` (mm per pixel).
    """
    offsets = []
    for angle_deg in RING_AT_DEG:
        read_deg = rig.station.rotate_to(angle_deg)
        image = _expose(rig, 1)[0]
        plate = plate_angle_deg(image, ring=ring)
        if plate is not None:
            _compare_scales(plate_angle_deg(image, lens, ring) or plate, ring, scale)
            offsets.append(np.exp(1j * np.radians(plate.angle_deg - read_deg)))
    rig.station.rotate_to(0.0)
    if not offsets:
        return None
    middle = np.mean(offsets)
    spread_deg = float(np.degrees(np.max(np.abs(np.angle(np.array(offsets) / middle)))))
    if spread_deg > RING_SPREAD_DEG:
        raise CalibrationError(
            f"The plate's ring and the turntable differ by up to {spread_deg:.1f} degrees over a turn. Check the "
            "direction and the steps per degree of the turntable, and that the ring lies centred and flat."
        )
    return round(float(np.degrees(np.angle(middle))), 3)


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
