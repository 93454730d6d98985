"""What goes wrong at a durable step of a process, beside its being killed: disk, index and clock."""

from __future__ import annotations

import ctypes
import datetime as calendar
import errno
import os
import platform
import sys
import time
from typing import Any

from tests.kills.steps import Step

# How SQLite writes on Linux, and nothing else in these processes does: pwrite64, fdatasync, ftruncate.
INDEX_CALLS = {"x86_64": (18, 75, 77), "aarch64": (68, 83, 46)}
SECCOMP = {"x86_64": 317, "aarch64": 277}
HOUR_S = 3600


def strike(fault: dict[str, Any], step: Step) -> None:
    """Let the fault strike at this step, if it is its turn."""
    if not step.kind.startswith(tuple(fault["kinds"])):
        return
    fault["seen"] = fault.get("seen", 0) + 1
    if fault["what"] == "files" and fault["first"] <= fault["seen"] <= fault["last"]:
        number = getattr(errno, fault["error"])
        raise OSError(number, os.strerror(number), step.path)
    if fault["seen"] == fault["first"]:
        if fault["what"] == "index":
            refuse_index_writes(getattr(errno, fault["error"]))
        if fault["what"] == "clock":
            step_back()


def refuse_index_writes(error: int) -> None:
    """Let every write to the index fail from here on, in all threads, as the kernel would."""
    machine = platform.machine()
    calls = INDEX_CALLS[machine]
    program = [(0x20, 0, 0, 0)]  # load the number of the call
    program += [(0x15, len(calls) - number, 0, call) for number, call in enumerate(calls)]
    program += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050000 | error)]  # allow; fail with this error

    class Instruction(ctypes.Structure):
        _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(Instruction)))

    filled = (Instruction * len(program))(*[Instruction(*each) for each in program])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    everywhere = 1  # SECCOMP_FILTER_FLAG_TSYNC: in the threads that run already, too
    if libc.syscall(SECCOMP[machine], 1, everywhere, ctypes.byref(Program(len(program), filled))):
        raise OSError(ctypes.get_errno(), "seccomp")


def step_back() -> None:
    """Set the clock back an hour, for all that this process asks of it."""
    true_time, true_datetime = time.time, calendar.datetime

    class Late(true_datetime):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: calendar.tzinfo | None = None) -> calendar.datetime:
            return true_datetime.now(tz) - calendar.timedelta(seconds=HOUR_S)

    time.time = lambda: true_time() - HOUR_S
    for name, module in list(sys.modules.items()):
        is_ours = name.split(".")[0] in ("rig", "calibration", "capture", "pipeline")
        if is_ours and getattr(module, "datetime", None) is true_datetime:
            module.datetime = Late  # type: ignore[attr-defined]
