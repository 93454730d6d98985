"""The inner loop of GRBL 1.1h: bytes in, real-time commands, resets and alarms, one line at a time.

Written after gnea/grbl bfb67f0: serial.c, protocol.c, main.c, motion_control.c, report.c, nuts_bolts.c.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rig.turntables.grbl_machine import RX_BYTES, GrblMachine
from rig.turntables.grbl_memory import HARD_LIMITS, HOMING
from rig.turntables.motor_axis import TiltConfig
from rig.twin.emulator import Firmware
from rig.twin.faults import Brownout
from rig.twin.world import World

BOOT_S = 1.5  # the Arduino's boot loader
LINE_CHARACTERS = 80  # protocol.h: LINE_BUFFER_SIZE
CRITICAL_ALARMS = (1, 2)
UART_BYTES = 2  # that the port itself keeps while interrupts are off
DWELL_STEP_S = 0.05  # config.h: DWELL_TIME_STEP; a dwell is cut into these, real-time commands are heeded between


class ResetError(Exception):
    """A reset asked for by 0x18 has reached the main loop."""


class GrblKernel(GrblMachine):
    """The controller without what its lines mean; see `GrblEmulator`."""

    banner = "\r\nGrbl 1.1h ['$' for help]\r\n"
    alarm_print_s = 0.5  # report_alarm_message() waits that long for the line to clear
    reports_at_once = False  # whether "?" is answered while everything else waits
    ok_when_cut_short = True  # whether a line that a reset cuts short is answered all the same

    def __init__(
        self,
        world: World,
        axis: str,
        settings: Mapping[int, float],
        *,
        tilt: TiltConfig | None,
        resets_on_open: bool,
    ) -> None:
        super().__init__(world, axis, settings, tilt)
        self._resets_on_open = resets_on_open
        self._power_up()

    def execute(self, line: str) -> Firmware:
        """Do what a line asks for and answer it."""
        raise NotImplementedError

    def startup(self) -> Firmware:
        """Run the startup lines."""
        raise NotImplementedError

    def _power_up(self) -> None:
        self._line_bytes = bytearray()
        self._rx.clear()
        self._deaf_until_s = 0.0
        self._forget()
        self._locked = self._is_locked_at_power_up()
        self._init_flags()

    def _is_locked_at_power_up(self) -> bool:
        return bool(self._set(HOMING))  # config.h: HOMING_INIT_LOCK

    def _init_flags(self) -> None:
        self._start_over()
        self._reset_asked = False
        self._status_asked = False
        self._alarm_code = 0
        self._motion, self._absolute, self._feed, self._inches = "G0", True, 0.0, False

    # Bytes that are taken at once (serial.c, the receive interrupt)

    def received(self, data: bytes) -> None:
        """Take real-time commands out of the stream, buffer the rest."""
        if self.clock.now() < self._deaf_until_s:
            data = data[:UART_BYTES]
        for byte in data:
            if byte == 0x18:
                if not (self._moving() and self.world.is_deaf_to_stop("turntable")):
                    self._mc_reset()
            elif byte == ord("?"):
                self._ask_status()
            elif byte == ord("!"):
                self._hold()
            elif byte == ord("~"):
                self._resume()
            elif byte == 0x84:
                self._ask_door()
            elif byte == 0x85 and self._state() == "Jog":
                self._brake()
            elif byte < 0x80 and len(self._rx) < RX_BYTES - 1:  # above are override commands; a full ring drops bytes
                self._rx.append(byte)

    def _ask_status(self) -> None:
        if self.reports_at_once:
            self._report()
        else:
            self._status_asked = True

    def _ask_door(self) -> None:
        if self._homing:
            self._alarm_code = 7
            self._mc_reset()
        elif self._open_door():
            self.say("[MSG:Check Door]\r\n")

    def _mc_reset(self) -> None:
        if self._reset_asked:
            return
        self._reset_asked = True
        if self._homing or self._moving():
            self._alarm_code = self._alarm_code or (6 if self._homing else 3)
            self._stop_steppers()

    # The main program (main.c, protocol.c)

    def reset(self) -> None:
        """DTR: power-up, on a board wired for it. The motor stops where it is and the position is forgotten."""
        if self._main is None or self._resets_on_open:
            self.power_cycle()

    def power_cycle(self) -> None:
        """Off and on again."""
        self.world.stop_turntable()
        self._power_up()
        super().reset()

    def main(self) -> Firmware:
        """Boot, then process lines until a reset starts it over."""
        yield from self.boot()
        while True:
            self._line_bytes.clear()
            self._rx.clear()
            self._init_flags()
            self.say(self.banner)
            if self._set(HARD_LIMITS) and any(map(self._at_switch, self.driven)):  # config.h: CHECK_LIMITS_AT_INIT
                self._locked = True
                self.say("[MSG:Check Limits]\r\n")
            if self._locked:
                self.say("[MSG:'$H'|'$X' to unlock]\r\n")
            try:
                if not self._locked:
                    yield from self.startup()
                yield from self._process_lines()
            except ResetError:
                continue

    def boot(self) -> Firmware:
        """What comes before the firmware has the word."""
        yield from self.wait(BOOT_S)

    def _process_lines(self) -> Firmware:
        while True:
            yield from self._realtime()
            while self._rx:
                byte = self._rx.popleft()
                if byte not in b"\r\n":
                    self._line_bytes.append(byte)
                    continue
                line = re.sub(r"\([^)]*\)?|;.*|\s|/", "", self._line_bytes.decode("ascii").upper())
                self._line_bytes.clear()
                yield from self._realtime()
                yield from self.execute(line)
            yield from self._realtime()  # what was asked for while a line kept it busy
            yield self._doom[0] if self._doom else None

    def _realtime(self) -> Firmware:
        """protocol_execute_realtime(): while it is held nothing else is done."""
        yield from self._rt_system()
        while self._held is not None:
            yield self._blocks[-1].end_s if self._moving() else None
            yield from self._rt_system()

    def _rt_system(self) -> Firmware:
        """protocol_exec_rt_system(): alarms, resets, status reports."""
        if self._doom and self.clock.now() >= self._doom[0]:
            fault = self._doom[1]
            self._doom = None
            if isinstance(fault, Brownout):
                self.power_cycle()
                yield None  # this main program is over
            else:
                self._alarm_code = fault.code
                self._reset_asked = True  # mc_reset() comes first
                self._stop_steppers()
        if self._alarm_code:
            yield from self._alarm()
        if self._reset_asked:
            raise ResetError
        if self._status_asked:
            self._status_asked = False
            self._report()

    def _alarm(self) -> Firmware:
        code, self._alarm_code = self._alarm_code, 0
        self._locked, self._homing = True, False
        self.say(f"ALARM:{code}\r\n")
        yield from self.wait(self.alarm_print_s)
        if code in CRITICAL_ALARMS:
            self.say("[MSG:Reset to continue]\r\n")
            self._reset_asked = False  # one that came before this message is swallowed
            while not self._reset_asked:
                yield None

    def _until_free(self, blocks: int) -> Firmware:
        """Wait until fewer than so many moves are ahead, alive to real-time commands."""
        while len(ahead := [move.end_s for move in self._blocks if move.end_s > self.clock.now()]) >= blocks:
            yield min(ahead[0], self._doom[0]) if self._doom else ahead[0]
            yield from self._realtime()
        yield from self._realtime()

    def _dwell(self, seconds: float) -> Firmware:
        """delay_sec(), mode dwell."""
        until_s = self.clock.now() + seconds
        while self.clock.now() < until_s:
            yield min(until_s, self.clock.now() + DWELL_STEP_S)
            yield from self._realtime()
