"""grblHAL on a board with native USB, where it differs from GRBL 1.1h.

Written after grblHAL/core f80fc34 (build 20260817): protocol.c, report.c, system.c, settings.c, config.h, grbllib.c,
machine_limits.c, motion_control.c; and compared with what grblHAL's own simulator (grblHAL/Simulator c9f6b81) answers.
"""

from __future__ import annotations

from collections.abc import Mapping

from rig.turntables.grbl_emulator import STOCK_HOMING, Answer, GrblEmulator
from rig.turntables.grbl_memory import FOR_A_TURNTABLE, HOMING, MAX_RATE, STATUS_REPORT, STEPS
from rig.turntables.motor_axis import TiltConfig
from rig.twin.emulator import Firmware
from rig.twin.world import World

PLANNER_BLOCKS = 100  # config.h: DEFAULT_PLANNER_BUFFER_BLOCKS
LINE_CHARACTERS = 257  # protocol.h: LINE_BUFFER_SIZE
HOMING_CYCLES = (44, 45, 46)  # bits of the axes that home in each
ENABLED, SINGLE_AXIS, INIT_LOCK = 1, 2, 4  # bits of $22
SETTINGS: dict[int, float] = {STATUS_REPORT: 511, 44: 4, 45: 3, 46: 0}
# Settings that GRBL has as well, in the form that they are printed in here; the rest as GRBL prints them.
FORMS = {0: ".1f", 24: ".1f", 25: ".1f", 30: ".3f", 31: ".3f"}


class GrblHalEmulator(GrblEmulator):
    """The controller; as `GrblEmulator`, with its axes alone in homing cycles unless `stock`."""

    banner = "\r\nGrblHAL 1.1f ['$' or '$HELP' for help]\r\n"
    alarm_print_s = 0.1

    def __init__(
        self,
        world: World,
        axis: str = "X",
        settings: Mapping[int, float] = FOR_A_TURNTABLE,
        *,
        tilt: TiltConfig | None = None,
        stock: bool = False,
        resets_on_open: bool = False,
    ) -> None:
        super().__init__(world, axis, settings, tilt=tilt, homing=STOCK_HOMING, resets_on_open=resets_on_open)
        bits = [1 << self.letters.index(letter) for letter in reversed(self.driven)]
        cycles = SETTINGS if stock else SETTINGS | dict(zip(HOMING_CYCLES, [*bits, 0, 0], strict=False))
        self.memory.settings = dict(sorted((self.memory.settings | cycles).items()))
        self.blocks_most = PLANNER_BLOCKS
        self._last_error = 0

    def _is_locked_at_power_up(self) -> bool:
        return bool(int(self._set(HOMING)) & INIT_LOCK)

    def _init_flags(self) -> None:
        super()._init_flags()
        self._last_error = 0

    def boot(self) -> Firmware:
        """It runs at once."""
        yield from self.wait(0.01)

    def execute(self, line: str) -> Firmware:
        """One line, and its answer: after an error nothing but settings is obeyed until an empty line comes."""
        if len(line) >= LINE_CHARACTERS:
            self._last_error = 11
        elif not line:
            self._last_error = 0
        elif line.startswith("$"):
            self._last_error = yield from self._system(line)
        elif self._locked or self._state() == "Jog":
            self._last_error = 9
        elif not self._last_error:
            self._last_error = yield from self._gcode(line)
        self._answer(self._last_error)  # not where a reset has cut it short: ABORTED

    def _alarm(self) -> Firmware:
        """In a critical alarm ``?`` and settings are answered all the same."""
        code = self._alarm_code
        if code not in (1, 2):
            yield from super()._alarm()
            return
        self._alarm_code = 0
        self._locked, self._homing = True, False
        self.say(f"ALARM:{code}\r\n")
        yield from self.wait(self.alarm_print_s)
        self.say("[MSG:Reset to continue]\r\n")
        self._rx.clear()
        self._reset_asked = False
        while not self._reset_asked:
            if self._status_asked:
                self._status_asked = False
                self._report()
            yield None

    def _report(self) -> None:
        """report_realtime_status(): overrides first, the offset with the next report."""
        text = self._report_head()
        busy = self._state() not in ("Idle", "Alarm")
        if self._reports_to_ov <= 0:
            self._reports_to_ov = 20 if busy else 10
            text += "|Ov:100,100,100|A:|TLR:0"
            self._reports_to_wco = 1
        elif self._reports_to_wco == 1:
            text += f"|WCO:{self._triple(dict.fromkeys(self.letters, 0.0))}"
            self._reports_to_wco = 0
        self._reports_to_ov -= 1
        self.say(text + ">\r\n")

    def _settings_printed(self) -> str:
        return "".join(f"${number}={self._printed(number, value)}\r\n" for number, value in self._settings())

    def _settings(self) -> list[tuple[int, float]]:
        return sorted(self.memory.settings.items())

    def _printed(self, number: int, value: float) -> str:
        if number in FORMS:
            return format(value, FORMS[number])
        if STEPS <= number < MAX_RATE:
            return f"{value:.5f}"
        return f"{value:.3f}" if number >= MAX_RATE or number in (11, 12, 27) else f"{value:.0f}"

    def _build_printed(self) -> str:
        axes = f"[AXS:{len(self.letters)}:{self.letters}]"
        lines = ("[VER:1.1f.20260817:]", "[OPT:VNML+,100,1024,3,0]", axes, "[FIRMWARE:grblHAL]", "[DRIVER:Simulator]")
        return "".join(f"{line}\r\n" for line in lines)

    def _store(self, line: str) -> Answer:
        error, _ = self.memory.store(line)  # no interrupts are switched off for it
        number = line[1:].partition("=")[0]
        return 53 if error == 3 and number.isdecimal() else error
        yield  # a generator, as others of its kind are

    def _unlock(self) -> None:
        super()._unlock()
        self._last_error = 0

    def _home(self, letter: str) -> Answer:
        flags = int(self._set(HOMING))
        if not flags & ENABLED or (letter and not flags & SINGLE_AXIS):
            return 5
        self.single_axis = True
        cycles = (int(self.memory.settings[number]) for number in HOMING_CYCLES)
        named = ("".join(axis for bit, axis in enumerate(self.letters) if mask >> bit & 1) for mask in cycles)
        self.homing = tuple(axes for axes in named if axes)
        self._homing = True
        self._report()  # unasked
        error = yield from super()._home(letter)
        self.say("[MSG:]\r\n")
        return error
