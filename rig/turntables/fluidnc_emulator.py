"""FluidNC on an ESP32, where it differs from GRBL 1.1h.

Written after bdring/FluidNC e952f33 (v4.0.5-pre2), FluidNC/src: Protocol.cpp, ProcessSettings.cpp, Report.cpp,
SettingsDefinitions.cpp, Channel.cpp, Main.cpp, Machine/Homing.cpp, Machine/Axis.h, Machine/MachineConfig.h. Nothing of
it was run.
"""

from __future__ import annotations

from collections.abc import Mapping

from rig.turntables.grbl_emulator import Answer, GrblEmulator
from rig.turntables.grbl_memory import (
    ACCELERATION,
    FOR_A_TURNTABLE,
    HARD_LIMITS,
    HOMING,
    MAX_RATE,
    MAX_TRAVEL,
    REPORT_INCHES,
    SOFT_LIMITS,
    STATUS_REPORT,
    STEPS,
)
from rig.turntables.motor_axis import TiltConfig
from rig.twin.emulator import Firmware
from rig.twin.world import World

BOOT_S = 2.5
ALARMS = {1: "Hard Limit", 2: "Soft Limit", 3: "Abort Cycle", 6: "Homing Fail Reset", 9: "Homing Fail Approach"}
ALARMS |= {8: "Homing Fail Pulloff", 14: "Unhomed"}
ERRORS = {3: "Invalid statement", 5: "Setting disabled", 9: "GCode cannot be executed in lock or alarm state"}
ERRORS |= {22: "Gcode undefined feed rate", 162: "Read-only setting"}
LOCKED, READ_ONLY, UNHOMED = 9, 162, 14
# What it reports of its config.yaml under GRBL's numbers (make_proxies()); none of it can be set.
PROXIES = (SOFT_LIMITS, HARD_LIMITS, HOMING, 23, 30, 32)


class FluidNcEmulator(GrblEmulator):
    """The controller; as `GrblEmulator`, with its axes alone having a `homing:` section in its config.yaml.

    `version` is what it calls itself: its major and minor number stand where GRBL's were.
    """

    reports_at_once = True
    ok_when_cut_short = False

    def __init__(
        self,
        world: World,
        axis: str = "X",
        settings: Mapping[int, float] = FOR_A_TURNTABLE,
        *,
        tilt: TiltConfig | None = None,
        version: str = "v4.0.4",
        resets_on_open: bool = False,
    ) -> None:
        self.version = version
        super().__init__(world, axis, settings, tilt=tilt, single_axis=True, resets_on_open=resets_on_open)

    @property
    def banner(self) -> str:  # type: ignore[override]
        """SettingsDefinitions.cpp: Start/Message."""
        number = self.version.removeprefix("v").rpartition(".")[0]
        return f"\r\nGrbl {number} [FluidNC {self.version} (esp32-wifi) '$' for help]\r\n"

    def _power_up(self) -> None:
        super()._power_up()
        self._unhomed = bool(self._set(HOMING))
        self._critical = False
        self._first = True

    def _is_locked_at_power_up(self) -> bool:
        return False  # it says the banner first, then raises an alarm

    def boot(self) -> Firmware:
        """The start-up log, which ends before the banner."""
        yield from self.wait(BOOT_S)
        self.say(f"[MSG:INFO: FluidNC {self.version} https://github.com/bdring/FluidNC]\r\n")
        self.say("[MSG:INFO: Machine turntable]\r\n")

    def startup(self) -> Firmware:
        """protocol_do_start(): what has a switch is not homed, and an alarm says so."""
        if self._first and self._unhomed:
            yield from self._raise(UNHOMED)
        self._first = False

    def _mc_reset(self) -> None:
        """protocol_do_rt_reset()."""
        if self._reset_asked:
            return
        self._reset_asked = True
        if self._homing or self._moving():
            self._alarm_code = 6 if self._homing else 3
            self._stop_steppers()
        elif self._critical and self._unhomed:
            self._alarm_code = UNHOMED
        elif self._critical:
            self._locked = False
        self._critical = False

    def _alarm(self) -> Firmware:
        code, self._alarm_code = self._alarm_code, 0
        yield from self._raise(code)
        if code in (1, 2):
            self._unhomed = self._unhomed or code == 1
            self._critical = True
            self.say("[MSG:ERR: Reset to continue]\r\n")
            self._reset_asked = False

    def _raise(self, code: int) -> Firmware:
        self._locked, self._homing = True, False
        self.say(f"[MSG:INFO: ALARM: {ALARMS.get(code, 'None')}]\r\nALARM:{code}\r\n")
        yield from self.wait(self.alarm_print_s)

    def _obey(self, line: str) -> Answer:
        if self._critical and not line.startswith("$"):
            return 0  # execute_line() refuses lines in Alarm, not in Critical; nothing moves
        return (yield from super()._obey(line))

    def _answer(self, error: int) -> None:
        super()._answer(error)
        if error in ERRORS:  # verbose_errors
            self.say(f"[MSG:ERR: {ERRORS[error]}]\r\n")

    def _unlock(self) -> None:
        self._locked = self._unhomed = False
        self.say("[MSG:INFO: Caution: Unlocked]\r\n")

    def _settings_printed(self) -> str:
        values = self.memory.settings
        lines = [f"$13={values[REPORT_INCHES]:.0f}", *(f"${number}={values[number]:.0f}" for number in PROXIES)]
        for first in (STEPS, MAX_RATE, ACCELERATION, MAX_TRAVEL):
            lines += [f"${first + n}={values[first + n]:.3f}" for n in range(len(self.letters))]
        return "".join(f"{line}\r\n" for line in (*lines, f"$10={values[STATUS_REPORT]:.0f}"))

    def _build_printed(self) -> str:
        number = self.version.removeprefix("v").rpartition(".")[0]
        return f"[VER:{number} FluidNC {self.version} (esp32-wifi) :]\r\n[OPT:PHS]\r\n[MSG:Machine: turntable]\r\n"

    def _store(self, line: str) -> Answer:
        number, equals, value = line[1:].partition("=")
        if not number.isdecimal() or int(number) not in (*PROXIES, *self.memory.settings):
            return 3
        if not equals or int(number) not in (STATUS_REPORT, REPORT_INCHES):
            return READ_ONLY if equals else 0
        self.memory.settings[int(number)] = float(value) if value.isdecimal() else 0.0
        return 0
        yield  # a generator, as others of its kind are

    def _home(self, letter: str) -> Answer:
        """home(): after it failed there is an alarm, and ``ok`` all the same."""
        if letter and letter not in self.driven:
            return 19
        try:
            error = yield from super()._home(letter)
        except _GaveUpError:
            return 0
        if not error:
            self._unhomed = False
            self.say(f"[MSG:Homed:{letter or ''.join(self.homing)}]\r\n")
        return error

    def _homed_at(self, letter: str) -> float:
        return 0.0  # Homing.h: mpos_mm

    def _fail_homing(self, code: int) -> Firmware:
        self._report()
        yield from self._raise(code)
        raise _GaveUpError


class _GaveUpError(Exception):
    """Homing has failed, which restarts nothing here."""
