"""The twin's world: what is truly so, whatever controllers believe.

It knows the plate's angle, where the cup is, which LEDs burn and where every coin lies, and keeps the coins in a file
at every transport, so that they lie where they physically would after the program was killed. Controllers act on it,
the camera looks at it through `scene`, and faults strike in it.
"""

from __future__ import annotations

import logging
import math
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from rig.bench import BenchLayout, PointMm
from rig.clock import Clock
from rig.sides import SIDES
from rig.twin.coins.drawer import Drawer, ProceduralDrawer
from rig.twin.emulator import Emulator
from rig.twin.faults import (
    Alarm,
    Brownout,
    DeadLamp,
    DeadPump,
    DeafToStop,
    Draught,
    Fault,
    FrozenFrame,
    Jam,
    Trouble,
    Unplugged,
)
from rig.twin.lying import LyingCoin, in_slot, let_go, share, take, touched
from rig.twin.motion import Point, StraightMove, at_rest
from rig.twin.ring import Led, lamps
from rig.twin.scene import BoardPose, CameraPose, Lamp, PlacedCoin, Scene, Target
from rig.twin.trouble import draw, due
from rig.twin.wire import Way, Wire
from rig.twin.world_state import WorldState, read_state

log = logging.getLogger(__name__)

F = TypeVar("F", Alarm, Brownout)


Contents = Mapping[str, Mapping[int, str | Sequence[str] | None]]
"""What truly lies in trays: tray -> slot -> coin, none, or several."""


class CameraHolder(Protocol):
    """Whatever holds the camera beside a motor that swings it."""

    def pose(self) -> CameraPose:
        """Where the camera truly is."""


