"""The station: turntable, arm and lightbox as one thing that loads, turns, lights and flips coins.

It takes slots, angles and names of lights, and no hardware names; every command returns when the thing has
happened. Use it as a context manager: however it is left (done, error, Ctrl-C) the arm parks, the lights go off and
the ports close.

    slot --load--> plate --flip--> plate, other side up --unload--> slot
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from types import TracebackType

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rig.arm_handler import ArmHandler
from rig.bench import BenchLayout, PointMm
from rig.camera_arm import TEACH, CameraArm, CameraArmConfig
from rig.clock import Clock
from rig.devices import Arm, CameraMount, Handler, Identity, Light, Lightbox, Turntable
from rig.errors import DeviceError, EnvelopeError, connect_all
from rig.registry import ARMS, BALANCES, LIGHTBOXES, TURNTABLES
from rig.safety import Envelope, Interlock
from rig.technician import Ask, ByHand, at_keyboard

log = logging.getLogger(__name__)

ANY_TILT = math.inf  # of a camera that an arm holds in no pose that it was taught


class StationConfig(BaseModel):
    """`station:` of rig.yaml. The defaults are a twin."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    turntable: TURNTABLES.config_type() = Field(default_factory=TURNTABLES.default_config)  # type: ignore[valid-type]
    arm: ARMS.config_type() = Field(default_factory=ARMS.default_config)  # type: ignore[valid-type]
    lightbox: LIGHTBOXES.config_type() = Field(default_factory=LIGHTBOXES.default_config)  # type: ignore[valid-type]
    camera_arm: CameraArmConfig | None = None
    balance: BALANCES.config_type() | None = None  # type: ignore[valid-type]
    bench: BenchLayout = BenchLayout()
    envelope: Envelope = Envelope()

    @model_validator(mode="after")
    def _is_in_reach(self) -> StationConfig:
        bench, high_z_mm = self.bench, self.bench.safe_z_mm
        tray = {f"slot {slot}": bench.tray.position_mm(slot) for slot in range(1, bench.tray.count + 1)}
        fixed = {"plate_mm": bench.plate_mm, "flip.drop_mm": bench.flip.drop_mm, "flip.pick_mm": bench.flip.pick_mm}
        for name, (x_mm, y_mm, z_mm) in (tray | fixed | {"rest_mm": bench.rest_mm}).items():
            for point in ((x_mm, y_mm, z_mm), (x_mm, y_mm, high_z_mm)):
                if not self.envelope.contains(point):
                    raise ValueError(f"bench: {name} at {point} mm is outside the envelope; correct one of them")
        if bench.rest_mm[2] < high_z_mm:
            raise ValueError(f"bench: rest_mm must be at or above safe_z_mm ({high_z_mm:g} mm)")
        return self

    @model_validator(mode="after")
    def _one_thing_tilts(self) -> StationConfig:
        if self.camera_arm is not None and getattr(self.turntable, "tilt", None) is not None:
            raise ValueError("camera_arm: turntable: tilt: tilts the camera already; keep one of the two")
        return self


