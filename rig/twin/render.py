"""What the camera sees of a scene: geometry, light on relief, the lens's blur and the sensor's noise."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from rig.twin.calibration_targets import CHART_PX_PER_MM, SPHERE_RADIUS_MM, chart_reflectance, sphere_light
from rig.twin.coins.drawer import Drawer
from rig.twin.coins.surface import Array, Beam, Surface, as_array, shade
from rig.twin.lamps import AMBIENT, LAMP_DISTANCE_MM, irradiance, lamp_position, merged, power_of
from rig.twin.optics import CameraModel, Sensor, blurred, camera_axes, on_plane, on_tilted_plane, to_pixel
from rig.twin.scene import BoardPose, CameraPose, Lamp, PlacedCoin, Scene
from rig.twin.targets import (
    BOARD_PX_PER_MM,
    PAPER,
    PLATE_RADIUS_MM,
    PrintedBoard,
    board_reflectance,
    plate_reflectance,
)
from rig.twin.wall import LightOn, shade_wall, wall_heights

__all__ = ["CameraModel", "Renderer"]  # the camera is defined beside the optics, and comes with its renderer

_COARSE = 16  # light falls off so smoothly that it is worked out on every 16th pixel

FOCUSES = 4  # that are remembered beside the latest
DEEP_PX, LAYERS = 0.4, 4  # of blur, between layers of a relief that is blurred by its height; fewer are not worth it
SHADOW_REACH = 2.5  # of a coin's thickness
SHADOW_DEPTH = 0.88  # share of a lamp's light that a coin's shadow takes; walls and plate send some back

Window = tuple[slice, slice]
EVERYWHERE: Window = (slice(None), slice(None))


class Renderer:
    """Renders scenes with one camera. Frames differ by their noise; the same seed gives the same sequence of frames.

    Parameters
    ----------
    camera
        Lens and sensor.
    drawer
        Where the surfaces of the scene's coins come from.
    seed
        Of the sensor's noise.
    board
        The ChArUco board shown when the scene's target is ``"charuco"``.
    """

    def __init__(self, camera: CameraModel, drawer: Drawer, seed: int = 0, board: PrintedBoard | None = None) -> None:
        self.camera = camera
        self.drawer = drawer
        self.board = board if board is not None else PrintedBoard()
        self._shape = (camera.height_px, camera.width_px)
        self._sensor = Sensor(camera, seed)
        self._remember_images(plates=4)

    def _remember_images(self, plates: int) -> None:
        self._plate_image = lru_cache(maxsize=plates)(self._make_plate_image)
        self._board_image = lru_cache(maxsize=1)(self._make_board_image)
        self._focused: dict[float, Renderer] = {}

    def focused_on(self, height_mm: float | None) -> Renderer:
        """The same camera, sensor and noise with a height above the plate (mm) in focus; None for its own."""
        if height_mm is None:
            return self
        if height_mm not in self._focused:
            focused = copy.copy(self)
            focused.camera = self.camera.focused_on(height_mm)
            focused._remember_images(plates=1)
            self._focused = {**dict([*self._focused.items()][-FOCUSES:]), height_mm: focused}
        return self._focused[height_mm]

    def render(self, scene: Scene, exposure_us: float, gain: float = 1.0) -> npt.NDArray[np.uint8]:
        """One frame, (height_px, width_px, 3) RGB uint8. A plate that turns during the exposure smears."""
        sweep_deg = scene.plate_speed_deg_s * exposure_us / 1e6
        reach_px = np.hypot(self.camera.width_px, self.camera.height_px) / 2
        smear_px = abs(np.radians(sweep_deg)) * reach_px
        moments = int(np.clip(np.ceil(smear_px / 3), 1, 9))
        light = self._light(scene, scene.plate_angle_deg)
        for moment in range(1, moments):
            light += self._light(scene, scene.plate_angle_deg + sweep_deg * moment / (moments - 1))
        if moments > 1:
            light *= np.float32(1 / moments)
        return self._sensor.expose(light, exposure_us, gain)

    def _light(self, scene: Scene, plate_angle_deg: float) -> Array:
        """Light leaving the scene towards each pixel, (H, W, 3)."""
        camera = self.camera
        if not scene.lamps:
            return np.zeros((camera.height_px, camera.width_px, 3), np.float32)
        if scene.target == "white card":
            return self._flood(scene.lamps, scene.camera) * np.float32(PAPER)
        if scene.target in ("charuco", "colour chart"):
            return self._board_light(scene, plate_angle_deg)
        if scene.target == "chrome sphere":
            return self._sphere_on_card(scene, plate_angle_deg)
        light = self._flood(scene.lamps, scene.camera)
        cv2.multiply(light, self._plate_image(scene.camera, round(plate_angle_deg, 3)), dst=light)
        for coin in scene.coins:
            self._put_coin(light, scene, coin, plate_angle_deg)
        return light

    def _flood(
        self,
        lamps: Sequence[Lamp],
        pose: CameraPose,
        window: Window = EVERYWHERE,
        normal: Sequence[float] = (0, 0, 1),
    ) -> Array:
        """Irradiance on a plane through the plate's centre, in a window of pixels, (h, w, 3)."""
        rows, columns = (range(*part.indices(size)) for part, size in zip(window, self._shape, strict=True))
        coarse = slice(rows.start, rows.stop, _COARSE), slice(columns.start, columns.stop, _COARSE)
        x, y = on_plane(self.camera, pose, 0.0, coarse)
        total = sum((irradiance(lamp, x, y, normal) for lamp in lamps), np.zeros((*x.shape, 3), np.float32))
        # Sample k lies on pixel 16 k of the window, which is not where cv2.resize would take it to lie.
        grow = np.array([[_COARSE, 0, 0], [0, _COARSE, 0]], np.float32)
        size = (len(columns), len(rows))
        return as_array(cv2.warpAffine(total, grow, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))

    def _make_plate_image(self, pose: CameraPose, plate_angle_deg: float) -> Array:
        """Reflectance of the plate as this camera sees it at one angle, (H, W, 3)."""
        x, y = on_plane(self.camera, pose, 0.0)
        angle = np.radians(plate_angle_deg)
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        texture = plate_reflectance()
        scale = np.float32(texture.shape[0] / (2 * PLATE_RADIUS_MM))
        columns = (x * cos + y * sin + np.float32(PLATE_RADIUS_MM)) * scale
        rows = (np.float32(PLATE_RADIUS_MM) + x * sin - y * cos) * scale
        seen = cv2.remap(texture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0.01)
        return as_array(cv2.merge([blurred(seen, self.camera.blur_px(0.0))] * 3))

    def _put_coin(self, light: Array, scene: Scene, placed: PlacedCoin, plate_angle_deg: float) -> None:
        surface = self.drawer.side_texture(placed.coin, placed.side)
        angle = np.radians(plate_angle_deg)
        x = placed.x_mm * np.cos(angle) - placed.y_mm * np.sin(angle)
        y = placed.x_mm * np.sin(angle) + placed.y_mm * np.cos(angle)
        turned_deg = plate_angle_deg + placed.rotation_deg
        window = self._window_of(scene.camera, x, y, surface, SHADOW_REACH * surface.thickness_mm)
        if window is None:
            return
        total, shadowed = self._shadowed_floods(scene, surface, x, y, turned_deg, window)
        seen = light[window]
        cv2.multiply(seen, shadowed, dst=seen)

        light_on = self._light_on(scene, surface, x, y, turned_deg)
        self._put_wall(light, total, scene.camera, surface, light_on, (x, y, turned_deg), window)
        lit = self._shaded(scene, surface, light_on, turned_deg)
        columns, rows = self._texture_coordinates(scene.camera, surface, x, y, turned_deg, surface.thickness_mm, window)
        leaving = cv2.remap(lit, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        _lay_over(seen, self._defocused(leaving, surface, columns, rows), total)

    def _put_wall(
        self,
        light: Array,
        total: Array,
        pose: CameraPose,
        surface: Surface,
        light_on: LightOn,
        place: tuple[float, float, float],
        lit: Window,
    ) -> None:
        """Draw a coin's edge where the camera is tilted and sees it; `place` is its x, y (mm) and turn (deg).

        `total` is the irradiance on the plate in the window `lit`, which the coin does not reach beyond.
        """
        heights = wall_heights(surface.thickness_mm, pose.tilt_deg, 1 / self.camera.mm_per_pixel)
        window = self._window_of(pose, *place[:2], surface, 0.0)
        if not heights or window is None:
            return
        wall = shade_wall(surface, light_on)
        seen = light[window]
        leaving = np.zeros((*seen.shape[:2], 4), np.float32)
        low, high = (
            self._texture_coordinates(pose, surface, *place, height_mm, window)
            for height_mm in (0.0, surface.thickness_mm)
        )
        for height_mm in heights:  # a ray moves evenly over the texture as it rises
            share = height_mm / surface.thickness_mm
            columns, rows = (cv2.addWeighted(a, 1 - share, b, share, 0.0) for a, b in zip(low, high, strict=True))
            layer = as_array(cv2.remap(wall, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT))
            cv2.multiply(leaving, cv2.merge([1 - layer[..., 3]] * 4), dst=leaving)
            cv2.add(leaving, layer, dst=leaving)
        top, left = window[0].start - lit[0].start, window[1].start - lit[1].start
        below = total[top : top + seen.shape[0], left : left + seen.shape[1]]
        _lay_over(seen, blurred(leaving, self.camera.blur_px(surface.thickness_mm / 2)), below)

    def _defocused(self, leaving: npt.ArrayLike, surface: Surface, columns: Array, rows: Array) -> Array:
        """What leaves a coin as the lens shows it: relief deeper than the depth of field is blurred by its height."""
        leaving = as_array(leaving)
        low, high = (float(each) for each in (surface.height_mm.min(), surface.height_mm.max()))
        top_mm = surface.thickness_mm
        layers = math.ceil((high - low) * self.camera.blur_px_per_mm / DEEP_PX)
        if layers < LAYERS:
            return blurred(leaving, self.camera.blur_px(top_mm))
        height_mm = cv2.remap(surface.height_mm, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        at = (height_mm - np.float32(low)) * np.float32(layers / (high - low))
        seen = np.zeros_like(leaving)
        for layer in range(layers + 1):
            blur_px = self.camera.blur_px(top_mm + low + (high - low) * layer / layers)
            share = np.clip(1 - np.abs(at - np.float32(layer)), 0, 1)
            seen += blurred(leaving, blur_px) * share[..., None]
        return as_array(seen)

    def _window_of(self, pose: CameraPose, x: float, y: float, surface: Surface, beside_mm: float) -> Window | None:
        """The pixels that a coin, and what is beside it, can reach."""
        reach = surface.side_mm / 2 + beside_mm
        corners = [
            (x + u, y + v, z) for u in (-reach, reach) for v in (-reach, reach) for z in (0, surface.thickness_mm)
        ]
        pixels = to_pixel(self.camera, pose, np.array(corners))
        low, high = np.floor(pixels.min(axis=0)).astype(int), np.ceil(pixels.max(axis=0)).astype(int)
        left, right = np.clip([low[0], high[0]], 0, self.camera.width_px)
        top, bottom = np.clip([low[1], high[1]], 0, self.camera.height_px)
        if right - left < 2 or bottom - top < 2:
            return None
        return slice(int(top), int(bottom)), slice(int(left), int(right))

    def _texture_coordinates(
        self,
        pose: CameraPose,
        surface: Surface,
        x: float,
        y: float,
        turned_deg: float,
        height_mm: float,
        window: Window,
    ) -> tuple[Array, Array]:
        """Where on the coin's texture each pixel of the window looks, at a height above the plate."""
        bench_x, bench_y = on_plane(self.camera, pose, height_mm, window)
        bench_x -= np.float32(x)
        bench_y -= np.float32(y)
        turn = np.radians(turned_deg)
        scale = surface.height_mm.shape[0] / surface.side_mm
        cos, sin = np.float32(np.cos(turn) * scale), np.float32(np.sin(turn) * scale)
        middle = np.float32(surface.height_mm.shape[0] / 2 - 0.5)
        return bench_x * cos + bench_y * sin + middle, bench_x * sin - bench_y * cos + middle

    def _light_on(self, scene: Scene, surface: Surface, x: float, y: float, turned_deg: float) -> LightOn:
        """The scene's lamps as a coin sees them, per light on the plate."""
        beams, ambient = [], np.zeros(3)
        for lamp in merged(scene.lamps):
            towards = lamp_position(lamp) - (x, y, surface.thickness_mm)
            distance = float(np.linalg.norm(towards))
            power = power_of(lamp) * (LAMP_DISTANCE_MM / distance) ** 2
            beams.append(Beam(_turned(towards / distance, -turned_deg), _three(power)))
            ambient += AMBIENT * power
        on_plate = sum(
            (irradiance(lamp, np.float32(x), np.float32(y)) for lamp in scene.lamps), np.zeros(3, np.float32)
        )
        return LightOn(tuple(beams), _three(ambient), np.maximum(on_plate, 1e-6).astype(np.float32))

    def _shaded(self, scene: Scene, surface: Surface, light_on: LightOn, turned_deg: float) -> Array:
        """The coin's texture under the scene's lamps, (n, n, 4): light leaving it per light on the plate, coverage.

        The colours are premultiplied with the coverage.
        """
        view = _turned(-camera_axes(scene.camera)[2], -turned_deg)
        channels = cv2.split(shade(surface, light_on.beams, light_on.ambient, view))
        lit = [channel * surface.coverage / level for channel, level in zip(channels, light_on.on_plate, strict=True)]
        return as_array(cv2.merge([*lit, surface.coverage]))

    def _shadowed_floods(
        self, scene: Scene, surface: Surface, x: float, y: float, turned_deg: float, window: Window
    ) -> tuple[Array, Array]:
        """Irradiance on the plate in the window, and the share of it that the coin's shadow leaves: (h, w, 3) each."""
        columns, rows = self._texture_coordinates(scene.camera, surface, x, y, turned_deg, 0.0, window)
        scale = surface.height_mm.shape[0] / surface.side_mm
        box = 2 * round(0.4 * surface.thickness_mm * scale) + 1  # a sector 60 degrees wide throws no sharp shadow
        soft = cv2.blur(cv2.blur(surface.coverage, (box, box)), (box, box))
        total, lost = np.zeros((*columns.shape, 3), np.float32), np.zeros((*columns.shape, 3), np.float32)
        for lamp in merged(scene.lamps):
            towards = lamp_position(lamp) - (x, y, 0.0)
            # A point is shaded if the ray to the lamp passes through the coin at some 0.6 of its thickness.
            step = np.asarray(_turned(towards / towards[2] * surface.thickness_mm * 0.6, -turned_deg)) * scale
            shadow = cv2.remap(soft, columns + np.float32(step[0]), rows - np.float32(step[1]), cv2.INTER_LINEAR)
            flood = self._flood((lamp,), scene.camera, window)
            total += flood
            cv2.accumulateProduct(flood, cv2.merge([shadow] * 3), lost)
        left = cv2.divide(lost, cv2.max(total, np.full_like(total, 1e-6)), scale=-SHADOW_DEPTH)
        left += 1
        return total, as_array(left)

    def _board_light(self, scene: Scene, plate_angle_deg: float) -> Array:
        """Light leaving board or chart, which lies on the plate and turns with it, and the plate around it."""
        is_chart = scene.target == "colour chart"
        seen, normal = self._board_image(scene.board, scene.camera, round(plate_angle_deg, 3), is_chart)
        flood = self._flood(scene.lamps, scene.camera, normal=normal)
        return as_array(cv2.multiply(flood, seen, dst=flood))

    def _make_board_image(
        self, board: BoardPose, pose: CameraPose, plate_angle_deg: float, is_chart: bool
    ) -> tuple[Array, list[float]]:
        """Reflectance of board or chart as this camera sees it, (H, W, 3), and the normal of its plane."""
        camera = self.camera
        turn, tilt, around = (
            np.radians(v)
            for v in (board.rotation_deg + plate_angle_deg, board.tilt_deg, board.tilt_azimuth_deg + plate_angle_deg)
        )
        hinge = np.array([np.cos(around), np.sin(around), 0.0])
        axis_u, axis_v = (
            _rotated(np.array(axis), hinge, tilt)
            for axis in ((np.cos(turn), np.sin(turn), 0.0), (-np.sin(turn), np.cos(turn), 0.0))
        )
        middle = np.array(_turned(np.array([board.x_mm, board.y_mm, 0.0]), plate_angle_deg))
        u, v = on_tilted_plane(camera, pose, middle, axis_u, axis_v)
        printed = chart_reflectance() if is_chart else board_reflectance(self.board)
        scale = np.float32(CHART_PX_PER_MM if is_chart else BOARD_PX_PER_MM)
        columns = u * scale + np.float32(printed.shape[1] / 2 - 0.5)
        rows = np.float32(printed.shape[0] / 2 - 0.5) - v * scale
        ground = (0.03, 0.03, 0.03) if is_chart else (0.03,)
        seen = cv2.remap(printed, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=ground)
        seen = blurred(seen, camera.blur_px(0.0))
        return as_array(seen if is_chart else cv2.merge([seen] * 3)), np.cross(axis_u, axis_v).tolist()

    def _sphere_on_card(self, scene: Scene, plate_angle_deg: float) -> Array:
        """Light leaving the white card and the chrome sphere that lies on it and turns with the plate."""
        place = _turned(np.array([scene.board.x_mm, scene.board.y_mm, 0.0]), plate_angle_deg)[:2]
        light = self._flood(scene.lamps, scene.camera) * np.float32(PAPER)
        corners = [(place[0] + u, place[1] + v, z) for u in (-9, 9) for v in (-9, 9) for z in (0, 2 * SPHERE_RADIUS_MM)]
        pixels = to_pixel(self.camera, scene.camera, np.array(corners))
        low, high = np.maximum(pixels.min(axis=0) - 4, 0).astype(int), np.maximum(pixels.max(axis=0) + 5, 1).astype(int)
        window = slice(low[1], high[1]), slice(low[0], high[0])
        sphere, seen = sphere_light(self.camera, scene.camera, place, scene.lamps, window)
        part = light[window]
        part[seen] = sphere[seen]
        light[window] = blurred(part, self.camera.blur_px(SPHERE_RADIUS_MM))
        return light


def _lay_over(seen: Array, leaving: Array, total: Array) -> None:
    """Draw what leaves a thing, (h, w, 4) per light on the plate and premultiplied, over what is seen there."""
    red, green, blue, coverage = cv2.split(leaving)
    cv2.multiply(seen, cv2.merge([1 - coverage] * 3), dst=seen)
    cv2.accumulateProduct(cv2.merge([red, green, blue]), total, seen)


def _turned(vector: npt.NDArray[np.float64], degrees: float) -> tuple[float, float, float]:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return float(vector[0] * cos - vector[1] * sin), float(vector[0] * sin + vector[1] * cos), float(vector[2])


def _rotated(vector: npt.NDArray[np.float64], axis: npt.NDArray[np.float64], angle: float) -> npt.NDArray[np.float64]:
    """Rodrigues' rotation about a unit axis."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(vector * cos + np.cross(axis, vector) * sin + axis * (axis @ vector) * (1 - cos))


def _three(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
