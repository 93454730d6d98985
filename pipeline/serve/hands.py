"""The page's hands: a `rig bench` beside it that holds the rig for one browser at a time, and lets go when that leaves.

Whoever takes the rig is given a word that their orders carry; others see who has it, and may stop it, no more. The
browser says several times a second that it is still there, which is passed on: the session stops what moves by itself
when it hears nothing (`pipeline.bench.session`), also because this page died, since its standard input ends then.
"""

from __future__ import annotations

import secrets
import subprocess
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from pipeline.bench.orders import BenchState, Order
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.serve.children import complaint, start_rig

LEFT_S = 5.0  # without a sign of life, after which another browser may take over
ERROR_LINES = 12


@dataclass
class _Session:
    """A `rig bench` that was started: the last state that it wrote, and what it complained about."""

    process: subprocess.Popen[str]
    who: str
    control: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    state: BenchState | None = None
    errors: deque[str] = field(default_factory=lambda: deque(maxlen=ERROR_LINES))
    writing: threading.Lock = field(default_factory=threading.Lock)
    heard_s: float = field(default_factory=time.monotonic)
    is_over: bool = False

    @property
    def problem(self) -> str | None:
        """Why it ended: what it complained about where it failed, else what it wrote last."""
        if self.process.returncode:
            return complaint(self.errors) or None
        return self.state.problem if self.state else None


class Hands:
    """The session of a page, at most one."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._changed = threading.Condition()
        self._session: _Session | None = None

    def take(self, who: str) -> str:
        """Start a session, or take over one whose browser has left; the word for its orders.

        Raises
        ------
        LabError
            If somebody else has the rig.
        """
        with self._changed:
            session = self._session
            if session is not None and not session.is_over:
                if time.monotonic() - session.heard_s < LEFT_S:
                    raise LabError(f"{session.who} uses the rig on this page already. Ask them to let go of it.")
                session.who, session.control = who, secrets.token_urlsafe(18)
                session.heard_s = time.monotonic()
                return session.control
            session = self._session = _Session(start_rig(self._lab, "bench"), who)
        threading.Thread(target=self._follow, args=(session,), daemon=True).start()
        return session.control

    def send(self, control: str, order: Order, wait_s: float = 0.0) -> dict[str, Any]:
        """Pass an order on; the state of the session, after the order where that takes no longer than `wait_s`.

        Raises
        ------
        LabError
            If this browser does not have the rig, or not any more.
        """
        with self._changed:
            session = self._own(control)
            session.heard_s = time.monotonic()
            done = session.state.done if session.state else 0
            self._write(session, order)
            self._changed.wait_for(
                lambda: session.is_over or (session.state is not None and session.state.done > done), wait_s
            )
            return self._view(session)

    def halt(self) -> None:
        """Stop whatever a session moves."""
        session = self._session  # no lock is waited for
        if session is not None:
            self._write(session, Order(do="stop"))

    def release(self, control: str) -> None:
        """End the session."""
        with self._changed:
            self._write(self._own(control), Order(do="end"))

    def leave(self, control: str) -> None:
        """End the session shortly, unless its browser is heard of again: it closed the page, or loads it again."""
        with self._changed:
            session, left_s = self._own(control), time.monotonic()
        later = threading.Timer(LEFT_S, self._end_unless_heard, (session, left_s))
        later.daemon = True
        later.start()

    def view(self) -> dict[str, Any] | None:
        """The session for whoever looks; None where there is none, and none that ended with a problem."""
        with self._changed:
            return self._view(self._session) if self._session else None

    def _own(self, control: str) -> _Session:
        session = self._session
        if session is None or not secrets.compare_digest(session.control.encode(), control.encode()):
            raise LabError("this page does not have the rig any more. Take it again.")
        return session

    def _end_unless_heard(self, session: _Session, left_s: float) -> None:
        with self._changed:
            if session.heard_s > left_s or session.is_over:
                return
        assert session.process.stdin is not None
        with session.writing, suppress(OSError):
            session.process.stdin.close()  # it stops what moves, switches the lights off and lets go

    def _view(self, session: _Session) -> dict[str, Any]:
        state = session.state.model_dump(mode="json") if session.state else None
        return {
            "who": session.who,
            "is_over": session.is_over,
            "problem": session.problem if session.is_over else None,
            "state": state,
        }

    def _write(self, session: _Session, order: Order) -> None:
        stdin = session.process.stdin
        assert stdin is not None
        with session.writing, suppress(OSError, ValueError):  # where it has ended, `_follow` notes it
            stdin.write(order.model_dump_json(exclude_defaults=True) + "\n")
            stdin.flush()

    def _follow(self, session: _Session) -> None:
        """Note what a session writes, to its end."""
        process = session.process
        assert process.stdout is not None and process.stderr is not None
        complaining = threading.Thread(target=session.errors.extend, args=(process.stderr,), daemon=True)
        complaining.start()
        for line in process.stdout:
            with suppress(ValidationError), self._changed:
                session.state = BenchState.model_validate_json(line)
                self._changed.notify_all()
        complaining.join()
        process.wait()
        with self._changed:
            session.is_over = True
            self._changed.notify_all()