class Station:
    """The assembled rig.

    Parameters
    ----------
    config
        Devices and bench.
    clock
        What settling and motion wait on; the twin's, or true time.
    ask
        How the technician is asked to do what no device does.
    """

    def __init__(self, config: StationConfig, clock: Clock, ask: Ask = at_keyboard) -> None:
        self.config = config
        self.bench = config.bench
        self.clock = clock
        self._turntable = TURNTABLES.make(config.turntable, clock)
        self._lightbox = LIGHTBOXES.make(config.lightbox, clock)
        arm = ARMS.make(config.arm, clock)
        tilt = getattr(config.turntable, "tilt", None)
        holder = config.camera_arm
        self.camera_arm = CameraArm(holder, clock) if holder is not None else None
        self._mount: CameraMount | None = self._turntable if tilt else self.camera_arm
        mounted = tilt or holder
        self._interlock = Interlock(config.bench, config.envelope, mounted.clear_deg if mounted else None)
        self.turntable: Turntable = self._turntable
        self.lightbox: Lightbox = self._lightbox
        # An arm is led by coordinates; who does whole errands, such as a technician, needs none.
        self.handler: Handler = (
            arm if isinstance(arm, Handler) else ArmHandler(arm, config.bench, self._interlock, clock)
        )
        self.arm: Arm | Handler = arm
        for device in (arm, self._lightbox):
            if isinstance(device, ByHand):
                device.ask = ask
        self._lights = {
            name: Light(name, light.sectors_deg, light.intensity, light.colour_temperature_k)
            for name, light in config.lightbox.lights.items()
        }
        self.identities: tuple[Identity, ...] = ()
        self._connected = False
        self._turned_to: float | None = None

    # What there is

    @property
    def light_names(self) -> list[str]:
        """Names that `show` takes."""
        return list(self._lights)

    @property
    def slots(self) -> int:
        """How many slots the tray has; they are numbered from 1."""
        return self.bench.tray.count

    @property
    def by_hand(self) -> list[str]:
        """Roles of what a technician does, asked each time."""
        devices = {"the arm": self.arm, "the lightbox": self._lightbox}
        return [role for role, device in devices.items() if isinstance(device, ByHand)]

    @property
    def tilts_camera(self) -> bool:
        """Whether something tilts the camera; else it looks straight down."""
        return self._mount is not None

    @property
    def camera_is_on_arm(self) -> bool:
        """Whether an arm holds the camera, in poses that it was taught."""
        return self.camera_arm is not None

    def taught_square_px(self, tilt_deg: float) -> tuple[tuple[float, float], ...] | None:
        """Where the plate was seen when this pose of the camera's arm was taught; None where no arm holds it."""
        pose = self.camera_arm.config.pose_at(tilt_deg) if self.camera_arm is not None else None
        return pose.square_px if pose is not None else None

    @property
    def tilt_deg(self) -> float | None:
        """Where the camera was tilted to; None while that is not to be believed."""
        return self._interlock.tilt_deg

    @property
    def turntable_deg(self) -> float | None:
        """Where the plate was turned to; None while that is not to be believed."""
        return self._turned_to if self._interlock.turntable_homed else None

    def tilt_for_errand(self, tilt_deg: float) -> float:
        """Where a camera that is tilted so far is tilted to while a coin is carried."""
        return tilt_deg if self._interlock.is_clear_at(tilt_deg) else 0.0

    def reaches_tilt(self, tilt_deg: float) -> bool:
        """Whether the camera can be tilted so far."""
        return tilt_deg == 0.0 if self._mount is None else self._mount.reaches_tilt(tilt_deg)

    # Coming and going

    def __enter__(self) -> Station:
        try:
            self.connect()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.make_safe()
        finally:
            self.close()

    def connect(self) -> tuple[Identity, ...]:
        """Connect every device and return who they are. Nothing moves; home before moving.

        Raises
        ------
        DeviceError
            If a device is missing or is another one; `SeveralFailed` if several are.
        """
        self._interlock.doubt()
        devices = (self.lightbox, self.turntable, self.handler, self.camera_arm)
        self.identities = tuple(connect_all(device.connect for device in devices if device is not None))
        self._connected = True
        return self.identities

    def close(self) -> None:
        """Let go of all ports."""
        self._connected = False
        self._interlock.doubt()
        for device in (self.turntable, self.handler, self.camera_arm, self.lightbox):
            if device is not None:
                device.close()

    def home(self) -> None:
        """Find every reference position: the arm first, upwards, out of the plate's way.

        A coin may still hang on the arm, when the program was killed while the arm carried it: it stays there,
        `holds_coin` tells, and `unload` brings it into its slot.
        """
        self._interlock.doubt()
        self._turned_to = None
        self.handler.home()
        if self._interlock.cup_mm is None:
            self._interlock.cup_mm = self.bench.rest_mm  # no arm is in the way, and hands were asked away
        try:
            self.turntable.home()
        except BaseException:
            _attempt(self.turntable.stop)  # interrupted while it seeks its switch, it would keep turning
            raise
        self._interlock.turntable_homed = True
        self._interlock.plate_rests = True
        if self.camera_arm is not None:
            self._home_camera_arm(self.camera_arm)
            return
        self._interlock.tilt_deg = 0.0
        if self._mount is not None:
            self.tilt_to(0.0)  # where it rests after homing is a place of its own

    def _home_camera_arm(self, arm: CameraArm) -> None:
        """Where it rests after homing is over the plate, perhaps; one that was taught nothing stays there."""
        try:
            arm.home()
        except BaseException:
            _attempt(arm.stop)
            raise
        if arm.reaches_tilt(0.0):
            self.tilt_to(0.0)

    def stop(self) -> None:
        """Stop everything at once, from any thread, and go dark. What the cup holds stays there; home before moving."""
        self._interlock.doubt()
        self._interlock.hands_off = True
        for device in (self.handler, self.turntable, self.camera_arm, self.lightbox):
            if device is not None:
                _attempt(device.stop)

    def park(self) -> None:
        """Bring the arm to rest beside the plate."""
        self.handler.park()

    def make_safe(self) -> None:
        """Arm up and to rest, a coin it holds back where it came from, lights off; logs what could not be done."""
        if self._connected:
            _attempt(self.handler.make_safe)
        _attempt(self.dark)

    # What it does

    def rotate_to(self, angle_deg: float, light_name: str | None = None) -> float:
        """Turn the plate, and return the angle read back (deg, 0 to 360), settled.

        With a light, that is lit as well, verified: while the plate settles, if its driver can wait for that.
        """
        shown: list[DeviceError | None] = []
        if light_name is not None and hasattr(self._turntable, "while_settling"):
            self._turntable.while_settling = lambda: shown.append(self._try_to_show(light_name))
        try:
            with self._interlock.turning():
                read_deg = self.turntable.rotate_to(angle_deg)
            self._turned_to = angle_deg
        except BaseException:
            if not self._interlock.plate_rests:  # whatever went wrong, Ctrl-C included, it must not keep turning
                self._interlock.plate_rests = _attempt(self.turntable.stop)
            raise
        finally:
            if light_name is not None and hasattr(self._turntable, "while_settling"):
                self._turntable.while_settling = None
        if light_name is not None and not shown:
            self.show(light_name)
        for problem in filter(None, shown):
            raise problem
        return read_deg

    def _try_to_show(self, light_name: str) -> DeviceError | None:
        """Light it, and return what went wrong: that is no failure of the plate."""
        try:
            self.show(light_name)
        except DeviceError as problem:
            return problem
        return None

    def tilt_to(self, tilt_deg: float) -> float:
        """Tilt the camera, and return the tilt read back (deg), settled; a camera that is fixed stays at 0.

        Raises
        ------
        EnvelopeError
            If it cannot be tilted so far, or the arm is in its way; nothing is sent.
        """
        if not self.reaches_tilt(tilt_deg):
            raise EnvelopeError(
                "station",
                f"the camera cannot be tilted to {tilt_deg:g} degrees here; nothing was sent.",
                "Correct `tilt_deg` in the plan, or `turntable: tilt:` in rig.yaml."
                if self.camera_arm is None
                else f"Its arm was not taught that. {TEACH}",
            )
        if self._mount is None:
            return 0.0
        try:
            with self._interlock.tilting(tilt_deg):
                return self._mount.tilt_to(tilt_deg)
        except BaseException:
            if self._interlock.tilt_deg is None:  # whatever went wrong, Ctrl-C included, it must not keep moving
                _attempt(self._mount.stop)
            raise

    def move_camera(self, end_mm: PointMm, wrist_deg: float) -> float:
        """Move the arm that holds the camera, as `rig jog --camera` does, and return what its servo reads back (deg).

        What the camera is tilted by is not known then: before a coin is carried it goes to its pose for 0 degrees.

        Raises
        ------
        EnvelopeError
            If no arm holds the camera, or it may not or cannot go there from here; nothing is sent.
        """
        if self.camera_arm is None:
            raise EnvelopeError("station", "no arm holds the camera.", "Describe it under `camera_arm:` in rig.yaml.")
        with self._interlock.tilting(ANY_TILT):
            return self.camera_arm.go(end_mm, wrist_deg)

    def move_cup(self, target_mm: PointMm) -> PointMm:
        """Move the arm's cup in a straight line, as `rig jog` does, and return the position read back (mm).

        Raises
        ------
        EnvelopeError
            If there is no arm, or the point may not or cannot be reached from here; nothing is sent.
        """
        if isinstance(self.arm, Handler):
            raise EnvelopeError("arm", "a technician moves the coins here: there is no cup.", "Turn the plate only.")
        with self._interlock.moving(target_mm):
            self.arm.move_to(*target_mm)
        return self.arm.position_mm()

    def show(self, light_name: str) -> None:
        """Light one of the named lights, verified.

        Raises
        ------
        EnvelopeError
            If there is no such light.
        """
        if light_name not in self._lights:
            raise EnvelopeError(
                "lightbox", f"there is no light {light_name!r}.", f"Lights in rig.yaml: {', '.join(self._lights)}."
            )
        self.lightbox.show(self._lights[light_name])

    def dark(self) -> None:
        """All lights off, verified."""
        self.lightbox.dark()

    def holds_coin(self) -> bool:
        """Whether something hangs on the arm: after a killed run only the arm's own sense can tell."""
        return self.handler.holds_coin()

    def load(self, slot: int) -> None:
        """Bring the coin of a slot onto the plate.

        Raises
        ------
        GripError
            If there is no coin in the slot, or it was lost on the way.
        """
        self._check_slot(slot)
        self._clear_the_way()
        self.handler.load(slot)

    def unload(self, slot: int) -> None:
        """Bring the coin from the plate, or the one that hangs on the arm, into a slot.

        Raises
        ------
        GripError
            If there is no coin on the plate, or it was lost on the way.
        """
        self._check_slot(slot)
        self._clear_the_way()
        self.handler.unload(slot)

    def let_go_into(self, slot: int) -> None:
        """Bring a coin that may hang on the arm unnoticed, since before this program, into a slot."""
        self._check_slot(slot)
        self.handler.let_go_into(slot)

    def feels_empty(self, slot: int) -> bool:
        """Whether a slot is empty for sure: false too where that cannot be known. What lies in it stays there."""
        self._check_slot(slot)
        return self.handler.feels_empty(slot)

    def flip(self) -> None:
        """Turn the coin on the plate over.

        Raises
        ------
        GripError
            If there is no coin on the plate, or it was lost on the way.
        """
        self._clear_the_way()
        self.handler.flip()

    def fetch_from_flip_station(self) -> None:
        """Bring the coin that lies turned over in the flip station onto the plate; also after an interrupted `flip`.

        Raises
        ------
        GripError
            If there is no coin in the flip station, or it was lost on the way.
        """
        self._clear_the_way()
        self.handler.fetch_from_flip_station()

    def _clear_the_way(self) -> None:
        """Tilt the camera back, where it leaves the arm, or hands, no room over the plate."""
        if not self._interlock.camera_is_clear():
            self.tilt_to(0.0)

    # How long it takes

    def estimate_s(
        self,
        *,
        loads: int = 0,
        flips: int = 0,
        turns_deg: Sequence[float] = (),
        tilts_deg: Sequence[float] = (),
        lights: int = 0,
    ) -> float:
        """Time for so many coins (there and back), flips, turns, tilts and changes of light (s), without exposures.

        Needs no connection: `rig scan --dry-run` and the time left ask this.
        """
        turns_s = sum(self._turntable.estimate_s(by_deg) for by_deg in turns_deg)
        if self._mount is not None:
            turns_s += sum(self._mount.tilt_s(by_deg) for by_deg in tilts_deg)
        transport_s = 2 * loads * self.handler.load_s() + flips * self.handler.flip_s()
        return transport_s + turns_s + lights * float(self._lightbox.estimate_s())

    def _check_slot(self, slot: int) -> None:
        try:
            self.bench.tray.position_mm(slot)
        except ValueError as error:
            raise EnvelopeError("tray", str(error), "Correct the tray file, or `bench: tray:` in rig.yaml.") from error


def _attempt(action: Callable[[], object]) -> bool:
    """Do it if it can be done, and say whether it was: on the way out every device gets its chance."""
    try:
        action()
    except DeviceError as error:
        log.warning("%s", error)
        return False
    return True