class World:
    """The truth about one bench.

    Parameters
    ----------
    bench
        Where things stand; the same as the station's.
    clock
        The hardware's time.
    seed
        Of everything random: how coins lie, how they fall.
    state_path
        File that keeps where the coins are; in memory only when None.
    write
        Writes it.
    faults
        What goes wrong.
    contents
        What truly lies in trays: tray -> slot -> coin, None for an empty slot, several coins that share one; only where
        it differs from what `fill` is given.
    drawer
        The surface of every coin, for the camera; generated from its name when None.
    drivers
        The kind of each device that has a controller; what random trouble strikes, besides the camera.
    tilts
        Whether a motor tilts the camera; else it looks straight down.
    lamp_elevation_deg, led0_azimuth_deg
        How the ring of LEDs is mounted.

    Attributes
    ----------
    camera_arm
        The arm that holds the camera; None where none does.
    """

    def __init__(
        self,
        bench: BenchLayout,
        clock: Clock,
        *,
        seed: int = 0,
        state_path: Path | None = None,
        write: Callable[[Path, str], object] = Path.write_text,
        faults: Sequence[Fault] = (),
        contents: Contents | None = None,
        drawer: Drawer | None = None,
        drivers: Mapping[str, str] | None = None,
        tilts: bool = False,
        lamp_elevation_deg: float = 35.0,
        led0_azimuth_deg: float = 3.0,
    ) -> None:
        self.bench = bench
        self.clock = clock
        self.seed = seed
        self.lamp_elevation_deg = lamp_elevation_deg
        self.led0_azimuth_deg = led0_azimuth_deg
        self.lock = threading.RLock()
        self.emulators: dict[str, Emulator] = {}
        self.faults = list(faults)
        self._contents = contents or {}
        self.drawer = drawer or ProceduralDrawer()
        self._drivers = drivers or {}
        self.leds: list[Led] = []
        self.target: Target = "coins"
        self.board = BoardPose()
        self.moves = {"turntable": 0, "arm": 0, "camera_arm": 0, "tilt": 0}
        noise = random.Random(f"{seed} noise")
        names = ("turntable", "arm", "camera_arm", "lightbox", "balance")
        self.wires = {name: Wire(name, self.faults, noise) for name in names}
        self._frames = 0
        self._pulled_s: dict[Unplugged, float] = {}  # when each cable was pulled
        self._path = state_path
        self._write = write
        # Nobody knows how plate and camera stand before they were homed.
        self.state = read_state(state_path) or WorldState(
            plate_deg=random.Random(f"{seed} plate").uniform(0, 360),
            camera_tilt_deg=random.Random(f"{seed} tilt").uniform(0, 40),
        )
        self._plate = [at_rest((self.state.plate_deg,))]
        self._pan = (0.0, -math.inf)
        self._wrist_deg = 180.0
        self._tilt = [at_rest((self.state.camera_tilt_deg if tilts else 0.0,))]
        self._cup = [at_rest(self.state.cup_mm)]
        self.camera_arm: CameraHolder | None = None

    # What the camera sees

    def scene(self) -> Scene:
        """A still of this moment, for the renderer."""
        with self.lock:
            return Scene(
                plate_angle_deg=self.plate_deg() % 360.0,
                plate_speed_deg_s=self.current(self._plate).speed_at(self.clock.now()),
                coins=tuple(
                    PlacedCoin(coin.coin, coin.side, coin.x_mm, coin.y_mm, coin.rotation_deg)
                    for coin in self.state.coins
                    if coin.place == "plate"
                ),
                lamps=self._lamps(),
                target=self.target,
                board=self.board,
                camera=self.camera_pose(),
            )

    def frame_is_frozen(self) -> bool:
        """Count a frame, and say whether the camera's fault makes it a repetition."""
        with self.lock:
            self._meet_trouble()
            self._frames += 1
        return any(
            isinstance(fault, FrozenFrame) and fault.after_frames < self._frames <= fault.after_frames + fault.frames
            for fault in self.faults
        )

    def show_target(self, target: Target, board: BoardPose | None = None) -> None:
        """Lay a calibration target over the plate, or take it away again (``"coins"``)."""
        with self.lock:
            self.target = target
            self.board = board or BoardPose()

    # Where the coins are

    @property
    def coins(self) -> tuple[LyingCoin, ...]:
        """Every coin, wherever it lies."""
        with self.lock:
            return tuple(coin.model_copy() for coin in self.state.coins)

    def fill(self, tray: Mapping[int, str], name: str | None = None) -> None:
        """Mount a tray: slot to coin, obverse up, at any rotation, off centre.

        A tray that is already there is left as it lies; only coins that fell on the table are put back by whoever
        mounts it.

        Parameters
        ----------
        tray
            What the tray file says.
        name
            Which tray it is, for what truly lies in it.
        """
        truly = {**tray, **self._contents.get(name or "", {})}
        mounted = {slot: _names(held) for slot, held in sorted(truly.items()) if held}
        with self.lock:
            if self.state.mounted == mounted:
                for coin in self.state.coins:
                    if coin.place == "table":
                        coin.place, coin.side, coin.x_mm, coin.y_mm = "slot", "obverse", 0.0, 0.0
                        coin.slot = next(slot for slot, names in mounted.items() if coin.coin in names)
                        share(self.state.coins, coin.slot)
                self.save()
                return
            self.state.coins, self.state.mounted = [], mounted
            for slot, names in mounted.items():
                self.bench.tray.position_mm(slot)  # refuses a slot that does not exist
                for each in names:
                    self.state.coins.append(in_slot(each, slot, random.Random(f"{self.seed} {slot} {each}")))
                share(self.state.coins, slot)
            self.save()

    # What the turntable's motor does

    def plate_deg(self) -> float:
        """True angle of the plate (deg, not wrapped)."""
        return self.current(self._plate).at(self.clock.now())[0]

    def turn(self, by_deg: float, speed: float, acceleration: float, start_s: float) -> None:
        """Turn the plate from where it will then be (deg, deg/s, deg/s²)."""
        with self.lock:
            self.append(self._plate, "turntable", (self._plate[-1].target[0] + by_deg,), speed, acceleration, start_s)

    # What tilts the camera

    def camera_pose(self) -> CameraPose:
        """Where the camera truly is."""
        return CameraPose(self.camera_tilt_deg()) if self.camera_arm is None else self.camera_arm.pose()

    def camera_tilt_deg(self) -> float:
        """True tilt of the camera (deg)."""
        return self.current(self._tilt).at(self.clock.now())[0]

    def tilt_camera(self, by_deg: float, speed: float, acceleration: float, start_s: float) -> None:
        """Tilt the camera from where it will then be (deg, deg/s, deg/s²)."""
        with self.lock:
            self.append(self._tilt, "tilt", (self._tilt[-1].target[0] + by_deg,), speed, acceleration, start_s)

    # What the turntable's controller does to both motors

    def stop_turntable(self) -> None:
        """Stop plate and camera dead, wherever they are."""
        with self.lock:
            now_s = self.clock.now()
            self._plate = [self.current(self._plate).stopped_at(now_s)]
            self._tilt = [self.current(self._tilt).stopped_at(now_s)]
            self.save()

    def brake_turntable(self) -> None:
        """Stop plate and camera as gently as they were set moving."""
        with self.lock:
            now_s = self.clock.now()
            self._plate = [self.current(self._plate).braked_at(now_s)]
            self._tilt = [self.current(self._tilt).braked_at(now_s)]
            self.save()

    # What the arm does

    def cup_mm(self) -> PointMm:
        """True position of the cup (arm coordinates)."""
        x_mm, y_mm, z_mm = self.current(self._cup).at(self.clock.now())
        return (x_mm, y_mm, z_mm)

    def carry(self, target_mm: Point, speed: float, acceleration: float, start_s: float) -> None:
        """StraightMove the cup in a straight line (mm, mm/s, mm/s²)."""
        with self.lock:
            self.append(self._cup, "arm", target_mm, speed, acceleration, start_s)

    def stop_cup(self) -> None:
        """Stop dead, wherever it is."""
        with self.lock:
            self._cup = [self.current(self._cup).stopped_at(self.clock.now())]
            self.save()

    def turn_wrist(self, to_deg: float, speed_deg_s: float) -> None:
        """Turn the servo at the arm's end: a suction cup is round."""
        self._wrist_deg = to_deg

    def wrist_deg(self) -> float:
        """Angle of that servo (deg)."""
        return self._wrist_deg

    @property
    def suction(self) -> bool:
        """Whether the pump runs."""
        return self.state.suction

    def suck(self, on: bool) -> None:
        """Switch the pump. What hangs on the cup falls when it goes off."""
        with self.lock:
            self.state.suction = on
            chance = random.Random(f"{self.seed} {self.state.events}")
            for coin in [] if on else self._held():
                let_go(coin, self.state.coins, self.bench, self.cup_mm(), self.plate_deg(), chance)
            self.save()

    def pump_is_dead(self) -> bool:
        """Whether the pump fails to run though it is switched on."""
        return any(isinstance(fault, DeadPump) for fault in self.faults)

    def cup_holds(self) -> bool:
        """Whether a coin hangs on the cup; the cup takes hold of what it touches while the pump runs."""
        with self.lock:
            if self.suction and not self.pump_is_dead() and not self._held():
                for coin in touched(self.state.coins, self.bench, self.cup_mm(), self.plate_deg()):
                    take(coin, self.bench, self.cup_mm(), self.plate_deg())
                    self.save()
            return bool(self._held())

    def do_by_hand(self, errand: str, slot: int | None) -> None:
        """Somebody who was asked to moves coins: those of a slot onto the plate, back, or turned over."""
        with self.lock:
            for coin in [each for each in self.state.coins if each.place == ("slot" if errand == "load" else "plate")]:
                if errand == "flip":
                    coin.side = SIDES[1 - SIDES.index(coin.side)]
                elif errand == "unload":
                    coin.place, coin.slot = "slot", slot
                elif coin.slot == slot:
                    coin.place, coin.slot = "plate", None
            self.save()

    # What the balance weighs

    def lay_on_pan(self, coin: str | None) -> None:
        """Somebody lays a coin on the pan, or empties it."""
        with self.lock:
            self._pan = (0.0 if coin is None else self.drawer.side_texture(coin, "obverse").mass_g, self.clock.now())

    def pan(self) -> tuple[float, float]:
        """What lies on the pan (g), and since when (s)."""
        return self._pan

    def is_draughty(self) -> bool:
        """Whether the balance never comes to rest."""
        return any(isinstance(fault, Draught) for fault in self.faults)

    # What is between computer and controllers

    def dtr_is_held(self, device: str) -> bool:
        """Whether DTR has been up since the port was last open."""
        return device in self.state.dtr_held

    def hold_dtr(self, device: str) -> None:
        """Keep DTR up when the port closes."""
        with self.lock:
            if device not in self.state.dtr_held:
                self.state.dtr_held.append(device)
                self.save()

    # What goes wrong

    def strikes(self, kind: type[F], device: str) -> F | None:
        """The fault of this kind that strikes in this device's latest move, if any."""
        for fault in self.faults:
            if isinstance(fault, kind) and fault.device == device and fault.after_moves + 1 == self.moves[device]:
                return fault
        return None

    def on_the_wire(self, device: str, data: bytes, way: Way) -> bytes:
        """What arrives of some bytes sent, and of those still under way."""
        return self.wires[device].carry(data, way)

    def is_deaf_to_stop(self, device: str) -> bool:
        """Whether a controller does not obey a stop."""
        return any(isinstance(fault, DeafToStop) and fault.device == device for fault in self.faults)

    def is_unplugged(self, device: str) -> bool:
        """Whether the cable is out."""
        return any(
            isinstance(fault, Unplugged)
            and fault.device == device
            and self.wires[device].messages >= fault.after_messages
            and self.clock.now() - self._pulled_s.setdefault(fault, self.clock.now()) < (fault.seconds or math.inf)
            for fault in self.faults
        )

    def repair(self) -> None:
        """Somebody came and put everything right again."""
        with self.lock:
            self.faults.clear()

    def _meet_trouble(self) -> None:
        """Draw the next fault, if random trouble is asked for and its image has come."""
        self.state.images += 1  # kept with the next transport or move
        for trouble in [fault for fault in self.faults if isinstance(fault, Trouble)]:
            if due(trouble, self.state.images):
                chance = random.Random(f"{trouble.seed} {self.state.images}")
                fault = draw(chance, self._drivers, self.wires, self.moves, self._frames)
                self.faults.append(fault)
                log.info("the twin will have trouble: %r", fault)

    def append(
        self, moves: list[StraightMove], device: str, target: Point, speed: float, acceleration: float, start_s: float
    ) -> None:
        """Add a move to those of a device, jammed if a fault says so."""
        del moves[: moves.index(self.current(moves))]
        self.moves[device] += 1
        move = StraightMove(start_s, moves[-1].target, target, speed, acceleration)
        count = self.moves[device]
        jams = [fault for fault in self.faults if isinstance(fault, Jam) and fault.device == device]
        if any(0 < count - fault.after_moves <= (fault.moves or count) for fault in jams):
            # Half-way in the move it strikes in, and not at all in those that follow.
            fresh = any(count == fault.after_moves + 1 for fault in jams)
            stuck = move.at((move.start_s + move.end_s) / 2) if fresh else move.origin
            move = StraightMove(start_s, move.origin, stuck, speed, acceleration)
        moves.append(move)
        self.save()

    def current(self, moves: list[StraightMove]) -> StraightMove:
        """The move that is under way, or was last."""
        now_s = self.clock.now()
        return next((move for move in reversed(moves) if move.start_s <= now_s), moves[0])

    def _held(self) -> list[LyingCoin]:
        return [coin for coin in self.state.coins if coin.place == "cup"]

    def _lamps(self) -> tuple[Lamp, ...]:
        leds = list(self.leds)
        for fault in self.faults:
            if isinstance(fault, DeadLamp):
                for led in range(fault.first, min(fault.last + 1, len(leds))):
                    leds[led] = (0.0, 0)
        return lamps(leds, self.led0_azimuth_deg, self.lamp_elevation_deg)

    def save(self) -> None:
        """Keep where everything is, for the next program."""
        self.state.events += 1
        self.state.plate_deg = self._plate[-1].target[0]
        self.state.camera_tilt_deg = self._tilt[-1].target[0]
        x_mm, y_mm, z_mm = self._cup[-1].target
        self.state.cup_mm = (x_mm, y_mm, z_mm)
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._write(self._path, self.state.model_dump_json(indent=1, by_alias=True))


def _names(held: str | Sequence[str]) -> tuple[str, ...]:
    return (held,) if isinstance(held, str) else tuple(held)


_world: World | None = None


def use(world: World | None) -> None:
    """Make this the world that ``twin://`` ports of this process lead to."""
    global _world
    _world = world


def current() -> World:
    """The world of this process.

    Raises
    ------
    LookupError
        If there is none: a ``twin://`` port is of no use without its world.
    """
    if _world is None:
        raise LookupError("no twin world is in use: ports twin://... work only where a twin lab is open")
    return _world
